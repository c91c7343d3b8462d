"""Rollouts of owned objects: they belong to their owner's trace, at any depth, and none is told twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.records import Link
from exporter.rollout.holding import MAX_SPANS
from tests.changes.objects import at
from tests.rollout.world import World, later, ready, status


if TYPE_CHECKING:
    from exporter.records import Rollout

FALSE = ready("False", reason="Creating")


def known() -> World:
    """Make a world in which it is known how Apps, Parts and Widgets report."""
    world = World()
    for kind in ("App", "Part", "Widget"):
        world.see("09:00:00", name="older", kind=kind, mode="baseline", generation=2, status=status(2, ready()))
    return world


def app(world: World, clock: str = "10:00:00", generation: int = 1, *conditions: dict[str, Any]) -> None:
    """See the App, which owns the Parts: new, with another spec, or as its controller says that it is."""
    if conditions or generation > 1:
        said = status(generation if conditions else generation - 1, *(conditions or (FALSE,)))
        world.see(clock, name="app", kind="App", generation=generation, status=said)
    else:
        world.see(clock, name="app", kind="App", event="added")


def part(
    world: World, clock: str, name: str = "part", *conditions: dict[str, Any], owners: tuple[str, ...] = ("App-app",)
) -> None:
    """See a Part of the App: new, or as its controller says that it is."""
    if conditions:
        world.see(clock, name=name, kind="Part", owners=owners, status=status(1, *conditions))
    else:
        world.see(clock, name=name, kind="Part", owners=owners, event="added")


def names(rollouts: tuple[Rollout, ...] | list[Rollout]) -> list[str]:
    """Name the objects."""
    return [one.name for one in rollouts]


def test_a_part_that_begins_while_its_owner_goes_on_is_told_with_it() -> None:
    """The rollout of an owned object is a child in the owner's trace, and has none of its own."""
    world = known()
    app(world)
    part(world, "10:00:01")
    part(world, "10:00:03", "part", ready())
    app(world, "10:00:04", 1, ready())
    world.pass_time("10:01:00")

    (told,) = world.told
    (child,) = told.children
    assert ((told.name, told.result), (child.name, child.result)) == (("app", "converged"), ("part", "converged"))
    assert (told.trace, told.span) == (child.trace, child.parent)
    assert (at("10:00:01"), at("10:00:03")) == (child.started, child.ended)
    assert not told.parent


@pytest.mark.parametrize("owners", [(), ("Nobody",), ("App-other",)])
def test_who_has_no_owner_that_goes_on_has_a_trace_of_its_own(owners: tuple[str, ...]) -> None:
    """Only an owner whose rollout is open takes a rollout in."""
    world = known()
    app(world)
    part(world, "10:00:01", owners=owners)
    part(world, "10:00:02", "part", ready(), owners=owners)
    app(world, "10:00:03", 1, ready())
    world.pass_time("10:01:00")

    assert [(told.name, len(told.children)) for told in world.told] == [("part", 0), ("app", 0)]


def test_a_part_that_changes_by_itself_later_is_not_its_owners() -> None:
    """When the owner's rollout is over, a part's rollout is its own."""
    world = known()
    app(world)
    part(world, "10:00:01")
    part(world, "10:00:02", "part", ready())
    app(world, "10:00:03", 1, ready())
    world.pass_time("10:10:00")
    world.see("10:10:00", name="part", kind="Part", owners=("App-app",), generation=2, status=status(1, ready()))
    world.see("10:10:05", name="part", kind="Part", owners=("App-app",), generation=2, status=status(2, ready()))
    world.pass_time("10:11:00")

    first, second = world.told
    assert (names(first.children), second.parent, names(second.children)) == (["part"], "", [])
    assert first.trace != second.trace
    assert (Link(first.trace, first.children[0].span, "previous"),) == second.links


def test_an_owner_that_is_ready_waits_for_its_parts() -> None:
    """The owner is told when its parts have ended too; its own end stays when it was ready."""
    world = known()
    app(world)
    part(world, "10:00:01")
    app(world, "10:00:02", 1, ready())
    world.pass_time("10:00:30")
    assert world.told == []
    part(world, "10:00:30", "part", ready())
    world.pass_time("10:01:00")

    (told,) = world.told
    assert ("converged", at("10:00:02"), at("10:00:30")) == (told.result, told.ended, told.children[0].ended)


def test_a_part_that_outlives_its_owner_is_told_by_itself_in_its_trace() -> None:
    """The owner waits for a minute; what ends later is told alone, under the owner's span."""
    world = known()
    app(world)
    part(world, "10:00:01")
    app(world, "10:00:02", 1, ready())
    world.pass_time("10:02:00")
    part(world, "10:02:00", "part", ready())
    world.pass_time("10:03:00")

    owner, late = world.told
    assert (owner.name, owner.children, late.name) == ("app", (), "part")
    assert (owner.trace, owner.span) == (late.trace, late.parent)


def test_when_an_owner_times_out_so_do_its_parts_and_all_is_told_at_once() -> None:
    """What an owner waits for is given up with it: the one trace shows what it waited for, and why."""
    world = known()
    app(world)
    part(world, "10:00:01")
    part(world, "10:00:02", "part", ready("False", reason="Pending", message="no such issuer"))
    app(world, "10:00:03", 1, FALSE)
    world.pass_time("12:00:00")

    (told,) = world.told
    (child,) = told.children
    assert (told.result, told.reason, child.result, child.reason) == ("timed_out", "Creating", "timed_out", "Pending")
    assert told.ended == child.ended == at("11:00:00")


def test_a_part_that_was_seen_before_its_owner_comes_first_to_its_own_time() -> None:
    """Who was seen a moment earlier is given up that moment earlier, and told with its owner all the same."""
    world = known()
    part(world, later("10:00:00", 0.0))
    world.see(later("10:00:00", 0.004), name="app", kind="App", event="added")
    part(world, "10:00:02", "part", ready("False", reason="Pending"))
    app(world, "10:00:03", 1, FALSE)
    world.pass_time("12:00:00")

    (told,) = world.told
    (child,) = told.children
    assert (told.result, told.reason, child.result, child.reason) == ("timed_out", "Creating", "timed_out", "Pending")
    assert (told.ended, child.ended) == (later("11:00:00", 0.004), at("11:00:00"))


def test_a_part_that_fails_or_is_superseded_is_told_as_such() -> None:
    """Each part has its own end: several rollouts of one part are several children."""
    world = known()
    app(world)
    part(world, "10:00:01", "a")
    part(world, "10:00:02", "b")
    part(world, "10:00:03", "a", {"type": "Stalled", "status": "True", "reason": "Broken"})
    world.see("10:00:04", name="b", kind="Part", owners=("App-app",), generation=2)
    world.see("10:00:05", name="b", kind="Part", owners=("App-app",), generation=2, status=status(2, ready()))
    world.pass_time("10:00:20")
    app(world, "10:00:20", 1, ready())
    world.pass_time("10:01:00")

    (told,) = world.told
    assert sorted((child.name, child.generation, child.result) for child in told.children) == [
        ("a", 1, "failed"),
        ("b", 1, "superseded"),
        ("b", 2, "converged"),
    ]


def test_parts_of_parts_at_any_depth() -> None:
    """Composites nest: one trace for all of it, each below its own owner."""
    world = known()
    app(world)
    part(world, "10:00:01")
    world.see("10:00:02", event="added", owners=("Part-part",))
    world.see("10:00:03", owners=("Part-part",), status=status(1, ready()))
    part(world, "10:00:04", "part", ready())
    app(world, "10:00:05", 1, ready())
    world.pass_time("10:01:00")

    (told,) = world.told
    (middle,) = told.children
    (leaf,) = middle.children
    assert names([*told.all()]) == ["app", "part", "web"]
    assert {told.trace} == {one.trace for one in told.all()}
    assert (told.span, middle.span) == (middle.parent, leaf.parent)


@pytest.mark.parametrize(("clock", "taken"), [("10:00:00.5", True), ("10:00:05", False)])
def test_a_part_that_was_seen_just_before_its_owner_belongs_to_it(clock: str, taken: bool) -> None:
    """The streams of two types are seen in any order: what began just before its owner's was begun by it."""
    world = known()
    part(world, "10:00:00")
    world.see("10:00:00.2", event="added", owners=("Part-part",))
    app(world, clock)
    world.see("10:00:06", owners=("Part-part",), status=status(1, ready()))
    part(world, "10:00:07", "part", ready())
    app(world, "10:00:20", 1, ready())
    world.pass_time("10:01:00")

    assert (["app", "part", "web"] if taken else ["app"]) == names([*world.told[-1].all()])
    assert len(world.told) == (1 if taken else 2)
    assert all(one.trace == told.trace for told in world.told for one in told.all())


def test_objects_that_own_each_other_are_no_endless_family() -> None:
    """Owners in a circle are followed once."""
    world = known()
    world.see("10:00:00", name="a", kind="App", owners=("Part-b",), event="added")
    world.see("10:00:01", name="b", kind="Part", owners=("App-a", "Part-b"), event="added")
    world.see("10:00:02", name="a", kind="App", owners=("Part-b",), status=status(1, ready()))
    world.see("10:00:03", name="b", kind="Part", owners=("App-a", "Part-b"), status=status(1, ready()))
    world.pass_time("10:01:00")

    (told,) = world.told
    assert names([*told.all()]) == ["a", "b"]


def test_further_owners_are_linked() -> None:
    """The first owner that goes on, the controller before others, holds the rollout; others are linked."""
    world = known()
    app(world)
    world.see("10:00:00", event="added")
    part(world, "10:00:01", owners=("Widget-web", "App-app"))
    part(world, "10:00:02", "part", ready(), owners=("Widget-web", "App-app"))
    app(world, "10:00:03", 1, ready())
    world.see("10:00:03", status=status(1, ready()))
    world.pass_time("10:01:00")

    by_name = {told.name: told for told in world.told}
    (child,) = by_name["web"].children
    assert (Link(by_name["app"].trace, by_name["app"].span, "owner"),) == child.links


def test_a_superseded_owner_does_not_wait() -> None:
    """A part of the last generation that goes on is told by itself; one that begins anew belongs to the next."""
    world = known()
    app(world)
    part(world, "10:00:01", "a")
    app(world, "10:00:02", 2)
    part(world, "10:00:03", "b")
    part(world, "10:00:04", "a", ready())
    part(world, "10:00:05", "b", ready())
    app(world, "10:00:06", 2, ready())
    world.pass_time("10:01:00")

    first, late, second = world.told
    assert [(told.name, told.result, names(told.children)) for told in world.told] == [
        ("app", "superseded", []),
        ("a", "converged", []),
        ("app", "converged", ["b"]),
    ]
    assert (first.trace, first.span) == (late.trace, late.parent)
    assert first.trace != second.trace


def test_a_part_that_says_nothing_is_not_waited_for() -> None:
    """Of a type that never says a word no rollout holds its owner back."""
    world = known()
    app(world)
    world.see("10:00:01", name="mute", kind="Mute", owners=("App-app",), event="added")
    app(world, "10:00:02", 1, ready())
    world.pass_time("10:00:07")

    assert names(world.told) == ["app"]


def test_losing_a_part_gives_the_owner_its_end() -> None:
    """A part that is deleted or no longer selected is not waited for any longer."""
    world = known()
    app(world)
    part(world, "10:00:01", "a")
    part(world, "10:00:01", "b")
    app(world, "10:00:02", 1, ready())
    world.see("10:00:03", name="a", kind="Part", event="deleted", owners=("App-app",))
    world.see("10:00:04", name="b", kind="Part", event="deleted", mode="left", owners=("App-app",))
    world.pass_time("10:00:10")

    (told,) = world.told
    assert [(child.name, child.result) for child in told.children] == [("a", "deleted")]


def test_more_parts_than_one_record_holds_are_told_by_themselves() -> None:
    """However many parts there are, none is left out, and no record grows without bounds."""
    world = known()
    app(world)
    fit = MAX_SPANS // 3  # each has two stages
    for number in range(fit + 20):
        part(world, "10:00:01", f"p{number}")
        part(world, "10:00:02", f"p{number}", ready())
    world.pass_time("10:00:30")
    app(world, "10:00:30", 1, ready())
    world.pass_time("10:01:00")

    alone, (owner,) = world.told[:-1], world.told[-1:]
    assert (len(alone), len(owner.children)) == (20, fit)
    assert {(owner.trace, owner.span)} == {(one.trace, one.parent) for one in (*alone, *owner.children)}
