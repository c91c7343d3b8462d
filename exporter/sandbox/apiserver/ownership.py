"""Who owns which fields of an object: what an update and an apply make of managedFields.

Pure. The rules are those of kube-apiserver's field manager (KEP-555; apimachinery's `managedfields`, and `merge` of
structured-merge-diff). Left out: kubectl's last-applied annotation. Must never decide whether an object is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from exporter.sandbox.apiserver.fields import Fields, difference, intersection, paths, union, without
from exporter.sandbox.apiserver.merging import compare, fields_of, merge, remove, with_named
from exporter.sandbox.apiserver.patch import same


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.sandbox.apiserver.shapes import Shape

Object = dict[str, Any]
Operation = Literal["Apply", "Update"]
_Key = tuple[str, str, str, str]

_MOST_UPDATERS = 10
_ANCIENT = "ancient-changes"
_BEFORE = "before-first-apply"
_NOBODYS: Fields = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        ".": {},
        **{
            f"f:{name}": {}
            for name in (
                "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
                "managedFields", "resourceVersion",
            )
        },
    },
}  # fmt: skip


class Writer(Struct, frozen=True):
    """Who writes.

    Attributes:
        manager: the name
        api_version: of the request
        subresource: that is written, empty for the object
        time: to the second, as objects write it
        ignored: of the top level, what this request cannot write

    """

    manager: str
    api_version: str
    subresource: str
    time: str
    ignored: tuple[str, ...] = ()

    def entry(self, operation: Operation, fields: Fields, time: str = "") -> Object:
        """Make an entry of managedFields."""
        entry: Object = {"manager": self.manager, "operation": operation, "apiVersion": self.api_version}
        if time:
            entry["time"] = time
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": fields}
        return entry | ({"subresource": self.subresource} if self.subresource else {})


class Held(Struct, frozen=True):
    """Fields that an apply wants and somebody else holds."""

    entry: Object
    fields: tuple[str, ...]

    @property
    def owner(self) -> str:
        """Name the owner as upstream does."""
        name = f'"{self.entry["manager"]}"'
        if self.entry.get("subresource"):
            name += f' with subresource "{self.entry["subresource"]}"'
        if self.entry["operation"] == "Apply":
            return name
        since = f" at {self.entry['time']}" if self.entry.get("time") else ""
        return f"{name} using {self.entry['apiVersion']}{since}"


class HeldError(Exception):
    """An apply without force wants what others hold."""

    def __init__(self, held: Sequence[Held]) -> None:
        super().__init__(f"{len(held)} owners hold what is applied")
        self.held = held


def update(entries: Iterable[Object], live: Object, new: Object, shape: Shape, writer: Writer) -> list[Object]:
    """Say who owns what after a create, an update or a patch: what it changed is the writer's alone.

    Args:
        entries: managedFields before
        live: the object before, empty for a create
        new: the object after
        shape: of the type
        writer: who did it

    """
    differs = compare(live, new, shape)
    written = without(differs.written, writer.ignored)
    owners = _taken(entries, union(written, without(differs.removed, writer.ignored)))
    mine = difference(written, _NOBODYS)
    if mine:
        key = _key(writer.entry("Update", {}))
        before = owners.get(key)
        owned = union(before["fieldsV1"], mine) if before else mine
        owners[key] = writer.entry("Update", owned, writer.time)
    return _sorted(_capped(owners).values())


def apply(
    entries: Sequence[Object], live: Object, config: Object, shape: Shape, writer: Writer, *, force: bool
) -> tuple[Object, list[Object]]:
    """Lay a declaration over an object: what the applier no longer declares goes, unless others own it.

    Args:
        entries: managedFields before
        live: the object before, empty for one that is created
        config: the declaration
        shape: of the type
        writer: who declares
        force: take what others hold with other values

    Returns:
        the object, and who owns what

    Raises:
        HeldError: others hold what would change, and there is no force

    """
    if not entries and live:
        first = Writer(_BEFORE, writer.api_version, writer.subresource, writer.time, writer.ignored)
        entries = update((), {}, live, shape, first)
    declared = without(fields_of(config, shape), writer.ignored)
    key = _key(writer.entry("Apply", {}))
    before = next((entry for entry in entries if _key(entry) == key), None)
    others = [entry for entry in entries if entry is not before]
    new = merge(live, config, shape)
    if before is not None:
        managed = declared
        for entry in others:
            managed = union(managed, entry["fieldsV1"])
        new = _pruned(new, before["fieldsV1"], managed, shape)
    differs = compare(live, new, shape)
    written = without(differs.written, writer.ignored)
    if not force:
        _check_free(others, written)
    owners = _taken(others, union(written, without(differs.removed, writer.ignored)))
    mine = difference(declared, _NOBODYS)
    if mine:
        # What changes nothing in the object does not count as a time at which it was written.
        time = writer.time if not same(live, new) else before.get("time", "") if before else ""
        owners[key] = writer.entry("Apply", mine, time)
    return new, _sorted(owners.values())


def _check_free(others: Iterable[Object], written: Fields) -> None:
    held = [
        Held(entry, tuple(paths(wanted))) for entry in others if (wanted := intersection(entry["fieldsV1"], written))
    ]
    if held:
        raise HeldError(held)


def _pruned(merged: Object, last: Fields, managed: Fields, shape: Shape) -> Object:
    """Take out what was declared the last time and is nobody's now.

    In three steps, as upstream: cut all that was declared, put back what is owned, put back what never was declared.
    """
    last = with_named(last, shape)
    everything = with_named(fields_of(merged, shape), shape)
    cut = remove(merged, last, shape) or {}
    kept = union(with_named(fields_of(cut, shape), shape), with_named(managed, shape))
    cut = remove(merged, difference(everything, kept), shape) or {}
    gone = difference(everything, with_named(fields_of(cut, shape), shape))
    found: Object = remove(merged, intersection(gone, last), shape) or {}
    return found


def _taken(entries: Iterable[Object], fields: Fields) -> dict[_Key, Object]:
    """Take fields away from all; who has none left goes."""
    owners = {}
    for entry in entries:
        left = difference(entry["fieldsV1"], fields)
        if left:
            owners[_key(entry)] = entry if left is entry["fieldsV1"] else entry | {"fieldsV1": left}
    return owners


def _capped(owners: dict[_Key, Object]) -> dict[_Key, Object]:
    """Join the oldest updaters of each version into one, once there are more than ten."""
    updaters = [key for key, entry in owners.items() if entry["operation"] == "Update"]
    if len(updaters) <= _MOST_UPDATERS:
        return owners
    updaters.sort(key=lambda key: (owners[key].get("time", ""), key))
    owners = dict(owners)
    firsts: dict[str, _Key] = {}
    count = len(updaters)
    for key in updaters:
        if count <= _MOST_UPDATERS:
            break
        version = owners[key]["apiVersion"]
        first = firsts.setdefault(version, key)
        if first == key:
            continue
        bucket = Writer(_ANCIENT, version, "", "").entry("Update", {})
        name = _key(bucket)
        if name not in owners:
            owners[name] = owners.pop(first)
        owned = union(owners[name]["fieldsV1"], owners[key]["fieldsV1"])
        owners[name] = bucket | {"time": owners.pop(key).get("time", ""), "fieldsV1": owned}
        count -= 1
    return owners


def _key(entry: Object) -> _Key:
    """Tell entries apart: an applier's is one over all versions."""
    applied = entry["operation"] == "Apply"
    return entry["manager"], entry["operation"], "" if applied else entry["apiVersion"], entry.get("subresource", "")


def _sorted(entries: Iterable[Object]) -> list[Object]:
    return sorted(
        entries,
        key=lambda entry: (
            entry["operation"], entry.get("time", ""), entry["manager"], entry["apiVersion"],
            entry.get("subresource", ""),
        ),
    )  # fmt: skip
