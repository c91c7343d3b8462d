"""What the server says of itself: which groups, versions and types there are, and which version it has.

Pure: every answer is made from the kinds that are served at the moment. Must never know how a request is answered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.sandbox.apiserver.kinds import Kind

Object = dict[str, Any]

VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.2+emulated",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}
_VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
_STATUS_VERBS = ["get", "patch", "update"]
_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_RANK = {None: 2, "beta": 1, "alpha": 0}


def describe(kinds: Sequence[Kind], path: str) -> Object | None:  # noqa: PLR0911 - one for each path
    """Answer /version, /api, /apis, and below these a group or one of its versions; None for what there is not."""
    match path.rstrip("/").split("/")[1:]:
        case ["version"]:
            return VERSION
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            names = dict.fromkeys(kind.group for kind in kinds if kind.group)
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(kinds, name) for name in names]}
        case ["apis", group] if any(kind.group == group for kind in kinds):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(kinds, group)}
        case ["api", version]:
            return _types(kinds, "", version)
        case ["apis", group, version]:
            return _types(kinds, group, version)
    return None


def _types(kinds: Iterable[Kind], group: str, version: str) -> Object | None:
    served = [kind for kind in kinds if kind.group == group and version in kind.versions]
    if not served:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": [entry for kind in served for entry in _resources(kind)],
    }


def _group(kinds: Iterable[Kind], name: str) -> Object:
    names = {version for kind in kinds if kind.group == name for version in kind.versions}
    versions = [{"groupVersion": f"{name}/{one}", "version": one} for one in sorted(names, key=_priority)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _priority(version: str) -> tuple[object, ...]:
    """Sort as Kubernetes does: v10, v2, v1, v2beta1, v1beta2, v1alpha1, then other names by the alphabet."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return (1, version)
    major, stage, minor = found.groups()
    return (0, -_RANK[stage], -int(major), -int(minor or 0))


def _resources(kind: Kind) -> list[Object]:
    whole: Object = {
        "name": kind.resource,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _VERBS,
    }
    if kind.short_names:
        whole["shortNames"] = list(kind.short_names)
    if not kind.status:
        return [whole]
    status = {"name": f"{kind.resource}/status", "singularName": "", "verbs": _STATUS_VERBS}
    return [whole, {**status, "namespaced": kind.namespaced, "kind": kind.kind}]
