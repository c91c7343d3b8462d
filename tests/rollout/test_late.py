"""What is seen late, all at once, or each type by itself, as after a restart: told as if it had been seen in time."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from exporter.records import Link
from exporter.rollout.rules import Claim, Rules
from tests.changes.objects import at, entry
from tests.rollout.test_family import FALSE, app, known, part
from tests.rollout.test_lifecycle import created, only, stages
from tests.rollout.world import World, ready, status


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.records import Rollout

_SEEN = "15:00:00"
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


def say(world: World, kind: str, name: str, ready_: str, clock: str, **more: Any) -> None:
    """See at three that an operator has written a status, long ago."""
    entries = [entry("op", "status.conditions", time=stamp(clock), subresource="status")]
    condition = ready(ready_, lastTransitionTime=stamp(clock))
    meta = {"managedFields": [*more.pop("entries", ()), *entries]}
    world.see(_SEEN, kind=kind, name=name, status=status(more.get("generation", 1), condition), meta=meta, **more)


def _apps(world: World) -> None:
    world.see(_SEEN, kind="App", name="app", event="added")
    say(world, "App", "app", "False", "14:00:02")
    say(world, "App", "app", "True", "14:00:09")


def _parts(world: World) -> None:
    owners = ("App-app",)
    edit = [entry("op", "spec.size", time=stamp("14:00:05"))]
    world.see(_SEEN, kind="Part", name="part", event="added", owners=owners)
    say(world, "Part", "part", "False", "14:00:03", owners=owners)
    world.see(_SEEN, kind="Part", name="part", generation=2, owners=owners, meta={"managedFields": edit},
              status=status(1, ready("False", lastTransitionTime=stamp("14:00:03"))))  # fmt: skip
    say(world, "Part", "part", "True", "14:00:08", owners=owners, generation=2, entries=edit)


def _leaves(world: World) -> None:
    world.see(_SEEN, event="added", owners=("Part-part",))
    say(world, "Widget", "web", "True", "14:00:07", owners=("Part-part",))


@pytest.mark.parametrize("order", list(permutations((_apps, _parts, _leaves))))
def test_what_happened_while_nobody_watched_is_one_trace(order: tuple[Callable[[World], None], ...]) -> None:
    """After a restart each type is seen by itself, in whatever order: what belonged together does, as does its time."""
    world = known()
    world.created |= {"App-app": stamp("14:00:00"), "Part-part": stamp("14:00:01"), "Widget-web": stamp("14:00:06")}
    world.restart("14:59:59")
    for see in order:
        see(world)
        world.pass_time("15:00:01")
    assert world.told == []
    world.pass_time("15:01:00")

    leaf = ("web 1 converged",)
    assert list(map(tree, world.told)) == [
        ("app 1 converged", ("part 1 superseded",), ("part 2 converged", leaf)),
    ]
    times = {tree(one)[0]: (one.started[11:19], one.ended[11:19]) for one in world.told[0].all()}
    assert times == {
        "app 1 converged": ("14:00:00", "14:00:09"),
        "part 1 superseded": ("14:00:01", "14:00:05"),
        "part 2 converged": ("14:00:05", "14:00:08"),
        "web 1 converged": ("14:00:06", "14:00:07"),
    }


def _app_twice(world: World) -> None:
    edit = [entry("op", "spec.size", time=stamp("14:10:00"))]
    if world.kept("app", "App") is None:
        world.see(_SEEN, kind="App", name="app", event="added")
    say(world, "App", "app", "True", "14:00:04")
    world.see(_SEEN, kind="App", name="app", generation=2, meta={"managedFields": edit},
              status=status(1, ready(lastTransitionTime=stamp("14:00:04"))))  # fmt: skip
    say(world, "App", "app", "False", "14:10:01", generation=2, entries=edit)
    say(world, "App", "app", "True", "14:10:06", generation=2, entries=edit)


def _part_each_time(world: World) -> None:
    for name, clock in (("first", "14:00:02"), ("second", "14:10:02")):
        world.see(_SEEN, kind="Part", name=name, event="added", owners=("App-app",))
        say(world, "Part", name, "True", clock, owners=("App-app",))


def _leaf_of_the_first(world: World) -> None:
    world.see(_SEEN, event="added", owners=("Part-first",))
    say(world, "Widget", "web", "True", "14:00:03", owners=("Part-first",))


@pytest.mark.parametrize("order", list(permutations((_app_twice, _part_each_time, _leaf_of_the_first))))
@pytest.mark.parametrize("known_before", [False, True])
def test_what_an_owner_began_belongs_to_the_rollout_that_began_it(
    order: tuple[Callable[[World], None], ...], known_before: bool
) -> None:
    """Though the owner began anew, and was done twice, before anybody saw what it made, or only after that."""
    world = known()
    world.created |= {
        "App-app": stamp("14:00:00"), "Part-first": stamp("14:00:01"), "Part-second": stamp("14:10:01"),
        "Widget-web": stamp("14:00:02"),
    }  # fmt: skip
    if known_before:
        world.see("14:00:00", kind="App", name="app", event="added")
    world.restart("14:59:59")
    for see in order:
        see(world)
        world.pass_time("15:00:01")
    assert world.told == []
    world.pass_time("15:01:00")

    told = {one.span: one for whole in world.told for one in whole.all()}
    above = {one.name: (told[one.parent].name, told[one.parent].generation) for one in told.values() if one.parent}
    assert above == {"first": ("app", 1), "second": ("app", 2), "web": ("first", 1)}
    assert all(one.trace == told[one.parent].trace for one in told.values() if one.parent)
    assert sorted(tree(one)[0] for one in told.values()) == [
        "app 1 converged", "app 2 converged", "first 1 converged", "second 1 converged", "web 1 converged",
    ]  # fmt: skip
    assert not any(state.due for state in world.pages.states.values())


def _lost(world: World) -> None:
    say(world, "App", "app", "False", "14:10:00")
    say(world, "App", "app", "True", "14:10:06")


def _part_of_the_loss(world: World) -> None:
    world.see(_SEEN, kind="Part", name="second", event="added", owners=("App-app",))
    say(world, "Part", "second", "True", "14:10:03", owners=("App-app",))


@pytest.mark.parametrize("order", list(permutations((_lost, _part_of_the_loss))))
def test_what_is_missed_of_an_owner_that_was_ready_is_another_rollout(
    order: tuple[Callable[[World], None], ...],
) -> None:
    """It had ended, and so had all that it waited for, before it was lost: what that began is not the first one's."""
    world = known()
    world.created |= {"App-app": stamp("14:00:00"), "Part-second": stamp("14:10:02")}
    app(world, "14:00:00")
    part(world, "14:00:01", "first")
    part(world, "14:00:02", "first", ready())
    app(world, "14:00:03", 1, ready())
    world.restart("14:59:59")
    for see in order:
        see(world)
    world.pass_time("15:01:00")

    assert list(map(tree, world.told)) == [
        ("app 1 converged", ("first 1 converged",)),
        ("app 1 converged", ("second 1 converged",)),
    ]
    assert [one.opened for one in world.told] == ["created", "readiness"]


def test_a_part_that_is_seen_first_does_not_end_its_owner_by_time() -> None:
    """While nobody watched the time was up for the owner, but it had been ready by then: that is still to be seen."""
    world = known()
    world.created |= {"App-app": stamp("13:30:00"), "Part-part": stamp("13:30:01")}
    world.see("13:30:00", kind="App", name="app", event="added")
    world.see("13:30:01", kind="Part", name="part", event="added", owners=("App-app",))
    world.restart("14:59:59")
    say(world, "Part", "part", "False", "14:40:00", owners=("App-app",))
    say(world, "App", "app", "True", "14:20:00")
    world.pass_time("15:01:00")

    assert tree(world.told[0])[0] == "app 1 converged"
    assert world.told[0].ended == at("14:20:00")


def stamp(clock: str) -> str:
    """Give a time as an object has it."""
    return f"2026-03-01T{clock}Z"
