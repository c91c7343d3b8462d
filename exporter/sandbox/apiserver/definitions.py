"""CRDs: what a complete one is, what is wrong with one, and which names it gets.

Pure. The rules are those of apiextensions' defaulting, validation and naming controller. Must never install a type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.sandbox.apiserver.refusals import Cause
from exporter.sandbox.apiserver.validation import INVALID, REQUIRED, UNSUPPORTED


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Object = dict[str, Any]

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_SCOPES = ("Namespaced", "Cluster")
_ACCEPTED = {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"}
_ESTABLISHED = {
    "type": "Established",
    "status": "True",
    "reason": "InitialNamesAccepted",
    "message": "the initial names have been accepted",
}
_NOT_ESTABLISHED = {
    "type": "Established",
    "status": "False",
    "reason": "NotAccepted",
    "message": "not all names are accepted",
}


def completed(crd: Object) -> Object:
    """Fill in what a CRD may leave out."""
    spec = crd.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(names, dict) or not isinstance(names.get("kind"), str):
        return crd
    defaults = {"singular": names["kind"].lower(), "listKind": f"{names['kind']}List"}
    return crd | {"spec": {"conversion": {"strategy": "None"}} | spec | {"names": defaults | names}}


def crd_causes(crd: Object) -> Iterator[Cause]:
    """Tell why a complete CRD could not be served."""
    spec = crd.get("spec") or {}
    names = spec.get("names") or {}
    for path, held in (("group", spec), ("names.plural", names), ("names.kind", names)):
        if not held.get(path.rpartition(".")[2]):
            yield Cause(f"spec.{path}", REQUIRED, "Required value")
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if crd["metadata"].get("name") != wanted:
        yield Cause("metadata.name", INVALID, f'Invalid value: must be spec.names.plural+"."+spec.group: {wanted}')
    if spec.get("scope") not in _SCOPES:
        yield Cause("spec.scope", UNSUPPORTED, 'Unsupported value: supported values: "Cluster", "Namespaced"')
    versions = spec.get("versions")
    versions = versions if isinstance(versions, list) else []
    if sum(one.get("storage") is True for one in versions) != 1:
        why = "Invalid value: must have exactly one version marked as storage version"
        yield Cause("spec.versions", INVALID, why)
    for at, one in enumerate(versions):
        place = f"spec.versions[{at}]"
        if not one.get("name"):
            yield Cause(f"{place}.name", REQUIRED, "Required value")
        if "served" not in one:
            yield Cause(f"{place}.served", REQUIRED, "Required value")
        if not isinstance((one.get("schema") or {}).get("openAPIV3Schema"), dict):
            yield Cause(f"{place}.schema.openAPIV3Schema", REQUIRED, "Required value: schemas are required")


def first_status(crd: Object) -> Object:
    """Give the status of a CRD that nobody has looked at."""
    return {"acceptedNames": {"kind": "", "plural": ""}, "conditions": None, "storedVersions": [_stored(crd)]}


def status_of(crd: Object, others: Iterable[Object], time: str) -> Object:
    """Give the status of a CRD beside others: which names it gets, and whether it is established.

    Args:
        crd: complete
        others: that are installed
        time: now; a condition that does not change keeps its own

    """
    status = crd.get("status") or first_status(crd)
    names = crd["spec"]["names"]
    taken = [
        word
        for other in others
        if other["spec"]["group"] == crd["spec"]["group"] and is_established(other)
        for word in _words(other["status"]["acceptedNames"])
    ]
    clash = next((word for word in _words(names) if word in taken), None)
    if clash is None:
        conditions = [_ACCEPTED, _ESTABLISHED]
    else:
        sort = next(
            key for key in ("plural", "singular", "shortNames", "kind", "listKind") if clash in _word(names, key)
        )
        refusal = {"reason": f"{sort[0].upper()}{sort[1:]}Conflict", "message": f'"{clash[1]}" is already in use'}
        held = _ESTABLISHED if is_established(crd) else _NOT_ESTABLISHED
        conditions = [_ACCEPTED | {"status": "False"} | refusal, held]
    stored = status.get("storedVersions") or []
    return {
        "acceptedNames": names if clash is None else status["acceptedNames"],
        "conditions": [_timed(one, status.get("conditions") or (), time) for one in conditions],
        "storedVersions": stored if _stored(crd) in stored else [*stored, _stored(crd)],
    }


def is_established(crd: Object) -> bool:
    """Tell whether a CRD is served."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _words(names: Object) -> list[tuple[bool, str]]:
    return [word for key in ("plural", "singular", "shortNames", "kind", "listKind") for word in _word(names, key)]


def _word(names: Object, key: str) -> list[tuple[bool, str]]:
    """Give the names of one sort; those of resources and those of kinds do not clash with each other."""
    found = names.get(key) or []
    return [(key in {"kind", "listKind"}, one) for one in (found if isinstance(found, list) else [found])]


def _stored(crd: Object) -> str:
    name: str = next(one["name"] for one in crd["spec"]["versions"] if one["storage"])
    return name


def _timed(condition: Object, before: Iterable[Object], time: str) -> Object:
    for one in before:
        if one["type"] == condition["type"] and one["status"] == condition["status"]:
            time = one["lastTransitionTime"]
    return {"lastTransitionTime": time} | condition
