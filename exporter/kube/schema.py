"""What a CRD tells that matters here: the types it serves, keys of list-maps, passwords, and a hash of all that.

Pure reading of JSON; a schema that is odd in some place is read as far as it goes.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec import Struct

from exporter.changes.tracker import Schema
from exporter.model import ResourceType


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
    schema = Schema(dict(_list_keys(tree, ())), tuple(_passwords(tree, ())))
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


def _children(node: dict[str, Any], place: tuple[str, ...]) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    """Give the schemas below a schema, each with its place."""
    if len(place) > _DEPTH:
        return []
    below = [(child, (*place, name)) for name, child in (node.get("properties") or {}).items()]
    below += [
        (node[key], (*place, "*")) for key in ("items", "additionalProperties") if isinstance(node.get(key), dict)
    ]
    return [(child, where) for child, where in below if isinstance(child, dict)]


def _list_keys(node: dict[str, Any], place: tuple[str, ...]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    found = []
    keys = node.get("x-kubernetes-list-map-keys")
    if keys and node.get("x-kubernetes-list-type") == "map":
        found.append((place, tuple(keys)))
    for child, where in _children(node, place):
        found += _list_keys(child, where)
    return found


def _passwords(node: dict[str, Any], place: tuple[str, ...]) -> list[tuple[str, ...]]:
    found = [place] if node.get("format") == "password" else []
    for child, where in _children(node, place):
        found += _passwords(child, where)
    return found
