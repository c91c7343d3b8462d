"""The journal: one commit, one file, one cluster, one exporter at a time."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.errors import JournalError
from exporter.history import changes
from exporter.journal.read import FILE_NAME, open_reader
from exporter.journal.retention import checkpoint
from exporter.journal.store import Journal
from exporter.model import UNRESOLVED, Change, Checkpoint, ObjectKey, Scope, Stored, Tombstone
from exporter.records import Transition, Verdict
from tests.changes.objects import KEY, SCOPE, WIDGET, at


DAY = 86_400_000_000_000
FIXTURES = Path(__file__).parent / "fixtures"


def change(number: int, clock: str = "10:00:00") -> Change:
    """Make a change."""
    return Change(
        id=f"{number:032x}", observed=at(clock), event="modified", change="spec", group="example.com", version="v1",
        kind="Widget", namespace="team-a", name="web", uid="uid-1", resource_version=str(number), writer=UNRESOLVED,
    )  # fmt: skip


def opened(path: Path | None = None) -> Journal:
    """Open a journal that knows the type of the tests."""
    journal = Journal.open(path)
    journal.register(WIDGET)
    return journal


def test_a_directory_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """A data directory in a place that is no directory names itself and the flag."""
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalError, match=r"cannot write to the data directory .*file/data: .*--data-dir"):
        Journal.open(tmp_path / "file" / "data")


def test_two_exporters_cannot_share_a_directory(tmp_path: Path) -> None:
    """The second is told, and when the first has ended the directory is free."""
    first = opened(tmp_path)
    with pytest.raises(JournalError, match="another exporter uses the data directory"):
        Journal.open(tmp_path)
    first.close()

    opened(tmp_path).close()


def test_another_cluster_is_refused(tmp_path: Path) -> None:
    """A journal stays with its cluster."""
    journal = opened(tmp_path)
    journal.bind("cluster-1")
    journal.bind("cluster-1")
    with pytest.raises(JournalError, match="another cluster"):
        journal.bind("cluster-2")
    journal.close()


def test_reading_where_there_is_no_journal_is_an_error(tmp_path: Path) -> None:
    """The command line is told which flag to give."""
    with pytest.raises(JournalError, match=r"there is no journal in .*--data-dir"):
        open_reader(tmp_path)


def test_a_commit_that_fails_writes_nothing() -> None:
    """When one part of a batch cannot be written, no other is."""
    journal = opened()
    unknown = ObjectKey("nobody.example.com", "ghosts", "", "x")
    with pytest.raises(KeyError):
        journal.commit(
            Batch(changes=[change(1)], objects={KEY: Stored("u", "1", b"s"), unknown: Stored("u", "1", b"s")})
        )

    assert (journal.head(), journal.object(KEY)) == (0, None)
    journal.close()


def test_everything_of_a_batch_is_there_after_reopening(tmp_path: Path) -> None:
    """Changes, objects, tombstones, checkpoints and totals come back together, with the journal's own identity."""
    journal = opened(tmp_path)
    identity = journal.id
    mark = Checkpoint("v1", "7", complete=True)
    journal.commit(
        Batch(
            changes=[change(1), change(2)],
            objects={KEY: Stored("uid-1", "2", b"state")},
            tombstones={KEY: Tombstone("uid-0", at("09:00:00"))},
            checkpoints={SCOPE: mark},
        )
    )
    journal.save_totals({("f", "a"): 2.0, ("g",): 5.0, ("h",): 1.0})
    journal.commit(Batch(changes=[change(3)]))
    journal.save_totals({("f", "a"): 3.0}, dropped=[("h",)])
    journal.commit(Batch(changes=[change(4)]))
    journal.close()
    journal = opened(tmp_path)

    assert journal.id == identity
    assert journal.after(0, 10) == [(number, change(number)) for number in (1, 2, 3, 4)]
    assert journal.object(KEY) == Stored("uid-1", "2", b"state")
    assert journal.tombstone(KEY) == Tombstone("uid-0", at("09:00:00"))
    assert (journal.checkpoint_of(SCOPE), journal.scopes()) == (mark, [("Widget", SCOPE)])
    assert journal.totals() == ({("f", "a"): 3.0, ("g",): 5.0}, 3)
    assert journal.counts() == {("example.com", "Widget", "team-a"): 1}
    journal.close()


def test_a_kind_that_was_renamed_is_known_by_its_new_name(tmp_path: Path) -> None:
    """The plural is what a type is known by; its kind is what it was registered with last."""
    journal = opened(tmp_path)
    journal.commit(Batch(checkpoints={SCOPE: Checkpoint("v1", "5", complete=True)}))
    journal.register(replace(WIDGET, kind="Gadget"))
    assert journal.scopes() == [("Gadget", SCOPE)]
    journal.close()
    journal = opened(tmp_path)
    assert journal.scopes() == [("Widget", SCOPE)]
    journal.close()


def test_a_forgotten_scope_takes_its_objects_along() -> None:
    """What is no longer followed leaves nothing behind but its history."""
    journal = opened()
    other = ObjectKey("example.com", "widgets", "team-b", "web")
    scopes = [Scope("example.com", "widgets", namespace) for namespace in ("team-a", "team-b")]
    journal.commit(
        Batch(
            changes=[change(1)],
            objects={KEY: Stored("u", "1", b""), other: Stored("v", "1", b"")},
            checkpoints=dict.fromkeys(scopes, Checkpoint("v1", "1", complete=True)),
        )
    )

    assert journal.forget(scopes[0]) == 1
    assert (journal.object(KEY), journal.object(other)) == (None, Stored("v", "1", b""))
    assert (journal.scopes(), journal.head()) == ([("Widget", scopes[1])], 1)
    journal.close()


def test_a_new_consumer_starts_at_the_head_and_goes_on_where_it_was() -> None:
    """History is not poured over an endpoint that is new; later its cursor is kept."""
    journal = opened()
    journal.commit(Batch(changes=[change(1)]))
    assert journal.cursor("otlp") == 1
    journal.commit(Batch(changes=[change(2), change(3)]))
    journal.advance("otlp", 2, buried=[(2, "refused")])

    assert journal.cursor("otlp") == 2
    journal.close()


async def test_waiting_ends_with_the_commit() -> None:
    """Who waits for changes is woken by the commit that brings one, and not by one that brings none."""
    journal = opened()
    waiter = asyncio.create_task(journal.wait(0))
    await asyncio.sleep(0)
    journal.commit(Batch(objects={KEY: Stored("u", "1", b"")}))
    await asyncio.sleep(0)
    assert not waiter.done()
    journal.commit(Batch(changes=[change(1)]))

    await asyncio.wait_for(waiter, 10)
    journal.close()


def test_eviction_by_age_counts_what_nobody_had_read() -> None:
    """Changes past their age go, oldest first; those that a consumer had not read are counted for it."""
    journal = opened()
    journal.commit(Batch(changes=[change(1)]))
    journal.cursor("slow")
    journal.commit(Batch(changes=[change(2), change(3)]))
    journal.cursor("fast")
    evicted = journal.evict(0, 1 << 30)

    assert (evicted.changes, evicted.undelivered) == (3, {"slow": 2})
    assert (journal.cursor("slow"), journal.after(0, 10), journal.head()) == (3, [], 3)
    journal.close()


def test_eviction_by_size_keeps_the_objects() -> None:
    """A journal that is too large loses changes, never the last-seen state."""
    journal = opened()
    journal.commit(
        Batch(changes=[change(number) for number in range(3000)], objects={KEY: Stored("u", "1", os.urandom(9000))})
    )
    kept = journal.evict(365 * 100 * DAY, 1 << 30)
    evicted = journal.evict(365 * 100 * DAY, 1000)

    assert (kept.changes, evicted.changes) == (0, 2000)
    assert journal.object(KEY) is not None
    journal.close()


def test_eviction_never_moves_a_cursor_beyond_what_there_was() -> None:
    """When less is there than one eviction may take, the next change is still ahead of every cursor."""
    journal = opened()
    journal.cursor("otlp")
    journal.commit(Batch(changes=[change(1), change(2)]))
    evicted = journal.evict(365 * 100 * DAY, 0)
    journal.commit(Batch(changes=[change(3)]))

    assert (evicted.changes, evicted.undelivered, journal.cursor("otlp")) == (2, {"otlp": 2}, 2)
    journal.close()


def test_numbers_are_never_given_twice() -> None:
    """After everything was evicted the sequence goes on, so that no cursor is ahead of it."""
    journal = opened()
    journal.commit(Batch(changes=[change(1), change(2)]))
    journal.evict(0, 1 << 30)
    journal.commit(Batch(changes=[change(3)]))

    assert journal.after(0, 10) == [(3, change(3))]
    journal.close()


async def test_the_write_ahead_log_is_moved_off_the_commit_path(tmp_path: Path) -> None:
    """After a checkpoint the file holds everything, and a reader beside the writer sees it before and after."""
    journal = opened(tmp_path)
    journal.commit(Batch(changes=[change(number) for number in range(100)]))
    before = journal.sizes()
    await asyncio.to_thread(checkpoint, tmp_path / FILE_NAME)
    reader = open_reader(tmp_path)

    assert before.wal > 0
    assert journal.sizes().files > before.wal
    assert [number for number, _ in reader.scan()] == list(range(1, 101))
    reader.close()
    journal.close()


def test_a_scan_since_a_time_begins_there() -> None:
    """Only what was observed at or after a time is given, in short reads."""
    journal = opened()
    clocks = ["10:00:00", "10:00:01", "10:00:02"]
    journal.commit(Batch(changes=[change(number, clock) for number, clock in enumerate(clocks)]))

    assert [number for number, _ in journal.reader.scan(at("10:00:01"))] == [2, 3]
    assert list(journal.reader.scan(at("11:00:00"))) == []
    journal.close()


def test_a_journal_of_the_first_schema_is_brought_forward(tmp_path: Path) -> None:
    """A file that an older program wrote keeps everything and works with what came later."""
    (tmp_path / FILE_NAME).write_bytes((FIXTURES / "schema-1.db").read_bytes())
    journal = opened(tmp_path)

    assert [one.name for one in changes(journal.after(0, 10))] == ["web", "web"]
    assert journal.object(KEY) == Stored("uid-1", "2", b"state")
    assert (journal.cursor("otlp"), journal.totals()) == (1, ({("f", "a"): 2.0}, 2))
    journal.define("example.com", "widgets", "u", "h")
    journal.advance("otlp", 2, buried=[(2, "refused")])
    assert journal.definitions() == {("example.com", "widgets"): ("u", "h")}
    journal.close()


async def test_a_record_that_follows_from_no_change_wakes_who_waits(tmp_path: Path) -> None:
    """What time alone brings about is delivered then, not with the next change."""
    journal = opened(tmp_path)
    verdict = Verdict(kind="Widget", name="web", state="drifted")
    record = Transition(id="1" * 32, event="drift.opened", observed=at("10:00:00"), verdict=verdict)
    waiting = asyncio.create_task(journal.wait(journal.head()))
    await asyncio.sleep(0)

    journal.commit(Batch(records=[record]))

    await asyncio.wait_for(waiting, 30)
    assert [(1, record)] == journal.after(0, 10)
    journal.close()
