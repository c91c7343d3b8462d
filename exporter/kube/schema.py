"""What a CRD tells that matters here: the types it serves, keys of list-maps, passwords, and a hash of all that.

Pure reading of JSON; a schema that is odd in some place is read as far as it goes.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from exporter.changes.schema import Schema
from exporter.model import ResourceType


if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPE = "x-kubernetes-list-type"
_GO_UNITS = re.compile(r"\((?:h\|m\|s\|ms|ms\|s\|m\|h)\)")
_KEYS = "x-kubernetes-list-map-keys"
# A schema nested deeper than this is cut: no list that anybody aligns lies there.
_DEPTH = 40


class Definition(Struct, frozen=True):
    """A CRD as far as we follow it.

    Attributes:
        uid: of the CRD
        type: in the version that is watched
        schema: of that version
        digest: changes when objects of it may look different without having been written

    """

    uid: str
    type: ResourceType
    schema: Schema
    digest: str


def read_definition(crd: dict[str, Any]) -> Definition | None:
    """Read a CRD; None if it serves nothing yet.

    The version watched is the storage version if it is served, else the first served one in the order of the CRD.
    """
    spec = crd["spec"]
    conditions = crd.get("status", {}).get("conditions") or ()
    if not any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions):
        return None
    served = [version for version in spec["versions"] if version.get("served")]
    if not served:
        return None
    chosen = next((version for version in served if version.get("storage")), served[0])
    tree = (chosen.get("schema") or {}).get("openAPIV3Schema") or {}
    schema = read_schema(tree)
    conversion = msgspec.json.decode(msgspec.json.encode(spec.get("conversion") or {}))
    (conversion.get("webhook") or {}).get("clientConfig", {}).pop("caBundle", None)
    names = spec["names"]
    matter = (chosen["name"], [version["name"] for version in served], tree, conversion, spec["scope"], names["kind"])
    return Definition(
        uid=crd["metadata"]["uid"],
        type=ResourceType(
            group=spec["group"],
            version=chosen["name"],
            resource=names["plural"],
            kind=names["kind"],
            namespaced=spec["scope"] == "Namespaced",
        ),
        schema=schema,
        digest=hashlib.sha256(msgspec.json.encode(matter, order="deterministic")).hexdigest(),
    )


def read_schema(tree: dict[str, Any]) -> Schema:
    """Read an `openAPIV3Schema`."""
    nodes = list(_nodes(tree, ()))
    return Schema(
        list_keys={place: tuple(node[_KEYS]) for node, place in nodes if node.get(_TYPE) == "map" and node.get(_KEYS)},
        passwords=tuple(place for node, place in nodes if node.get("format") == "password"),
        sets=frozenset(place for node, place in nodes if node.get(_TYPE) == "set"),
        defaults={place: node["default"] for node, place in nodes if "default" in node},
        quantities=frozenset(place for node, place in nodes if _is_quantity(node)),
        durations=frozenset(place for node, place in nodes if _is_duration(node)),
        atomics=frozenset(place for node, place in nodes if node.get("x-kubernetes-map-type") == "atomic"),
        free=frozenset(place for node, place in nodes if isinstance(node.get("additionalProperties"), dict)),
        known=True,
    )


def _nodes(node: dict[str, Any], place: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """Go through a schema and all that are below it, each with its place."""
    yield node, place
    if len(place) > _DEPTH:
        return
    below = [(child, (*place, name)) for name, child in (node.get("properties") or {}).items()]
    below += [(node[key], (*place, "*")) for key in ("items", "additionalProperties") if key in node]
    for child, where in below:
        if isinstance(child, dict):
            yield from _nodes(child, where)


def _is_quantity(node: dict[str, Any]) -> bool:
    """Tell whether a field is a `resource.Quantity`: generators of CRDs write it as a pattern with its suffixes."""
    return "KMGTPE" in str(node.get("pattern", "")) or node.get("format") == "quantity"


def _is_duration(node: dict[str, Any]) -> bool:
    """Tell whether a field is a duration: by its format, or by a pattern that lists units of Go."""
    return node.get("format") == "duration" or _GO_UNITS.search(str(node.get("pattern", ""))) is not None
