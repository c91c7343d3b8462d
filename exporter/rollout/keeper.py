"""Follows the rollouts of all objects: reads what a step shows, and keeps, ends and tells what goes on.

Pure: states are looked up and kept through a book, time is an argument. What it holds in memory are hints to where
open rollouts are and the habits of types; both come back from the states after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from exporter.model import ObjectKey
from exporter.records import State
from exporter.rollout import habits as remembered
from exporter.rollout.desk import Desk, Hints
from exporter.rollout.family import adopt, ancestors, await_child, children, family, hand_over, join
from exporter.rollout.lifecycle import (
    at_rest,
    begins,
    closed,
    cut_short,
    deadline,
    end_by_look,
    end_by_time,
    go_on,
    moment,
    open_rollout,
    unready,
)
from exporter.rollout.readiness import read
from exporter.rollout.telling import close
from exporter.rollout.ties import ANNOTATIONS, owners, upstream
from exporter.rollout.values import Limits, Look, decode
from exporter.timestamps import from_nanoseconds, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.changes.step import Step
    from exporter.changes.version import Version
    from exporter.rollout.desk import Book, Running
    from exporter.rollout.habits import Habits
    from exporter.rollout.lifecycle import End, Place
    from exporter.rollout.readiness import Readiness
    from exporter.rollout.rules import Rulebook
    from exporter.timestamps import Timestamp


# After a restart, deadlines that passed meanwhile wait so long for what happened meanwhile.
_GRACE = 20_000_000_000
_OF_A_TYPE = "type"


class Rollouts:
    """The keeper of rollouts.

    Args:
        rulebook: how each type says that it is ready
        place: what ids are made of, as it is now
        limits: how long things may take
        annotations: those that hold a traceparent

    """

    name = "rollout"

    def __init__(
        self,
        rulebook: Rulebook,
        place: Callable[[], Place],
        limits: Limits | None = None,
        annotations: tuple[str, ...] = ANNOTATIONS,
    ) -> None:
        self._rulebook = rulebook
        self._place = place
        self._limits = limits or Limits()
        self._annotations = annotations
        self._hints = Hints()
        self._habits: dict[tuple[str, str], Habits] = {}
        self._awaited: dict[ObjectKey, int] = {}

    def restore(self, states: Iterable[tuple[ObjectKey, State]], at: int) -> None:
        """Find the open rollouts again after a restart.

        Args:
            states: those that are shown
            at: the time, nanoseconds since the Unix epoch

        """
        for key, state in states:
            kept = decode(state.line)
            self._hints.note(key, None, kept)
            if kept.open is not None:
                self._awaited[key] = at + _GRACE

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
        awaited = self._awaited.get(key, 0)
        if state is not None and at < awaited:
            book.keep(key, replace(state, due=awaited))
            return
        self._awaited.pop(key, None)
        desk = Desk(book, self._hints, self._limits)
        desk.get(key)
        desk.touch(key)
        self._pass_time(desk, key, at, from_nanoseconds(at), book)
        desk.close()

    # -- one step ---------------------------------------------------------------------------------------------

    def _step(self, step: Step, book: Book) -> None:
        key, rules = step.key, self._rulebook.of(step.type.group, step.type.kind)
        if self._is_nothing_new(step):
            return
        self._awaited.pop(key, None)
        desk = Desk(book, self._hints, self._limits)
        happened = UNSET if step.change is None else step.change.happened
        at = to_nanoseconds(moment(step.observed, happened))
        self._pass_time(desk, key, at, step.observed, book)
        kept = desk.get(key)
        if kept is not None and (step.new is None or kept.uid != step.uid or not rules.follow):
            self._let_go(desk, step, book)
        if step.new is None or not rules.follow:
            desk.close()
            return
        seen = read(step.new, rules)
        look = Look(
            type=step.type,
            key=key,
            uid=step.uid,
            observed=step.observed,
            change=step.change,
            readiness=seen,
            before=None if step.old is None else read(step.old, rules),
            said=_has_said(step, step.new, seen),
            owners=owners(step.new),
            upstream=upstream(step.old, step.new, self._annotations) if begins(step.change) else (),
        )
        habits = self._learn(look, book)
        self._take(desk, look, habits, at, rules.timeout_ns, book)
        desk.close()

    def _is_nothing_new(self, step: Step) -> bool:
        """Tell cheaply of most steps that they have nothing to do with a rollout."""
        change, old, new = step.change, step.old, step.new
        if change is None or old is None or new is None or step.uid in self._hints.open:
            return False
        if change.change in ("spec", "deleting"):
            return False
        return change.heartbeat or old.fields.get("status") == new.fields.get("status")

    def _take(self, desk: Desk, look: Look, habits: Habits, at: int, timeout: int | None, book: Book) -> None:
        key = look.key
        running = desk.running(key)
        if running is not None and (end := end_by_look(running.now, look)):
            self._end(desk, running, end, look.observed, book)
        kept = desk.get(key)
        limits = self._limits if timeout is None else replace(self._limits, timeout=timeout)
        begun = open_rollout(kept, look, habits, limits, self._place())
        kept = begun or kept
        if kept is None or kept.open is None:
            desk.put(key, at_rest(kept, look, habits))
            return
        spoke = begun is None and kept.open.speaks
        now = go_on(kept.open, look, habits)
        desk.put(key, replace(kept, open=now, unready=unready(kept, look.readiness, look.observed)))
        if begun is not None:
            join(desk, key)
        if now.speaks and not spoke:
            await_child(desk, key)
            adopt(desk, key, at)

    def _let_go(self, desk: Desk, step: Step, book: Book) -> None:
        """Forget an object; a rollout of it that is open ends, and is told if the object was deleted."""
        running = desk.running(step.key)
        if running is not None and step.change is not None:
            self._end(desk, running, cut_short(running.now, "deleted", step.observed), step.observed, book)
        elif running is not None:
            hand_over(desk, running.now, None)
        desk.put(step.key, None)

    def _pass_time(self, desk: Desk, key: ObjectKey, at: int, observed: Timestamp, book: Book) -> None:
        """End what has ended by a time: the rollout of an object, and before it whatever has a say in its end."""
        while True:
            concerned = [key, *ancestors(desk, key)]
            # After a restart deadlines of the whole family may have passed, and which came first matters.
            runnings = list(
                family(desk, concerned[-1]) if self._awaited else filter(None, map(desk.running, concerned))
            )
            first = min(runnings, key=lambda one: deadline(one.now, self._limits), default=None)
            end = None if first is None else end_by_time(first.now, at, self._limits)
            if first is None or end is None:
                return
            self._end(desk, first, end, observed, book)

    def _end(self, desk: Desk, running: Running, end: End, observed: Timestamp, book: Book) -> None:
        if end.result == "timed_out":  # so have those that it waits for, and are told with it
            for child in children(desk, running):
                self._end(desk, child, cut_short(child.now, "timed_out", end.at), observed, book)
            running = desk.running(running.key) or running
        desk.put(running.key, closed(running.kept, end))
        if end.result is None:
            self._remember(running.key, self._habits_of(running.key, book).unsaid(), book)
            hand_over(desk, running.now, None)
        else:
            hand_over(desk, running.now, close(running.now, end.result, end, observed))

    # -- habits -----------------------------------------------------------------------------------------------

    def _learn(self, look: Look, book: Book) -> Habits:
        known = self._habits_of(look.key, book)
        learned = known if look.before is None else known.after(look.before)
        learned = learned.after(look.readiness)
        if learned is not known:
            self._remember(look.key, learned, book)
        return learned

    def _habits_of(self, key: ObjectKey, book: Book) -> Habits:
        type_ = (key.group, key.resource)
        known = self._habits.get(type_)
        if known is None:
            state = book.get(ObjectKey(*type_, "", ""))
            known = self._habits[type_] = remembered.UNKNOWN if state is None else remembered.decode(state.line)
        return known

    def _remember(self, key: ObjectKey, habits: Habits, book: Book) -> None:
        """Keep the habits of a type, in the place of an object without a name."""
        self._habits[key.group, key.resource] = habits
        book.keep(ObjectKey(key.group, key.resource, "", ""), State(remembered.encode(habits), _OF_A_TYPE))


def _has_said(step: Step, new: Version, seen: Readiness) -> bool:
    """Tell whether a controller has written something that is more than a heartbeat.

    What came in one version with what is wanted was said before, unless versions in between are missing.
    """
    change, old = step.change, step.old
    if change is None or change.heartbeat or (begins(change) and not change.gap):
        return False
    if old is None:
        return seen.word != "silent" or seen.observed is not None
    return old.fields.get("status") != new.fields.get("status")
