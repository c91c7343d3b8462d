"""THE loop: cursor → batch → send → verdict → advance. Nothing else moves a cursor.

One `Delivery` for each consumer, so none holds up another. It knows neither where changes are kept nor how they are
sent: see the protocols. What it promises:

* each change that matters to the consumer is sent at least once, in order, also over a restart;
* where the other side says that a batch itself is at fault (`Poison`), it is made smaller until the one bad change is
  found, and that one is put aside alone;
* everything else is tried again for ever, ever more slowly;
* what will never arrive is counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Protocol

from exporter.backoff import Backoff
from exporter.delivery_report import Report
from exporter.timestamps import to_nanoseconds
from exporter.verdicts import Done, Misconfigured, Poison, Retry, Verdict


if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from exporter.metrics.health import Health
    from exporter.records import Record


BATCH = 512
_NORMAL = Backoff(cap=30.0, jitter=0.2)
_SLOW = Backoff(first=5.0, cap=60.0, jitter=0.2)
_TICK = 5.0  # seconds: no gauge is older than this while we wait


class Journal(Protocol):
    """What the loop needs of the journal; see `exporter.journal.store.Journal`."""

    def head(self) -> int:
        """Give the number of the newest change."""

    def after(self, seq: int, limit: int) -> list[tuple[int, Record]]:
        """Give at most `limit` changes that follow `seq`."""

    async def wait(self, seq: int) -> None:
        """Return as soon as there is a change after `seq`."""

    def cursor(self, consumer: str) -> int:
        """Tell how far a consumer has read."""

    def advance(self, consumer: str, seq: int, *, buried: Sequence[tuple[int, str]] = ()) -> None:
        """Move a consumer's cursor and put aside what the other side will never take."""


class Consumer(Protocol):
    """One output."""

    @property
    def name(self) -> str:
        """Its identity: to it its cursor belongs, and it is the label of its metrics."""

    def matters(self, record: Record) -> bool:
        """Tell whether a change, or what was concluded from some, is to be sent."""

    async def send(self, records: Sequence[Record]) -> Verdict:
        """Send a batch, once, in bounded time."""

    async def close(self) -> None:
        """Close connections."""


class Delivery:
    """Delivers the journal's changes to one consumer: a new one gets those that are committed after this was made.

    Args:
        journal: to read from
        consumer: to send to; closed at the end
        health: to count in
        batch: changes in one request, at most
        drain: seconds to go on after `stop`, at most
        sleep: waits for seconds
        clock: nanoseconds since the Unix epoch
        draw: a random number in [0, 1)

    """

    def __init__(
        self,
        journal: Journal,
        consumer: Consumer,
        health: Health,
        *,
        batch: int = BATCH,
        drain: float = 5.0,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
        clock: Callable[[], int] = time.time_ns,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._consumer = consumer
        self._name = consumer.name
        self._batch = batch
        self._drain = drain
        self._sleep = sleep
        self._draw = draw
        self._report = Report(self._name, health, clock)
        self._stopping = asyncio.Event()
        self._limit = batch
        self._failures = 0
        # Until the other side has taken anything, that it refuses a change is no proof against the change: those are
        # held, with how far was read behind the cursor, until another one is taken.
        self._proven = False
        self._held: list[tuple[int, str]] = []
        self._read = 0
        journal.cursor(self._name)

    def stop(self) -> None:
        """Ask `run` to end: what can still be delivered in a few seconds is, the rest stays in the journal."""
        self._stopping.set()

    async def run(self) -> None:
        """Deliver until `stop` is called."""
        worker = asyncio.create_task(self._work(), name=f"delivery {self._name}")
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({worker, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({worker}, timeout=self._drain)
        finally:
            for task in (worker, stopping):
                task.cancel()
            await asyncio.wait({worker, stopping})
            await self._consumer.close()
        if not worker.cancelled():
            worker.result()
        self._report.stopped(self._backlog())

    async def _work(self) -> None:
        """Go on until there was no progress in a step that began after `stop` was called."""
        while True:
            last = self._stopping.is_set()
            try:
                progress = await self._step()
            except Exception as error:  # noqa: BLE001 - the journal's trouble, as a full disk; the batch is sent again
                progress = False
                self._report.bug(error)
                await self._back_off(Retry("journal", slow=True, message=repr(error)))
            if last and not progress:
                return

    async def _step(self) -> bool:
        """Make one request, or wait for something to send; tell whether there was progress.

        The cursor is read each time: the journal moves it, too, when it evicts what was not read.
        """
        cursor = self._journal.cursor(self._name)
        head = self._journal.head()
        rows = self._journal.after(max(cursor, self._read) if self._held else cursor, self._batch)
        if not rows and self._held:
            return await self._refused_everything()
        if not rows:
            if head > cursor:  # there were changes, but none of them is left
                self._journal.advance(self._name, head)
            self._report.backlog(0, None)
            await self._unless_stopped(self._journal.wait(head))
            return False

        upto = rows[-1][0]
        wanted = [row for row in rows if self._consumer.matters(row[1])]
        if not wanted:
            self._arrived(upto)
            await asyncio.sleep(0)  # a long row of heartbeats must not keep the event loop from others
            return True
        if len(wanted) > self._limit:
            wanted = wanted[: self._limit]
            upto = wanted[-1][0]
        if not self._held:
            self._report.backlog(head - cursor, to_nanoseconds(wanted[0][1].observed))
        verdict = await self._send([change for _, change in wanted])
        return await self._judge([seq for seq, _ in wanted], upto, verdict)

    async def _send(self, records: Sequence[Record]) -> Verdict:
        try:
            return await self._consumer.send(records)
        except Exception as error:  # noqa: BLE001 - a bug in one output must not end the others
            self._report.bug(error)
            return Retry("internal_error", slow=True, message=repr(error))

    async def _judge(self, seqs: Sequence[int], upto: int, verdict: Verdict) -> bool:
        """Do what a verdict on the changes with these numbers asks for; tell whether there was progress."""
        match verdict:
            case Done():
                self._proven = True
                self._failures = 0
                self._limit = min(self._batch, self._limit * 2)
                counted = self._journal.cursor(self._name)  # what was evicted meanwhile is counted as dropped already
                self._arrived(upto)
                sent = sum(seq > counted for seq in seqs)
                self._report.done(sent, verdict.rejected, verdict.message, verdict.warning)
            case Poison():
                self._report.failed(verdict.reason)
                if len(seqs) > 1:
                    self._limit = len(seqs) // 2
                    return True
                self._held.append((seqs[0], verdict.reason))
                if not self._proven and len(self._held) >= self._batch:
                    return await self._refused_everything()
                self._arrived(upto)
            case Retry() | Misconfigured():
                self._report.failed(verdict.reason)
                await self._back_off(verdict)
                return False
        return True

    async def _refused_everything(self) -> bool:
        """Keep the changes after all: of an endpoint that has never taken one, the address is the likelier culprit."""
        reason = self._held[0][1]
        self._held.clear()
        self._limit = self._batch
        message = f"it has refused every change so far ({reason}): check that address, scheme and port are right"
        await self._back_off(Misconfigured(reason.partition(" ")[0], message))
        return False

    def _arrived(self, upto: int) -> None:
        """Move the cursor, and bury what was refused on the way, in one transaction."""
        self._read = upto
        if self._held and not self._proven:
            return
        evicted = self._journal.cursor(self._name)
        buried = [(seq, reason) for seq, reason in self._held if seq > evicted]
        self._journal.advance(self._name, max(upto, evicted), buried=buried)
        for _, reason in buried:
            self._report.buried(reason)
        self._held.clear()

    async def _back_off(self, verdict: Retry | Misconfigured) -> None:
        """Wait before the next attempt, unless we are asked to stop."""
        self._failures += 1
        asked, slow = (verdict.after or 0.0, verdict.slow) if isinstance(verdict, Retry) else (0.0, True)
        seconds = (_SLOW if slow else _NORMAL).delay(self._failures, self._draw(), at_least=asked)
        self._report.failing(verdict.reason, verdict.message, lasting=isinstance(verdict, Misconfigured))
        while seconds > 0 and not self._stopping.is_set():
            await self._unless_stopped(self._sleep(min(seconds, _TICK)))
            seconds -= _TICK
            self._report.backlog(self._backlog())

    def _backlog(self) -> int:
        return max(0, self._journal.head() - self._journal.cursor(self._name))

    async def _unless_stopped(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for something, or for `stop`."""
        tasks = {asyncio.create_task(waiting), asyncio.create_task(self._stopping.wait())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()
