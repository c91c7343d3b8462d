"""What is seen late, all at once, or before what it belongs to: it is told as if it had been seen in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.records import Link
from exporter.rollout.rules import Claim, Rules
from tests.changes.objects import at, entry
from tests.rollout.test_family import FALSE, app, known, part
from tests.rollout.test_lifecycle import created, only, stages
from tests.rollout.world import World, later, ready, status


if TYPE_CHECKING:
    from exporter.records import Rollout

BUSY = Rules(kinds=("example.com/Widget",), busy=(Claim("Issuing"),))


def tree(rollout: Rollout) -> tuple[Any, ...]:
    """Tell a rollout and what it holds in short."""
    what = f"{rollout.name} {rollout.generation} {rollout.result}"
    return (what, *sorted(map(tree, rollout.children)))


# -- the stages of one object -----------------------------------------------------------------------------------------


def test_what_is_seen_all_at_once_keeps_its_stages() -> None:
    """Versions that came in one piece have one time, and are stages all the same; what came after the end is none."""
    world = created()
    for conditions in ((FALSE,), (ready(),), (ready(), {"type": "Later", "status": "True"})):
        world.see("10:00:00", status=status(1, *conditions))
    world.pass_time("10:01:00")

    assert stages(only(world)) == [
        ("Ready", "", "False", "10:00:00", "10:00:00"),
        ("", "", "1", "10:00:00", "10:00:00"),
        ("Ready", "False", "True", "10:00:00", "10:00:00"),
    ]


def test_a_condition_that_moved_twice_within_a_second_has_the_time_of_its_writer() -> None:
    """Then lastTransitionTime is the same as before, and says nothing of when it moved."""
    world = created()
    world.see("10:00:01", status=status(1, ready("False", lastTransitionTime=stamp("10:00:01"))))
    world.restart("10:10:00")
    meta = {"managedFields": [entry("op", "status.conditions", time=stamp("10:00:01"), subresource="status")]}
    world.see("10:10:00", status=status(1, ready(lastTransitionTime=stamp("10:00:01"))), meta=meta)
    world.pass_time("10:11:00")

    assert only(world).ended == at("10:00:01")


@pytest.mark.parametrize(("restarts", "ended"), [(False, "10:00:05"), (True, "10:00:03")])
def test_after_a_restart_two_seconds_are_late(restarts: bool, ended: str) -> None:
    """Clocks differ, so what an object tells counts only for what is seen late, which after a restart is most."""
    world = created()
    if restarts:
        world.restart("10:00:04")
    world.see("10:00:05", status=status(1, ready(lastTransitionTime=stamp("10:00:03"))))
    world.pass_time("10:01:00")

    assert only(world).ended == at(ended)


def test_what_was_seen_before_the_next_change_is_a_stage_though_that_says_to_be_older() -> None:
    """Of two versions that come together after a restart, one may be seen just in time, and the other just too late."""
    world = created()
    world.restart("10:00:01")
    unready = ready("False", lastTransitionTime=stamp("10:00:02"))
    world.see(later("10:00:02", 0.9), status=status(1, unready))
    edited = {"managedFields": [entry("kubectl-edit", "spec.size", time=stamp("10:00:02"))]}
    world.see(later("10:00:02", 1.1), generation=2, status=status(1, unready), meta=edited)
    world.pass_time("10:05:00")

    assert (only(world).result, only(world).ended) == ("superseded", at("10:00:02"))
    assert ("Ready", "", "False", "10:00:00", "10:00:02") in stages(only(world))


def test_what_an_object_began_with_is_no_stage() -> None:
    """Conditions that came with the change itself took no time."""
    world = created(status=status(1, FALSE))
    world.see("10:00:04", status=status(1, ready()))
    world.pass_time("10:01:00")

    assert stages(only(world)) == [("Ready", "False", "True", "10:00:00", "10:00:04")]


@pytest.mark.parametrize(
    ("before", "lost"),
    [
        ((ready(),), True),
        ((ready("False"),), False),
        ((), False),
    ],
)
def test_readiness_that_is_lost_while_work_goes_on_is_lost(before: tuple[dict[str, Any], ...], lost: bool) -> None:
    """An operator may say first that it works again, and then what is wrong: that is a loss, if it was ready."""
    issuing = {"type": "Issuing", "status": "True"}
    world = World(BUSY)
    world.see("09:00:00", mode="baseline", status=status(1, *before))
    world.see("10:00:00", status=status(1, *before, issuing))
    world.see("10:00:01", status=status(1, ready("False", reason="Missing"), issuing))
    world.see("10:00:02", status=status(1, ready()))
    world.pass_time("10:01:00")

    assert [(told.opened, told.started, told.ended) for told in world.told] == (
        [("readiness", at("10:00:01"), at("10:00:02"))] if lost else []
    )


# -- families ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clock", "taken"), [("10:00:00.6", True), ("10:00:03", False)])
def test_a_part_that_is_superseded_just_before_its_owner_is_seen_belongs_to_it(clock: str, taken: bool) -> None:
    """Nothing says in which order the streams of two types are seen, so what a part did before waits a moment."""
    world = known()
    part(world, "10:00:00")
    part(world, "10:00:00.2", "part", FALSE)
    edit_part(world, "10:00:00.4")
    app(world, clock)
    world.see("10:00:05", name="part", kind="Part", owners=("App-app",), generation=2, status=status(2, ready()))
    app(world, "10:00:06", 1, ready())
    world.pass_time("10:01:00")

    first, second = ("part 1 superseded",), ("part 2 converged",)
    whole = [("app 1 converged", first, second)]
    assert list(map(tree, world.told)) == (whole if taken else [first, second, ("app 1 converged",)])
    every = {told.generation: told for one in world.told for told in one.all() if told.name == "part"}
    assert every[2].links == (Link(every[1].trace, every[1].span, "previous"),)
    assert all(one.trace == told.trace for told in world.told for one in told.all())


def test_what_a_part_held_when_its_owner_is_seen_comes_with_it() -> None:
    """All of it goes into the owner's trace: also what had ended below what had ended."""
    world = known()
    part(world, "10:00:00")
    world.see("10:00:00.1", event="added", owners=("Part-part",))
    world.see("10:00:00.2", event="deleted", owners=("Part-part",))
    edit_part(world, "10:00:00.4")
    app(world, "10:00:00.6")
    app(world, "10:00:06", 1, ready())
    world.pass_time("10:30:00")

    (told, *_) = world.told
    assert tree(told) == ("app 1 converged", ("part 1 superseded", ("web 1 deleted",)))
    assert {one.trace for one in told.all()} == {told.trace}


def test_what_is_held_of_an_object_that_was_made_anew_is_told() -> None:
    """The one of before is gone, with what it waited for."""
    world = known()
    part(world, "10:00:00")
    edit_part(world, "10:00:00.4")
    world.see("10:00:00.6", name="part", kind="Part", uid="another", event="added", owners=("App-app",))

    assert [tree(told)[0] for told in world.told] == ["part 1 superseded", "part 2 deleted"]


def test_what_waits_for_an_owner_that_never_comes_is_told_alone() -> None:
    """None is lost, and the order stays."""
    world = known()
    part(world, "10:00:00")
    edit_part(world, "10:00:00.5")
    edit_part(world, "10:00:01", 3)
    assert world.told == []
    world.see("10:00:05", name="part", kind="Part", event="deleted", owners=("App-app",), generation=3)

    assert [tree(told)[0] for told in world.told] == ["part 1 superseded", "part 2 superseded", "part 3 deleted"]
    assert len({told.trace for told in world.told}) == 3


def test_without_owners_nothing_waits() -> None:
    """A rollout that belongs to nobody is told when it ends."""
    world = known()
    part(world, "10:00:00", owners=())
    edit_part(world, "10:00:00.5", owners=())

    assert list(map(tree, world.told)) == [("part 1 superseded",)]


def edit_part(world: World, clock: str, generation: int = 2, owners: tuple[str, ...] = ("App-app",)) -> None:
    """See that a Part is wanted otherwise."""
    world.see(clock, name="part", kind="Part", owners=owners, generation=generation, status=status(1, FALSE))


def stamp(clock: str) -> str:
    """Give a time as an object has it."""
    return f"2026-03-01T{clock}Z"
