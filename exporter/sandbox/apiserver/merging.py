"""Objects and sets of fields: what differs between two objects, what one consists of, joining and cutting.

Pure. The rules are those of structured-merge-diff's `typed` package, which kube-apiserver merges by. Must never change
an object; what stays is shared between the old and the new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from exporter.sandbox.apiserver.fields import Fields, member, node, union
from exporter.sandbox.apiserver.patch import same
from exporter.sandbox.apiserver.shapes import LEAF, entries


if TYPE_CHECKING:
    from exporter.sandbox.apiserver.patch import Json
    from exporter.sandbox.apiserver.shapes import Shape

Object = dict[str, Any]
_Parts = tuple[Fields | None, Fields | None, Fields | None]

_MISSING: Final = object()
_SAME: _Parts = (None, None, None)
_ADDED: _Parts = ({}, None, None)
_REMOVED: _Parts = (None, {}, None)
_MODIFIED: _Parts = (None, None, {})


class Comparison(Struct, frozen=True):
    """What differs between two objects, by set of fields."""

    added: Fields
    removed: Fields
    modified: Fields

    @property
    def written(self) -> Fields:
        """What has another value now, or has one at all."""
        return union(self.added, self.modified)


def compare(old: Object, new: Object, shape: Shape) -> Comparison:
    """Find what differs."""
    added, removed, modified = _differ(old, new, shape)
    return Comparison(added or {}, removed or {}, modified or {})


def fields_of(obj: Object, shape: Shape) -> Fields:
    """Give all that an object says."""
    return _fields(obj, shape) or {}


def merge(live: Json, config: Json, shape: Shape) -> Json:
    """Lay a declaration over what is there."""
    form = _form(shape, live, config)
    if form == "map":
        if not isinstance(config, dict) or not isinstance(live, dict):
            # Null takes no fields away.
            return live if config is None and live and isinstance(live, dict) else config
        joined = dict(live)
        for key, value in config.items():
            joined[key] = merge(live[key], value, shape.below(key)) if key in live else value
        return joined
    if form == "list":
        return _merge_lists(live, config, shape) if live and config else live or config
    return config


def remove(obj: Json, fields: Fields, shape: Shape) -> Json:
    """Cut what is in a set out of a value; None where nothing is left of it."""
    form = _form(shape, obj)
    if form == "map":
        kept = {}
        for key, value in (obj or {}).items():
            cut = fields.get(f"f:{key}")
            if cut is None:
                kept[key] = value
            elif cut and "." not in cut:
                kept[key] = remove(value, cut, shape.below(key))
        return kept or None
    if form == "list":
        found = []
        for name, values in entries(obj, shape).items():
            cut = fields.get(name)
            if cut is None:
                found += values
            elif cut and "." not in cut:
                found += [remove(value, cut, shape.element or LEAF) for value in values]
        return found or None
    return obj


def with_named(fields: Fields, shape: Shape) -> Fields:
    """Add the fields with names on the way to what is in a set: where nothing is left of one it goes as well."""
    found: Fields = {}
    for key, below in fields.items():
        if not below:
            found[key] = below
            continue
        name = key.removeprefix("f:")
        inner = with_named(below, shape.below(name) if name != key else shape.element or LEAF)
        found[key] = {".": {}, **inner} if name != key and name in shape.fields else inner
    return found


def _form(shape: Shape, *values: Json) -> str:
    """Tell how values are taken apart; one that another schema let in, of another sort, is one thing."""
    if shape.form == "any":
        return "map" if any(isinstance(value, dict) for value in values) else "leaf"
    sort = list if shape.form == "list" else dict
    fits = all(value is None or value is _MISSING or isinstance(value, sort) for value in values)
    return shape.form if fits else "leaf"


def _differ(old: Json, new: Json, shape: Shape) -> _Parts:
    if old is new:
        return _SAME
    form = _form(shape, old, new)
    if form == "map":
        return _differ_maps(old, new, shape)
    if form == "list":
        return _differ_lists(old, new, shape)
    return _differ_leaves(old, new)


def _differ_leaves(old: Json, new: Json) -> _Parts:
    if old is _MISSING:
        return _ADDED
    if new is _MISSING:
        return _REMOVED
    return _SAME if same(old, new) else _MODIFIED


def _differ_maps(old: Json, new: Json, shape: Shape) -> _Parts:
    left = old if isinstance(old, dict) else {}
    right = new if isinstance(new, dict) else {}
    if not left and not right:
        return _differ_leaves(old, new)
    parts: tuple[Fields, Fields, Fields] = ({}, {}, {})
    for key, value in left.items():
        other = right.get(key, _MISSING)
        if value is not other:
            _note(parts, f"f:{key}", _differ(value, other, shape.below(key)))
    for key, value in right.items():
        if key not in left:
            _note(parts, f"f:{key}", _differ(_MISSING, value, shape.below(key)))
    if not all(isinstance(value, dict) or value is None or value is _MISSING for value in (old, new)):
        parts[2]["."] = {}  # it is another sort of value now
    return _closed(parts, old, new)


def _differ_lists(old: Json, new: Json, shape: Shape) -> _Parts:
    left, right = entries(old, shape), entries(new, shape)
    if not left and not right:
        return _differ_leaves(old, new)
    element = shape.element or LEAF
    parts: tuple[Fields, Fields, Fields] = ({}, {}, {})
    for name in left | right:
        were, are = left.get(name, []), right.get(name, [])
        if len(were) <= 1 and len(are) <= 1:
            was, is_ = (values[0] if values else _MISSING for values in (were, are))
            _note(parts, name, _differ(was, is_, element))
        elif len(were) > 1 and len(are) > 1:
            _note(parts, name, _differ_leaves(were, are))
        elif len(were) > 1:
            if are:
                _note(parts, name, _differ(_MISSING, are[0], element))
            parts[1][name] = {}
        else:
            if were:
                _note(parts, name, _differ(were[0], _MISSING, element))
            parts[0][name] = {}
    return _closed(parts, old, new)


def _note(parts: tuple[Fields, Fields, Fields], name: str, found: _Parts) -> None:
    for part, below in zip(parts, found, strict=True):
        if below is not None:
            part[name] = below


def _closed(parts: tuple[Fields, Fields, Fields], old: Json, new: Json) -> _Parts:
    """Add the place itself where it came or went."""
    if old is _MISSING:
        parts[0]["."] = {}
    if new is _MISSING:
        parts[1]["."] = {}
    return node(parts[0]), node(parts[1]), node(parts[2])


def _fields(value: Json, shape: Shape) -> Fields | None:
    """Give what a value consists of; None for nothing below its place."""
    if shape.form == "any" and value is None:
        return None
    form = _form(shape, value)
    if form == "leaf":
        return {}
    found: Fields = {}
    if form == "map":
        for key, one in (value or {}).items():
            below = _fields(one, shape.below(key))
            if one is None or one == {} or key not in shape.fields:
                below = member(below)
            if below is not None:
                found[f"f:{key}"] = below
    else:
        for name, values in entries(value, shape).items():
            found[name] = member(_fields(values[0], shape.element or LEAF)) if len(values) == 1 else {}
    return found or None


def _merge_lists(live: list[Json], config: list[Json], shape: Shape) -> list[Json]:
    """Join entries: in the order of the declaration, what only the live list has staying near its neighbours."""
    left, right = entries(live, shape), entries(config, shape)
    names, wanted = list(left), list(right)
    shared = [name for name in wanted if name in left]
    merged: list[Any] = []
    done = set()
    at_left = at_right = 0
    while at_left < len(names) or at_right < len(wanted):
        name = names[at_left] if at_left < len(names) else None
        if name is not None and name not in right:
            merged += left[name]
            at_left += 1
            continue
        if name is not None and (name in done or (shared and shared[0] != name)):
            at_left += 1  # its turn is where the declaration has it
            continue
        take = wanted[at_right]
        merged.append(merge(left[take][0], right[take][0], shape.element or LEAF) if take in left else right[take][0])
        done.add(take)
        at_right += 1
        if shared and shared[0] == take:
            shared.pop(0)
        at_left += take == name
    return merged
