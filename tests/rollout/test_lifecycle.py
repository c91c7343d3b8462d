"""One rollout from its beginning to its end, as the versions of one object show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.records import Link
from exporter.rollout.lifecycle import MAX_MARKS
from exporter.rollout.rules import Rules
from exporter.rollout.telling import overdue
from tests.changes.objects import at, entry
from tests.rollout.world import World, ready, status


if TYPE_CHECKING:
    from exporter.records import Rollout

FALSE = ready("False", reason="Creating", message="3 of 5")


def created(world: World | None = None, clock: str = "10:00:00", **more: Any) -> World:
    """See a Widget that is new, in a world in which Widgets are known to report."""
    world = world or World()
    world.see("09:00:00", name="older", mode="baseline", generation=2, status=status(2, ready()))
    world.see(clock, event="added", mode="fresh", **more)
    return world


def settled(**more: Any) -> World:
    """See a Widget that is new and ready after five seconds, and let that be told."""
    world = created(**more)
    world.see("10:00:05", status=status(1, ready()))
    world.pass_time("10:01:00")
    world.pages.told.clear()
    return world


def only(world: World) -> Rollout:
    """Give the one rollout that was told."""
    (told,) = world.told
    return told


def stages(rollout: Rollout) -> list[tuple[str, str, str, str, str]]:
    """Tell the stages in short: condition, before, status, from, to."""
    return [(one.condition, one.before, one.status, one.started[11:19], one.ended[11:19]) for one in rollout.stages]


# -- what is no rollout -----------------------------------------------------------------------------------------------


def test_what_is_there_when_we_come_is_no_rollout() -> None:
    """An object of the baseline tells nothing, not even that it is behind, and nothing is kept of one that is ready."""
    world = World()
    world.see("10:00:00", mode="baseline", generation=3, status=status(2, ready()))
    world.see("10:00:05", generation=3, status=status(3, ready()))
    world.pass_time("23:00:00")

    assert (world.told, world.kept()) == ([], None)


@pytest.mark.parametrize(
    "changed",
    [
        {"meta": {"labels": {"a": "b"}}, "status": status(1, ready())},
        {"status": status(1, ready(message="still"))},
        {"status": status(1, ready(), lastSeen="2026-03-01T10:00:00Z")},
        {"status": status(1, ready(), {"type": "Other", "status": "False"})},
        {"status": status(1, ready(), {"type": "Reconciling", "status": "True"})},
    ],
)
def test_no_change_of_what_is_wanted_is_no_rollout(changed: dict[str, Any]) -> None:
    """Metadata, messages, heartbeats, conditions that are no readiness, and work that goes on begin nothing."""
    world = settled()
    world.see("11:00:00", **changed)
    world.pass_time("23:00:00")

    assert world.told == []


def test_types_that_are_not_followed_have_none() -> None:
    """What a rule says not to follow has neither rollouts nor a state."""
    world = World(Rules(kinds=("example.com/*",), follow=False))
    world.see("10:00:00", event="added", mode="fresh")
    world.see("10:00:05", status=status(1, FALSE))

    assert (world.pages.states, world.told) == ({}, [])


def test_a_controller_that_says_nothing_is_not_waited_for() -> None:
    """Objects of which nothing is ever said are dropped after a while without a word, and later not even waited for."""
    world = World()
    waited = []
    for number in range(5):
        world.see(f"1{number}:00:00", name=f"n{number}", event="added", mode="fresh")
        waited.append(world.kept(f"n{number}") is not None)
        world.pass_time(f"1{number}:30:00")

    assert world.told == []
    assert waited == [True, True, True, False, False]


def test_a_silent_object_that_is_deleted_or_edited_is_not_told() -> None:
    """Nothing is told of a rollout of which nothing was said, however it ends."""
    world = World()
    world.see("10:00:00", event="added", mode="fresh")
    world.see("10:00:01", generation=2)
    world.see("10:00:02", generation=2, event="deleted")
    world.pass_time("23:00:00")

    assert world.told == []


def test_a_status_that_counts_as_a_generation_begins_none() -> None:
    """Where each status is a new generation (no status subresource), it carries the rollout on and begins no other."""
    world = created()
    world.see("10:00:01", generation=2, spec={"size": 1}, status=status(1, FALSE))
    world.see("10:00:04", generation=3, spec={"size": 1}, status=status(2, ready()))
    world.pass_time("10:01:00")

    assert ("converged", 1, at("10:00:04")) == (only(world).result, only(world).generation, only(world).ended)


# -- how it goes on and ends ------------------------------------------------------------------------------------------


def test_a_rollout_from_the_edit_to_done() -> None:
    """It begins with the change of the spec and ends when the object is ready; who, what and the stages are told."""
    world = settled()
    meta = {"managedFields": [entry("kubectl-edit", "spec.size", time="2026-03-01T11:00:00Z")]}
    world.see("11:00:00.5", generation=2, status=status(1, ready()), meta=meta)
    world.see("11:00:02", generation=2, status=status(2, FALSE), meta=meta)
    world.see("11:00:03", generation=2, status=status(2, FALSE, {"type": "Database", "status": "True"}), meta=meta)
    world.see("11:00:09", generation=2, status=status(2, ready(), {"type": "Database", "status": "True"}), meta=meta)
    assert world.told == []
    world.pass_time("11:00:30")

    told = only(world)
    assert (told.result, told.opened, told.generation, told.ordinal) == ("converged", "spec", 2, 0)
    assert (told.started[11:26], told.ended[11:26]) == ("11:00:00.500000", "11:00:09.000000")
    assert (told.writer and told.writer.name, told.fields) == ("kubectl-edit", ("/spec/size",))
    assert (told.condition, told.reason, told.message) == ("", "", "")
    assert sorted(stages(told), key=lambda one: (one[4], one[0])) == [
        ("", "", "2", "11:00:00", "11:00:02"),
        ("Ready", "True", "False", "11:00:00", "11:00:02"),
        ("Database", "", "True", "11:00:00", "11:00:03"),
        ("Ready", "False", "True", "11:00:02", "11:00:09"),
    ]


def test_ready_does_not_count_before_the_generation_was_seen() -> None:
    """The readiness of the generation before is not taken for that of the new one, however long it stays."""
    world = settled()
    world.see("11:00:00", generation=2, status=status(1, ready()))
    world.see("11:10:00", generation=2, status=status(1, ready(message="still the old one")))
    world.pass_time("11:59:59")

    assert world.told == []


def test_ready_has_to_last() -> None:
    """A controller that says ready first and thinks again has one rollout, which ends when it stays ready."""
    world = created()
    world.see("10:00:01", status=status(1, ready()))
    world.pass_time("10:00:05.5")
    world.see("10:00:05.5", status=status(1, FALSE))
    world.see("10:00:20", status=status(1, ready()))
    world.pass_time("10:01:00")

    assert ("converged", at("10:00:20")) == (only(world).result, only(world).ended)


def test_a_generation_that_was_seen_is_not_ready_before_the_conditions_are_there() -> None:
    """Where conditions are known to come, observedGeneration alone is no end."""
    world = created()
    world.see("10:00:01", status=status(1))
    world.pass_time("10:30:00")
    assert world.told == []

    world.see("10:30:00", status=status(1, ready()))
    world.pass_time("10:31:00")
    assert ("converged", at("10:30:00")) == (only(world).result, only(world).ended)


def test_where_there_is_only_an_observed_generation_it_is_the_end() -> None:
    """A controller without conditions is done when it says to have seen the generation."""
    world = World()
    world.see("10:00:00", event="added", mode="fresh")
    world.see("10:00:03", status=status(1))
    world.pass_time("10:01:00")

    assert ("converged", at("10:00:03")) == (only(world).result, only(world).ended)


def test_without_a_generation_a_word_said_since_counts() -> None:
    """Where nothing says which generation is meant, a status written after the change is about it, a heartbeat not."""
    world = World()
    world.see("10:00:01", event="added", mode="fresh")
    world.see("10:00:02", status=status(None, ready(), lastSeen="2026-03-01T10:00:00Z"))
    world.pass_time("10:30:00")
    world.pages.told.clear()
    world.see("11:00:00", generation=2, status=status(None, ready(), lastSeen="2026-03-01T11:00:00Z"))
    world.see("11:00:05", generation=2, status=status(None, ready(), lastSeen="2026-03-01T11:00:05Z"))
    world.pass_time("11:00:30")
    assert world.told == []
    world.see("11:00:30", generation=2, status=status(None, ready(message="scaled")))
    world.pass_time("11:01:00")

    assert ("converged", at("11:00:30")) == (only(world).result, only(world).ended)


def test_who_was_ready_all_along_and_says_nothing_had_nothing_to_do() -> None:
    """A change that a ready object never reacts to ends soon, and nobody claims to know how long it took."""
    world = World()
    world.see("10:00:00", mode="baseline", status=status(None, ready()))
    world.see("11:00:00", generation=2, status=status(None, ready()))
    world.pass_time("11:00:59")
    assert world.told == []
    world.pass_time("11:01:00")

    assert ("converged", True, at("11:00:00")) == (only(world).result, only(world).settled, only(world).ended)


def test_a_failing_condition_is_not_the_end_but_the_time_is() -> None:
    """Most controllers try again: not before the time is over is a rollout given up, with what it failed at."""
    world = created()
    world.see("10:00:01", status=status(1, ready("False", reason="Pending", message="no such issuer")))
    world.see("10:30:00", status=status(1, ready("False", reason="StillPending", message="no such issuer")))
    world.pass_time("10:59:59")
    assert world.told == []
    world.pass_time("11:30:00")

    told = only(world)
    assert ("timed_out", at("11:00:00")) == (told.result, told.ended)
    assert (
        told.condition, told.status, told.reason, told.message,
    ) == ("Ready", "False", "StillPending", "no such issuer")  # fmt: skip
    assert stages(told)[-1] == ("Ready", "False", "False", "10:00:01", "11:00:00")
    assert told.stages[-1].open


def test_a_controller_that_is_known_to_report_and_does_not_is_given_up() -> None:
    """Of a type that reports, an object of which nothing is said times out."""
    world = created()
    world.pass_time("12:00:00")

    assert (only(world).result, only(world).reason) == ("timed_out", "")


def test_a_rule_sets_the_time() -> None:
    """A type that takes longer, or less, has a time of its own."""
    world = created(World(Rules(timeout_ns=60 * 10**9)))
    world.pass_time("10:01:00")

    assert ("timed_out", at("10:01:00")) == (only(world).result, only(world).ended)


def test_what_has_failed_for_good_ends_so() -> None:
    """Stalled is the end, if it lasts; what kept it from being ready is told."""
    world = created()
    stalled = {"type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": "no"}
    world.see("10:00:02", status=status(1, FALSE, stalled))
    world.pass_time("10:00:06")
    assert world.told == []
    world.pass_time("10:00:07")

    told = only(world)
    assert ("failed", at("10:00:02"), "InvalidSpec") == (told.result, told.ended, told.reason)


def test_a_failure_of_the_generation_before_is_not_this_ones() -> None:
    """Stalled that was said of the last generation does not end the next one's rollout."""
    world = settled()
    stalled = {"type": "Stalled", "status": "True"}
    world.see("11:00:00", generation=2, status=status(2, ready("False"), stalled))
    world.pass_time("11:01:00")
    world.pages.told.clear()
    world.see("11:02:00", generation=3, status=status(2, ready("False"), stalled))
    world.pass_time("11:10:00")
    assert world.told == []
    world.see("11:10:00", generation=3, status=status(3, ready()))
    world.pass_time("11:11:00")

    assert (only(world).result, only(world).generation) == ("converged", 3)


def test_the_next_generation_supersedes() -> None:
    """A change before the last one came true ends its rollout and begins the next, which is linked to it."""
    world = created()
    world.see("10:00:01", status=status(1, FALSE))
    world.see("10:00:10", generation=2, status=status(1, FALSE))
    world.see("10:00:20", generation=2, status=status(2, ready()))
    world.pass_time("10:01:00")

    first, second = world.told
    assert ("superseded", at("10:00:10"), "Creating") == (first.result, first.ended, first.reason)
    assert ("converged", at("10:00:10")) == (second.result, second.started)
    assert (Link(first.trace, first.span, "previous"),) == second.links
    assert first.trace != second.trace


def test_what_was_ready_when_the_next_change_came_had_converged() -> None:
    """A change within the time that ready has to last does not make a success a failure."""
    world = created()
    world.see("10:00:03", status=status(1, ready()))
    world.see("10:00:04", generation=2, status=status(1, ready()))

    assert ("converged", at("10:00:03")) == (only(world).result, only(world).ended)


@pytest.mark.parametrize("how", ["marked", "at once", "ready"])
def test_deletion_ends_it(how: str) -> None:
    """An object that is marked for deletion, or gone, has no rollout any more, and begins none."""
    world = created()
    world.see("10:00:01", status=status(1, ready() if how == "ready" else FALSE))
    if how != "at once":
        meta = {"deletionTimestamp": "2026-03-01T10:00:03Z"}
        world.see("10:00:03", generation=2, spec={"size": 1}, meta=meta, status=status(1, ready("False")))
        world.see("10:00:04", generation=2, spec={"size": 1}, meta=meta, status=status(1, ready("False"), phase="x"))
        assert (kept := world.kept()) is not None
        assert not kept.shown
    world.see("10:00:05", generation=2, event="deleted")
    world.pass_time("23:00:00")

    assert ("converged" if how == "ready" else "deleted") == only(world).result
    assert (at("10:00:01") if how == "ready" else at("10:00:05" if how == "at once" else "10:00:03")) == only(
        world
    ).ended
    assert world.kept() is None


def test_what_left_the_selection_is_forgotten() -> None:
    """An object that is no longer selected has not failed: nothing is told."""
    world = created()
    world.see("10:00:05", event="deleted", mode="left")
    world.pass_time("23:00:00")

    assert (world.told, world.kept()) == ([], None)


# -- readiness lost ---------------------------------------------------------------------------------------------------


def test_readiness_that_is_lost_without_a_change_is_a_rollout_of_its_own() -> None:
    """An object that is no longer ready has a rollout until it is again; each has an id of its own."""
    world = settled()
    for minute in ("10", "20"):
        world.see(f"11:{minute}:00", status=status(1, FALSE))
        world.see(f"11:{minute}:30", status=status(1, ready()))
        world.pass_time(f"11:{minute}:59")

    first, second = world.told
    assert [(one.opened, one.generation, one.ordinal, one.result) for one in world.told] == [
        ("readiness", 1, 1, "converged"),
        ("readiness", 1, 2, "converged"),
    ]
    assert (first.started[11:19], first.ended[11:19]) == ("11:10:00", "11:10:30")
    assert stages(first) == [("Ready", "False", "True", "11:10:00", "11:10:30")]
    assert len({first.trace, second.trace, first.span, second.span}) == 4
    assert (Link(first.trace, first.span, "previous"),) == second.links


def test_readiness_that_was_never_there_is_not_lost() -> None:
    """An object that is not ready when it is first seen, and one that timed out, lose nothing."""
    world = World()
    world.see("10:00:00", mode="baseline", status=status(1, ready("Unknown")))
    world.see("10:00:01", status=status(1, FALSE))
    world.pass_time("23:00:00")

    assert world.told == []
    assert [(one.type, str(one.since)[11:19]) for one in world.kept().unready] == [("Ready", "10:00:01")]  # type: ignore[union-attr]


def test_the_reason_of_a_loss_is_told() -> None:
    """What took the readiness away is told if it does not come back."""
    world = settled()
    world.see("11:00:00", status=status(1, ready("False", reason="NodeLost")))
    world.pass_time("12:00:00")

    assert (only(world).result, only(world).reason, only(world).opened) == ("timed_out", "NodeLost", "readiness")


# -- times ------------------------------------------------------------------------------------------------------------


def test_while_nobody_was_watching_the_object_tells_the_times() -> None:
    """What is seen late happened when the object says so; what is seen at once happened when it is seen."""
    world = settled()
    edit = {"managedFields": [entry("kubectl-edit", "spec.size", time="2026-03-01T11:00:00Z")]}
    done = ready(lastTransitionTime="2026-03-01T11:00:40Z")  # in between it was not ready
    world.see("12:30:00", mode="catch_up", generation=2, meta=edit, status=status(2, done))
    world.pass_time("12:31:00")

    told = only(world)
    assert (told.started[11:19], told.ended[11:19], told.gap) == ("11:00:00", "11:00:40", True)


def test_late_versions_end_by_their_own_times() -> None:
    """Versions that come late are judged by when they were written: what was ready in time did not time out."""
    world = created()
    world.see("10:00:01", status=status(1, ready("False", lastTransitionTime="2026-03-01T10:00:01Z")))
    done = ready(lastTransitionTime="2026-03-01T10:20:00Z")
    meta = {"managedFields": [entry("op", "status.conditions", time="2026-03-01T10:20:00Z", subresource="status")]}
    world.restart("15:00:00")
    world.see("15:00:03", status=status(1, done), meta=meta)
    world.pass_time("15:01:00")

    assert ("converged", at("10:20:00")) == (only(world).result, only(world).ended)


def test_a_deadline_that_passed_while_nobody_was_watching_waits_for_what_happened_meanwhile() -> None:
    """After a restart a rollout is not given up before there was time to catch up; then it is, at its deadline."""
    world = created()
    world.restart("15:00:00")
    due = min(state.due for state in world.pages.states.values() if state.due)
    for key, state in list(world.pages.states.items()):
        if state.due == due:
            world.keeper.time(key, due + (4 * 3600 + 5) * 10**9, world.pages)
    assert world.told == []
    world.pass_time("16:00:00")

    assert ("timed_out", at("11:00:00")) == (only(world).result, only(world).ended)


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_what_did_not_come_true_is_overdue_until_it_does() -> None:
    """A rollout that timed out is told, and overdue since it began, until it has come true."""
    world = created()
    world.pass_time("12:00:00")
    kept = world.kept()
    assert (at("10:00:00"), "overdue") == (kept and kept.waiting_since, kept and kept.tally)
    world.see("13:00:00", status=status(1, ready()))
    kept = world.kept()

    assert (kept and kept.waiting_since, kept and kept.tally) == (None, "at_rest")
    assert len(world.told) == 1


def test_conditions_that_are_not_as_they_should_be_are_kept_with_their_times() -> None:
    """Since when a condition has been bad is told by itself, else by when it was seen so; a word changes nothing."""
    world = World()
    bad = [ready("False", lastTransitionTime="2026-02-01T00:00:00Z"), {"type": "Synced", "status": "False"}]
    world.see("10:00:00", mode="baseline", status=status(1, *bad))
    world.see("10:10:00", status=status(1, *bad, word="x"))

    kept = world.kept()
    assert kept is not None
    assert [("Ready", "2026-02-01T00:00:00.000000Z"), ("Synced", at("10:00:00"))] == [
        (one.type, one.since) for one in kept.unready
    ]
    world.see("10:20:00", status=status(1, ready(), {"type": "Synced", "status": "True"}))
    assert world.kept() is None


def test_what_is_overdue_says_why_it_is() -> None:
    """Of several conditions that are not as they should be, the one to blame comes first."""
    world = created()
    world.see("10:00:01", status=status(1, FALSE, {"type": "Stalled", "status": "True", "reason": "NoQuota"}))
    world.pass_time("10:01:00")
    kept = world.kept()
    late = None if kept is None else overdue(kept, at("11:00:00"))

    assert late is not None
    assert (late.result, late.condition, late.reason, late.trace) == (
        "overdue",
        "Stalled",
        "NoQuota",
        only(world).trace,
    )


def test_of_very_many_transitions_the_first_are_told_and_the_rest_counted() -> None:
    """However restless an object is, its rollout is bounded, and says what was left out."""
    world = created()
    for number in range(100):
        flapping = {"type": "Restless", "status": "True" if number % 2 else "False"}
        world.see(f"10:{number // 60:02}:{number % 60:02}.5", status=status(1, FALSE, flapping))
    world.pass_time("11:00:00")

    told = only(world)
    assert told.left_out == 100 + 2 - MAX_MARKS
    assert len(told.stages) == MAX_MARKS + 1  # and the one that never ended


def test_traces_that_ask_for_a_change_are_linked_if_they_came_with_it() -> None:
    """An annotation is linked from the rollout of the change that brought it, not from later ones."""
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    world = settled()
    meta = {"annotations": {"traceparent": parent}}
    world.see("11:00:00", generation=2, status=status(2, ready()), meta=meta)
    world.see("12:00:00", generation=3, status=status(3, ready()), meta=meta)
    world.pass_time("13:00:00")

    assert [sum(link.kind == "upstream" for link in told.links) for told in world.told] == [1, 0]
    assert Link("a" * 32, "b" * 16, "upstream") in world.told[0].links


def test_changes_carry_the_rollout_that_they_belong_to() -> None:
    """From the one that begins a rollout to the one that ends it each has its trace and span, before and after none."""
    world = settled()
    world.changes.clear()
    world.see("10:59:59", meta={"labels": {"a": "b"}}, status=status(1, ready()))
    world.see("11:00:00", generation=2, status=status(1, ready()))
    world.see("11:00:01", generation=2, status=status(2, FALSE))
    world.see("11:00:02", generation=2, status=status(2, ready()))
    world.pass_time("11:01:00")
    world.see("11:01:00", generation=2, meta={"labels": {"c": "d"}}, status=status(2, ready()))

    told = only(world)
    mine = (told.trace, told.span)
    assert [(one.trace, one.span) for one in world.changes] == [("", ""), mine, mine, mine, ("", "")]


def test_the_change_that_ends_a_rollout_by_deletion_carries_it() -> None:
    """The deletion of an object whose rollout is open belongs to that, one of a silent object to none."""
    world = created()
    world.see("10:00:01", event="deleted")
    silent = World()
    silent.see("10:00:00", event="added")
    silent.see("10:00:01", event="deleted")

    assert (only(world).trace, "") == (world.changes[-1].trace, silent.changes[-1].trace)
