"""Builds the exporter anew within the process: for another configuration, or when the journal's files go bad or away.

It is what a restart does, without leaving the process, so that /metrics and readiness stay up and the counters go on.
What an open journal still reads whole is written anew first; then nothing is lost that the API server still remembers.
Must never give a journal up while it can be read, or for trouble that passes.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import structlog

from exporter.backoff import Backoff
from exporter.errors import JournalError
from exporter.journal import files
from exporter.journal.damage import remedy
from exporter.journal.store import Journal
from exporter.metrics.exposition import Front


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from exporter.changes.batch import Series
    from exporter.metrics.exposition import Exposition
    from exporter.metrics.health import Health


log = structlog.get_logger()

_RETRY = Backoff(first=0.2, factor=2.0, cap=2.0, jitter=0.2)


class Running(Protocol):
    """What is built on a journal; see `exporter.app.Exporter`."""

    exposition: Exposition

    def waiting(self) -> list[str]:
        """Name what keeps it from being ready."""

    def totals(self) -> dict[Series, float]:
        """Give the totals of all counters as they are now."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop, or until the journal's files are damaged."""


class Supervisor:
    """Runs one exporter after the other, on one journal after the other; nearly always it is one.

    Attributes:
        front: what the web server shows

    Args:
        data_dir: of the journal; None keeps it in memory
        size: tells what the journal's files may take, bytes
        cluster_uid: whose changes it holds
        health: the exporter's own metrics, which outlive what is built
        build: makes the exporter on a journal

    """

    def __init__(
        self,
        data_dir: Path | None,
        size: Callable[[], int],
        cluster_uid: str,
        health: Health,
        build: Callable[[Journal], Awaitable[Running]],
    ) -> None:
        self._data_dir = data_dir
        self._size = size
        self._cluster_uid = cluster_uid
        self._health = health
        self._build = build
        self._running: Running | None = None
        self._going_on = False
        self._told = ""
        self._ending = asyncio.Event()
        self._asked: list[asyncio.Future[None]] = []
        self.front = Front()

    def waiting(self) -> list[str]:
        """Name what keeps the exporter from being ready. What is built anew never does, once it was."""
        if self._running is None:
            return ["the journal"]
        waiting = self._running.waiting()
        if not waiting and not self._ending.is_set():
            self._going_on = False
        return [] if self._going_on else waiting

    async def rebuild(self) -> None:
        """End what runs, in order, and build it anew on the same journal; returns once that is done.

        Cancelled where the program ends before.
        """
        built = asyncio.get_running_loop().create_future()
        self._asked.append(built)
        self._stay_ready()
        self._ending.set()
        await built

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop.

        Raises:
            JournalError: the journal cannot be opened at the start

        """
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: self._end())
        journal: Journal | None = self._open()
        try:
            while journal is not None:
                journal = await self._once(journal, stop)
                if stop.is_set() and journal is not None:
                    journal.close()
                    journal = None
        finally:
            stopped.cancel()
            for one in self._asked:
                one.cancel()

    async def _once(self, journal: Journal, stop: asyncio.Event) -> Journal | None:
        """Build and run once; gives the journal for the next time, None after the last."""
        self._ending = asyncio.Event()
        if stop.is_set():
            self._end()
        asked, self._asked = self._asked, []
        self._clear_gauges()
        try:
            try:
                running = await self._build(journal)
            except BaseException:
                self._asked += asked
                raise
            journal.care.anew()
            self._health.journal_degraded.set_function(_degraded(journal))
            self.front.show(running.exposition)
            self._running = running
            for one in asked:
                if not one.done():
                    one.set_result(None)
            await running.run(self._ending)
        except (sqlite3.Error, JournalError) as error:
            if journal.care.notice(error):
                return await self._recover(journal, stop)
            if self._running is None:
                journal.close()
                msg = f"cannot use the journal {journal.path}: {error}; {remedy(error)}"
                raise JournalError(msg) from error
            self._health.journal_degraded.set_function(lambda: 1.0)
            await self._pause(stop, 3, error)
        except BaseException:
            journal.close()
            raise
        return await self._resized(journal, stop)

    def _end(self) -> None:
        """End for good: readiness goes."""
        self._going_on = False
        self._ending.set()

    def _stay_ready(self) -> None:
        """Who was ready does not cease to be for what is built anew."""
        self._going_on = self._going_on or (self._running is not None and not self._running.waiting())

    def _clear_gauges(self) -> None:
        """Forget what was said of single types, outputs and directories: those that are still there say it again."""
        health = self._health
        for gauge in (
            health.watch_synced, health.watch_degraded, health.watch_last_event,
            health.delivery_backlog, health.delivery_oldest, health.drift_declared_problems,
        ):  # fmt: skip
            gauge.clear()
        health.drift_declared.set(0)

    async def _resized(self, journal: Journal, stop: asyncio.Event) -> Journal | None:
        """Give the journal within the size that holds now; None when told to stop before."""
        if journal.path is None or journal.limits.size == self._size() or stop.is_set():
            return journal
        journal.close()
        return await self._open_again(stop, self._open)

    def _open(self, reset: files.Reset | None = None) -> Journal:
        """Open the journal, and tell of one that was begun anew."""
        journal = Journal.open(self._data_dir, size=self._size())
        try:
            journal.bind(self._cluster_uid)
            reset = reset or journal.reset
            if reset is not None and self._running is not None:
                journal.save_totals(self._running.totals())
        except BaseException:
            journal.close()
            raise
        if reset is not None:
            self._tell(reset)
        return journal

    def _tell(self, reset: files.Reset) -> None:
        """Count what was lost, and say where it is."""
        self._health.journal_resets.labels(reset.reason).inc()
        self._health.gaps.inc()
        self._health.journal_copies_removed.inc(reset.removed)
        for consumer, count in reset.undelivered.items():
            self._health.delivery_dropped.labels(consumer, "reset").inc(count)
        log.warning(
            "the journal could not be used and was begun anew; what exists now is taken in without a word",
            reason=reset.reason, moved_to=str(reset.copy or ""), undelivered=sum(reset.undelivered.values()),
            remedy=_REMEDIES.get(reset.reason, ""),
        )  # fmt: skip

    # -- going on ---------------------------------------------------------------------------------------------

    async def _recover(self, journal: Journal, stop: asyncio.Event) -> Journal | None:
        """Get a journal again after damage; None when told to stop before."""
        damage, path = journal.care.damage, journal.path
        assert damage is not None  # noqa: S101 - that is why we are here
        if path is None:
            journal.close()
            raise damage
        log.warning("the journal cannot be used as it is, going on without a restart", reason=str(damage))
        self._stay_ready()
        self._ending.set()
        self._clear_gauges()
        self._health.journal_degraded.set_function(lambda: 1.0)
        saved = await self._rescue(journal, stop, patient=damage.reason == "moved")
        with suppress(sqlite3.Error):
            journal.close()
        reset, moved = None, False

        def put() -> Journal:
            nonlocal reset, moved
            if not moved and saved is not None:
                self._tell_rescued(files.put_back(saved, path, journal.limits))
            elif not moved:
                reset = files.set_aside(path, "corrupt", journal.limits)
            moved = True
            return self._open(reset)

        return await self._open_again(stop, put)

    async def _open_again(self, stop: asyncio.Event, work: Callable[[], Journal]) -> Journal | None:
        """Try to open a journal until it succeeds; None when told to stop before."""
        failures = 0
        while not stop.is_set():
            try:
                found = work()
            except (sqlite3.Error, JournalError, OSError) as error:
                failures += 1
                await self._pause(stop, failures, error)
            else:
                self._told = ""
                return found
        return None

    async def _rescue(self, journal: Journal, stop: asyncio.Event, *, patient: bool) -> Path | None:
        """Write what is still whole to a file; wait until there is room for it where nothing else holds it any more."""
        failures = 0
        while not stop.is_set():
            try:
                return await journal.care.rescue()
            except (sqlite3.Error, OSError) as error:
                if not patient:
                    break
                failures += 1
                await self._pause(stop, failures, error)
        return None

    def _tell_rescued(self, aside: files.Reset) -> None:
        self._health.journal_rescues.inc()
        self._health.journal_copies_removed.inc(aside.removed)
        log.warning("the journal was whole in memory and was written anew", moved_to=str(aside.copy or ""))

    async def _pause(self, stop: asyncio.Event, failures: int, error: Exception) -> None:
        """Wait before the next attempt, unless told to stop; say why, once for each reason."""
        if self._told != str(error):
            self._told = str(error)
            log.warning("the journal cannot be made again yet, trying on", error=str(error), remedy=remedy(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _RETRY.delay(failures, random.random()))  # noqa: S311 - jitter


_REMEDIES = {
    "corrupt": "look into the copy with sqlite3 if the history matters, else delete it; see whether the disk is sound",
    "newer": "with the newer version, put the copy back as journal.db while nothing runs; else delete it",
    "empty": "see what has emptied the file",
}


def _degraded(journal: Journal) -> Callable[[], float]:
    return lambda: float(journal.care.degraded)
