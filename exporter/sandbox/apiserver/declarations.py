"""Whether a declaration fits its type, which an apply asks before it asks anything else.

Pure. The rules and words are those of structured-merge-diff's `typed` package. Must never look at what is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.sandbox.apiserver.shapes import LEAF, entries
from exporter.sandbox.apiserver.validation import IS


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.sandbox.apiserver.patch import Json
    from exporter.sandbox.apiserver.shapes import Shape

_FORMS = {"map": "object", "list": "array"}
_EXPECTED = {
    "object": "map",
    "array": "list",
    "string": "string",
    "boolean": "boolean",
    "integer": "numeric (int or float)",
    "number": "numeric (int or float)",
}


def misfits(value: Json, shape: Shape, path: str = "") -> Iterator[str]:
    """Tell where a declaration is of another sort than its type, says what that does not have, or says it twice."""
    wanted = _FORMS.get(shape.form, shape.sort)
    if value is None:
        return
    if wanted in _EXPECTED and not IS[wanted](value):
        yield f"{path}: expected {_EXPECTED[wanted]}, got {_json(value)}"
    elif shape.form == "map":
        for key, one in value.items():
            if key in shape.fields or shape.element is not None:
                yield from misfits(one, shape.below(key), f"{path}.{key}")
            else:
                yield f"{path}.{key}: field not declared in schema"
    elif shape.form == "list":
        yield from _misfits_of_list(value, shape, path)


def _misfits_of_list(values: Json, shape: Shape, path: str) -> Iterator[str]:
    for at, one in enumerate(values):
        if shape.keys and not (isinstance(one, dict) and any(key in shape.defaults | one for key in shape.keys)):
            yield f"{path}: element {at}: associative list with keys has an element that omits all key fields"
            return
    for name, same_ones in entries(values, shape).items():
        place = f"[{name.partition(':')[2]}]"
        if len(same_ones) > 1:
            yield f"{path}: duplicate entries for key {place}"
        yield from misfits(same_ones[0], shape.element or LEAF, path + place)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
