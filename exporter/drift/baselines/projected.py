"""What the declarer's managedFields projected onto the object when it last wrote.

As long as a manager owns a field, no request of anybody else has changed it (KEP-555): what it still owns is as
declared, and what it lost was changed or taken away by somebody. What was lost before anybody looked is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct

from exporter.changes.pointer import split
from exporter.changes.version import pack, unpack
from exporter.drift.baselines.found import Found
from exporter.drift.compare import MAX_DIFFERENCES, Comparison, Difference, is_default
from exporter.drift.fieldsets import fits, leaves, resolve, tree
from exporter.drift.look import to_pointer
from exporter.drift.values import Declared, Memory


if TYPE_CHECKING:
    from exporter.drift.fieldsets import FieldPath
    from exporter.drift.look import Look


class _Projection(Struct, frozen=True, array_like=True):
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


def read(look: Look) -> Found | None:
    """Hold the object against what its declarer projected; None where nobody declares it by fields that they own."""
    known = bool(look.memory.projected) and look.memory.declarer == look.declarer.name
    if not look.declarer.name or (look.declarer.maker and not look.known.children) or not (look.claims or known):
        return None
    before = _decoder.decode(unpack(look.memory.projected)) if known else _EMPTY
    now, misfit = _project(look)
    wrote = str(look.claims[-1].get("time", "")) if look.claims else ""
    if misfit:
        memory = Memory(declarer=look.declarer.name)
        return Found(declared=Declared(source="projected", confidence="high", problem=misfit), memory=memory)
    lost = _lost(look, before, now, wrote) if known else ()
    after = _Projection(
        {**now.values, **{name: before.values[name] for name in lost}},
        {**{name: at for name, at in before.items.items() if any(one.startswith(name) for one in lost)}, **now.items},
        lost,
    )
    packed = look.memory.projected if known and after == before else pack(msgspec.json.encode(after))
    differences, left_out = _differences(look, after)
    fields = {split(name) for name in after.values}
    above = {field[:depth] for field in fields for depth in range(1, len(field))}
    return Found(
        declared=Declared(source="projected", confidence="high"),
        memory=Memory(declarer=look.declarer.name, wrote=wrote, projected=packed),
        differences=differences,
        left_out=left_out,
        declares=lambda field: field in above or any(field[:depth] in fields for depth in range(1, len(field) + 1)),
    )


def _project(look: Look) -> tuple[_Projection, str]:
    """Give the values at the declarer's fields; and a reason where its entry is about another version of the type."""
    values: dict[str, Any] = {}
    items: dict[str, str] = {}
    schema = look.known.schema
    for entry in look.claims:
        fields = tree(entry)
        version, watched = entry.get("apiVersion"), look.subject.type.api_version
        if version != watched and not fits(fields, look.live):
            return _EMPTY, f"declared in {version}, watched in {watched}"
        filled_in = entry.get("operation") == "Update"
        for leaf in leaves(fields, look.live):
            # To whom sends an object the server also attributes what it fills in.
            if not (filled_in and is_default(leaf.value, leaf.place, schema)):
                values[to_pointer(leaf.fields)] = leaf.value
                for depth, key in enumerate(leaf.fields, start=1):
                    if key[:2] != "f:":
                        items[to_pointer(leaf.fields[:depth])] = leaf.path[depth - 1]
    return _Projection(values, items), ""


def _lost(look: Look, before: _Projection, now: _Projection, wrote: str) -> tuple[str, ...]:
    """Name the fields that the declarer owned, does not own any more, and has not given up by itself."""
    gone = [name for name in before.values if name not in now.values]
    already = set(before.lost)
    gained = any(name not in before.values or name in already for name in now.values)
    if wrote == look.memory.wrote and not gained:
        return tuple(gone)
    if look.claims and look.claims[-1].get("operation") == "Apply":
        return ()  # what it owns after an apply is all that it declares
    # An update says nothing of what others took before. What went with it, and is in no other hands, it took out.
    return tuple(name for name in gone if name in already or not resolve(split(name), look.live)[2])


def _differences(look: Look, projection: _Projection) -> tuple[tuple[Difference, ...], int]:
    """Compare the fields that were lost; an item of a list that is gone is one difference."""
    comparison = Comparison(look.known.schema, look.keys, look.touched)
    gone: dict[tuple[str, ...], dict[FieldPath, Any]] = {}
    for name in projection.lost:
        fields, declared = split(name), projection.values[name]
        path, live, left = resolve(fields, look.live)
        item = next((depth for depth, key in enumerate(left, start=1) if key[:2] != "f:"), 0)
        if item:
            gone.setdefault(fields[: len(fields) - len(left) + item], {})[left[item:]] = declared
            continue
        if left:
            path, live = (*path, *(key[2:] for key in left)), UNSET
        comparison.compare(declared, live, path, _place(fields))
    found = comparison.found
    for fields, values in gone.items():
        path = _former_path(fields, projection.items)
        found.append(Difference(path, _place(fields), "missing", _rebuilt(values), UNSET))
    return tuple(found[:MAX_DIFFERENCES]), comparison.left_out + max(0, len(found) - MAX_DIFFERENCES)


def _place(fields: FieldPath) -> tuple[str, ...]:
    return tuple(key[2:] if key[:2] == "f:" else "*" for key in fields)


def _former_path(fields: FieldPath, items: dict[str, str]) -> tuple[str, ...]:
    """Give the path that something had in the object when it was there."""
    return tuple(
        key[2:] if key[:2] == "f:" else items.get(to_pointer(fields[:depth]), "-")
        for depth, key in enumerate(fields, start=1)
    )


def _rebuilt(values: dict[FieldPath, Any]) -> Any:  # noqa: ANN401 - any JSON
    """Put an item of a list together again from the fields of it; lists inside of it are left out."""
    if () in values:
        return values[()]
    made: dict[str, Any] = {}
    for fields, value in values.items():
        if all(key[:2] == "f:" for key in fields):
            node = made
            for key in fields[:-1]:
                node = node.setdefault(key[2:], {})
            node[fields[-1][2:]] = value
    return made
