"""A watch: one open stream, from what was there, or was missed, to its end.

Must never hold up a write: what a client does not read waits, up to a limit.
"""

from __future__ import annotations

import asyncio
import gzip
from collections import deque
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiohttp import web

    from exporter.sandbox.apiserver.faults import Faults
    from exporter.sandbox.apiserver.hub import Hub, Watched
    from exporter.sandbox.apiserver.log import Event
    from exporter.sandbox.apiserver.options import ListOptions

Object = dict[str, Any]

_CHUNK = 64 * 1024
# As upstream ends a watcher that does not read; then its client resumes.
_MOST_WAITING = 100_000
_BEFORE_END_SECONDS = 2.0


class Stream:
    """One watch. Made where its beginning is known; nothing is told twice or left out from then on.

    Args:
        hub: tells of writes
        watched: what it is of
        options: how it was asked for
        faults: what goes wrong
        seconds: that it lasts

    Raises:
        Refused: the version is forgotten

    """

    def __init__(self, hub: Hub, watched: Watched, options: ListOptions, faults: Faults, seconds: float) -> None:
        self.watched = watched
        self._hub = hub
        self._faults = faults
        self._bookmarks = options.bookmarks
        self._seconds = seconds
        self._ends_initial = options.ends_initial and options.bookmarks
        self._waiting: deque[bytes] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._finished = self._gzip = False
        self._sent = 0
        # Who names no version, or any, is content with now.
        self._after = options.version or hub.store.version
        self._initial: list[Object] = []
        self._missed: list[Event] = []
        if options.initial:
            self._after = hub.store.version
            self._initial = hub.store.list(watched.kind, watched.namespace or None)
        elif self._after < hub.store.version:
            self._missed = hub.store.events(watched.kind, self._after)
        hub.enter(self)

    def tell(self, event: Event) -> None:
        """Take in a write; what is before the beginning is not told, even where that is still to come."""
        if event.version <= self._after or self._finished:
            return
        turned = self.watched.turn(event)
        if turned is not None:
            self._put(self._hub.line(event, turned, self.watched.view))
            if len(self._waiting) > _MOST_WAITING:
                self.abort()

    def finish(self) -> None:
        """End after what waits."""
        self._finished = True
        self._rouse()

    def abort(self) -> None:
        """Break the connection."""
        self._finished = True
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()
        self._rouse()

    async def run(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Send until the time is over, the client is gone or the stream is ended.

        Raises:
            ConnectionError: the client is gone, or a fault made it so

        """
        self._transport = request.transport
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(self._seconds, self.finish)]
        if self._bookmarks:
            if self._seconds > _BEFORE_END_SECONDS:
                timers.append(loop.call_later(self._seconds - _BEFORE_END_SECONDS, self._bookmark))
            self._beat = loop.call_later(self._hub.bookmark_seconds, self._bookmark_again)
        try:
            accepts = "gzip" in request.headers.get("Accept-Encoding", "")
            self._gzip = accepts and self._faults.take("gzip", self.watched.resource) is not None
            if self._gzip:
                response.headers["Content-Encoding"] = "gzip"
            await response.prepare(request)
            await self._send(response, self._beginning())
            while True:
                while self._waiting:
                    await self._send(response, self._taken())
                if self._finished:
                    return
                self._wake = loop.create_future()
                await self._wake
        finally:
            self._hub.leave(self)
            for timer in (*timers, self._beat):
                if timer is not None:
                    timer.cancel()

    # -- what is to be sent -----------------------------------------------------------------------------------

    def _beginning(self) -> Iterator[bytes]:
        view, selection = self.watched.view, self.watched.selection
        for obj in self._initial:
            if not selection or selection.accepts(obj):
                yield view.event("ADDED", obj)
        if self._ends_initial and self._faults.take("no_end", self.watched.resource) is None:
            yield view.bookmark(self._after, ends_list=True)
        for event in self._missed:
            turned = self.watched.turn(event)
            if turned is not None:
                yield self._hub.line(event, turned, view)
        self._initial, self._missed = [], []

    def _taken(self) -> Iterator[bytes]:
        while self._waiting:
            yield self._waiting.popleft()

    def _put(self, line: bytes) -> None:
        self._waiting.append(line)
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _bookmark(self) -> None:
        # A server that has not come as far as its client says nothing.
        version = self._hub.store.version
        if version >= self._after:
            self._put(self.watched.view.bookmark(version))

    def _bookmark_again(self) -> None:
        self._bookmark()
        self._beat = asyncio.get_running_loop().call_later(self._hub.bookmark_seconds, self._bookmark_again)

    # -- sending ----------------------------------------------------------------------------------------------

    async def _send(self, response: web.StreamResponse, lines: Iterable[bytes]) -> None:
        """Send lines, many at once where nothing is to go wrong."""
        batch: list[bytes] = []
        size = 0
        for line in lines:
            if self._faults.concerns(self.watched.resource):
                await self._write(response, b"".join(batch))
                batch, size = [], 0
                await self._spoil(response, line)
            else:
                batch.append(line)
                size += len(line)
            self._sent += 1
            if size >= _CHUNK:
                await self._write(response, b"".join(batch))
                batch, size = [], 0
        await self._write(response, b"".join(batch))

    async def _spoil(self, response: web.StreamResponse, line: bytes) -> None:
        """Send a line with all that goes wrong."""
        take, resource, sent = self._faults.take, self.watched.resource, self._sent
        if (stall := take("stall", resource, sent=sent)) is not None:
            await stall.lifted.wait()
        if take("cut", resource, sent=sent) is not None:
            await self._write(response, line[: len(line) // 2])
            self.abort()
            raise ConnectionResetError("cut by a switch")
        if (garbage := take("garbage", resource, sent=sent)) is not None:
            await self._write(response, garbage.content + b"\n")
        if (dribble := take("dribble", resource, sent=sent)) is not None:
            for start in range(0, len(line), dribble.size):
                await self._write(response, line[start : start + dribble.size])
                await asyncio.sleep(0)
        else:
            await self._write(response, line)

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        if data:
            await response.write(gzip.compress(data, 1) if self._gzip else data)
