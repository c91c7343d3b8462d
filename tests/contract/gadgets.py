"""The types and objects that the contract is about. Data only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.model import ResourceType


if TYPE_CHECKING:
    from tests.contract.wire import Object

GROUP = "contract.example.com"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CONFIG_MAP = ResourceType("", "v1", "configmaps", "ConfigMap")
SECRET = ResourceType("", "v1", "secrets", "Secret")
# With a status of its own, and every sort of field; also served as v2, where nothing differs.
GADGET = ResourceType(GROUP, "v1", "gadgets", "Gadget")
# Status is a field like any other.
BOX = ResourceType(GROUP, "v1", "boxes", "Box")
VAULT = ResourceType(GROUP, "v1", "vaults", "Vault", namespaced=False)

_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}


def of(**properties: Any) -> Object:
    """Describe an object of these fields and no others."""
    return {"type": "object", "properties": properties}


def list_by(key: str, **properties: Any) -> Object:
    """Describe a list whose entries are told apart by a key."""
    items = of(**properties) | {"required": [key]}
    return {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key], "items": items}


SPEC = of(
    size=_INTEGER,
    color=_STRING,
    remark={"type": "string", "nullable": True},
    limits=of(low=_INTEGER, high=_INTEGER),
    notes={"type": "object", "additionalProperties": _STRING},
    tags={"type": "array", "items": _STRING},
    ports=list_by("name", name=_STRING, port=_INTEGER),
    open={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
)
STATUS = of(
    phase=_STRING,
    lastCheck={"type": "string", "format": "date-time"},
    conditions=list_by("type", type=_STRING, status=_STRING),
)


def version(name: str, spec: Object = SPEC, *, storage: bool = True, status: bool = True) -> Object:
    """One served version of a CRD."""
    return {
        "name": name,
        "served": True,
        "storage": storage,
        **({"subresources": {"status": {}}} if status else {}),
        "schema": {"openAPIV3Schema": of(spec=spec, status=STATUS)},
    }


def crd(resource_type: ResourceType, *versions: Object, **names: Any) -> Object:
    """A CRD of a type."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": str(resource_type)},
        "spec": {
            "group": resource_type.group,
            "scope": "Namespaced" if resource_type.namespaced else "Cluster",
            "names": {
                "plural": resource_type.resource,
                "singular": resource_type.kind.lower(),
                "kind": resource_type.kind,
                **names,
            },
            "versions": list(versions or (version(resource_type.version),)),
        },
    }


# Those that every test may use.
SHARED = {
    GADGET: crd(GADGET, version("v1"), version("v2", storage=False), shortNames=["gd"]),
    BOX: crd(BOX, version("v1", status=False)),
    VAULT: crd(VAULT),
}


def made(name: str = "one", spec: object = None, *, resource_type: ResourceType = GADGET, **metadata: Any) -> Object:
    """An object as a client writes it."""
    return {
        "apiVersion": resource_type.api_version,
        "kind": resource_type.kind,
        "metadata": {"name": name, **metadata},
        **({} if spec is None else {"spec": spec}),
    }
