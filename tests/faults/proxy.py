"""A loopback proxy with TLS on both sides that spoils the way between a client and a cluster when a test says so.

    with Proxy(cluster, directory) as proxy:
        …  # give proxy.kubeconfig to a client
        proxy.cut()

It runs in a thread with an event loop of its own, and a command has taken effect when it returns. Bytes are passed on
as they are, compressed or not, each piece as it arrives. Must never hide what goes wrong in it or in what a test gave
it to call: the end of the block raises that.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from tests.faults.loops import end_all
from tests.faults.passing import POLL_SECONDS, RESET, Asked, Instead, Passing, Planned, is_list, is_watch
from tests.servers.identity import Authority, write_kubeconfig
from tests.servers.process import free_port


if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from tests.faults.passing import Change, When
    from tests.servers.launch import Cluster

__all__ = ["Asked", "Instead", "Proxy", "is_list", "is_watch"]

_COMMAND_SECONDS = 30.0


def _any(_: Asked) -> bool:
    return True


class Proxy:
    """Between one client or several and a cluster.

    Whoever sends no `Authorization` of his own comes to the cluster as its admin. A connection that the server breaks,
    or that it does not take, is reset towards the client.

    Attributes:
        url: of the proxy; the port stays over `down` and `up`
        ca_file: the authority of its certificate, which is not the cluster's
        kubeconfig: for the admin, through the proxy

    """

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        """Make certificates and a kubeconfig in `directory`; nothing listens before `with`."""
        directory.mkdir(parents=True, exist_ok=True)
        authority = Authority(directory / "proxy-identity")
        self._cluster = cluster
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(*authority.issue_server("proxy"))
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self.ca_file = authority.file
        self.kubeconfig = write_kubeconfig(directory / "proxy.kubeconfig", self.url, self.ca_file, {})

        self._sockets: set[socket.socket] = set()
        self._greetings: set[asyncio.Task[None]] = set()
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Reset what is open, and end; raises what went wrong in the block and could not be told."""
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._passing.errors and kind is None:
            raise self._passing.errors[0]

    # -- what a test can do -----------------------------------------------------------------------------------

    @property
    def asked(self) -> list[Asked]:
        """All requests so far, in the order of their arrival."""
        return list(self._passing.asked)

    @property
    def answered(self) -> list[Asked]:
        """The requests to which the server has begun to answer; what a list holds is settled by then."""
        return list(self._passing.answered)

    def cut(self) -> None:
        """Reset (RST) every connection that is open now; new ones work."""
        self._do(self._cut())

    def down(self) -> None:
        """Refuse connections, and reset those that are open."""
        self._do(self._down())

    def up(self) -> None:
        """Accept connections again, on the same port."""
        self._do(self._up())

    def stall(self) -> None:
        """Pass nothing on in either direction; connections stay open, new ones are accepted and answered nothing."""
        self._do(self._stall())

    def go_on(self) -> None:
        """Pass on again, beginning with what has waited."""
        self._do(self._go_on())

    def dribble(self, size: int, seconds: float) -> None:
        """Pass answers on in pieces of `size` bytes, each followed by a pause; `dribble(0, 0.0)` ends it."""
        self._passing.pieces = (size, seconds)

    def instead(self, reply: Instead | None, times: int = 1, when: When = _any) -> None:
        """Answer the next so many matching requests in the server's place; None forgets what is still to come."""
        if reply is None:
            self._passing.planned = []
        else:
            self._passing.planned = [*self._passing.planned, Planned(reply, times, when)]

    def alter(self, change: Change | None, when: When = _any) -> None:
        """Put every further line of matching watches through a function; None ends it.

        Args:
            change: takes a line without its end and gives the lines to pass on, which may be none; None after the
                last of them resets the connection. Called in the proxy's thread.
            when: which watches; those that are open are meant too

        """
        self._passing.alteration = None if change is None else (change, when)

    # -- in the proxy's thread: connections -------------------------------------------------------------------

    def _do(self, command: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(command, self._loop).result(_COMMAND_SECONDS)

    async def _start(self) -> None:
        self._passing = Passing(self._cluster)
        self._server = web.Server(
            self._passing.handle, handler_cancellation=True, access_log=None, max_line_size=1 << 16
        )
        self._listener: socket.socket | None = None
        self._place = self._bound()
        await self._up()

    async def _stop(self) -> None:
        await self._down()
        await self._server.shutdown(1)
        await self._passing.close()
        self._place.close()
        await end_all()

    def _bound(self) -> socket.socket:
        """A socket that has the port but does not listen: connections are refused, and nobody else gets it."""
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setblocking(False)
        bound.bind(("127.0.0.1", self._port))
        return bound

    async def _up(self) -> None:
        if self._listener is None:
            self._listener = self._place
            self._listener.listen(128)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _down(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            self._place = self._bound()
        await self._cut()

    async def _stall(self) -> None:
        self._passing.going.clear()

    async def _go_on(self) -> None:
        self._passing.going.set()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the client has gone again
            connection, _ = listener.accept()
            connection.setblocking(False)
            self._sockets = {one for one in self._sockets if one.fileno() != -1} | {connection}
            greeting = self._loop.create_task(self._greet(connection))
            self._greetings.add(greeting)
            greeting.add_done_callback(self._greetings.discard)

    async def _greet(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client does not like the certificate, or has gone
            await self._loop.connect_accepted_socket(self._server, connection, ssl=self._tls)

    async def _cut(self) -> None:
        doomed = list(self._sockets)
        for connection in doomed:
            with suppress(OSError):  # closed already
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                # Who is still at the handshake has no transport yet, but ends, by the same reset, for want of input.
                connection.shutdown(socket.SHUT_RD)
        for handler in self._server.connections:
            if handler.transport is not None:
                handler.transport.abort()
        while any(one.fileno() != -1 for one in doomed):  # noqa: ASYNC110 - asyncio closes them, untold
            await asyncio.sleep(POLL_SECONDS)
