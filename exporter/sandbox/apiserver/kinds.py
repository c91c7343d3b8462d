"""What a served type is: made from a CRD, or one of the few that are built in.

Pure data. Must never know of objects; what a CRD has to be like is `definitions.py`'s.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


Schema = dict[str, Any]
Object = dict[str, Any]


class Kind(Struct, frozen=True):
    """A type that is served.

    Attributes:
        group: empty for the core
        versions: that are served, in the order of the definition
        storage_version: of the objects in the store; need not be served
        resource: plural, as in URLs
        kind: as objects name it
        singular: name for people
        short_names: further ones
        namespaced: whether its objects are in namespaces
        status: whether status is a subresource
        schema: OpenAPI v3 by version
        custom: whether a CRD made it

    """

    group: str
    versions: tuple[str, ...]
    storage_version: str
    resource: str
    kind: str
    singular: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    status: bool = False
    schema: dict[str, Schema] = {}
    custom: bool = True

    def api_version(self, version: str = "") -> str:
        """Give group and version as an object says them; of the storage version where none is named."""
        version = version or self.storage_version
        return f"{self.group}/{version}" if self.group else version

    @property
    def generations(self) -> bool:
        """Tell whether a change of content moves a generation."""
        return self.custom or self.group != ""


def from_crd(crd: Object) -> Kind:
    """Make the type that a complete CRD defines."""
    spec = crd["spec"]
    names = spec["names"]
    served = [one for one in spec["versions"] if one["served"]]
    return Kind(
        group=spec["group"],
        versions=tuple(one["name"] for one in served),
        storage_version=next(one["name"] for one in spec["versions"] if one["storage"]),
        resource=names["plural"],
        kind=names["kind"],
        singular=names["singular"],
        short_names=tuple(names.get("shortNames") or ()),
        namespaced=spec["scope"] == "Namespaced",
        status=any("status" in (one.get("subresources") or {}) for one in spec["versions"]),
        schema={one["name"]: one["schema"]["openAPIV3Schema"] for one in spec["versions"]},
    )


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _map_of(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _list_by(*keys: str) -> Schema:
    items = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys),
    }  # fmt: skip


_STRING: Schema = {"type": "string"}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_BOOLEAN: Schema = {"type": "boolean"}
_ANY: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

NAMESPACE = Kind(
    group="",
    versions=("v1",),
    storage_version="v1",
    resource="namespaces",
    kind="Namespace",
    singular="namespace",
    short_names=("ns",),
    namespaced=False,
    status=True,
    schema={
        "v1": _object(spec=_object(finalizers=_STRINGS), status=_object(phase=_STRING, conditions=_list_by("type")))
    },
    custom=False,
)
CONFIG_MAP = Kind(
    group="",
    versions=("v1",),
    storage_version="v1",
    resource="configmaps",
    kind="ConfigMap",
    singular="configmap",
    short_names=("cm",),
    schema={"v1": _object(data=_map_of(_STRING), binaryData=_map_of(_STRING), immutable=_BOOLEAN)},
    custom=False,
)
SECRET = Kind(
    group="",
    versions=("v1",),
    storage_version="v1",
    resource="secrets",
    kind="Secret",
    singular="secret",
    schema={
        "v1": _object(data=_map_of(_STRING), stringData=_map_of(_STRING), type=_STRING, immutable=_BOOLEAN),
    },
    custom=False,
)
_NAMES = _object(
    plural=_STRING, singular=_STRING, kind=_STRING, listKind=_STRING, shortNames=_STRINGS, categories=_STRINGS
)
DEFINITION = Kind(
    group="apiextensions.k8s.io",
    versions=("v1",),
    storage_version="v1",
    resource="customresourcedefinitions",
    kind="CustomResourceDefinition",
    singular="customresourcedefinition",
    short_names=("crd", "crds"),
    namespaced=False,
    status=True,
    schema={
        "v1": _object(
            spec=_object(
                group=_STRING,
                scope=_STRING,
                names=_NAMES,
                versions={"type": "array", "items": _ANY},
                conversion=_object(strategy=_STRING, webhook=_ANY),
                preserveUnknownFields=_BOOLEAN,
            ),
            status=_object(acceptedNames=_NAMES, storedVersions=_STRINGS, conditions=_list_by("type")),
        )
    },
    custom=False,
)
BUILT_IN = (NAMESPACE, CONFIG_MAP, SECRET, DEFINITION)
