"""What happened while nobody watched, told after a restart each type by itself: families stay together."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from tests.changes.objects import at, entry
from tests.rollout.test_family import app, known, part
from tests.rollout.test_late import stamp, tree
from tests.rollout.world import ready, status


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rollout.world import World

_SEEN = "15:00:00"


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


def test_a_part_that_began_when_its_owner_was_over_has_a_trace_of_its_own() -> None:
    """Also where it is seen before it is seen that the owner was over, so that it seemed to belong to it."""
    world = known()
    world.created["Part-part"] = stamp("14:00:10")
    app(world, "14:00:00")
    world.restart("14:59:59")
    world.see(_SEEN, kind="Part", name="part", event="added", owners=("App-app",))
    say(world, "Part", "part", "True", "14:00:11", owners=("App-app",))
    say(world, "App", "app", "True", "14:00:02")
    world.pass_time("15:01:00")

    assert sorted(map(tree, world.told)) == [("app 1 converged",), ("part 1 converged",)]
    assert [one.parent for one in world.told] == ["", ""]
    assert len({one.trace for one in world.told}) == 2
