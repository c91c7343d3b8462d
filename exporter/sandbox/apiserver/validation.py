"""What is wrong with an object: with its name and labels, and with what its schema says of values.

Pure. The words are upstream's (field.ErrorType). Left out: CEL rules and formats. Must never change an object.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from exporter.sandbox.apiserver.patch import same
from exporter.sandbox.apiserver.refusals import Cause
from exporter.sandbox.apiserver.shapes import LEAF, Shape, entries


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.sandbox.apiserver.kinds import Kind, Schema
    from exporter.sandbox.apiserver.patch import Json

Object = dict[str, Any]

INVALID, REQUIRED, DUPLICATE = "FieldValueInvalid", "FieldValueRequired", "FieldValueDuplicate"
FORBIDDEN, UNSUPPORTED, _TYPE = "FieldValueForbidden", "FieldValueNotSupported", "FieldValueTypeInvalid"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_LONGEST_NAME, _LONGEST_VALUE = 253, 63
# JSON types as schemas name them.
IS: Final[dict[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: not isinstance(value, bool) and isinstance(value, (int, float)) and value == int(value),
    "number": lambda value: not isinstance(value, bool) and isinstance(value, (int, float)),
}
# Schema word, what fails it, and how a sentence says so.
_LIMITS: Final[tuple[tuple[str, str, Callable[[Any, Any], bool], str], ...]] = (
    ("minimum", "number", lambda value, limit: value < limit, "should be greater than or equal to {}"),
    ("maximum", "number", lambda value, limit: value > limit, "should be less than or equal to {}"),
    ("minLength", "string", lambda value, limit: len(value) < limit, "should be at least {} chars long"),
    ("maxLength", "string", lambda value, limit: len(value) > limit, "may not be longer than {}"),
    ("pattern", "string", lambda value, limit: not re.search(limit, value), "should match '{}'"),
    ("minItems", "array", lambda value, limit: len(value) < limit, "should have at least {} items"),
    ("maxItems", "array", lambda value, limit: len(value) > limit, "must have at most {} items"),
    ("minProperties", "object", lambda value, limit: len(value) < limit, "should have at least {} properties"),
    ("maxProperties", "object", lambda value, limit: len(value) > limit, "must have at most {} properties"),
)


def metadata_causes(kind: Kind, metadata: Object) -> Iterator[Cause]:
    """Tell what is wrong with a name and with labels."""
    name = metadata.get("name")
    if not name:
        yield Cause("metadata.name", REQUIRED, "Required value: name or generateName is required")
    elif not (_is_label(name) if kind.resource == "namespaces" else _is_subdomain(name)):
        yield Cause("metadata.name", INVALID, f"Invalid value: {_json(name)}: a lowercase RFC 1123 name is needed")
    labels = metadata.get("labels", {})
    for key, value in labels.items() if isinstance(labels, dict) else ():
        if not isinstance(value, str) or len(value) > _LONGEST_VALUE or not _VALUE.fullmatch(value):
            yield Cause("metadata.labels", INVALID, f"Invalid value: {_json(value)}: of {key} is no valid label value")


def schema_causes(obj: Object, schema: Schema) -> Iterator[Cause]:
    """Tell what a schema forbids in an object, apart from its metadata."""
    properties = schema.get("properties") or {}
    yield from _required(obj, schema, "")
    for key, inner in properties.items():
        if key in obj and key != "metadata":
            yield from _causes(obj[key], inner, key)


def _causes(value: Json, schema: Schema, path: str) -> Iterator[Cause]:
    if value is None and schema.get("nullable"):
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)) or isinstance(value, bool):
            yield _of_type(value, path, "integer,string")
        return
    sort = schema.get("type")
    if sort in IS and not IS[sort](value):
        yield _of_type(value, path, sort)
        return
    enum = schema.get("enum")
    if enum is not None and not any(same(value, one) for one in enum):
        supported = ", ".join(map(_json, enum))
        yield Cause(path, UNSUPPORTED, f"Unsupported value: {_json(value)}: supported values: {supported}")
    for word, of, fails, sentence in _LIMITS:
        if word in schema and IS[of](value) and fails(value, schema[word]):
            why = sentence.format(schema[word])
            yield Cause(path, INVALID, f"Invalid value: {_json(value)}: {path} in body {why}")
    if isinstance(value, dict):
        yield from _of_object(value, schema, path)
    elif isinstance(value, list):
        yield from _of_list(value, schema, path)


def _of_object(value: Object, schema: Schema, path: str) -> Iterator[Cause]:
    yield from _required(value, schema, f"{path}.")
    known = schema.get("properties") or {}
    more = schema.get("additionalProperties")
    for key, one in value.items():
        inner = known.get(key) or (more if isinstance(more, dict) else None)
        if inner:
            yield from _causes(one, inner, f"{path}.{key}")


def _of_list(value: list[Json], schema: Schema, path: str) -> Iterator[Cause]:
    items = schema.get("items") or {}
    found = [cause for at, one in enumerate(value) for cause in _causes(one, items, f"{path}[{at}]")]
    yield from found
    sort = schema.get("x-kubernetes-list-type")
    if found or sort not in {"map", "set"}:
        return
    shape = Shape("list", element=LEAF, keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()))
    twice = {name for name, same_ones in entries(value, shape).items() if len(same_ones) > 1}
    seen = set()
    for at, one in enumerate(value) if twice else ():
        (name,) = entries([one], shape)
        if name in seen:
            yield Cause(f"{path}[{at}]", DUPLICATE, f"Duplicate value: {name.partition(':')[2]}")
        seen.add(name)


def _required(value: Object, schema: Schema, prefix: str) -> Iterator[Cause]:
    for key in schema.get("required") or ():
        if key not in value:
            yield Cause(f"{prefix}{key}", REQUIRED, "Required value")


def _of_type(value: Json, path: str, wanted: str) -> Cause:
    names = [name for name in ("object", "array", "string", "boolean", "integer", "number") if IS[name](value)]
    said = _json(names[0] if names else "null")
    return Cause(path, _TYPE, f"Invalid value: {said}: {path} in body must be of type {wanted}: {said}")


def _is_label(name: object) -> bool:
    return isinstance(name, str) and _LABEL.fullmatch(name) is not None


def _is_subdomain(name: object) -> bool:
    return isinstance(name, str) and len(name) <= _LONGEST_NAME and _SUBDOMAIN.fullmatch(name) is not None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
