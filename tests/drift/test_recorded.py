"""The judgement of one version after the other, on what a real API server gave: every row, every declarer.

Time has no say here: what is found at the end is found, whether it lasts or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.changes.version import Version
from exporter.drift.evaluate import NO_MEMORY, evaluate
from exporter.drift.values import Evaluation, Subject
from exporter.model import ObjectKey
from exporter.timestamps import from_nanoseconds
from tests.drift.replay import PUMPS, SURROUNDINGS
from tests.drift.truth import pump, recorded
from tests.drift.truth.expected import DECIDED, Expected, expected, expected_at_first_sight, said


if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.drift.truth.playing import Case
    from tests.drift.truth.recorded import Event

RECORDED = {declarer: recorded.read(declarer) for declarer in dict.fromkeys(case.declarer for case in DECIDED)}
HERE = [case for case in DECIDED if expected(case).state != "gone"]


def judged(events: Iterable[Event]) -> Evaluation:
    """Look at one version after the other; the last evaluation counts."""
    memory, evaluation = NO_MEMORY, Evaluation()
    for event in events:
        metadata = event.object["metadata"]
        key = ObjectKey(pump.GROUP, "pumps", metadata["namespace"], metadata["name"])
        version = Version(msgspec.json.encode(event.object))
        observed = from_nanoseconds(int(event.observed * 1e9))
        subject = Subject(PUMPS.type, key, metadata["uid"], version, observed)
        evaluation, memory = evaluate(subject, memory, SURROUNDINGS.of(subject))
    return evaluation


def found(evaluation: Evaluation) -> Expected:
    """Put it in the words of the table; what only time decides is left out."""
    told: dict[str, Any] = msgspec.to_builtins(evaluation)
    return said({**told, "state": "in_sync", "fields": told.get("findings", ())})


def timeless(verdict: Expected) -> Expected:
    """Leave out of an expectation what only time decides, and the declarer of what nobody declares."""
    flags = tuple(flag for flag in verdict.flags if flag not in ("lagging", "additions"))
    return verdict._replace(state="in_sync", cause="", since="", flags=flags)


CASES = [pytest.param(case, id=case.namespace) for case in HERE]


@pytest.mark.parametrize("case", CASES)
def test_what_is_found_after_every_version_is_the_truth(case: Case) -> None:
    """Who saw every version finds just what the table says, with declarer, baseline and writers."""
    assert timeless(expected(case)) == timeless(found(judged(RECORDED[case.declarer][case.row].events)))


@pytest.mark.parametrize("case", CASES)
def test_what_is_found_at_first_sight_is_what_can_be_known(case: Case) -> None:
    """Who sees the last version alone finds what that still shows, and invents nothing."""
    assert timeless(expected_at_first_sight(case)) == timeless(
        found(judged(RECORDED[case.declarer][case.row].events[-1:]))
    )
