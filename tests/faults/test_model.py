"""Any order of writes and faults: what the journal tells is what happened, and in the end it holds what there is.

A model of the API server, the whole exporter on a real file, and virtual time; see `tests.faults.witness` for the
theorem and `tests.faults.machine` for the steps.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.faults.machine import Model
from tests.faults.trial import FULL


if TYPE_CHECKING:
    from collections.abc import Iterator


Model.TestCase.settings = settings(
    max_examples=1500 if FULL else 180,
    stateful_step_count=50 if FULL else 25,
    derandomize=not FULL,
    deadline=None,
    # Who only wants to know whether there is an example need not wait for the smallest one.
    phases=tuple(set(Phase) - {Phase.shrink}) if os.environ.get("FAULTS") == "brief" else tuple(Phase),
    suppress_health_check=list(HealthCheck),
)
TestModel = pytest.mark.timeout(3600 if FULL else 300)(Model.TestCase)


@pytest.fixture
def model() -> Iterator[Model]:
    """A machine whose steps a test takes by itself, and whose chance, as in pauses, is the same each time."""
    state = random.getstate()
    random.seed(1)
    machine = Model()
    yield machine
    machine.close()
    random.setstate(state)


# What chance seldom brings together in a short run: each of these ends with everything that must hold at the end.


def test_a_gap_is_marked(model: Model) -> None:
    """Where the server has forgotten what happened meanwhile, what a list finds carries the mark of it."""
    model.write("a/x", "spec")
    model.time_passes(1.5)
    model.the_server_is_away(8.0, forgets=True, writes=[("a/x", "spec")] * 3)
    model.ends()
    assert model.witness.gaps


def test_what_is_known_is_not_told_again(model: Model) -> None:
    """Neither a line that comes twice nor a list that holds what was there before is news."""
    model.time_passes(0.3)
    model.write("a/x", "spec")
    model.write("a/y", "spec")
    model.time_passes(0.3)
    model.next_answers_are_wrong("twice", 0, 2, at_once=True, kind="widgets")
    model.time_passes(6.0)
    model.write("b/x", "spec")
    model.the_server_is_away(8.0, forgets=True, writes=[("a/y", "spec")])
    model.ends()


def test_a_baseline_that_died_half_way_is_begun_again(model: Model) -> None:
    """What the rest of a first list would have brought is as silent as its beginning."""
    for where in ("a/x", "a/y", "b/x"):
        model.write(where, "spec")
    model.next_answers_are_wrong("stall", 1, 1, kind="widgets")
    model.time_passes(6.0)
    model.is_killed()
    model.ends()
    assert not model.witness.told


def test_totals_outlive_a_kill(model: Model) -> None:
    """What was committed and not yet added up is counted again from the changes."""
    model.time_passes(0.3)
    model.write("a/x", "spec")
    model.time_passes(0.3)
    model.is_killed()
    model.ends()


def test_a_history_that_went_back_tells_under_other_ids(model: Model) -> None:
    """What was told of before, and is there again, is told once more; it is found out without waiting for an audit."""
    model.time_passes(0.3)
    model.write("a/x", "spec")
    model.time_passes(0.3)
    model.a_snapshot_is_restored(1.5, [("a/x", "delete")], 5.0, [])
    model.ends()
    assert not model.server.deceived


def test_a_history_that_has_grown_past_us_is_found_by_the_audit(model: Model) -> None:
    """What a watch cannot tell, since the server is beyond our place again, comes with the next audit."""
    model.time_passes(0.3)
    model.write("a/x", "spec")
    model.time_passes(0.3)
    model.a_snapshot_is_restored(1.5, [("a/x", "delete"), ("a/y", "spec")], 5.0, [("b/x", "spec")] * 4)
    model.ends()
    assert model.server.deceived


def test_a_list_that_died_half_way_is_begun_again(model: Model) -> None:
    """What part of a list has brought is no place to go on from: that would tell older versions after newer ones."""
    for where in ("a/x", "a/y", "b/x"):
        model.write(where, "spec")
    model.time_passes(1.5)
    for fault, count, times in (("gone at once", 0, 2), ("stall", 1, 1)):
        model.next_answers_are_wrong(fault, count, times, kind="widgets")
    model.the_server_is_away(0.5, forgets=False, writes=[("a/x", "spec")] * 3)
    model.time_passes(6.0)
    model.is_killed()
    model.ends()


def test_a_few_errors_cost_no_history(model: Model) -> None:
    """Streams that hold nonsense are tried again, and everything is told."""
    model.write("a/x", "spec")
    model.time_passes(1.5)
    model.next_answers_are_wrong("garbage", 0, 3, at_once=True, kind="widgets")
    for _ in range(3):
        model.time_passes(1.5)
        model.write("a/x", "spec")
    model.ends()
    assert not model.witness.gaps


@pytest.mark.parametrize("good", range(8))
def test_a_death_in_the_middle_of_a_commit(model: Model, good: int) -> None:
    """Whichever statement is the last, the next life finds all of a batch or nothing of it."""
    model.time_passes(0.3)
    model.write("a/x", "spec")
    model.write("x", "spec")
    model.will_be_killed_writing(good)
    model.time_passes(1.5)
    model.ends()


def test_a_late_event_is_no_change(model: Model) -> None:
    """An event that comes again after those that followed it is not told a second time, and takes nothing back."""
    model.time_passes(1.5)
    model.next_answers_are_wrong("late", 0, 3, at_once=True)
    model.time_passes(6.0)
    for _ in range(3):
        model.write("a/x", "spec")
    model.ends()


def test_a_type_that_comes_back_soon_takes_nothing_of_the_new_one_along(model: Model) -> None:
    """What was made of a type that was installed again is not told as deleted with the type that went."""
    model.pieces_are(60)
    model.is_removed_and_installed_again("gadgets", 1.0)
    model.is_removed_and_installed_again("gadgets", 0.0)
    model.is_removed_and_installed_again("gadgets", 0.0)
    model.recreate("x")
    model.ends()


def test_a_baseline_that_was_broken_off_leaves_nothing_behind(model: Model) -> None:
    """What a first list brought before it broke goes with the selection that asked for it."""
    model.write("b/x", "spec")
    model.next_answers_are_wrong("cut", 1, 2)
    model.time_passes(0.02)
    model.is_started_with("a", in_order=True)
    model.ends()
