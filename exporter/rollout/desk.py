"""What lies on the table while one step is taken in: what is kept of the objects concerned, read once, written once.

`Hints` tell where open rollouts are, by uid. They are a memory of this process alone and may be out of date: whoever
follows one looks at the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from exporter.model import ObjectKey
from exporter.records import State
from exporter.rollout import habits
from exporter.rollout.lifecycle import deadline
from exporter.rollout.values import Kept, Open, encode, held


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.records import Record
    from exporter.rollout.habits import Habits
    from exporter.rollout.values import Limits

_OF_TYPE = "type"


class Book(Protocol):
    """What is needed of the states; see `exporter.keepers.Book`."""

    def get(self, key: ObjectKey) -> State | None:
        """Give what is kept of an object."""

    def keep(self, key: ObjectKey, state: State | None) -> None:
        """Keep something of an object, or nothing any more."""

    def tell(self, record: Record) -> None:
        """Tell what was concluded."""

    def belong(self, trace: str, span: str) -> None:
        """Say to which rollout the change of this step belongs."""


class Running(Struct, frozen=True, gc=False):
    """A rollout that is open: of which object, what is kept of that, and the rollout in it."""

    key: ObjectKey
    kept: Kept
    now: Open


class Hints:
    """Where rollouts are that are not told yet.

    Attributes:
        shown: uids of the objects that are not at rest: with a rollout, or with something that is not as it should be
        open: the object of each open rollout, by its uid
        held: the object of each one that has ended, by its uid
        owned: objects with one that has a trace of its own though they have owners, by uid of the owner
        below: objects with one that belongs to another, by the span of that

    """

    def __init__(self) -> None:
        self.shown: set[str] = set()
        self.open: dict[str, ObjectKey] = {}
        self.held: dict[str, ObjectKey] = {}
        self.owned: dict[str, set[ObjectKey]] = {}
        self.below: dict[str, set[ObjectKey]] = {}

    def note(self, key: ObjectKey, before: Kept | None, after: Kept | None) -> None:
        """Take in that what is kept of an object has changed."""
        if before is not None:
            self.shown.discard(before.uid)
            self.open.pop(before.uid, None)
            self.held.pop(before.uid, None)
            _take_out(self.owned, before.seeks, key)
            _take_out(self.below, before.parents, key)
        if after is not None:
            if after.shown:
                self.shown.add(after.uid)
            if after.open is not None:
                self.open[after.uid] = key
            if after.held:
                self.held[after.uid] = key
            for uid in after.seeks:
                self.owned.setdefault(uid, set()).add(key)
            for span in after.parents:
                self.below.setdefault(span, set()).add(key)


def _take_out(index: dict[str, set[ObjectKey]], names: set[str], key: ObjectKey) -> None:
    for name in names:
        index.get(name, set()).discard(key)
        if not index.get(name, True):
            del index[name]


class Desk:
    """What is kept of the objects that one step concerns, and of their types.

    Args:
        book: where it is kept
        hints: brought up to date with it
        known: habits by type, so that they are looked up once
        limits: how long things may take
        hold: what ends before this time is not told before, nanoseconds since the Unix epoch; 0 where nothing waits

    """

    def __init__(
        self, book: Book, hints: Hints, known: dict[tuple[str, str], Habits], limits: Limits, hold: int = 0
    ) -> None:
        self._book = book
        self._hints = hints
        self._known = known
        self.limits = limits
        self.hold = hold
        self._before: dict[ObjectKey, Kept | None] = {}
        self._now: dict[ObjectKey, Kept | None] = {}
        self._touched: set[ObjectKey] = set()

    def get(self, key: ObjectKey) -> Kept | None:
        """Give what is kept of an object."""
        if key in self._now:
            return self._now[key]
        state = self._book.get(key)
        self._before[key] = self._now[key] = kept = None if state is None else held(state)
        return kept

    def put(self, key: ObjectKey, kept: Kept | None) -> None:
        """Keep something else of an object; `get` was called for it before."""
        self._now[key] = kept

    def touch(self, key: ObjectKey) -> None:
        """Write what is kept of an object even if it is the same: its time may be another."""
        self._touched.add(key)

    def running(self, key: ObjectKey) -> Running | None:
        """Find the open rollout of an object."""
        kept = self._now[key] if key in self._now else self.get(key)
        return None if kept is None or kept.open is None else Running(key, kept, kept.open)

    def find(self, uid: str) -> Running | None:
        """Find the open rollout of an object by its uid."""
        key = self._hints.open.get(uid)
        found = None if key is None else self.running(key)
        return found if found is not None and found.kept.uid == uid else None

    def update(self, running: Running, now: Open) -> Running:
        """Keep something else of an open rollout."""
        kept = replace(running.kept, open=now, trace=now.begun.trace)
        self.put(running.key, kept)
        return Running(running.key, kept, now)

    def holding(self, uid: str) -> list[tuple[ObjectKey, Kept]]:
        """Find the object of which rollouts have ended that are not told yet, by its uid."""
        key = self._hints.held.get(uid)
        kept = None if key is None else self.get(key)
        return [(key, kept)] if key is not None and kept is not None and kept.uid == uid else []

    @property
    def holds(self) -> bool:
        """Tell whether there is a rollout that has ended and is not told yet."""
        return bool(self._hints.held)

    def held(self) -> list[ObjectKey]:
        """Name all objects with a rollout that has ended and is not told yet."""
        return _sorted(self._hints.held.values())

    def owned(self, uid: str) -> list[ObjectKey]:
        """Name the objects with a rollout of their own that an object owns."""
        return _sorted(self._hints.owned.get(uid, ()))

    def below(self, span: str) -> list[ObjectKey]:
        """Name the objects with a rollout that belongs to another."""
        return _sorted(self._hints.below.get(span, ()))

    def habits(self, key: ObjectKey) -> Habits:
        """Give the habits of an object's type."""
        type_ = (key.group, key.resource)
        known = self._known.get(type_)
        if known is None:
            state = self._book.get(_of_type(key))
            known = self._known[type_] = habits.UNKNOWN if state is None else habits.decode(state.line)
        return known

    def learn(self, key: ObjectKey, learned: Habits) -> Habits:
        """Keep the habits of an object's type, if they are others."""
        if learned is not self.habits(key):
            self._book.get(_of_type(key))  # what may fail comes before it counts as kept
            self._known[key.group, key.resource] = learned
            self._book.keep(_of_type(key), State(habits.encode(learned), _OF_TYPE))
        return learned

    def tell(self, record: Record) -> None:
        """Tell what was concluded."""
        self._book.tell(record)

    def belong(self, now: Open) -> None:
        """Say that the change of this step belongs to a rollout, if that will be told."""
        if now.speaks:
            self._book.belong(now.begun.trace, now.begun.span)

    def close(self) -> None:
        """Write what has changed."""
        for key, kept in self._now.items():
            before = self._before[key]
            if kept == before and key not in self._touched:
                continue
            self._hints.note(key, before, kept)
            self._book.keep(key, self._state(kept))

    def _state(self, kept: Kept | None) -> State | None:
        if kept is None or not kept.worth_keeping:
            return None
        dues = [deadline(kept.open, self.limits)] if kept.open is not None else []
        dues += [kept.until] if kept.held else []
        return State(encode(kept), kept.tally, min(dues, default=None), kept.shown, kept)


def _of_type(key: ObjectKey) -> ObjectKey:
    """Give the place of a type's habits: that of an object without a name."""
    return ObjectKey(key.group, key.resource, "", "")


def _sorted(keys: Iterable[ObjectKey]) -> list[ObjectKey]:
    return sorted(keys, key=lambda key: (key.group, key.resource, key.namespace, key.name))
