"""A scripted HTTP server: answers what a test tells it to, faults included, and remembers what it was asked.

    async with serve() as server:
        server.on("/apis/a/v1/things", Reply(200, [b'{"type":', 0.1, ABORT]), Reply(410, [status]))
        …  # talk to server.url; server.requests holds what came

Replies for a path prefix are given in order, the last one again and again; the longest prefix wins. A reply is a
`Reply`, or a coroutine function that takes the request and gives one. Must never import an HTTP library, so that it
cannot share a mistake with the client under test.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit


if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence


class Step(Enum):
    """What a body can do beside sending bytes."""

    ABORT = "reset the connection"
    CLOSE = "close the connection, in order but too early"
    STALL = "send nothing more, and keep the connection open until the client or the server goes"


ABORT, CLOSE, STALL = Step.ABORT, Step.CLOSE, Step.STALL


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        status: of HTTP
        body: in order: bytes to send as one chunk, seconds to wait, an event to wait for, or a `Step`
        headers: beside Transfer-Encoding, which is always chunked

    """

    status: int = 200
    body: Sequence[bytes | float | asyncio.Event | Step] = ()
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; the names of `headers` are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


Answer = Reply | Callable[[Request], Awaitable[Reply]]


class Server:
    """The server; made by `serve`."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.requests: list[Request] = []
        self.connections = 0
        self._scripts: dict[str, list[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Condition()

    @property
    def kubeconfig(self) -> str:
        """The text of a kubeconfig that leads here."""
        return json.dumps(
            {
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
            }
        )

    def on(self, prefix: str, *answers: Answer) -> None:
        """Say what to answer below a path prefix, in place of what was said before."""
        self._scripts[prefix] = list(answers)

    def asked(self, prefix: str) -> list[Request]:
        """Give the requests below a path prefix."""
        return [request for request in self.requests if request.path.startswith(prefix)]

    async def wait_for(self, count: int, prefix: str = "") -> list[Request]:
        """Wait until so many requests came below a path prefix."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.asked(prefix)) >= count)
        return self.asked(prefix)

    async def end(self) -> None:
        """Cut all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side goes."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip().split("\r\n")
        method, target, _ = line.split(" ")
        address = urlsplit(target)
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in fields)}
        request = Request(method, address.path, dict(parse_qsl(address.query, keep_blank_values=True)), headers)
        async with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        reply = await self._answer(request)
        lines = [f"HTTP/1.1 {reply.status} scripted", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for item in reply.body:
            await writer.drain()
            if item == b"":
                continue  # an empty chunk would be the end
            if isinstance(item, bytes):
                writer.write(f"{len(item):x}\r\n".encode() + item + b"\r\n")
            elif isinstance(item, asyncio.Event):
                await item.wait()
            elif not isinstance(item, Step):
                await asyncio.sleep(item)
            elif item is STALL:
                await reader.read()  # until the client goes
                return False
            else:
                if item is ABORT:
                    writer.transport.abort()
                return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _answer(self, request: Request) -> Reply:
        prefixes = [prefix for prefix in self._scripts if request.path.startswith(prefix)]
        if not prefixes:
            return Reply(404, [b"nothing is scripted for this path"])
        script = self._scripts[max(prefixes, key=len)]
        answer = script.pop(0) if len(script) > 1 else script[0]
        return answer if isinstance(answer, Reply) else await answer(request)


@asynccontextmanager
async def serve(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Listen on a free port of 127.0.0.1, with TLS where a context is given, until the block ends."""
    server = Server()
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        listener.close()
        await server.end()
        await listener.wait_closed()
