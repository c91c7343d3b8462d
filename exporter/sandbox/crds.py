"""The custom resource types of the scripted day, as a platform team would define them.

Data only. They have what real ones have and what is hard about them: a status subresource with conditions, lists
with keys, a password that only the schema knows to be one, and one type that is not in a namespace.
"""

from __future__ import annotations

from typing import Any

from exporter.model import ResourceType


Schema = dict[str, Any]

DATABASE = ResourceType("db.example.com", "v1", "databases", "Database")
CACHE = ResourceType("cache.example.com", "v1alpha1", "caches", "Cache")
ROUTE = ResourceType("net.example.com", "v1beta1", "routes", "Route")
BACKUP_POLICY = ResourceType("backup.example.com", "v1", "backuppolicies", "BackupPolicy", namespaced=False)

_STRING: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_TIME: Schema = {"type": "string", "format": "date-time"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _list_by(key: str, **properties: Schema) -> Schema:
    """Describe a list whose entries are known by a key, so that several writers can own entries of it."""
    items = _object(**properties) | {"required": [key]}
    return {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
        "items": items,
    }


_STATUS = _object(
    observedGeneration=_INTEGER,
    phase=_STRING,
    lastCheck=_TIME,
    conditions=_list_by("type", type=_STRING, status=_STRING, reason=_STRING, lastTransitionTime=_TIME),
)


def _crd(resource_type: ResourceType, spec: Schema) -> dict[str, Any]:
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
            },
            "versions": [
                {
                    "name": resource_type.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": _object(spec=spec, status=_STATUS)},
                }
            ],
        },
    }


# Those that are there in the morning.
CRDS: dict[ResourceType, dict[str, Any]] = {
    DATABASE: _crd(
        DATABASE,
        _object(
            engine=_STRING,
            version=_STRING,
            replicas=_INTEGER,
            storageGb=_INTEGER,
            pool=_object(maxConnections=_INTEGER, idleSeconds=_INTEGER),
            # A key that no table of sensitive words knows: only the format tells.
            admin=_object(name=_STRING, passcode={"type": "string", "format": "password"}),
        ),
    ),
    CACHE: _crd(CACHE, _object(memoryMb=_INTEGER, replicas=_INTEGER, eviction=_STRING, source=_STRING)),
    ROUTE: _crd(ROUTE, _object(host=_STRING, backends=_list_by("name", name=_STRING, weight=_INTEGER))),
}
# The one that is installed in the middle of the day.
LATE_CRD = _crd(BACKUP_POLICY, _object(schedule=_STRING, keepDays=_INTEGER))
