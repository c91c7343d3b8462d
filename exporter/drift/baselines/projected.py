"""What the declarer's managedFields projected onto the object when it last wrote.

As long as a manager owns a field, no request of anybody else has changed it (KEP-555): what it still owns is as
declared, and what it lost was changed or taken away by somebody. What was lost before anybody looked is not known.
"""

from __future__ import annotations

from bisect import bisect_left
from copy import deepcopy
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct

from exporter.changes.pointer import escape, split
from exporter.changes.version import pack, unpack
from exporter.drift.baselines.found import Found
from exporter.drift.compare import MAX_DIFFERENCES, Comparison, Difference, is_default
from exporter.drift.fieldsets import fits, leaves, place_of, resolve, tree
from exporter.drift.fieldsets import values as values_of
from exporter.drift.values import Declared, Memory


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.drift.look import Look


class _Projection(Struct, frozen=True, gc=False, array_like=True):
    """What is kept of an object.

    Args:
        values: of the fields that the declarer owns, or lost, by their keys in managedFields, as one pointer
        items: where the items of lists were that are keys on the way to them
        lost: which of the fields it had lost

    """

    values: dict[str, Any] = {}
    items: dict[str, str] = {}
    lost: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(_Projection)
_EMPTY = _Projection()
# An object that changes often is held against the same projection again and again: of so many it is at hand.
_RECENT = 1024


def read(look: Look) -> Found | None:
    """Hold the object against what its declarer projected; None where nobody declares it by fields that they own."""
    known = look.memory.source == "projected" and look.memory.declarer == look.declarer.name
    if not look.declarer.name or (look.declarer.maker and not look.known.children) or not (look.claims or known):
        return None
    declared = Declared(source="projected", confidence="high", problem=_other_version(look))
    if declared.problem:
        return Found(declared=declared, memory=Memory(look.declarer.name))
    before, names = _kept_before(look.memory.kept) if known else (_EMPTY, [])
    after, packed = _project(look), look.memory.kept
    if known and after != before:
        after = _kept(before, after, _lost(look, before, after))
    if not known or after != before:
        packed, names = pack(msgspec.json.encode(after)), sorted(after.values)
    differences, left_out = _differences(look, after)
    return Found(
        declared=declared,
        memory=Memory(look.declarer.name, "projected", look.wrote, kept=packed),
        differences=differences,
        left_out=left_out,
        declares=partial(_declares, after.values, names),
    )


@lru_cache(maxsize=_RECENT)
def _kept_before(packed: bytes) -> tuple[_Projection, list[str]]:
    """Give what was kept, and the names of its fields in order."""
    kept = _decoder.decode(unpack(packed))
    return kept, sorted(kept.values)


def _declares(values: dict[str, Any], names: list[str], name: str) -> bool:
    """Tell whether a field, or something in it, or what it is in, is among those that were projected.

    Args:
        values: of those
        names: the same in order
        name: of the field

    """
    if name in values:
        return True
    end = name.find("/", 1)
    while end > 0:
        if name[:end] in values:
            return True
        end = name.find("/", end + 1)
    below = f"{name}/"
    first = bisect_left(names, below)
    return first < len(names) and names[first].startswith(below)


def _other_version(look: Look) -> str:
    """Say that an entry names fields as another version of the type does, if they are not those of this one."""
    watched = look.subject.type.api_version
    for entry in look.claims:
        version = entry.get("apiVersion")
        if version != watched and not fits(tree(entry), look.live):
            return f"declared in {version}, watched in {watched}"
    return ""


def _project(look: Look) -> _Projection:
    """Give the values at the declarer's fields."""
    values: dict[str, Any] = {}
    items: dict[str, str] = {}
    schema = look.known.schema
    for entry in look.claims:
        # To whom sends an object the server also attributes what it fills in.
        filled_in = bool(schema.defaults) and entry.get("operation") == "Update"
        owned = tree(entry)
        if not (filled_in or owned.keyed):
            values.update(values_of(owned, look.live, schema))
            continue
        for leaf in leaves(owned, look.live, schema):
            if filled_in and is_default(leaf.value, leaf.place, schema):
                continue
            values[leaf.name] = leaf.value
            if owned.keyed:
                name = ""
                for key, segment in zip(split(leaf.name), split(leaf.path), strict=True):
                    name = f"{name}/{escape(key)}"
                    if key[:2] != "f:":
                        items[name] = segment
    return _Projection(values, items)


def _lost(look: Look, before: _Projection, now: _Projection) -> tuple[str, ...]:
    """Name the fields that the declarer owned, does not own any more, and has not given up by itself."""
    gone = [name for name in before.values if name not in now.values]
    if not gone:
        return ()
    already = set(before.lost)
    gained = any(name not in before.values or name in already for name in now.values)
    if look.wrote == look.memory.wrote and not gained:
        # Within one second of an apply its next one shows no time of its own: what is gone by then, it has pruned.
        pruned = look.is_within(look.wrote) and look.claims[-1].get("operation") == "Apply"
        return tuple(name for name in gone if not pruned or name in already or not resolve(name, look.live)[2])
    if look.claims and look.claims[-1].get("operation") == "Apply":
        return ()  # what it owns after an apply is all that it declares
    # An update says nothing of what others took before. What went with it, and is in no other hands, it took out.
    return tuple(name for name in gone if name in already or not resolve(name, look.live)[2])


def _kept(before: _Projection, now: _Projection, lost: tuple[str, ...]) -> _Projection:
    """Add what was lost to what is owned."""
    if not lost:
        return now
    return _Projection(
        {**now.values, **{name: before.values[name] for name in lost}},
        {**{item: at for item, at in before.items.items() if any(one.startswith(item) for one in lost)}, **now.items},
        lost,
    )


def _differences(look: Look, projection: _Projection) -> tuple[tuple[Difference, ...], int]:
    """Compare the fields that were lost; an item of a list that is gone is one difference."""
    if not projection.lost:
        return (), 0
    comparison = Comparison(look.known.schema, look.keys, look.touched)
    gone: dict[str, dict[tuple[str, ...], Any]] = {}
    for name in projection.lost:
        declared, keys = projection.values[name], split(name)
        path, live, left = resolve(name, look.live)
        missing = next((at for at in range(len(keys) - len(left), len(keys)) if keys[at][:2] != "f:"), None)
        if missing is not None:
            gone.setdefault(_joined(keys[: missing + 1]), {})[keys[missing + 1 :]] = declared
        elif left:
            comparison.compare(declared, UNSET, path + _joined(key[2:] for key in left), place_of(name))
        else:
            comparison.compare(declared, live, path, place_of(name))
    items = [
        Difference(_former_path(name, projection.items), place_of(name), "missing", _rebuilt(values), UNSET)
        for name, values in gone.items()
    ]
    found = (*comparison.found, *items)
    return found[:MAX_DIFFERENCES], comparison.left_out + max(0, len(found) - MAX_DIFFERENCES)


def _joined(segments: Iterable[str]) -> str:
    return "".join(f"/{escape(segment)}" for segment in segments)


def _former_path(name: str, items: dict[str, str]) -> str:
    """Give the path that something had in the object when it was there."""
    path = above = ""
    for key in split(name):
        above = f"{above}/{escape(key)}"
        path = f"{path}/{escape(key[2:]) if key[:2] == 'f:' else items.get(above, '-')}"
    return path


def _rebuilt(values: dict[tuple[str, ...], Any]) -> Any:  # noqa: ANN401 - any JSON
    """Put an item of a list together again from copies of its fields; lists inside of it are left out."""
    if () in values:
        return values[()]
    made: dict[str, Any] = {}
    for keys, value in values.items():
        if all(key[:2] == "f:" for key in keys):
            node = made
            for key in keys[:-1]:
                node = node.setdefault(key[2:], {})
            node[keys[-1][2:]] = deepcopy(value)
    return made
