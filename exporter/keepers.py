"""Who follows the changes and keeps a state of their own for each object: told of each step, and of the time.

What a keeper concludes goes into the batch of the step that it follows from, so that both are committed or neither.
The steps of a batch are told to one keeper after the other: so what a keeper works with stays in the processor's cache,
which took a seventh off a change of a spec.
A bug that one object brings out in a keeper must never cost the change itself, nor the others: it is counted.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Protocol

import structlog
from msgspec.structs import replace

from exporter.errors import JournalError, brief


if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from exporter.changes.batch import Batch
    from exporter.changes.step import Step
    from exporter.metrics.health import Health
    from exporter.model import ObjectKey
    from exporter.records import Record, State


log = structlog.get_logger()


class States(Protocol):
    """What is needed of the journal; see `exporter.journal.store.Journal`."""

    def state(self, keeper: str, key: ObjectKey) -> State | None:
        """Give what a keeper keeps of an object."""

    def foresee(self, keepers: Collection[str], keys: Iterable[ObjectKey]) -> None:
        """Look up at once what these keepers keep of objects."""

    def due(self, at: int, limit: int) -> list[tuple[str, ObjectKey]]:
        """Give the (keeper, object) whose time has come."""


class Book:
    """What one keeper sees of the states, and what it writes for one step.

    Args:
        keeper: its name
        states: those that are committed
        batch: those that will be

    Attributes:
        belongs: trace and span of the rollout that the change of this step belongs to

    """

    __slots__ = ("_batch", "_before", "_keeper", "_kept", "_states", "_told", "belongs")

    def __init__(self, keeper: str, states: States, batch: Batch) -> None:
        self._keeper = keeper
        self._states = states
        self._batch = batch
        self._before: dict[ObjectKey, State | None] = {}
        self._kept: dict[ObjectKey, State | None] = {}
        self._told: list[Record] = []
        self.belongs: tuple[str, str] | None = None

    def get(self, key: ObjectKey) -> State | None:
        """Give what is kept of an object, as the steps before left it."""
        return self._kept[key] if key in self._kept else self._held(key)

    def keep(self, key: ObjectKey, state: State | None) -> None:
        """Keep something of an object, or nothing any more."""
        self._kept[key] = state

    def tell(self, record: Record) -> None:
        """Tell what was concluded."""
        self._told.append(record)

    def belong(self, trace: str, span: str) -> None:
        """Say to which rollout the change of this step belongs."""
        self.belongs = (trace, span)

    def close(self) -> None:
        """Hand all of it to the batch."""
        before_it = {key: self._held(key) for key in self._kept}  # what may fail comes before anything is in the batch
        for key, state in self._kept.items():
            before = before_it[key]
            if state is None and before is None:
                continue
            self._batch.states[self._keeper, key] = state
            if before is None or state is None or before.tally != state.tally:
                self._tally(key, before, -1)
                self._tally(key, state, 1)
        self._batch.records += self._told

    def _held(self, key: ObjectKey) -> State | None:
        """Look up what is kept of an object but for this step."""
        if key not in self._before:
            place = (self._keeper, key)
            states = self._batch.states
            self._before[key] = states[place] if place in states else self._states.state(*place)
        return self._before[key]

    def _tally(self, key: ObjectKey, state: State | None, by: int) -> None:
        if state is not None:
            series = (self._keeper, key.group, key.resource, key.namespace, state.tally)
            self._batch.tallied[series] = self._batch.tallied.get(series, 0) + by


class Keeper(Protocol):
    """Follows the changes; see `Keepers`."""

    @property
    def name(self) -> str:
        """Its identity: to it its states belong."""

    def step(self, step: Step, book: Book) -> None:
        """Take in what became of an object."""

    def time(self, key: ObjectKey, at: int, book: Book) -> None:
        """Take in that the time has come that the state of an object named.

        Args:
            key: the object
            at: nanoseconds since the Unix epoch
            book: to look up the state, and to write

        """


class Keepers:
    """Tells each keeper what happens.

    Args:
        keepers: who is told, in this order
        states: what is committed
        health: counts their errors

    """

    def __init__(self, keepers: Sequence[Keeper], states: States, health: Health) -> None:
        self._keepers = {keeper.name: keeper for keeper in keepers}
        self._states = states
        self._health = health
        for name in self._keepers:  # so that the first error is a growth
            health.evaluation_errors.labels(name)

    def follow(self, batch: Batch) -> None:
        """Tell all of the steps of a batch; what follows from them is in it then.

        Raises:
            sqlite3.Error, JournalError: the journal cannot be read for now. Called again it goes on with that step, of
                which that keeper has put nothing into the batch.

        """
        self._states.foresee(self._keepers, [step.key for step, _ in batch.steps])
        for name in self._keepers:
            for number in range(batch.heard.get(name, 0), len(batch.steps)):
                step, place = batch.steps[number]
                batch.heard[name] = number
                book = self._tell(name, step, batch)
                if book is not None and step.change is not None and book.belongs is not None:
                    trace, span = book.belongs
                    batch.changes[place] = replace(batch.changes[place], trace=trace, span=span)
            batch.heard[name] = len(batch.steps)
        for step, _ in batch.steps:
            if step.new is not None:
                step.new.forget()
        batch.steps.clear()
        batch.weight = 0
        batch.heard.clear()

    def _tell(self, name: str, step: Step, batch: Batch) -> Book | None:
        """Tell one keeper of a step; None where it failed."""
        book = Book(name, self._states, batch)
        try:
            self._keepers[name].step(step, book)
            book.close()
        except (sqlite3.Error, JournalError):
            raise
        except Exception as error:  # noqa: BLE001 - see the first lines
            self._lost(name, error)
            return None
        return book

    def time(self, at: int, limit: int, batch: Batch) -> bool:
        """Tell whose time has come, after all that has happened; give whether there may be more.

        Args:
            at: nanoseconds since the Unix epoch
            limit: how many at most
            batch: takes what follows

        Raises:
            sqlite3.Error, JournalError: the journal cannot be read for now

        """
        self.follow(batch)
        places = self._states.due(at, limit)
        for name, key in places:
            keeper = self._keepers.get(name)
            if (name, key) in batch.states:
                continue  # something has happened meanwhile, and named another time
            book = Book(name, self._states, batch)
            try:
                if keeper is None:
                    book.keep(key, None)  # of a keeper that is switched off
                else:
                    keeper.time(key, at, book)
                book.close()
            except (sqlite3.Error, JournalError):
                raise
            except Exception as error:  # noqa: BLE001 - see the first lines
                self._lost(name, error)
                book = Book(name, self._states, batch)
                state = book.get(key)  # without a time: else it would come again at once, and for ever
                book.keep(key, None if state is None else replace(state, due=None))
                book.close()
        return len(places) == limit

    def _lost(self, keeper: str, error: Exception) -> None:
        self._health.evaluation_errors.labels(keeper).inc()
        log.warning("internal error, a conclusion is lost", keeper=keeper, error=brief(error))
