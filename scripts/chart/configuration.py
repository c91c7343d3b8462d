"""The schema of `config` in the values, from the table of keys in the exporter's own reference.

Only keys and shapes: what a value may say is checked by the exporter, with a sentence. Must never be stricter than
the exporter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

_TEXTS = {"text", "duration", "size", "glob or `re:`", "label selector", "absolute path", "name", "date"}
_LIST: Schema = {"type": "array", "items": {"type": "string"}}
# Lists that also take items of another form, which only the exporter can tell from a mistake.
_ANY_ITEMS = {"drift.ignore[]": {"type": "object"}, "drift.lastApplied[]": {"type": ["string", "object"]}}


def schema(reference: str) -> Schema:
    """Make the schema.

    Args:
        reference: the text of docs/reference/configuration.md

    Raises:
        ValueError: the table has a type that is not known here

    """
    top = _mapping("The exporter's configuration file: docs/reference/configuration.md")
    for key, kind in _rows(reference):
        place, path = top, key.split(".")
        for index, part in enumerate(path[:-1]):
            items = _ANY_ITEMS.get(".".join(path[: index + 1]))
            name = part.removesuffix("[]")
            if items is not None:
                place["properties"][name] = {"type": "array", "items": items}
                break
            fresh = {"type": "array", "items": _mapping()} if part.endswith("[]") else _mapping()
            place = place["properties"].setdefault(name, fresh)
            place = place.get("items", place)
        else:
            place["properties"][path[-1]] = _value(key, kind)
    return top


def _mapping(about: str = "") -> Schema:
    described = {"description": about} if about else {}
    # A section whose lines are all commented out is null.
    return {**described, "type": ["object", "null"], "additionalProperties": False, "properties": {}}


def _rows(reference: str) -> Iterator[tuple[str, str]]:
    table = reference.partition("\n## Every key\n")[2].partition("\n## ")[0]
    for line in table.splitlines():
        found = re.match(r"\| `([^`]+)` \| ([^|]+?) \|", line)
        if found:
            yield found[1], found[2]


def _value(key: str, kind: str) -> Schema:
    if re.fullmatch(r"`\w+`( or `\w+`)+", kind):
        return {"enum": re.findall(r"`(\w+)`", kind)}
    if kind.startswith("list of "):
        return _LIST
    if kind.startswith("label selector") or kind in _TEXTS:
        return {"type": "string"}
    others = {
        "true or false": {"type": "boolean"},
        "whole number": {"type": "integer"},
        "mapping": _mapping(),
        "mapping of names to lists of globs": {"type": "object", "additionalProperties": _LIST},
    }
    if kind not in others:
        msg = (
            f"docs/reference/configuration.md: {key} is of the type {kind!r}, "
            "which scripts/chart/configuration.py has no schema for; give it one"
        )
        raise ValueError(msg)
    return others[kind]
