"""What is no request, and who sends none: nothing of it is shown, logged, or kept open."""

from __future__ import annotations

import asyncio
import base64
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from exporter.metrics.health import Health
from exporter.web.door import Door
from exporter.web.server import serve
from tests.web.folder import BASIC, Folder, place, serving
from tests.web.test_server import nothing, pages


if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = base64.b64encode(b"alice:right")
START = b"GET /metrics HTTP/1.1\r\nHost: a\r\n"
LAST = b"Connection: close\r\n\r\n"
AUTH = b"Authorization: Basic " + PASSWORD


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder that asks for a password, and for a header."""
    folder = Folder(tmp_path)
    folder.write(BASIC, {"http_server_config": {"headers": {"X-Frame-Options": "deny"}}})
    return folder


async def sent(where: tuple[str, int], content: bytes) -> bytes:
    """Send something over a new connection; all that comes back."""
    reader, writer = await asyncio.open_connection(*where)
    writer.write(content)
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    "content",
    [
        START + AUTH + b"\0\r\n\r\n",
        START + b"Author ization: Basic " + PASSWORD + b"\r\n\r\n",
        START + b"Authorization: Basic " + PASSWORD * 1000 + b"\r\n\r\n",
        START + AUTH + b"\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + START + b"\r\n",
        START.replace(b"\r\n", b"\n") + AUTH + b"\n\n",
        b"GET /metrics HTTP/9.9\r\n" + AUTH + b"\r\n\r\n",
        b"GET http://[/" + PASSWORD + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00" + PASSWORD,
        PASSWORD + b"\r\n\r\n",
    ],
)
async def test_what_cannot_be_read_is_shown_to_nobody(
    folder: Folder, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold a password: neither the answer nor the log has a byte of it, the answer says no more than others."""
    with caplog.at_level(logging.DEBUG):
        async with serving(folder) as served:
            answer = await sent(place(served), content)
            assert served.refused("malformed") == 1
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nthis is no request that can be read\n")
    assert b"\r\nServer: customresource-exporter\r\n" in answer
    assert b"\r\nX-Frame-Options: deny\r\n" in answer
    assert PASSWORD not in answer
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


@pytest.mark.parametrize(
    "carried",
    [
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n" + PASSWORD,
    ],
)
async def test_what_a_request_carries_is_nobodys_business(
    folder: Folder, carried: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody unpacks it, and where it is broken nobody logs it."""
    async with serving(folder) as served:
        answer = await sent(place(served), b"POST /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + carried)
    assert b" 401 Unauthorized\r\n" in answer or b" 400 Bad Request\r\n" in answer
    assert PASSWORD not in answer
    assert caplog.records == []


async def test_each_of_several_requests_in_a_row_is_asked(folder: Folder) -> None:
    """Who was let in by the first is not by the next that comes with it, without a password."""
    async with serving(folder) as served:
        answer = await sent(place(served), START + AUTH + b"\r\n\r\n" + START + b"\r\n" + START + LAST)
        assert [line[9:12] for line in answer.split(b"\n") if line.startswith(b"HTTP/1.1 ")] == [b"200", b"401", b"401"]


@pytest.mark.parametrize("begun", [b"", START, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_who_brings_no_request_does_not_stay(begun: bytes) -> None:
    """Nothing, half a request however slowly it goes on, and nothing more after one: the connection is closed."""
    health = Health()
    door = Door(health.web_refused, health.web_handshake_failures)
    async with serve("127.0.0.1:0", pages(), nothing, door, idle=0.2) as listener:
        reader, writer = await asyncio.open_connection(listener.address.host, listener.address.port)
        writer.write(begun)

        async def drip() -> None:
            while begun == START:
                await asyncio.sleep(0.02)
                writer.write(b"X: 1\r\n")

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(20):
            with suppress(ConnectionResetError):
                await reader.read()
        dripping.cancel()
        writer.transport.abort()
