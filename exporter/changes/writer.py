"""Who wrote a version: told by comparing the managedFields of the two versions.

The API server keeps one entry for each (manager, operation, subresource, apiVersion) with the fields it owns. The
writer is the entry that is new, that gained a field, or whose time moved; neither a time nor its presence decides
alone, since a server leaves it out on some entries and it has a resolution of one second. Where several entries
qualify, those that own a field that moved are preferred; where that leaves none or several, the writer is
`unresolved`, with the candidates. A manager is a name that a client gave itself: nothing here proves an identity.

Source: KEP-555 (server-side apply), `FieldsV1` in the API conventions.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from exporter.changes.entries import FieldsV1
from exporter.changes.pointer import split
from exporter.changes.redact import mask
from exporter.model import Writer


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.changes.entries import Entry
    from exporter.model import ChangeType, FieldChange, WriterClass


# Interactive tools; a script can use one too.
HUMAN = (
    "kubectl", "kubectl-*", "oc", "k9s", "Lens", "OpenLens", "freelens*", "node-fetch", "headlamp*", "dashboard",
    "kubernetes-dashboard", "Mozilla", "curl", "OpenAPI-Generator", "kubectx", "lens-*",
)  # fmt: skip
# What applies declarations that are kept elsewhere.
GITOPS = (
    "argocd", "argocd-*", "kustomize-controller", "helm-controller", "flux", "flux-*", "gotk-*", "helm", "Helm",
    "Terraform", "terraform*", "HashiCorp", "pulumi*", "configsync.gke.io*", "fleetagent", "fleet-agent",
    "rancher-fleet*",
)  # fmt: skip
CONTROLLER = (
    "*-controller", "*-controller-manager", "*-operator", "*-scheduler", "*-autoscaler", "manager", "operator",
    "controller", "kube-*", "crossplane*", "apiextensions.crossplane.io/*", "cert-manager*", "controller-manager",
)  # fmt: skip

_NO_ENTRY: Entry = {"time": None, "fieldsV1": {}}
_EntryKey = tuple[str, str, str, str]
# Of the same fields it is asked again and again who owns what moved: so many answers are kept with them.
_ANSWERS = 512


class WriterTable:
    """Knows a manager's class by its name.

    Args:
        added: globs by class, tried before the shipped ones

    """

    def __init__(self, added: Mapping[WriterClass, Iterable[str]] | None = None) -> None:
        added = added or {}
        shipped: tuple[tuple[WriterClass, tuple[str, ...]], ...] = (
            ("human", HUMAN),
            ("gitops", GITOPS),
            ("controller", CONTROLLER),
        )
        self._rows: tuple[tuple[WriterClass, tuple[str, ...]], ...] = (
            *((name, tuple(globs)) for name, globs in added.items()),
            *shipped,
        )
        self._named = lru_cache(maxsize=1024)(self._by_name)

    def class_of(self, name: str, entries: Iterable[Entry]) -> WriterClass:
        """Tell the class of a manager: by its name, else by its writing the object's status, else unknown."""
        named = self._named(name)
        if named is not None:
            return named
        for entry in entries:
            if entry.get("manager") == name and (
                entry.get("subresource") == "status" or "f:status" in (entry.get("fieldsV1") or ())
            ):
                return "controller"
        return "unknown"

    def _by_name(self, name: str) -> WriterClass | None:
        for name_of_class, globs in self._rows:
            if any(fnmatchcase(name, glob) for glob in globs):
                return name_of_class
        return None


def find_writer(
    table: WriterTable,
    entries: Iterable[Entry],
    came: Sequence[Entry],
    went: Sequence[Entry] = (),
    *,
    change: ChangeType,
    fields: Sequence[FieldChange] = (),
    created: str = "",
) -> tuple[Writer, str]:
    """Find who wrote the new version.

    Args:
        table: class by name
        entries: managedFields of the version
        came: those of them that the version before does not have, or has otherwise; all of them for a creation
        went: those of the version before that the version does not have, or has otherwise
        change: what kind of change it is
        fields: what moved
        created: creationTimestamp, for a creation

    Returns:
        the writer, and the time of its entry, empty where it has none

    """
    touched = _touched(came, went)
    if change in ("created", "recreated"):
        touched = _narrow(touched, [entry for entry in touched if entry.get("time") == created])
        touched = _narrow(touched, [entry for entry in touched if not entry.get("subresource")])
    elif not touched and fields:
        # Values rewritten within the second in which the owner wrote before leave no trace: the owner it is. Of what
        # was removed nobody is the owner any more.
        left = [one for one in fields if one.op != "remove"]
        touched = _owners([entry for entry in entries if any(owns(entry, one.path) for one in left)], fields)
    elif len(touched) > 1:
        touched = _owners(touched, fields)
    if len(touched) != 1:
        after = {_key(entry): entry for entry in came}
        shrunk = [entry for entry in went if after.get(_key(entry)) != entry]
        names = dict.fromkeys(str(entry.get("manager", "")) for entry in (touched or shrunk))
        return Writer(source="unresolved", candidates=tuple(mask(name) for name in names)), ""
    (entry,) = touched
    name, operation, subresource, _ = _key(entry)
    return writer_of(name, table.class_of(name, entries), operation, subresource), str(entry.get("time", ""))


@lru_cache(maxsize=1024)
def writer_of(name: str, class_: WriterClass, operation: str, subresource: str) -> Writer:
    """Name the writer that an entry stands for."""
    return Writer(name=mask(name), class_=class_, source="managed_fields", operation=operation, subresource=subresource)


def _owners(entries: list[Entry], fields: Sequence[FieldChange]) -> list[Entry]:
    """Narrow entries down to those that own what moved: all of it before some, the very leaf before what is around."""
    if len(entries) > 1:
        entries = _narrow(entries, [entry for entry in entries if any(owns(entry, one.path) for one in fields)])
    for leaf in (False, True):
        if len(entries) > 1:
            all_of_it = [entry for entry in entries if all(owns(entry, one.path, leaf=leaf) for one in fields)]
            entries = _narrow(entries, all_of_it)
    return entries


def _touched(came: Sequence[Entry], went: Sequence[Entry]) -> list[Entry]:
    """Give the entries that are new, gained a field, or whose time moved."""
    before = {_key(entry): entry for entry in went}
    touched = []
    for entry in came:
        was = before.get(_key(entry), _NO_ENTRY)
        if was.get("time") != entry.get("time") or _gained(was.get("fieldsV1") or {}, entry.get("fieldsV1") or {}):
            touched.append(entry)
    return touched


def _narrow(entries: list[Entry], fewer: list[Entry]) -> list[Entry]:
    return fewer or entries


def _gained(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    if old is new:
        return False
    if not isinstance(old, dict) or not isinstance(new, dict):
        return bool(old != new)  # of an entry that was nested too deeply a part was cut off
    return any(key not in old or (item != old[key] and _gained(old[key], item)) for key, item in new.items())


def _key(entry: Entry) -> _EntryKey:
    return (
        str(entry.get("manager", "")),
        str(entry.get("operation", "")),
        str(entry.get("subresource", "")),
        str(entry.get("apiVersion", "")),
    )


def owns(entry: Entry, path: str, live: Any = UNSET, *, leaf: bool = False) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether an entry owns a field, or the whole of something the field is in; with `leaf` only the former.

    An index in the path is looked up in `k:{…}` and `v:…` keys by the item that the object has there. Without the
    object any item that the entry owns will do.

    Args:
        entry: of managedFields
        path: JSON Pointer
        live: the object that the path points into, UNSET where it is not at hand
        leaf: what the field is in does not count

    """
    fields = entry.get("fieldsV1")
    if type(fields) is FieldsV1:
        answer: bool | None = fields.follows.get((path, leaf))
        if answer is not None:
            return answer
    answer = _owns(fields or {}, path, live, leaf=leaf)
    if type(fields) is FieldsV1 and not _has_index(path):
        if len(fields.follows) >= _ANSWERS:
            fields.follows.clear()
        fields.follows[path, leaf] = answer
    return answer


@lru_cache(maxsize=4096)
def _has_index(path: str) -> bool:
    """Tell whether something of a path may be the index of an item; then the object has a say in who owns it."""
    return any(map(str.isdigit, split(path)))


def _owns(node: Any, path: str, live: Any, *, leaf: bool) -> bool:  # noqa: ANN401 - any JSON
    segments = split(path)
    for depth, segment in enumerate(segments):
        if not isinstance(node, dict):
            return False
        below = node.get(f"f:{segment}", UNSET)
        if below is UNSET and segment.isdigit():
            items = [key for key in node if key[:2] in ("k:", "v:", "i:")]
            if not items:
                return not leaf  # an atomic list is owned as a whole
            below = {}
            around = live if live is UNSET else _inside(live, segments[:depth])
            if around is not UNSET:
                item = _inside(around, (segment,))
                items = [key for key in items if is_item(key, item, int(segment))]
            for key in items:
                below.update(node[key] or {})
            if not items:
                return False
        if below is UNSET:
            return False
        if below == {}:
            return not leaf or depth == len(segments) - 1  # owned as a whole, whatever is inside
        node = below
    return True


def is_item(key: str, item: Any, index: int) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a key of managedFields (`k:{…}`, `v:…`, `i:…`) stands for an item of a list.

    A part of a key that an item lacks says nothing: a manifest may leave out what the server fills in.
    """
    value = _parsed(key)
    if key[:2] == "k:":
        if not isinstance(value, dict) or not isinstance(item, dict):
            return False
        shared = [name for name in value if name in item]
        return bool(shared) and all(_is(value[name], item[name]) for name in shared)
    if key[:2] == "v:":
        return _is(value, item)
    return bool(value == index)


def item_keys(key: str) -> tuple[str, ...]:
    """Name the fields that tell the items of a list apart, from a `k:{…}` key."""
    value = _parsed(key)
    return tuple(value) if isinstance(value, dict) else ()


def _is(value: Any, item: Any) -> bool:  # noqa: ANN401 - any JSON
    return item is not UNSET and isinstance(value, bool) is isinstance(item, bool) and bool(value == item)


@lru_cache(maxsize=4096)
def _parsed(key: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return msgspec.json.decode(key[2:])
    except msgspec.DecodeError:
        return UNSET  # its value was a secret, and was taken out


def _inside(live: Any, segments: Iterable[str]) -> Any:  # noqa: ANN401 - any JSON
    for segment in segments:
        if isinstance(live, dict) and segment in live:
            live = live[segment]
        elif isinstance(live, list) and segment.isdigit() and int(segment) < len(live):
            live = live[int(segment)]
        else:
            return UNSET
    return live
