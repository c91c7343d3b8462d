"""The lightest way to ask an API server many things a second: HTTP/1.1 by hand over one TLS connection.

A load that is made on the same machine must cost little, or it is what gets measured. Must never be used for anything
but a server of our own: it knows just enough of HTTP to know where an answer ends.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import yaml


if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_ERROR = 300


class WireError(Exception):
    """The server refused, or did not answer as HTTP does."""


class Login:
    """Where a server is, and who we are to it, from a kubeconfig with a client certificate (or without TLS)."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        address = urlsplit(cluster["server"])
        self.host, self.port = str(address.hostname), int(address.port or 0)
        self.tls: ssl.SSLContext | None = None
        if address.scheme == "https":
            self.tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
            self.tls.load_cert_chain(user["client-certificate"], user["client-key"])


class Connection(asyncio.Protocol):
    """One connection; one request at a time.

    Args:
        host: what the server is called

    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def open(cls, login: Login) -> Self:
        """Connect."""
        loop = asyncio.get_running_loop()
        host = f"{login.host}:{login.port}"
        _, connection = await loop.create_connection(lambda: cls(host), login.host, login.port, ssl=login.tls)
        return connection

    def close(self) -> None:
        """Disconnect."""
        self._transport.close()

    async def ask(self, method: str, path: str, body: bytes, media_type: str = "application/json") -> bytes:
        """Send a request and give the body of the answer.

        Raises:
            WireError: it is an error, or the connection broke

        """
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept: application/json\r\n"
            f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(head.encode() + body)
        status, answer = await self._answer
        if status >= _ERROR:
            raise WireError(f"{method} {path} was answered with {status}: {answer.decode(errors='replace')}")
        return answer

    # -- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # what TCP gives

    def data_received(self, data: bytes) -> None:
        """Collect an answer until it is whole."""
        self._buffer += data
        body = body_of(self._buffer)
        if body is not None and self._answer is not None:
            answer, self._answer = self._answer, None
            answer.set_result((int(self._buffer[9:12]), body))
            self._buffer.clear()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WireError(f"the connection broke: {error}"))


def body_of(answer: bytes | bytearray) -> bytes | None:
    """Give the body of an answer that is there to its end, by its length or by its chunks; None if more must come."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, start = answer[: end + 2], end + 4
    if (length := _LENGTH.search(head)) is not None:
        end = start + int(length[1])
        return bytes(answer[start:end]) if len(answer) >= end else None
    if _CHUNKED.search(head) is None:
        return b""
    body = b""
    while (line := answer.find(b"\r\n", start)) >= 0:
        end = line + 2 + int(answer[start:line].partition(b";")[0], 16)
        if len(answer) < end + 2:
            break
        if end == line + 2:
            return body
        body += answer[line + 2 : end]
        start = end + 2
    return None
