"""Follows the rollouts of all objects: reads what a step shows, and takes it in.

Pure: states are looked up and kept through a book, time is an argument. What it holds in memory are hints to where
open rollouts are and the habits of types; both come back from the states after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from exporter.rollout.course import let_go, pass_time, take
from exporter.rollout.desk import Desk, Hints
from exporter.rollout.holding import release, release_due
from exporter.rollout.lifecycle import begins, moment
from exporter.rollout.readiness import read, read_before
from exporter.rollout.rules import Rulebook
from exporter.rollout.ties import owners, upstream
from exporter.rollout.values import Look, held
from exporter.timestamps import from_nanoseconds, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.changes.step import Step
    from exporter.changes.version import Version
    from exporter.model import ObjectKey
    from exporter.records import State
    from exporter.rollout.course import Sight
    from exporter.rollout.desk import Book
    from exporter.rollout.habits import Habits
    from exporter.rollout.lifecycle import Place
    from exporter.rollout.readiness import Readiness
    from exporter.rollout.rules import Rules
    from exporter.rollout.settings import RolloutSettings


NAME = "rollout"
# After a restart, nothing ends by time until there was time to see what happened meanwhile.
_GRACE = 20_000_000_000
# What is seen so long after it is said to have happened is seen late: clocks differ. After a restart much is.
_LATE, _CLOSE = 3_000_000_000, 1_000_000_000


class RolloutKeeper:
    """The keeper of rollouts.

    Args:
        settings: how rollouts are followed
        place: what ids are made of, as it is now

    """

    name = NAME

    def __init__(self, settings: RolloutSettings, place: Callable[[], Place]) -> None:
        self._rulebook = Rulebook(settings.rules)
        self._place = place
        self._limits = settings.limits
        self._annotations = settings.traceparent
        self._hints = Hints()
        self._habits: dict[tuple[str, str], Habits] = {}
        self._until = 0

    def restore(self, states: Iterable[tuple[ObjectKey, State]], at: int) -> None:
        """Go on after a restart.

        Args:
            states: those that are shown
            at: the time, nanoseconds since the Unix epoch

        """
        for key, state in states:
            self._hints.note(key, None, held(state))
        self._until = at + _GRACE

    def step(self, step: Step, book: Book) -> None:
        """Take in what became of an object."""
        try:
            self._step(step, book)
        except BaseException:
            self._habits.clear()  # what was learned from it may not have been kept
            raise

    def time(self, key: ObjectKey, at: int, book: Book) -> None:
        """Take in that the time has come that the state of an object named."""
        state = book.get(key)
        if state is not None and at < self._until:
            book.keep(key, replace(state, due=self._until))
            return
        desk = self._desk(book, "clear")
        release_due(desk, at)
        pass_time(desk, key, at, from_nanoseconds(at), self._sight(at))
        desk.touch(key)
        desk.close()

    def _desk(self, book: Book, sight: Sight) -> Desk:
        return Desk(book, self._hints, self._habits, self._limits, self._until if sight == "partial" else 0)

    def _sight(self, at: int) -> Sight:
        return "partial" if at < self._until else "late" if at < self._until + _GRACE else "clear"

    def _step(self, step: Step, book: Book) -> None:
        key, change, new = step.key, step.change, step.new
        rules = self._rulebook.of(step.type.group, step.type.kind)
        at_rest = self._is_at_rest(step)
        if at_rest and not (rules.follow and _has_moved(step)):
            return
        sight = self._sight(to_nanoseconds(step.observed))
        desk = self._desk(book, sight)
        lateness = _CLOSE if sight == "partial" else _LATE
        seen = read(new, rules) if new is not None and rules.follow else None
        if seen is not None and seen.blame is None and (at_rest or self._is_only_seen(step)):
            desk.learn(key, desk.habits(key).after(seen))
            return
        at = to_nanoseconds(moment(step.observed, UNSET if change is None else change.happened, lateness))
        pass_time(desk, key, at, step.observed, sight)
        kept = desk.get(key)
        if kept is not None and (new is None or kept.uid != step.uid or not rules.follow):
            let_go(desk, key, step.observed, deleted=change is not None)
            if new is not None:
                release(desk, key)
                desk.put(key, None)
        if new is not None and seen is not None:
            going_on = desk.running(key) is not None
            look = self._look(step, new, seen, rules, lateness=lateness, going_on=going_on)
            desk.learn(key, desk.habits(key).after(seen))
            timeout = rules.timeout_ns or self._limits.timeout
            take(desk, look, self._place, timeout, at)
        desk.close()

    def _is_at_rest(self, step: Step) -> bool:
        """Tell cheaply of most steps that they begin no rollout, unless readiness is lost, and carry none on."""
        change = step.change
        return (
            change is not None
            and change.event == "modified"
            and change.change not in ("spec", "deleting")
            and step.uid not in self._hints.shown
        )

    def _is_only_seen(self, step: Step) -> bool:
        """Tell cheaply of an object in a list that is as it was, and of which no rollout is open."""
        return step.change is None and step.old is None and step.uid not in self._hints.shown

    def _look(self, step: Step, new: Version, seen: Readiness, rules: Rules, *, lateness: int, going_on: bool) -> Look:
        wanted = begins(step.change)
        # What it said before matters only where a rollout may begin: with a change, or with readiness lost.
        needed = wanted or (not going_on and seen.blame is not None)
        return Look(
            type=step.type,
            key=step.key,
            uid=step.uid,
            observed=step.observed,
            change=step.change,
            readiness=seen,
            wanted=wanted,
            before=read_before(step.old, new, seen, rules) if needed and step.old is not None else None,
            said=_has_said(step, seen, wanted=wanted),
            owners=owners(new) if needed else (),
            upstream=upstream(step.old, new, self._annotations) if wanted else (),
            lateness=lateness,
        )


def _has_moved(step: Step) -> bool:
    """Tell whether the status has moved, and by more than a heartbeat."""
    change, old, new = step.change, step.old, step.new
    if change is None or change.heartbeat or new is None:
        return False
    return old is None or old.fields.get("status") != new.fields.get("status")


def _has_said(step: Step, seen: Readiness, *, wanted: bool) -> bool:
    """Tell whether a controller has written something that is more than a heartbeat.

    What came in one version with what is wanted was said before, unless versions in between are missing.
    """
    change = step.change
    if change is None or (wanted and not change.gap):
        return False
    if step.old is None and not change.heartbeat:
        return seen.word != "silent" or seen.observed is not None
    return _has_moved(step)
