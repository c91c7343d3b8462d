"""A loopback port in front of another, which passes bytes on until it is told to do something worse.

It knows no protocol, so one and the same fault hits HTTP, gRPC and TLS. Everything runs in the event loop in which it
was started. Must never change a byte.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

from tests.servers.process import free_port


_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST and not FIN
_PIECE = 65_536


class Front:
    """The port. Connections are refused until `up`.

    Attributes:
        port: where clients connect
        target: the port behind; a change counts for connections that are made from then on
        hanging: new connections are accepted, and that is all

    """

    def __init__(self) -> None:
        """Choose the port; nothing listens yet."""
        self.port = free_port()
        self.target = 0
        self.hanging = False
        self._listener: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def up(self) -> None:
        """Accept connections."""
        self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def down(self) -> None:
        """Refuse connections, and reset those that are open."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        self.cut()

    def hang(self) -> None:
        """Accept connections and pass nothing on; what is open now stays open and silent for ever."""
        self.hanging = True
        for silent in self._open.values():
            silent.set()

    def go_on(self) -> None:
        """Pass on what comes over new connections."""
        self.hanging = False

    def cut(self) -> None:
        """Reset every connection that is open."""
        for writer in [*self._open]:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def close(self) -> None:
        """End everything."""
        await self.down()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # In a task of our own: the streams module complains of one of its own that is cancelled.
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = self._open[writer] = asyncio.Event()
        behind: asyncio.StreamWriter | None = None
        try:
            with suppress(OSError):
                if self._listener is None:
                    return  # it was accepted a moment before `down`, which did not know of it
                if self.hanging:
                    silent.set()
                    await _until_it_ends(reader)
                    return
                behind_reader, behind = await asyncio.open_connection("127.0.0.1", self.target)
                ways = {
                    asyncio.create_task(_pass_on(reader, behind, silent)),
                    asyncio.create_task(_pass_on(behind_reader, writer, silent)),
                }
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        finally:
            del self._open[writer]
            for end in (writer, behind):
                if end is not None:
                    end.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: asyncio.Event) -> None:
    """Pass on until one side ends; a silent connection still notices that its client has gone."""
    while piece := await reader.read(_PIECE):
        if not silent.is_set():
            writer.write(piece)
            await writer.drain()


async def _until_it_ends(reader: asyncio.StreamReader) -> None:
    while await reader.read(_PIECE):
        pass
