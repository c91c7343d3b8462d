"""Whether an object is let be for now."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.drift.known import SILENCE
from exporter.drift.values import ToolVerdict
from tests.drift.objects import KNOWN, Story


def seen(annotations: dict[str, Any] | None = None, labels: dict[str, Any] | None = None) -> tuple[Any, Any, Any]:
    """Look at an object with these marks: the reason, the end, and what is wrong."""
    found = Story().see(annotations=annotations, meta={"labels": labels or {}}, spec={})
    return found.suspended, found.suspended_until, found.problems


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"crossplane.io/paused": "false"},
        {"kustomize.toolkit.fluxcd.io/reconcile": "enabled"},
        {"kustomize.toolkit.fluxcd.io/ssa": "Merge"},
        {"argocd.argoproj.io/sync-options": "Prune=false"},
        {"argocd.argoproj.io/hook": "PreSync"},
        {"example.com/paused": "true"},
    ],
)
def test_what_was_not_told_to_pause_is_followed(annotations: dict[str, Any]) -> None:
    """Other values, and other annotations, are no pause."""
    assert seen(annotations) == ("", "", ())


@pytest.mark.parametrize(
    ("key", "value", "who"),
    [
        ("kustomize.toolkit.fluxcd.io/reconcile", "disabled", "Flux"),
        ("kustomize.toolkit.fluxcd.io/ssa", "Ignore", "Flux"),
        ("helm.toolkit.fluxcd.io/driftDetection", "disabled", "Flux"),
        ("argocd.argoproj.io/skip-reconcile", "true", "Argo CD"),
        ("crossplane.io/paused", "true", "Crossplane"),
        ("cluster.x-k8s.io/paused", "", "Cluster API"),
        ("strimzi.io/pause-reconciliation", "True", "Strimzi"),
    ],
)
def test_a_tool_that_was_told_to_pause_is_named(key: str, value: str, who: str) -> None:
    """The annotation, or the label, that a tool knows suspends the object without an end."""
    for reason, until, problems in (seen({key: value}), seen(labels={key: value})):
        assert (reason.startswith(who), until, problems) == (True, "", ())


@pytest.mark.parametrize("time", ["tomorrow", "", "2026-03-01", "2026-03-01T10:00:00", 5, None])
def test_a_time_that_cannot_be_read_is_said_and_silences_nothing(time: Any) -> None:
    """A mistake must not look like a silence."""
    reason, until, problems = seen({SILENCE: time})

    assert (reason, until) == ("", "")
    assert len(problems) == (time is not None)


def test_a_silence_ends_by_itself() -> None:
    """The end is told, in UTC; whether it is over is for those to say who know the time."""
    assert seen({SILENCE: "2026-03-01T11:00:00+01:00"}) == ("silenced", "2026-03-01T10:00:00.000000Z", ())


def test_a_pause_outlasts_a_silence() -> None:
    """Where both hold there is no end."""
    reason, until, _ = seen({SILENCE: "2026-03-01T10:00:00Z", "crossplane.io/paused": "true"})

    assert (reason, until) == ("Crossplane was told to pause", "")


def test_a_tool_that_is_suspended_itself_suspends_what_it_declares() -> None:
    """What the tool's own object says holds for all that it declares."""
    known = replace(KNOWN, verdict=ToolVerdict("flux", suspended="Flux suspends the Kustomization"))

    assert Story(known).see(spec={}).suspended == "Flux suspends the Kustomization"
