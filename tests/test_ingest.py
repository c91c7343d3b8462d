"""From the inbox to the journal."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.changes.observation import Observation
from exporter.changes.redact import Redactor
from exporter.changes.tracker import Tracker
from exporter.changes.version import pack
from exporter.changes.writer import WriterTable
from exporter.errors import DamagedError
from exporter.ingest import Inbox, Ingest, Item, Removed, Review
from exporter.journal.store import Journal
from exporter.keepers import Keepers
from exporter.kube.sink import Listed, Progress
from exporter.metrics.changes import ChangeMetrics
from exporter.metrics.health import Health
from exporter.model import Checkpoint, Stored
from tests.changes.objects import KEY, SCOPE, WIDGET, seen, widget


if TYPE_CHECKING:
    from exporter.model import ObjectKey


class Loop:
    """An ingest loop on a journal in memory."""

    def __init__(self) -> None:
        self.journal = Journal.open(None)
        self.journal.register(WIDGET)
        self.inbox = Inbox()
        self.metrics = ChangeMetrics()
        self.health = Health()
        tracker = Tracker(
            cluster_uid="c",
            redactor=Redactor(b"k"),
            writers=WriterTable(),
            stored=self.journal.object,
            buried=self.journal.tombstone,
        )
        self.ingest = Ingest(self.inbox, tracker, self.journal, self.metrics, self.health)

    async def take(self, *items: Item) -> list[str]:
        """Put items in, commit, and give the words of all changes so far."""
        for item in items:
            await self.inbox.put(item)
        self.inbox.close()
        await self.ingest.run()
        return [change.change for _, change in self.journal.after(0, 100)]


async def test_a_commit_that_fails_is_tried_again_with_the_same_batch() -> None:
    """When the journal cannot be written nothing is lost: the batch waits until it can, and is counted as failing."""
    loop = Loop()
    commit, failures = loop.journal.commit, [sqlite3.OperationalError("disk is full")] * 2

    def broken(batch: Batch) -> None:
        if failures:
            raise failures.pop()
        commit(batch)

    loop.journal.commit = broken  # type: ignore[method-assign]

    assert await loop.take(seen(widget(1), "added")) == ["created"]
    assert loop.health.registry.get_sample_value("customresource_exporter_journal_failures_total") == 2


async def test_only_what_is_in_the_journal_is_kept() -> None:
    """What was taken out of the inbox is not yet: who waits for it waits for the commit that succeeds."""
    loop = Loop()
    commit, failures, kept = loop.journal.commit, [sqlite3.OperationalError("disk is full")], []

    def broken(batch: Batch) -> None:
        kept.append((len(loop.inbox), loop.inbox.kept(1)))
        if failures:
            raise failures.pop()
        commit(batch)

    loop.journal.commit = broken  # type: ignore[method-assign]

    assert await loop.take(seen(widget(1), "added")) == ["created"]
    assert (kept, loop.inbox.kept(1), loop.inbox.kept(2)) == ([(0, False)] * 2, True, False)


async def test_a_read_that_fails_is_tried_again() -> None:
    """When the journal cannot be read while a batch is made, the observation waits, and the gauge can tell."""
    loop = Loop()
    read, failures = loop.journal.object, [sqlite3.OperationalError("disk I/O error")] * 2
    degraded = []

    def broken(key: ObjectKey) -> Stored | None:
        degraded.append(loop.journal.care.degraded)
        if failures:
            raise failures.pop()
        return read(key)

    loop.ingest._tracker._stored = broken

    assert await loop.take(seen(widget(1), "added")) == ["created"]
    assert (degraded, loop.journal.care.degraded) == ([False, True, True], False)


async def test_damage_ends_the_loop() -> None:
    """A commit that the journal's files will never take is not tried for ever: whoever can mend them is told."""
    loop = Loop()

    def broken(batch: Batch) -> None:
        del batch
        raise DamagedError("corrupt", "database disk image is malformed")

    loop.journal.commit = broken  # type: ignore[method-assign]

    with pytest.raises(DamagedError):
        await loop.take(seen(widget(1), "added"))
    await asyncio.wait_for(loop.journal.care.spoilt(), 10)


async def test_a_baseline_has_no_checkpoint_before_it_is_complete() -> None:
    """As long as a first list goes on a restart begins it again; then the list's version is where to go on."""
    loop = Loop()
    assert await loop.take(seen(widget(1), "added", "baseline")) == []
    assert loop.journal.checkpoint_of(SCOPE) is None

    await loop.take(Listed(WIDGET, SCOPE, "baseline", "7", {"uid-1"}))
    assert loop.journal.checkpoint_of(SCOPE) == Checkpoint("v1", "7", complete=True)


async def test_the_checkpoint_follows_what_is_committed() -> None:
    """A live observation and a bookmark move it; an observation of a list does not."""
    loop = Loop()
    await loop.take(seen(widget(8), "added"), seen(widget(3), "added", "catch_up"))
    assert loop.journal.checkpoint_of(SCOPE) == Checkpoint("v1", "8", complete=True)

    await loop.take(Progress(WIDGET, SCOPE, "9"))
    assert loop.journal.checkpoint_of(SCOPE) == Checkpoint("v1", "9", complete=True)


async def test_what_comes_late_does_not_take_the_checkpoint_back() -> None:
    """A live observation that its stream has passed before is no place to go on from."""
    loop = Loop()
    await loop.take(seen(widget(8), "added"), replace(seen(widget(5, uid="uid-2", meta={"name": "b"})), late=True))

    assert loop.journal.checkpoint_of(SCOPE) == Checkpoint("v1", "8", complete=True)


async def test_what_a_list_does_not_hold_any_more_was_deleted() -> None:
    """After an interruption the end of a list tells of the deletions, in a baseline of nothing."""
    loop = Loop()
    await loop.take(seen(widget(1), "added", "baseline"), Listed(WIDGET, SCOPE, "baseline", "2", {"uid-1"}))

    assert await loop.take(Listed(WIDGET, SCOPE, "catch_up", "9", set())) == ["deleted"]
    assert loop.journal.object(KEY) is None


async def test_a_removed_type_takes_everything_along() -> None:
    """Objects are told deleted, and neither a checkpoint nor a series of the type is left."""
    loop = Loop()
    await loop.take(seen(widget(1), "added"))

    assert await loop.take(Removed(WIDGET, SCOPE)) == ["created", "deleted"]
    assert loop.journal.checkpoint_of(SCOPE) is None
    assert b"Widget" not in loop.metrics.render(openmetrics=False)


@pytest.mark.parametrize("last", [Listed(WIDGET, SCOPE, "catch_up", "9", set()), Removed(WIDGET, SCOPE)])
async def test_what_came_in_the_same_batch_goes_with_the_list_or_the_type(last: Listed | Removed) -> None:
    """An object need not be in the journal yet to be found missing."""
    loop = Loop()

    assert await loop.take(seen(widget(1), "added"), last) == ["created", "deleted"]
    assert (loop.journal.object(KEY), loop.journal.counts()) == (None, {})


async def test_counters_are_what_the_journal_holds() -> None:
    """Totals in the journal, on /metrics and counted from the changes are the same."""
    loop = Loop()
    words = await loop.take(seen(widget(1), "added"), seen(widget(2, status={"a": 1})), seen(widget(3), "deleted"))
    page = loop.metrics.render(openmetrics=False).decode()

    assert words == ["created", "status", "deleted"]
    for event, change in (("added", "created"), ("modified", "status"), ("deleted", "deleted")):
        assert f'namespace="team-a",event="{event}",change="{change}"}} 1\n' in page


@pytest.mark.parametrize(("size", "most"), [(100, 100), (300_000, 4)])
async def test_large_versions_are_held_for_no_more_than_a_few_steps(size: int, most: int) -> None:
    """Objects that are judged again come out of the journal: no inbox bounds their size. Small ones wait for a turn."""
    loop = Loop()
    told: list[int] = []

    class Counting(Keepers):
        def follow(self, batch: Batch) -> None:
            told.append(len(batch.steps))
            super().follow(batch)

    loop.ingest._keepers = Counting((), loop.journal.states, loop.health)
    keys = [replace(KEY, name=str(number)) for number in range(150)]
    state = pack(msgspec.json.encode(widget(spec={"text": "x" * size})))
    loop.journal.commit(Batch(objects={key: Stored(f"uid-{key.name}", "1", state) for key in keys}))
    await loop.take(*[Review(WIDGET, key) for key in keys])

    assert (max(told), sum(told)) == (most, len(keys))


async def test_a_full_inbox_holds_the_reflectors_back() -> None:
    """Who puts into a full inbox waits until something was taken out, so that memory stays bounded."""
    inbox = Inbox(high_water=100)
    await inbox.put(seen(widget(1)))
    blocked = asyncio.create_task(inbox.put(seen(widget(2))))
    await asyncio.sleep(0)
    assert not blocked.done()

    assert [item.head.resource_version for item in inbox.take(1) if isinstance(item, Observation)] == ["1"]
    await asyncio.wait_for(blocked, 10)
    assert len(inbox) == 1


async def test_the_loop_commits_what_comes() -> None:
    """While it runs, what is put in is committed without being asked for."""
    loop = Loop()
    running = asyncio.create_task(loop.ingest.run())
    await loop.inbox.put(seen(widget(1), "added"))
    await asyncio.wait_for(loop.journal.wait(0), 30)
    loop.inbox.close()
    await asyncio.wait_for(running, 30)

    assert [change.change for _, change in loop.journal.after(0, 9)] == ["created"]
