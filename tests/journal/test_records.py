"""Records among the changes, and what is kept of single objects: committed with the changes, or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.history import changes
from exporter.journal.read import FILE_NAME, open_reader
from exporter.journal.store import Journal
from exporter.model import Checkpoint, ObjectKey, Scope, Stored
from exporter.records import State, Transition, Verdict
from tests.changes.objects import KEY, SCOPE, at
from tests.journal.test_store import FIXTURES, change, opened


if TYPE_CHECKING:
    from pathlib import Path


OTHER = ObjectKey("example.com", "widgets", "team-b", "web")


def record(number: int, clock: str = "10:00:00") -> Transition:
    """Tell something of the Widget."""
    verdict = Verdict(group="example.com", kind="Widget", namespace="team-a", name="web", state="drifted")
    return Transition(id=f"r{number}", event="drift.opened", observed=at(clock), verdict=verdict)


def state(line: bytes = b"line", *, due: int | None = None, shown: bool = False, tally: str = "a") -> State:
    """Keep something."""
    return State(line, tally, due, shown)


# -- what is written together ----------------------------------------------------------------------------------------


def test_a_commit_that_fails_keeps_and_tells_nothing() -> None:
    """When the change cannot be written, neither is what follows from it."""
    journal = opened()
    journal.commit(Batch(states={("drift", OTHER): state(b"before")}))
    unknown = ObjectKey("nobody.example.com", "ghosts", "", "x")
    with pytest.raises(KeyError):
        journal.commit(
            Batch(
                changes=[change(1)], records=[record(1)], states={("drift", KEY): state(), ("drift", OTHER): None},
                objects={unknown: Stored("u", "1", b"s")},
            )
        )  # fmt: skip

    assert (journal.head(), journal.states.state("drift", KEY)) == (0, None)
    assert journal.states.state("drift", OTHER) == state(b"before")
    journal.close()


def test_records_stand_behind_the_changes_of_their_commit_and_are_read_back(tmp_path: Path) -> None:
    """One sequence for both, the same after a restart and for who reads beside."""
    journal = opened(tmp_path)
    journal.commit(Batch(changes=[change(1), change(2)], records=[record(1)]))
    journal.commit(Batch(records=[record(2)]))
    journal.commit(Batch(changes=[change(3)]))
    journal.close()
    journal = opened(tmp_path)
    expected = [(1, change(1)), (2, change(2)), (3, record(1)), (4, record(2)), (5, change(3))]

    assert journal.after(0, 10) == expected
    assert journal.after(2, 2) == expected[2:4]
    reader = open_reader(tmp_path)
    assert list(reader.scan(at("10:00:00"))) == expected
    assert [one.id for one in changes(reader.scan())] == [change(number).id for number in (1, 2, 3)]
    reader.close()
    journal.close()


async def test_a_record_alone_wakes_who_waits() -> None:
    """What time alone brought about is delivered without waiting for the next change."""
    journal = opened()
    waiter = asyncio.create_task(journal.wait(0))
    await asyncio.sleep(0)
    journal.commit(Batch(records=[record(1)]))

    await asyncio.wait_for(waiter, 10)
    journal.close()


def test_eviction_counts_records_for_who_had_not_read_them() -> None:
    """A record that is lost to a consumer is lost like a change."""
    journal = opened()
    journal.cursor("slow")
    journal.commit(Batch(changes=[change(1)], records=[record(1)], states={("drift", KEY): state()}))
    journal.cursor("fast")
    evicted = journal.evict(0, 1 << 30)

    assert (evicted.changes, evicted.undelivered) == (2, {"slow": 2})
    assert journal.states.state("drift", KEY) == state()
    journal.close()


def test_a_record_can_be_buried() -> None:
    """What an endpoint will never take is kept with the reason, whatever it is."""
    journal = opened()
    journal.cursor("otlp")
    journal.commit(Batch(records=[record(1)]))
    journal.advance("otlp", 1, buried=[(1, "refused")])

    assert journal.cursor("otlp") == 1
    journal.close()


# -- states -----------------------------------------------------------------------------------------------------------


def test_a_state_is_replaced_and_removed_for_one_keeper_and_one_object() -> None:
    """Nobody touches what another keeps, nor of another object."""
    journal = opened()
    journal.commit(Batch(states={("a", KEY): state(b"1"), ("b", KEY): state(b"2"), ("a", OTHER): state(b"3")}))
    journal.commit(Batch(states={("a", KEY): state(b"4", due=7, shown=True, tally="b")}))
    assert journal.states.state("a", KEY) == state(b"4", due=7, shown=True, tally="b")
    journal.commit(Batch(states={("a", KEY): None}))

    assert [journal.states.state(*one) for one in (("a", KEY), ("b", KEY), ("a", OTHER))] == [
        None, state(b"2"), state(b"3"),
    ]  # fmt: skip
    journal.close()


def test_the_longest_overdue_come_first_and_what_has_no_time_never() -> None:
    """At most so many at once; whose time is still to come is left alone."""
    journal = opened()
    keys = [ObjectKey("example.com", "widgets", "team-a", str(number)) for number in range(5)]
    dues = (30, 10, None, 20, 40)
    journal.commit(Batch(states={("k", key): state(due=due) for key, due in zip(keys, dues, strict=True)}))

    assert journal.states.next_due() == 10
    assert journal.states.due(9, 10) == []
    assert journal.states.due(30, 10) == [("k", keys[1]), ("k", keys[3]), ("k", keys[0])]
    assert journal.states.due(99, 2) == [("k", keys[1]), ("k", keys[3])]
    journal.commit(Batch(states={("k", key): None for key in keys}))
    assert journal.states.next_due() is None
    journal.close()


def test_states_are_counted_shown_and_listed(tmp_path: Path) -> None:
    """By keeper: what one wants shown, how many of each sort, and all of them in the order of their places."""
    journal = opened(tmp_path)
    first, second = state(b"1", tally="x", shown=True), state(b"2", tally="x")
    journal.commit(Batch(states={("k", OTHER): first, ("k", KEY): second, ("other", KEY): state(b"3")}))

    assert list(journal.states.shown("k")) == [(OTHER, "Widget", first)]
    assert journal.states.tallies("k") == {
        ("example.com", "Widget", "team-a", "x"): 1, ("example.com", "Widget", "team-b", "x"): 1,
    }  # fmt: skip
    reader = open_reader(tmp_path)
    assert list(reader.states("k")) == [(KEY, "Widget", second), (OTHER, "Widget", first)]
    assert list(reader.states("nobody")) == []
    reader.close()
    journal.close()


def test_a_forgotten_scope_takes_what_was_kept_of_its_objects_along() -> None:
    """What is no longer followed is no longer known of; the history stays, and the number is that of objects."""
    journal = opened()
    scope = Scope("example.com", "widgets", "team-a")
    missing = ObjectKey("example.com", "widgets", "team-a", "missing")
    journal.commit(
        Batch(
            records=[record(1)],
            objects={KEY: Stored("u", "1", b""), OTHER: Stored("v", "1", b"")},
            states={("k", one): state() for one in (KEY, OTHER, missing)},
            checkpoints={scope: Checkpoint("v1", "1", complete=True)},
        )
    )

    assert journal.forget(scope) == 1
    assert [journal.states.state("k", one) for one in (KEY, OTHER, missing)] == [None, state(), None]
    assert journal.head() == 1
    journal.close()


def test_a_keeper_that_is_switched_off_is_forgotten() -> None:
    """With what it noted, so that it begins anew if it is switched on again; no other is touched."""
    journal = opened()
    journal.commit(Batch(states={("drift", KEY): state(), ("other", KEY): state()}))
    journal.note("drift", "by these rules")
    journal.note("other", "a")
    journal.forget_states("drift")

    assert [journal.states.state(one, KEY) for one in ("drift", "other")] == [None, state()]
    assert (journal.noted("drift"), journal.noted("other")) == (None, "a")
    journal.close()


def test_what_is_told_of_what_is_forgotten_is_told_with_it_or_not_at_all() -> None:
    """Both or neither, as with a commit."""
    journal = opened()
    scope = Scope("example.com", "widgets", "team-a")
    kept = Batch(states={("drift", KEY): state()}, checkpoints={scope: Checkpoint("v1", "1", complete=True)})
    with pytest.raises(KeyError):
        journal.forget(Scope("nobody.example.com", "ghosts"), [record(1)])
    assert journal.head() == 0
    journal.commit(kept)
    journal.forget(scope, [record(1)])
    journal.commit(kept)
    journal.forget_states("drift", [record(2)])

    assert [one for _, one in journal.after(0, 9)] == [record(1), record(2)]
    assert journal.states.state("drift", KEY) is None
    journal.close()


def test_what_is_told_last_finds_room_in_a_journal_that_is_full() -> None:
    """What is forgotten with it makes the room: a start with a full journal would fail again and again."""
    journal = opened()
    keys = [replace(KEY, name=str(number)) for number in range(200)]
    journal.commit(Batch(states={("drift", key): state(b"x" * 1000) for key in keys}))
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    journal.forget_states("drift", [record(number) for number in range(len(keys))])

    assert len(journal.after(0, 1000)) == len(keys)
    journal.close()


# -- what older programs wrote -----------------------------------------------------------------------------------------


def test_a_journal_without_records_is_read_as_it_is(tmp_path: Path) -> None:
    """Who reads beside an older exporter, or without one, brings nothing forward, and finds no states."""
    path = tmp_path / FILE_NAME
    path.write_bytes((FIXTURES / "schema-3.db").read_bytes())
    reader = open_reader(tmp_path)

    assert [number for number, _ in reader.scan()] == [1, 2, 3]
    assert list(reader.states("drift")) == []
    reader.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()


def test_a_journal_without_records_is_brought_forward(tmp_path: Path) -> None:
    """Everything that it held is there, and what came later works on it."""
    (tmp_path / FILE_NAME).write_bytes((FIXTURES / "schema-3.db").read_bytes())
    journal = opened(tmp_path)
    assert journal.id == "00000000-0000-4000-8000-000000000003"
    journal.bind("cluster-1")
    journal.commit(Batch(records=[record(1)], states={("drift", KEY): state()}))

    assert journal.after(0, 10) == [*((number, change(number)) for number in (1, 2, 3)), (4, record(1))]
    assert journal.object(KEY) == Stored("uid-1", "2", b"state")
    assert journal.checkpoint_of(SCOPE) == Checkpoint("v1", "2", complete=True)
    assert (journal.cursor("otlp"), journal.totals()) == (2, ({("f", "a"): 2.0}, 2))
    assert journal.definitions() == {("example.com", "widgets"): ("crd-1", "hash")}
    assert journal.states.state("drift", KEY) == state()
    journal.close()
    Journal.open(tmp_path).close()


def test_what_an_older_program_told_is_read_without_what_it_did_not_know(tmp_path: Path) -> None:
    """Fields only ever grow: a line that lacks some is still a record."""
    journal = opened(tmp_path)
    line = b'{"id":"r","event":"drift.closed","observed":"2026-03-01T10:00:00.000000Z",'
    line += b'"verdict":{"kind":"Widget","name":"web","state":"in_sync","unheard_of":1}}'
    path = tmp_path / FILE_NAME
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("INSERT INTO changes (observed, record, line) VALUES ('2026', 'drift', ?)", (line,))
    connection.close()
    ((_, told),) = journal.after(0, 10)

    assert isinstance(told, Transition)
    assert (told.verdict.cause, told.resolved_by, told.managers) == (UNSET, UNSET, ())
    journal.close()
