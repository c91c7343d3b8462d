"""The OpenAPI documents, as far as kubectl and the official clients read them: schemas, and that fields are validated.

Pure. Must never become a full description of the API: what no client looks for is left out.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exporter.sandbox.apiserver.kinds import Kind

Object = dict[str, Any]

_INFO = {"title": "Kubernetes", "version": "v1.37.2"}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_STRING = {"type": "string"}
# kubectl validates on the server where a patch takes `fieldValidation`, and warns where there is no `dryRun`.
_OPTIONS = [{"name": name, "in": "query", "schema": _STRING} for name in ("dryRun", "fieldManager", "fieldValidation")]


def describe(kinds: Sequence[Kind], path: str) -> Object | None:
    """Answer /openapi/v2, /openapi/v3, and below that one document for each version; None for what there is not."""
    match path.split("/")[1:]:
        case ["openapi", "v2"]:  # nothing, which makes clients go without
            return {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}}
        case ["openapi", "v3"]:
            places = dict.fromkeys(_places(kinds))
            return {"paths": {place: {"serverRelativeURL": _url(kinds, place)} for place in places}}
        case ["openapi", "v3", "api", version]:
            return _document(kinds, "", version)
        case ["openapi", "v3", "apis", group, version]:
            return _document(kinds, group, version)
    return None


def _document(kinds: Iterable[Kind], group: str, version: str) -> Object | None:
    served = [kind for kind in kinds if kind.group == group and version in kind.versions]
    if not served:
        return None
    paths = {_path(kind, version): {"patch": _patch(kind, version)} for kind in served}
    schemas: Object = {_META: {"type": "object", "description": "Metadata of an object."}}
    for kind in served:
        schemas[_name(kind, version)] = _schema(kind, version)
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def _places(kinds: Iterable[Kind]) -> Iterator[str]:
    for kind in kinds:
        for version in kind.versions:
            yield f"apis/{kind.group}/{version}" if kind.group else f"api/{version}"


def _url(kinds: Sequence[Kind], place: str) -> str:
    """Clients keep a document by its URL, so what it holds has to be in there."""
    _, *group, version = place.split("/")
    body = msgspec.json.encode(_document(kinds, "".join(group), version))
    return f"/openapi/v3/{place}?hash={hashlib.sha256(body).hexdigest()[:32].upper()}"


def _path(kind: Kind, version: str) -> str:
    root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
    return f"{root}/{'namespaces/{namespace}/' if kind.namespaced else ''}{kind.resource}/{{name}}"


def _patch(kind: Kind, version: str) -> Object:
    what = {"group": kind.group, "version": version, "kind": kind.kind}
    media = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
    return {
        "parameters": _OPTIONS,
        "requestBody": {"content": {one: {"schema": {"type": "object"}} for one in media}},
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": what,
    }


def _schema(kind: Kind, version: str) -> Object:
    schema = dict(kind.schema.get(version) or {"type": "object"})
    properties = schema.get("properties") or {}
    schema["properties"] = {
        "apiVersion": _STRING,
        "kind": _STRING,
        **properties,
        "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}"}]},
    }
    schema["x-kubernetes-group-version-kind"] = [{"group": kind.group, "version": version, "kind": kind.kind}]
    return schema


def _name(kind: Kind, version: str) -> str:
    return ".".join([*reversed((kind.group or "core").split(".")), version, kind.kind])
