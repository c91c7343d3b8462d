"""What a proxy does with one request: pass it on as it is, or spoil it the way a test said.

Bytes are passed on as they are, compressed or not, each piece as it arrives. Runs in the proxy's event loop. Must
never hide what goes wrong in it or in what a test gave it to call: `errors` keeps it.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import aiohttp
import yaml
from aiohttp import web
from yarl import URL


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.launch import Cluster

    When = Callable[["Asked"], bool]
    Change = Callable[[bytes], list[bytes | None]]

CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.001
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST and not FIN
# What concerns one connection only, and what aiohttp would add of its own to a request.
_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Asked(NamedTuple):
    """One request as it arrived; `at` is in seconds of the monotonic clock."""

    at: float
    method: str
    path: str
    query: dict[str, str]


def is_watch(asked: Asked) -> bool:
    """Whether it asks for a watch, with or without the list at its beginning."""
    return asked.method == "GET" and asked.query.get("watch", "").lower() in {"1", "true"}


def is_list(asked: Asked) -> bool:
    """Whether it asks for a list of objects, or a page of one; a watch is none."""
    parts = asked.path.strip("/").split("/")
    rest = parts[{"api": 2, "apis": 3}.get(parts[0], len(parts)) :]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return asked.method == "GET" and len(rest) == 1 and not is_watch(asked)


@dataclass(frozen=True, slots=True)
class Instead:
    """An answer in the server's place; with `cut` the body has no end, and the connection is reset after it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(slots=True)
class Planned:
    """An answer in the server's place, so many times more."""

    reply: Instead
    times: int
    when: When


class Passing:
    """The requests of all connections.

    Attributes:
        asked: all of them, in the order of their arrival
        answered: those to which the server has given the head of an answer: what a list holds is settled by then
        planned: answers in the server's place; each is given so many times
        alteration: what changes the lines of which watches
        pieces: bytes in a piece of an answer, 0 for as they come, and the seconds after each
        errors: what went wrong and could not be told
        going: set while anything is passed on at all

    """

    def __init__(self, cluster: Cluster) -> None:
        """Open sessions to the cluster; nothing is asked yet."""
        user = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]
        trust, admin = (ssl.create_default_context(cafile=cluster.ca_file) for _ in range(2))
        admin.load_cert_chain(user["client-certificate"], user["client-key"])
        self._as_admin, self._as_sent = _session(admin), _session(trust)
        self._url = cluster.url
        self.asked: list[Asked] = []
        self.answered: list[Asked] = []
        self.planned: list[Planned] = []
        self.alteration: tuple[Change, When] | None = None
        self.pieces = (0, 0.0)
        self.errors: list[Exception] = []
        self.going = asyncio.Event()
        self.going.set()

    async def close(self) -> None:
        """Close the sessions."""
        await self._as_admin.close()
        await self._as_sent.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or reset its connection."""
        asked = Asked(time.monotonic(), request.method, request.path, dict(request.query))
        self.asked.append(asked)
        try:
            planned = next((one for one in self.planned if one.times > 0 and one.when(asked)), None)
            if planned is not None:
                planned.times -= 1
                return await self._answer(request, planned.reply)
            return await self._pass_on(request, asked)
        except (aiohttp.ClientError, OSError, TimeoutError):
            await self._reset(request)  # the server or the client is away
        except Exception as error:  # noqa: BLE001 - raised at the end of the block
            self.errors.append(error)
            await self._reset(request)

    async def _answer(self, request: web.BaseRequest, reply: Instead) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers={"Content-Type": "application/json"} | reply.headers)
        if not reply.cut:
            response.content_length = len(reply.body)
        await self.going.wait()
        await response.prepare(request)
        await self._send(response, reply.body)
        if reply.cut:
            await self._flush_and_reset(request)
        return response

    async def _pass_on(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        body = await request.content.read()
        await self.going.wait()
        async with (self._as_sent if "Authorization" in request.headers else self._as_admin).request(
            request.method,
            URL(self._url + request.raw_path, encoded=True),
            headers=[(name, value) for name, value in request.headers.items() if name.lower() not in _HOP],
            data=body or None,
            skip_auto_headers=_ADDED,
            allow_redirects=False,
        ) as answer:
            self.answered.append(asked)
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            response.headers.extend((name, value) for name, value in answer.headers.items() if name.lower() not in _HOP)
            await self.going.wait()
            await response.prepare(request)
            lines = _Lines()
            async for chunk in answer.content.iter_any():
                await self.going.wait()
                for piece in lines.through(chunk, self._change(asked)):
                    if piece is None:
                        await self._flush_and_reset(request)
                    await self._send(response, piece)
            await self._send(response, lines.held)
            await self.going.wait()
            await response.write_eof()
        return response

    def _change(self, asked: Asked) -> Change | None:
        if self.alteration is None or not is_watch(asked):
            return None
        change, when = self.alteration
        return change if when(asked) else None

    async def _send(self, response: web.StreamResponse, data: bytes) -> None:
        while data:
            await self.going.wait()
            size, seconds = self.pieces
            await response.write(data[: size or None])
            data = data[size:] if size else b""
            if size:
                await asyncio.sleep(seconds)

    async def _flush_and_reset(self, request: web.BaseRequest) -> NoReturn:
        """Reset once the client's side has taken everything: what waits here would go with the connection."""
        if request.transport is not None:
            waiting = request.transport._ssl_protocol._transport  # type: ignore[attr-defined]
            connection = request.transport.get_extra_info("socket")
            # Where the client has ended it, asyncio closes the socket a moment before it tells us.
            while waiting and (waiting.get_write_buffer_size() or _unsent(connection)):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(POLL_SECONDS)
        await self._reset(request)

    async def _reset(self, request: web.BaseRequest) -> NoReturn:
        if request.transport is not None:
            connection = request.transport.get_extra_info("socket")
            if connection is not None:
                with suppress(OSError):  # closed already
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            request.transport.abort()
        raise asyncio.CancelledError  # there is nobody left to answer


class _Lines:
    """The lines of one watch, of which a chunk may hold several or a part of one.

    Attributes:
        held: the beginning of a line that is to be changed

    """

    def __init__(self) -> None:
        self.held = b""
        self._inside = False

    def through(self, chunk: bytes, change: Change | None) -> Iterator[bytes | None]:
        """Give what is to be passed on; a line whose beginning has been passed on already is not changed any more."""
        data, self.held = self.held + chunk, b""
        if change is None:
            yield data
            self._inside = not data.endswith(b"\n")
            return
        if self._inside:
            end = data.find(b"\n") + 1 or len(data)
            yield data[:end]
            self._inside = not data[:end].endswith(b"\n")
            data = data[end:]
        *lines, self.held = data.split(b"\n")
        for line in lines:
            for altered in change(line):
                yield None if altered is None else altered + b"\n"


def _session(trust: ssl.SSLContext) -> aiohttp.ClientSession:
    """A session that adds nothing, keeps nothing and gives up on nobody."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        auto_decompress=False,
    )


def _unsent(connection: socket.socket) -> int:
    """How many bytes the kernel has of a connection that the other side has not taken; none of one that is closed."""
    if connection.fileno() == -1:
        return 0
    return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
