"""The states of recorded objects, by the recording's own clock: all that time has a say in, to the very moment."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import UNSET

from exporter.drift.settings import DriftSettings
from exporter.timestamps import from_nanoseconds, normalise
from tests.drift.replay import Replay
from tests.drift.truth import recorded
from tests.drift.truth.expected import DECIDED, Expected, expected, expected_at_first_sight, said


if TYPE_CHECKING:
    from exporter.records import Transition, Verdict
    from tests.drift.truth.playing import Case
    from tests.drift.truth.recorded import Event

RECORDED = {declarer: recorded.read(declarer) for declarer in dict.fromkeys(case.declarer for case in DECIDED)}
CASES = [pytest.param(case, id=case.namespace) for case in DECIDED]


def events(case: Case) -> list[Event]:
    """Give what was seen."""
    return RECORDED[case.declarer][case.row].events


@cache
def replayed(case: Case) -> tuple[Verdict | None, list[Transition]]:
    """Give the verdict on a case when all is over, and what was told by then."""
    replay = Replay()
    return replay.play(events(case)), replay.transitions


def words(verdict: Verdict | None) -> Expected:
    """Put a verdict in the words of the table."""
    return said(None if verdict is None else msgspec.to_builtins(verdict))


def kept(verdict: Expected) -> Expected:
    """Of what nobody declares nothing is kept."""
    return Expected("gone") if verdict.state == "unmanaged" else verdict


@pytest.mark.parametrize("case", CASES)
def test_the_state_once_nothing_happens_is_the_truth(case: Case) -> None:
    """State, cause and source of since follow from what was seen, after the time to settle."""
    assert kept(expected(case)) == kept(words(replayed(case)[0]))


@pytest.mark.parametrize("case", CASES)
def test_the_state_at_first_sight_is_what_can_be_known(case: Case) -> None:
    """Who sees the last version alone, in a list, comes to what can still be known, and tells of no change."""
    last = events(case)[-1:]
    if last[0].type != "DELETED":
        assert kept(expected_at_first_sight(case)) == kept(words(Replay().play(last, "baseline")))


@pytest.mark.parametrize(
    "case",
    [case for case in DECIDED if expected(case).state == "drifted"],
    ids=lambda case: case.namespace,
)
def test_since_is_when_it_was_written_or_else_when_it_was_seen(case: Case) -> None:
    """Since is the time in the entry of a writer of what is found, or the moment in which a version was seen."""
    verdict, _ = replayed(case)
    assert verdict is not None
    if expected(case).since == "managed_fields":
        # Who is too old for an entry of their own had one when it began.
        writers = {found.writer for found in expected(case).fields} | {"kubectl-patch"}
        entries = [entry for event in events(case) for entry in event.object["metadata"]["managedFields"]]
        times = {normalise(entry.get("time")) for entry in entries if entry["manager"] in writers}
    else:
        times = {from_nanoseconds(int(event.observed * 10**9)) for event in events(case)}
    assert verdict.since in times


@pytest.mark.parametrize("case", CASES)
def test_what_is_told_is_the_opening_of_what_lasts(case: Case) -> None:
    """One opening is told of what lasts, after the time to settle, and nothing of what was put right before."""
    _, told = replayed(case)
    lasts = expected(case).state in ("drifted", "flapping")
    assert ["drift.opened"] * lasts == [one.event for one in told if one.event.startswith("drift.")]


@pytest.mark.parametrize(
    ("row", "resolved_by"),
    [
        ("declarer-reverts-edit", "declarer"),
        ("human-reverts-own-edit", "human"),
        ("rolled-out-to-the-edit", "declarer"),
        ("human-deletes-object", ""),
    ],
)
@pytest.mark.parametrize("declarer", ["kubectl", "helm", "argocd", "flux-kustomize", "terraform"])
def test_an_end_tells_since_when_and_by_whom_it_was(declarer: str, row: str, resolved_by: str) -> None:
    """Who closes what was opened is named, beside the cause and since of what ends; what never opened never ends."""
    replay = Replay(DriftSettings(settle_ns=0, clear_ns=10**8))
    replay.play(RECORDED[declarer][row].events)
    told = [(one.event, one.verdict.cause, one.resolved_by) for one in replay.transitions]
    opened = [("drift.opened", "human", UNSET), ("drift.closed", "human", resolved_by)]
    assert (opened if resolved_by else []) == told
    assert len({one.verdict.since for one in replay.transitions}) <= 1
