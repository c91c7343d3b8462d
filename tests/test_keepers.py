"""Keepers: a bug in one costs neither the change nor another, and what the journal cannot do now costs nothing."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.changes.step import Step
from exporter.errors import JournalError
from exporter.journal.store import Journal
from exporter.keepers import Book, Keepers
from exporter.metrics.health import Health
from tests.changes.objects import KEY, WIDGET, at
from tests.journal.test_records import record, state
from tests.journal.test_store import change


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.model import ObjectKey

OTHER = replace(KEY, name="other")
STEP = Step(WIDGET, KEY, "uid-1", at("10:00:00"))


class Notes:
    """A keeper that notes what it is told, in its state and as a record, and does what it is asked to."""

    def __init__(self, name: str, does: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.does = does
        self.times: list[ObjectKey] = []

    def step(self, step: Step, book: Book) -> None:
        before = book.get(step.key)
        book.tell(record(1))
        book.keep(step.key, state((before.line if before else b"") + b"s"))
        self.does()

    def time(self, key: ObjectKey, at: int, book: Book) -> None:
        del at
        self.times.append(key)
        self.step(replace(STEP, key=key), book)


def broken() -> None:
    """Bring out a bug."""
    msg = "a bug"
    raise ZeroDivisionError(msg)


class Office:
    """Keepers on a journal in memory."""

    def __init__(self, *keepers: Notes) -> None:
        self.journal = Journal.open(None)
        self.journal.register(WIDGET)
        self.health = Health()
        self.keepers = Keepers(keepers, self.journal.states, self.health)

    def follow(self, batch: Batch, *steps: Step) -> None:
        """Let steps be taken in."""
        for step in steps:
            batch.take(step)
        self.keepers.follow(batch)

    def errors(self, name: str) -> float | None:
        """Count the errors of a keeper; None where no such series is shown."""
        total = "customresource_exporter_evaluation_errors_total"
        return self.health.registry.get_sample_value(total, {"keeper": name})


# -- errors ---------------------------------------------------------------------------------------------------------


def test_errors_are_shown_before_the_first() -> None:
    """The first error of a keeper is a growth, which an alert sees; what is no keeper has no series."""
    office = Office(Notes("first"))
    assert (office.errors("first"), office.errors("second")) == (0, None)


def test_a_bug_in_one_keeper_costs_no_other_and_is_counted() -> None:
    """Nothing of the one that failed is in the batch, all of the others is."""
    office = Office(Notes("first"), Notes("second", broken), Notes("third"))
    batch = Batch()
    office.follow(batch, STEP)

    assert {name for name, _ in batch.states} == {"first", "third"}
    assert len(batch.records) == 2
    assert [office.errors(name) for name in ("first", "second", "third")] == [0, 1, 0]


def test_what_a_keeper_keeps_of_a_type_that_nobody_knows_costs_no_other() -> None:
    """A bug that shows only when what was kept is handed over is one like any other, also when the time has come."""

    class Astray(Notes):
        def step(self, step: Step, book: Book) -> None:
            super().step(step, book)
            book.keep(replace(KEY, group="nobody.example.com"), state())

    office = Office(Notes("first"), Astray("second"), Notes("third"))
    batch = Batch()
    office.follow(batch, STEP)

    assert {name for name, _ in batch.states} == {"first", "third"}
    assert (len(batch.records), office.errors("second"), batch.steps) == (2, 1, [])

    office.journal.commit(Batch(states={("second", KEY): state(due=5)}))
    office.keepers.time(9, 100, batch)
    office.journal.commit(batch)
    assert (office.errors("second"), office.journal.states.due(9, 100)) == (2, [])


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), JournalError("cannot be read")])
def test_a_journal_that_cannot_be_read_leaves_nothing_half_done(error: Exception) -> None:
    """The keeper that met it is told that step again from its beginning, nobody hears twice; and it is no bug."""
    results: list[Exception | None] = [None, error, None, None]

    def fails() -> None:
        if (result := results.pop(0)) is not None:
            raise result

    office = Office(Notes("first"), Notes("second", fails), Notes("third"))
    batch = Batch()
    with pytest.raises(type(error)):
        office.follow(batch, STEP, STEP, replace(STEP, key=OTHER))
    assert {name: kept.line for (name, _), kept in batch.states.items() if kept} == {"first": b"s", "second": b"s"}
    office.follow(batch)

    lines = {place: kept.line for place, kept in batch.states.items() if kept}
    assert lines == {
        (name, key): b"ss" if key == KEY else b"s" for name in ("first", "second", "third") for key in (KEY, OTHER)
    }
    assert (len(batch.records), office.errors("second")) == (9, 0)
    assert sorted(batch.tallied.values()) == [2, 2, 2]


def test_a_keeper_that_fails_at_its_time_is_not_asked_again_for_ever() -> None:
    """It keeps what it had, without a time; the others whose time has come are not held up."""
    office = Office(Notes("bad", broken), Notes("good"))
    kept = state(b"kept", due=5)
    office.journal.commit(Batch(states={("bad", KEY): kept, ("good", OTHER): kept}))
    batch = Batch()

    assert office.keepers.time(9, 100, batch) is False
    office.journal.commit(batch)
    assert office.journal.states.state("bad", KEY) == state(b"kept")
    assert office.journal.states.state("good", OTHER) == state(b"kepts")
    assert (office.errors("bad"), office.journal.states.due(9, 100)) == (1, [])


# -- what a keeper sees ---------------------------------------------------------------------------------------------


def test_a_keeper_sees_what_the_steps_before_left_committed_or_not() -> None:
    """Several steps of one object in one batch build on each other; the tally counts the object once."""
    office = Office(Notes("k"))
    office.journal.commit(Batch(states={("k", KEY): state(b"s", tally="old")}))
    batch = Batch()
    office.follow(batch, STEP, STEP)
    office.follow(batch, STEP)
    kept = batch.states["k", KEY]

    assert (kept and kept.line, len(batch.records)) == (b"ssss", 3)
    place = ("k", "example.com", "widgets", "team-a")
    assert {series: by for series, by in batch.tallied.items() if by} == {(*place, "old"): -1, (*place, "a"): 1}


def test_a_change_is_told_with_the_rollout_that_it_belongs_to() -> None:
    """Of several changes in a batch it is the one of that step; a step without a change has none to be told."""

    class Belonging(Notes):
        def step(self, step: Step, book: Book) -> None:
            if step.key == OTHER:
                book.belong("trace", "span")

    changes = [change(1), change(2), change(3)]
    steps = [replace(STEP, change=one) for one in changes]
    steps[1] = replace(steps[1], key=OTHER)
    batch = Batch()
    Office(Notes("first"), Belonging("second")).follow(batch, steps[0], replace(STEP, key=OTHER), *steps[1:])

    assert batch.changes == [changes[0], replace(changes[1], trace="trace", span="span"), changes[2]]


def test_what_was_never_kept_is_not_removed() -> None:
    """To keep nothing where nothing was leaves nothing in the batch."""
    batch = Batch()
    book = Book("k", Office().journal.states, batch)
    book.keep(KEY, None)
    assert book.get(KEY) is None
    book.close()

    assert batch == Batch()


# -- time -----------------------------------------------------------------------------------------------------------


def test_what_happened_in_the_same_batch_comes_before_the_time() -> None:
    """A step names another time, so the one that was committed is not kept."""
    keeper = Notes("k")
    office = Office(keeper)
    office.journal.commit(Batch(states={("k", KEY): state(due=5), ("k", OTHER): state(due=6)}))
    batch = Batch()
    batch.take(STEP)
    office.keepers.time(9, 100, batch)

    assert keeper.times == [OTHER]


def test_there_may_be_more_when_as_many_came_as_were_asked_for() -> None:
    """Then the rest comes after the commit, and nobody twice."""
    keeper = Notes("k")
    office = Office(keeper)
    keys = [replace(KEY, name=str(number)) for number in range(5)]
    office.journal.commit(Batch(states={("k", key): state(due=number) for number, key in enumerate(keys)}))
    more = []
    for _ in range(3):
        batch = Batch()
        more.append(office.keepers.time(9, 2, batch))
        office.keepers.time(9, 2, batch)  # a second word in the same batch
        office.journal.commit(batch)

    assert (more, keeper.times) == ([True, True, False], keys)


def test_what_is_left_of_a_keeper_that_is_switched_off_goes_when_its_time_comes() -> None:
    """Nobody is there to be asked; it is no longer counted either."""
    office = Office()
    office.journal.commit(Batch(states={("gone", KEY): state(due=5)}))
    batch = Batch()
    office.keepers.time(9, 100, batch)

    assert batch.states == {("gone", KEY): None}
    assert list(batch.tallied.values()) == [-1]
