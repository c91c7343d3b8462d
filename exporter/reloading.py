"""Reads a file again when it is asked for, and when its content has changed; what is bad leaves the old in force.

One `Reloading` for each file that can change while the program runs. It looks at what is in the file and never at its
time, so that a symlink that is moved, as Kubernetes mounts a ConfigMap, is a change as well. Must never take over what
could not be read as a whole, and never fail in silence: a log line, two metrics, and an error for who asked.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from exporter.errors import ExporterError, brief


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from prometheus_client import Gauge


log = structlog.get_logger()

# A change is taken over at the second look that finds the same content: the first may have met half a file.
LOOK_SECONDS = 2.0


class Source(Protocol):
    """What is read again; what it gives when this is made is in force."""

    @property
    def taken(self) -> bytes:
        """The fingerprint from before what is in force was read."""

    def fingerprint(self) -> bytes:
        """Give bytes that are others when the content is another; never fails. Called in a thread."""

    async def take(self) -> bool:
        """Read it, and put it into force; tells whether anything is other than before.

        Raises:
            ExporterError: it is bad, and everything is as it was

        """


class Reloading:
    """Keeps a file and what is in force the same.

    Args:
        what: the file, in the words of a log line
        source: reads it
        successful: 1 while the file as it was last read is in force
        succeeded: when that was last so, seconds since the Unix epoch
        look: seconds between two looks
        clock: the time, in seconds since the Unix epoch

    """

    def __init__(
        self,
        what: str,
        source: Source,
        successful: Gauge,
        succeeded: Gauge,
        *,
        look: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._what = what
        self._source = source
        self._successful = successful
        self._succeeded = succeeded
        self._look = look
        self._clock = clock
        self._turn = asyncio.Lock()
        self._taken = source.taken
        self._told = ""
        self._note_success()

    async def reload(self) -> None:
        """Read the file now.

        Raises:
            ExporterError: it is bad; what was in force still is

        """
        async with self._turn:
            self._told = ""
            await self._reload(await asyncio.to_thread(self._source.fingerprint))

    async def run(self) -> None:
        """Look at the file until cancelled."""
        before = self._taken
        while True:
            await asyncio.sleep(self._look)
            async with self._turn:
                found = await asyncio.to_thread(self._source.fingerprint)
                if found == before and found != self._taken:
                    with suppress(ExporterError):
                        await self._reload(found)
                before = found

    async def _reload(self, fingerprint: bytes) -> None:
        # Also where it is bad: it is read again when it is another, or when somebody asks.
        self._taken = fingerprint
        try:
            moved = await self._source.take()
        except ExporterError as error:
            self._note_failure(str(error))
            raise
        except Exception as error:
            text = f"{self._what} could not be put into force, by a bug: {brief(error)}; restart the program"
            self._note_failure(text)
            raise ExporterError(text) from error
        self._told = ""
        self._note_success()
        log.info("read again", what=self._what, changed=moved)

    def _note_failure(self, text: str) -> None:
        self._successful.set(0)
        if self._told != text:
            self._told = text
            log.warning("cannot be put into force, what was before stays", what=self._what, error=text)

    def _note_success(self) -> None:
        self._successful.set(1)
        self._succeeded.set(self._clock())


class Reloadings:
    """All that can be read again, for whoever asks without knowing what there is.

    Args:
        every: in this order

    """

    def __init__(self, *every: Reloading) -> None:
        self._all = every
        self._tasks: set[asyncio.Task[None]] = set()

    async def reload(self) -> None:
        """Read all of them; one that is bad does not keep the others.

        Raises:
            ExporterError: something is bad

        """
        bad = []
        for one in self._all:
            try:
                await one.reload()
            except ExporterError as error:
                bad.append(str(error))
        if bad:
            raise ExporterError("; ".join(bad))

    def ask(self) -> None:
        """Read all of them without waiting for it, as for a signal: what is bad is told in the log."""
        self._begin(self._quietly())

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the files until the block is left."""
        for one in self._all:
            self._begin(one.run())
        try:
            yield
        finally:
            for task in (tasks := list(self._tasks)):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _quietly(self) -> None:
        with suppress(ExporterError):
            await self.reload()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
