"""What a schema makes of an object: fields that it does not know go, and what it has defaults for is filled in.

Pure. The rules are those of apiextensions' structural schemas. Must never change an object, nor judge it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.sandbox.apiserver.kinds import Schema
    from exporter.sandbox.apiserver.patch import Json

Object = dict[str, Any]

_OF_EVERY_OBJECT = ("apiVersion", "kind", "metadata")


def fit(obj: Object, schema: Schema, *, keep_nulls: bool = False) -> Object:
    """Give an object without unknown fields and with defaults; its metadata is left alone.

    Args:
        obj: as it was written
        schema: of its type
        keep_nulls: keep null where it may not be and no default takes its place, so that it is found to be wrong

    """
    fitted: Object = _fit_object(obj, schema, _OF_EVERY_OBJECT, keep_nulls=keep_nulls)
    return fitted


def _fit(value: Json, schema: Schema, *, keep_nulls: bool) -> Json:
    if isinstance(value, dict):
        kept = _OF_EVERY_OBJECT if schema.get("x-kubernetes-embedded-resource") else ()
        return _fit_object(value, schema, kept, keep_nulls=keep_nulls)
    items = schema.get("items")
    if isinstance(value, list) and items:
        fitted = [_fit(one, items, keep_nulls=keep_nulls) for one in value]
        # What nothing changed in stays the same thing, which makes comparing it free.
        return value if all(map(_is, fitted, value)) else fitted
    return value


def _fit_object(value: Object, schema: Schema, kept: Iterable[str], *, keep_nulls: bool) -> Object:
    known = schema.get("properties") or {}
    more = schema.get("additionalProperties")
    keeps_all = schema.get("x-kubernetes-preserve-unknown-fields") or more is True
    fitted: Object = {}
    changed = False
    for key, one in value.items():
        inner = known.get(key) or (more if isinstance(more, dict) else None)
        if key in kept or (inner is None and keeps_all):
            fitted[key] = one
        elif inner is not None and (one is not None or inner.get("nullable") or _stays(inner, keep_nulls=keep_nulls)):
            fitted[key] = _fit(one, inner, keep_nulls=keep_nulls)
            changed = changed or fitted[key] is not one
    for key, inner in known.items():
        if "default" in inner and key not in fitted:
            fitted[key] = _fit(inner["default"], inner, keep_nulls=keep_nulls)
            changed = True
    return fitted if changed or len(fitted) != len(value) else value


def _stays(schema: Schema, *, keep_nulls: bool) -> bool:
    """Tell whether a null stays that may not be there."""
    return keep_nulls and "default" not in schema


def _is(left: object, right: object) -> bool:
    return left is right
