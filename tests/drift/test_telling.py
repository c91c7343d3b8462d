"""What is told of objects that are judged no longer: an end, for whoever was told of a beginning, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.drift.known import SILENCE
from exporter.drift.telling import Telling
from tests.drift.keeping import SECOND, Life, declared
from tests.drift.test_keeper import drifted, fighting


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.records import Transition


def ends(life: Life) -> list[Transition]:
    """Give what is told when an object is judged no longer, five seconds later."""
    kept = [(key, "Widget", state) for key, state in life.kept.items()]
    return list(Telling(lambda: ("cluster-1", 0)).ends(kept, life.now + 5 * SECOND))


def settling() -> Life:
    """Give the life of an object whose drift may still be a rollout."""
    life = Life()
    life.see(declared(), "added")
    assert life.see(declared(live=5, by="kubectl-edit", generation=2)) == "pending"
    return life


def calm() -> Life:
    """Give the life of an object that is as declared."""
    life = Life()
    assert life.see(declared(), "added") == "in_sync"
    return life


@pytest.mark.parametrize("make", [calm, settling])
def test_what_was_never_told_has_no_end(make: Callable[[], Life]) -> None:
    """What is as declared, or has not settled, goes without a word."""
    life = make()

    assert (ends(life), life.events) == ([], [])


def test_an_episode_ends_and_nobody_knows_by_whom() -> None:
    """With what was wrong, and how long that is known to have lasted; the record is that of the episode, once."""
    life = drifted()
    (told,) = ends(life)
    verdict = told.verdict

    assert (told.event, told.resolved_by, told.duration, told.change) == ("drift.closed", "unknown", 205.0, "")
    assert (verdict.cause, verdict.since) == ("human", life.verdict.since)
    assert [one.path for one in verdict.fields] == ["/spec/replicas"]
    assert [one.id for one in ends(life)] == [told.id]


def test_an_episode_ends_while_there_is_no_telling() -> None:
    """Who asked for silence was told of the beginning before."""
    life = drifted()
    silent = {SILENCE: "2999-01-01T00:00:00Z"}
    assert life.see(declared(live=5, by="kubectl-edit", generation=3, annotations=silent)) == "suspended"

    assert [one.event for one in ends(life)] == ["drift.closed"]


def test_what_was_put_right_has_the_end_that_it_had() -> None:
    """Nobody waits for it to clear, and who put it right did."""
    life = drifted()
    life.see(declared(generation=3))
    (told,) = ends(life)

    assert (told.event, told.resolved_by, told.duration) == ("drift.closed", "declarer", 201.0)


def test_a_fight_ends() -> None:
    """For whoever was told that it began, with how long it lasted."""
    life = Life()
    fighting(life, rounds=6)
    told = [one for one in ends(life) if one.event.startswith("fight.")]

    assert [(one.event, one.path) for one in told] == [("fight.closed", "/spec/replicas")]
    assert (told[0].duration or 0) > 0
