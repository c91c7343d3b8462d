"""The web server: what listens, on which address, and by which certificate.

The pages are in `exporter.web.pages`, and who may see them is decided at the door (`exporter.web.door`). Must never
turn anybody away, or end a connection, because a certificate is changed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from msgspec import Struct

from exporter.errors import ListenError, UsageError
from exporter.web import handshakes
from exporter.web.connection import IDLE_SECONDS, Connection
from exporter.web.pages import application, mark


if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from exporter.metrics.exposition import Exposition
    from exporter.web.door import Door
    from exporter.web.pages import Reload
    from exporter.web.source import Loaded


_FLAG = "--web.listen-address"
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65_535
# What is still being read when the program ends is broken off: a slow scraper must not keep it alive.
_SHUTDOWN_SECONDS = 1.0
_BACKLOG = 128


class Address(Struct, frozen=True):
    """Where the server listens; as text, what to put behind `http://`."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as a browser on this machine takes it."""
        host = "localhost" if self.host in {"", "::", "0.0.0.0"} else self.host  # noqa: S104 - compared, not bound
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


class Listener:
    """The address, and what new connections to it are encrypted by.

    Attributes:
        address: that was bound

    Args:
        runner: of the application
        bound: the socket that keeps the address, however often what listens on it is another
        door: is told of every change
        idle: seconds until a connection is closed that has not brought a whole request

    """

    def __init__(self, runner: web.AppRunner, bound: socket.socket, door: Door, idle: float) -> None:
        self._runner = runner
        self._bound = bound
        self._door = door
        self._idle = idle
        self._listening: asyncio.Server | None = None
        host, port = bound.getsockname()[:2]
        self.address = Address(host, port)

    @property
    def url(self) -> str:
        """How a browser on this machine reaches it, without a slash at the end."""
        return f"{'http' if self._door.context is None else 'https'}://{self.address}"

    async def start(self) -> None:
        """Listen."""
        self._listening = await self._listen(self._door.context)

    def stop(self) -> None:
        """Listen no longer; open connections stay."""
        if self._listening is not None:
            self._listening.close()

    async def change(self, loaded: Loaded) -> None:
        """Serve by another web configuration from now on; open connections stay.

        Raises:
            ListenError: it cannot be listened anew, and everything is as it was

        """
        try:
            listening = await self._listen(loaded.context)
        except OSError as error:
            msg = f"cannot listen on {self.address} anew: {error.strerror}; it goes on as before"
            raise ListenError(msg) from error
        self._door.change(loaded)
        # uvloop hands over a connection as it accepts it; asyncio's own loop would lose one that it is just accepting.
        self.stop()
        self._listening = listening

    async def _listen(self, context: ssl.SSLContext | None) -> asyncio.Server:
        """Listen beside whatever listens already: nobody who connects meanwhile is turned away."""
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None  # noqa: S101 - it was set up before

        def connection() -> Connection:
            return Connection(server, self._malformed, loop=loop, idle=self._idle)

        if context is not None:
            handshakes.count(context, self._door.failed)
        own = self._bound.dup()
        try:
            return await loop.create_server(connection, sock=own, ssl=context, backlog=_BACKLOG)
        except BaseException:
            own.close()
            raise

    def _malformed(self) -> web.Response:
        response = self._door.refuse("malformed")
        mark(response, self._door)
        return response


@asynccontextmanager
async def serve(
    listen_address: str,
    exposition: Exposition,
    ready: Callable[[], list[str]],
    door: Door,
    reload: Reload | None = None,
    *,
    idle: float = IDLE_SECONDS,
) -> AsyncIterator[Listener]:
    """Serve until the block is left; gives what listens.

    Args:
        listen_address: `host:port`; without a host every interface, with port 0 a free port
        exposition: makes the page for /metrics
        ready: names the types that are not yet synced
        door: says who is answered, and what connections are encrypted by
        reload: reads the configuration again, or raises `ExporterError`; None refuses to
        idle: seconds until a connection is closed that has not brought a whole request

    Raises:
        UsageError: the address is none
        ListenError: it cannot be bound

    """
    bound = _bind(listen_address)
    bound.settimeout(0.0)  # not blocking: it is so for all duplicates at once, or for none
    runner = web.AppRunner(
        application(exposition, ready, door, reload), handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    listener = Listener(runner, bound, door, idle)
    try:
        await runner.setup()
        await listener.start()
        yield listener
    finally:
        listener.stop()
        await runner.cleanup()
        bound.close()


def _bind(listen_address: str) -> socket.socket:
    wrong = f"{listen_address!r} is no address to listen on: write {_FLAG} host:port, such as :9838 or [::1]:9838"
    found = _ADDRESS.fullmatch(listen_address)
    if not found or int(found["port"]) > _MAX_PORT:
        raise UsageError(wrong)
    host, port = found["v6"] or found["host"] or "", int(found["port"])
    try:
        return _bind_host(host, port) if host else _bind_all(port)
    except OSError as error:
        msg = f"cannot listen on {listen_address}: {_reason(error, port)}"
        raise ListenError(msg) from error
    except UnicodeError as error:  # a name that DNS has no form for, such as one with an empty label
        raise UsageError(wrong) from error


def _bind_all(port: int) -> socket.socket:
    """Bind every interface, IPv6 and IPv4 by one socket; IPv4 alone where the kernel has no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                raise
    return socket.create_server(("", port))


def _bind_host(host: str, port: int) -> socket.socket:
    family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(place[:2], family=family)


def _reason(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another program has the port; stop it, or choose another with {_FLAG} :{port % _MAX_PORT + 1}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"not permitted; choose a port above 1023 with {_FLAG} :9838"
    if isinstance(error, socket.gaierror):
        return f"the host is not known here; write an address of this machine, or {_FLAG} :{port} for every one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"no interface here has that address; write {_FLAG} :{port} for every one"
    text = os.strerror(error.errno) if error.errno else str(error)
    return f"{text}; choose another address with {_FLAG} host:port"
