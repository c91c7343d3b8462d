"""The shape of a type: how far ownership of its fields is told apart, which a schema says.

Pure. The rules are those of kube-openapi's conversion of schemas for structured-merge-diff: objects by field, lists as
a whole, unless the schema says otherwise. Must never judge values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct


if TYPE_CHECKING:
    from exporter.sandbox.apiserver.kinds import Schema
    from exporter.sandbox.apiserver.patch import Json


class Shape(Struct, frozen=True):
    """How a value is taken apart.

    Attributes:
        form: "leaf" is one thing; "map" is by field; "list" by entry; "any" is as the value is, lists being one thing
        fields: that have names
        element: of entries, and of fields without a name
        keys: that tell entries apart; none where their values do
        defaults: of the keys
        sort: of a leaf: a JSON type, empty for any

    """

    form: Literal["any", "leaf", "map", "list"]
    fields: dict[str, Shape] = {}
    element: Shape | None = None
    keys: tuple[str, ...] = ()
    defaults: dict[str, Any] = {}
    sort: str = ""

    def below(self, key: str) -> Shape:
        """Give the shape of a field."""
        return self.fields.get(key) or self.element or ANY


ANY = Shape("any")
LEAF = Shape("leaf")
_STRINGS = Shape("map", element=LEAF)
_METADATA = Shape(
    "map",
    fields={
        "labels": _STRINGS,
        "annotations": _STRINGS,
        "finalizers": Shape("list", element=LEAF),
        "ownerReferences": Shape("list", element=LEAF, keys=("uid",)),
        **dict.fromkeys(
            (
                "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation",
                "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields",
            ),
            LEAF,
        ),
    },
)  # fmt: skip


def whole(schema: Schema) -> Shape:
    """Give the shape of an object of a type."""
    shape = _of(schema)
    own = {"apiVersion": LEAF, "kind": LEAF, "metadata": _METADATA}
    return Shape("map", fields=shape.fields | own, element=shape.element)


def entries(values: object, shape: Shape) -> dict[str, list[Json]]:
    """Give the entries of a list by the key that names them in a set of fields; several where it is not unique."""
    found: dict[str, list[Any]] = {}
    for value in values if isinstance(values, list) else ():
        found.setdefault(_entry(value, shape), []).append(value)
    return found


def _entry(value: Json, shape: Shape) -> str:
    if not shape.keys:
        return f"v:{_json(value)}"
    held = shape.defaults | value if isinstance(value, dict) else {}
    return f"k:{_json({key: held[key] for key in sorted(shape.keys) if key in held})}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _of(schema: Schema) -> Shape:
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or False
    match sort := schema.get("type"):
        case "object":
            if schema.get("x-kubernetes-map-type") == "atomic":
                return Shape("leaf", sort="object")
            more = schema.get("additionalProperties")
            element = _of(more) if isinstance(more, dict) else ANY if open_ended or more else None
            fields = {name: _of(one) for name, one in (schema.get("properties") or {}).items()}
            return ANY if not fields and element is ANY else Shape("map", fields=fields, element=element)
        case "array":
            return _of_list(schema)
        case None if open_ended and not schema.get("x-kubernetes-int-or-string"):
            return ANY
        case _:
            mixed = schema.get("x-kubernetes-int-or-string")
            return Shape("leaf", sort="" if mixed else sort or "")


def _of_list(schema: Schema) -> Shape:
    items = schema.get("items") or {}
    match schema.get("x-kubernetes-list-type"):
        case "map":
            known = items.get("properties") or {}
            keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            defaults = {key: known[key]["default"] for key in keys if "default" in known.get(key, {})}
            return Shape("list", element=_of(items), keys=keys, defaults=defaults)
        case "set":
            return Shape("list", element=LEAF)
        case _:
            return Shape("leaf", sort="array")
