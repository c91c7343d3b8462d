"""Whether an object is let be for now: its controller or its declarer was told to pause, or somebody silenced it. Pure.

Only what can be read on the object itself, and what its tool says of itself. A time that cannot be read silences
nothing, and is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter.changes.redact import mask
from exporter.drift.known import SILENCE
from exporter.timestamps import Timestamp, normalise


if TYPE_CHECKING:
    from exporter.drift.look import Look

# An annotation or label, and what its values mean; `*` is any value.
_PAUSES = {
    "kustomize.toolkit.fluxcd.io/reconcile": {"disabled": "Flux was told not to reconcile it"},
    "kustomize.toolkit.fluxcd.io/ssa": {
        "ignore": "Flux was told to ignore it",
        "ifnotpresent": "Flux was told only to create it",
    },
    "helm.toolkit.fluxcd.io/driftDetection": {"disabled": "Flux was told not to detect drift of it"},
    "argocd.argoproj.io/skip-reconcile": {"true": "Argo CD was told to skip it"},
    "argocd.argoproj.io/hook": {"skip": "Argo CD was told to skip it"},
    "configmanagement.gke.io/managed": {"disabled": "Config Sync was told not to manage it"},
    "client.lifecycle.config.k8s.io/mutation": {"ignore": "Config Sync was told to ignore changes of it"},
    "crossplane.io/paused": {"true": "Crossplane was told to pause"},
    "cluster.x-k8s.io/paused": {"*": "Cluster API was told to pause"},
    "strimzi.io/pause-reconciliation": {"true": "Strimzi was told to pause"},
    "autoscaling.keda.sh/paused": {"true": "KEDA was told to pause"},
    "cnpg.io/reconciliationLoop": {"disabled": "CloudNativePG was told to pause"},
    "eck.k8s.elastic.co/managed": {"false": "ECK was told to pause"},
    "serviceoperator.azure.com/reconcile-policy": {"skip": "Azure Service Operator was told to skip it"},
    "mongodb.com/atlas-reconciliation-policy": {"skip": "the Atlas operator was told to skip it"},
    "stackgres.io/reconciliation-pause": {"true": "StackGres was told to pause"},
}


class Pause(Struct, frozen=True, gc=False):
    """Whether an object is let be.

    Args:
        reason: why; empty where it is not
        until: when that ends by itself; empty where nothing says so
        problem: what is wrong with what was written to that end

    """

    reason: str = ""
    until: Timestamp | str = ""
    problem: str = ""


def find_pause(look: Look) -> Pause:
    """Tell whether an object is let be; a pause without an end before a silence with one."""
    silenced = look.annotations.get(SILENCE)
    until = normalise(silenced)
    problem = ""
    if silenced is not None and until is None:
        shown = mask(silenced) if isinstance(silenced, str) else ""
        problem = f"{SILENCE}: {shown[:64]!r} is no time; write one as RFC 3339 with a zone, like 2026-03-01T10:00:00Z"
    paused = _told_to_pause(look.annotations) or _told_to_pause(look.labels)
    if not paused and look.known.verdict is not None:
        paused = look.known.verdict.suspended
    if paused or until is None:
        return Pause(paused, problem=problem)
    return Pause("silenced", until)


def _told_to_pause(held: dict[str, Any]) -> str:
    for key, value in held.items():
        meanings = _PAUSES.get(key)
        if meanings is not None:
            reason = meanings.get(str(value).lower()) or meanings.get("*")
            if reason:
                return reason
    return ""
