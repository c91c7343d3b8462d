"""From the reflectors' inbox to the journal: takes what has come in, turns it into one batch, commits it.

There is one such loop, so that a batch is never begun before the one before is in the journal; what the journal cannot
do for now, as a commit to a full disk, is tried again, with the same batch, until it succeeds, while the inbox fills up
and holds the reflectors back. Only damage to the journal's files ends it.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog
from msgspec import Struct

from exporter.backoff import Backoff
from exporter.changes.batch import Batch
from exporter.changes.observation import Observation
from exporter.errors import JournalError, brief
from exporter.journal.damage import remedy
from exporter.keepers import Keepers
from exporter.kube.sink import Listed, Progress
from exporter.model import Checkpoint, ObjectKey, ResourceType, Scope
from exporter.ticks import next_tick
from exporter.timestamps import now, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from exporter.changes.tracker import Tracker
    from exporter.journal.store import Journal
    from exporter.metrics.health import Health


log = structlog.get_logger()


class Removed(Struct, frozen=True):
    """The type of a scope is no longer defined: everything of it goes."""

    type: ResourceType
    scope: Scope


class Review(Struct, frozen=True):
    """An object is to be judged again as it is: what it is judged by has changed."""

    type: ResourceType
    key: ObjectKey


class Elapsed(Struct, frozen=True):
    """The time has come that states of objects have named."""


Item = Observation | Listed | Progress | Removed | Review | Elapsed

# A commit follows a tick by this many seconds, so that it takes in what all streams gave at it; when there are more
# records than this it is made at once. What a batch holds fits into a processor's cache: with five times as many
# records each one costs half as much again.
GROUP_SECONDS = 0.02
GROUP_RECORDS = 200
# The event loop gets its turn after so many observations.
_TURN = 100
# Keepers are told of steps as soon as their versions take more than so many bytes, else at the turn: all are held until
# then, and decoded they take ten times as many.
_HELD_BYTES = 1024 * 1024
_HIGH_WATER = 4 * 1024 * 1024
_REVIEWED_BYTES = 2048
_RETRY = Backoff(first=0.2, factor=2.0, cap=2.0, jitter=0.2)


class Inbox:
    """A queue that is full by bytes, not by items."""

    def __init__(self, high_water: int = _HIGH_WATER) -> None:
        self._items: deque[Item] = deque()
        self._taken = 0
        self._committed = 0
        self._bytes = 0
        self._high_water = high_water
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._kept = asyncio.Event()
        self._closed = False

    async def put(self, item: Item) -> None:
        """Add an item; wait while there is too much."""
        while self._bytes > self._high_water:
            self._drained.clear()
            await self._drained.wait()
        self.add(item)

    def add(self, item: Item) -> None:
        """Add an item, however much there is."""
        self._items.append(item)
        self._bytes += _weight(item)
        self._filled.set()

    @property
    def mark(self) -> int:
        """Where what is in it now ends, for `kept`."""
        return self._taken + len(self._items)

    def kept(self, mark: int) -> bool:
        """Tell whether all that was in it at a mark is in the journal, however much came after it."""
        return self._committed >= mark

    async def until_kept(self) -> None:
        """Wait until all that is in it now is in the journal."""
        mark = self.mark
        while not self.kept(mark):
            self._kept.clear()
            await self._kept.wait()

    def committed(self) -> None:
        """Note that all that was taken out is in the journal."""
        self._committed = self._taken
        self._kept.set()

    async def filled(self) -> None:
        """Wait until there is something, or nothing will come any more."""
        await self._filled.wait()

    def close(self) -> None:
        """Note that nothing will come any more."""
        self._closed = True
        self._filled.set()

    @property
    def ended(self) -> bool:
        """Tell whether nothing is in it and nothing will come."""
        return self._closed and not self._items

    def __len__(self) -> int:
        """Count what is in it."""
        return len(self._items)

    def take(self, limit: int) -> list[Item]:
        """Take out at most so many items, oldest first."""
        items = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        self._taken += len(items)
        self._bytes -= sum(map(_weight, items))
        self._drained.set()
        if not self._items and not self._closed:
            self._filled.clear()
        return items


class Metrics(Protocol):
    """What is shown of what was committed."""

    def committed(self, batch: Batch) -> None:
        """Take in a batch that is in the journal now."""


def _weight(item: Item) -> int:
    """Tell how much an item holds back who puts in more: by its bytes, or by those that it will have read."""
    return len(item.raw) if isinstance(item, Observation) else _REVIEWED_BYTES if isinstance(item, Review) else 0


class Ingest:
    """The loop from the inbox to the journal.

    Args:
        inbox: what the reflectors saw
        tracker: turns it into changes
        journal: keeps it
        metrics: the families, brought up to date after each commit
        health: the exporter's own metrics
        keepers: are told when their time has come

    """

    def __init__(
        self,
        inbox: Inbox,
        tracker: Tracker,
        journal: Journal,
        metrics: Metrics,
        health: Health,
        keepers: Keepers | None = None,
    ) -> None:
        self._inbox = inbox
        self._tracker = tracker
        self._keepers = keepers or Keepers((), journal.states, health)
        self._journal = journal
        self._metrics = metrics
        self._health = health

    async def run(self) -> None:
        """Work until the inbox is closed and everything of it is committed.

        Whoever cancels this must not run it again: what was taken out of the inbox is gone then, and a later commit
        would move the checkpoints past it.

        Raises:
            JournalError, sqlite3.Error: the journal's files are damaged

        """
        while not self._inbox.ended:
            await self._inbox.filled()
            if len(self._inbox) < GROUP_RECORDS:
                await next_tick(GROUP_SECONDS)
            await self._commit(await self._next_batch())

    async def _next_batch(self) -> Batch:
        batch = Batch()
        items = self._inbox.take(GROUP_RECORDS)
        with suppress(sqlite3.Error):  # whoever asks for a single one will see it, and knows what to do
            self._journal.foresee(self._tracker.strangers(item.key for item in items if isinstance(item, Observation)))
        for number, item in enumerate(items, start=1):
            try:
                self._take_in(item, batch)
            except (sqlite3.Error, JournalError) as error:
                # What was done of it stays in the batch, and is not done twice.
                await self._again(error, partial(self._take_again, item, batch))
            turn = number % _TURN == 0
            if turn or batch.weight > _HELD_BYTES:
                await self._follow(batch)
            if turn:
                await asyncio.sleep(0)
        await self._follow(batch)
        return batch

    async def _follow(self, batch: Batch) -> None:
        try:
            self._keepers.follow(batch)
        except (sqlite3.Error, JournalError) as error:
            await self._again(error, partial(self._follow_again, batch))

    async def _follow_again(self, batch: Batch) -> None:
        self._keepers.follow(batch)

    def _take_in(self, item: Item, batch: Batch) -> None:
        try:
            self._take(item, batch)
        except (sqlite3.Error, JournalError):
            raise
        except Exception as error:  # noqa: BLE001 - one object that brings out a bug must not cost the others
            self._health.objects_skipped.labels("internal_error").inc()
            log.warning("internal error, an observation is lost", item=type(item).__name__, error=brief(error))

    async def _take_again(self, item: Item, batch: Batch) -> None:
        self._take_in(item, batch)

    def _take(self, item: Item, batch: Batch) -> None:
        if isinstance(item, Observation):
            self._tracker.observe(item, batch)
            if item.mode == "live" and not item.late:
                batch.checkpoints[item.scope] = Checkpoint(item.type.version, item.head.resource_version, complete=True)
        elif isinstance(item, Listed):
            silent = item.mode == "baseline"
            self._tracker.sweep(item.type, self._held(item.scope, batch), item.uids, now(), batch, silent=silent)
            batch.checkpoints[item.scope] = Checkpoint(item.type.version, item.resource_version, complete=True)
        elif isinstance(item, Progress):
            batch.checkpoints[item.scope] = Checkpoint(item.type.version, item.resource_version, complete=True)
        elif isinstance(item, Review):
            self._tracker.review(item.type, item.key, now(), batch)
        elif isinstance(item, Elapsed):
            if self._keepers.time(time.time_ns(), GROUP_RECORDS, batch):
                self._inbox.add(item)
        else:
            self._tracker.sweep(item.type, self._held(item.scope, batch), set(), now(), batch)
            batch.checkpoints[item.scope] = None
            batch.removed.append((item.type.group, item.type.kind))

    def _held(self, scope: Scope, batch: Batch) -> Iterator[tuple[ObjectKey, str, str]]:
        """Go through the objects of a scope: those in the journal, and those that this very batch will bring there."""
        yield from self._journal.objects(scope.group, scope.resource, scope.namespace)
        for key, stored in list(batch.objects.items()):  # whoever asks puts into the batch what they find missing
            inside = (key.group, key.resource) == (scope.group, scope.resource)
            if stored is not None and inside and scope.namespace in ("", key.namespace):
                yield key, stored.uid, stored.resource_version

    async def _again(self, error: Exception, work: Callable[[], Awaitable[None]]) -> None:
        """Do something with the journal that has failed, until it succeeds.

        Raises:
            JournalError, sqlite3.Error: it never will, since the files are damaged

        """
        care = self._journal.care
        failures = 0
        while True:
            if care.notice(error):
                raise error
            failures += 1
            self._health.journal_failures.inc()
            care.begins(
                "writing", "the journal cannot be written, trying again", error=str(error), remedy=remedy(error)
            )
            care.refused(error)
            await asyncio.sleep(_RETRY.delay(failures, random.random()))  # noqa: S311 - jitter
            try:
                await work()
            except (sqlite3.Error, JournalError) as again:
                error = again
            else:
                break
        care.refused(None)
        care.ends("writing", "the journal can be written again")

    async def _write(self, batch: Batch) -> None:
        if self._journal.care.swollen():
            await self._journal.care.shrink()
        self._journal.commit(batch)

    async def _commit(self, batch: Batch) -> None:
        began = time.perf_counter()
        try:
            await self._write(batch)
        except (sqlite3.Error, JournalError) as error:
            await self._again(error, partial(self._write, batch))
        self._inbox.committed()
        self._health.journal_commit.observe(time.perf_counter() - began)
        self._metrics.committed(batch)
        self._health.objects_forgotten.inc(batch.forgotten)
        self._health.versions_coalesced.inc(batch.coalesced)
        self._health.objects_skipped.labels("unreadable").inc(batch.unreadable)
        self._health.fields_truncated.inc(batch.truncated)
        committed = to_nanoseconds(now())
        times = Counter([change.happened for change in batch.changes if change.happened and not change.gap])
        for happened, count in times.items():
            self._health.change_lag.observe(max(0.0, (committed - to_nanoseconds(happened)) / 1e9), count)
