"""Sets of fields, in the form in which managedFields write them (fieldsV1).

A set is a tree: a key leads one step down (`f:` a field, `k:` an entry of a list by its keys, `v:` one by its value),
an empty tree is a place that belongs to the set, and so is one with the key ".". The empty tree as a whole is the
empty set. Pure; must never change a set, since objects share them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Fields = dict[str, Any]


def union(left: Fields, right: Fields) -> Fields:
    """Give what is in either."""
    if not left or not right or left is right:
        return left or right
    return _merged(left, right)


def difference(left: Fields, right: Fields) -> Fields:
    """Give what is in the left alone; what lies below a place goes only if it is itself in the right."""
    return (_left_over(left, right) or {}) if left and right else left


def intersection(left: Fields, right: Fields) -> Fields:
    """Give what is in both."""
    return (_common(left, right) or {}) if left and right else {}


def without(fields: Fields, roots: Iterable[str]) -> Fields:
    """Leave out some of the top level with all that is below."""
    return {key: below for key, below in fields.items() if key not in roots}


def member(below: Fields | None) -> Fields:
    """Take in the place above a tree; None is a place with nothing below."""
    return {".": {}, **below} if below else {}


def node(below: Fields) -> Fields | None:
    """Bring a tree that was gathered to its one form: None for nothing, empty for a place without anything below."""
    if len(below) == 1 and "." in below:
        return {}
    return below or None


def paths(fields: Fields, above: str = "") -> Iterator[str]:
    """Tell all that is in a set, as errors write it: `.spec.ports[name="a"].port`."""
    for key, below in fields.items():
        if key == ".":
            yield above
        elif below:
            yield from paths(below, above + _step(key))
        else:
            yield above + _step(key)


def _step(key: str) -> str:
    sort, _, text = key.partition(":")
    if sort == "k":
        keys = msgspec.json.decode(text)
        return f"[{','.join(f'{name}={_json(value)}' for name, value in keys.items())}]"
    return f".{text}" if sort == "f" else f"[={text}]"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _merged(left: Fields, right: Fields) -> Fields:
    merged = dict(left)
    for key, below in right.items():
        held = merged.get(key)
        if held is None:
            merged[key] = below
        elif held is not below:
            merged[key] = _both(held, below)
    return merged


def _both(left: Fields, right: Fields) -> Fields:
    """Join two places, of which each may or may not be in its set."""
    if left and right:
        return _merged(left, right)
    return {".": {}, **(left or right)} if left or right else {}


def _left_over(left: Fields, right: Fields) -> Fields | None:
    """Take a tree from another; None where nothing is left."""
    taken = not right or "." in right
    if not left:
        return None if taken else left
    found: Fields = {}
    for key, below in left.items():
        if key == ".":
            if not taken:
                found["."] = {}
            continue
        other = right.get(key)
        rest = below if other is None else _left_over(below, other)
        if rest is not None:
            found[key] = rest
    return node(found)


def _common(left: Fields, right: Fields) -> Fields | None:
    found: Fields = {}
    for key, below in left.items():
        other = right.get(key)
        both = None if other is None or key == "." else _common(below, other)
        if both is not None:
            found[key] = both
    if (not left or "." in left) and (not right or "." in right):
        found["."] = {}
    return node(found)
