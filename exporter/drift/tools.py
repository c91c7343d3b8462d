"""Reads what Argo CD and Flux say of the objects that they declare, in the status of their own objects. Pure.

An Application lists its resources with a word for each. A Kustomization lists what it applied, but corrects instead of
telling. A HelmRelease tells by a condition that some of its objects have drifted, and names those in the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.drift.values import ToolVerdict


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.drift.values import Subject

# Group, kind, namespace and name of an object.
Place = tuple[str, str, str, str]

_KUSTOMIZE, _HELM = "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"
_HERE = frozenset({"", "in-cluster", "https://kubernetes.default.svc"})
_WORDS = {"Synced": True, "OutOfSync": False}


def read_verdicts(obj: dict[str, Any], here: frozenset[str] = _HERE) -> dict[Place, ToolVerdict]:
    """Read an object of a tool; what is none has no verdicts.

    Args:
        obj: an Application, Kustomization or HelmRelease
        here: names and addresses by which Argo CD knows the cluster that is watched; what it deploys elsewhere is not
            looked at

    """
    group, kind = str(obj.get("apiVersion", "")).partition("/")[0], obj.get("kind")
    if (group, kind) == ("argoproj.io", "Application"):
        return dict(_application(obj, here))
    if (group, kind) in ((_KUSTOMIZE, "Kustomization"), (_HELM, "HelmRelease")):
        return dict(_flux(obj, group, str(kind)))
    return {}


def places(subject: Subject) -> tuple[Place, ...]:
    """Tell under which places to look for the verdict on an object: its own, then that of Flux that its labels name."""
    found: list[Place] = [(subject.type.group, subject.type.kind, subject.key.namespace, subject.key.name)]
    labels = _dict(subject.version.metadata.get("labels"))
    for group, kind in ((_HELM, "HelmRelease"), (_KUSTOMIZE, "Kustomization")):
        name, namespace = labels.get(f"{group}/name"), labels.get(f"{group}/namespace")
        if isinstance(name, str) and isinstance(namespace, str):
            found.append((group, kind, namespace, name))
    return tuple(found)


def _application(obj: dict[str, Any], here: frozenset[str]) -> Iterator[tuple[Place, ToolVerdict]]:
    destination = _dict(_dict(obj.get("spec")).get("destination"))
    if not {str(destination.get(name) or "") for name in ("server", "name")} <= here:
        return
    annotations = _dict(_dict(obj.get("metadata")).get("annotations"))
    skipped = annotations.get("argocd.argoproj.io/skip-reconcile") == "true"
    suspended = "Argo CD skips the Application" if skipped else ""
    for one in _list(_dict(obj.get("status")).get("resources")):
        if one.get("hook") is not True:
            group, kind, namespace, name = (str(one.get(key) or "") for key in ("group", "kind", "namespace", "name"))
            in_sync = None if suspended else _WORDS.get(str(one.get("status")))
            yield (group, kind, namespace, name), ToolVerdict("argocd", in_sync, suspended)


def _flux(obj: dict[str, Any], group: str, kind: str) -> Iterator[tuple[Place, ToolVerdict]]:
    metadata, status = _dict(obj.get("metadata")), _dict(obj.get("status"))
    suspended = f"Flux suspends the {kind}" if _dict(obj.get("spec")).get("suspend") is True else ""
    drifted = next((one for one in _list(status.get("conditions")) if one.get("type") == "Drifted"), {})
    word, message = drifted.get("status"), str(drifted.get("message", "")).split()
    held = [place for one in _list(_dict(status.get("inventory")).get("entries")) for place in _inventory(one)]
    named = [place for place in held if "/".join(filter(None, place[1:])) in message]
    in_sync = True if word == "False" and not suspended else None
    yield (
        (group, kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))),
        ToolVerdict("flux", in_sync, suspended),
    )
    for place in held:
        told = place not in named if word == "True" and named and not suspended else in_sync
        yield place, ToolVerdict("flux", told, suspended)


def _inventory(entry: dict[str, Any]) -> list[Place]:
    """Read an entry of an inventory: `namespace_name_group_kind`, with `__` for a colon in a name."""
    place, _, kind = str(entry.get("id", "")).rpartition("_")
    place, _, group = place.rpartition("_")
    namespace, found, name = place.partition("_")
    return [(group, kind, namespace, name.replace("__", ":"))] if found else []


def _dict(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
