"""The web server on real sockets: what it refuses, what it answers, and that nobody waits for a slow reader."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import aiohttp
import pytest
import uvloop

from exporter import __version__
from exporter.errors import ConfigError, ListenError, UsageError
from exporter.metrics.exposition import TEXT, Page
from exporter.metrics.health import Health
from exporter.web import server
from exporter.web.door import Door
from exporter.web.server import Address
from tests.servers.process import free_port


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.metrics.exposition import Exposition
    from exporter.web.pages import Reload

ANY = "127.0.0.1:0"
LARGE = b"x" * (64 * 1024 * 1024)


class FixedPage:
    """Stands for the exposition: answers with one page, and notes what it was asked for."""

    def __init__(self, body: bytes = b"some_metric 1\n", encoding: str = "") -> None:
        self.page = Page(body, TEXT, encoding)
        self.asked: list[tuple[str, str]] = []

    async def scrape(self, accept: str, accept_encoding: str) -> Page:
        self.asked.append((accept, accept_encoding))
        return self.page


def pages(body: bytes = b"some_metric 1\n", encoding: str = "") -> Exposition:
    """Give a stand-in for the exposition."""
    return cast("Exposition", FixedPage(body, encoding))


def nothing() -> list[str]:
    """Say that every type is synced."""
    return []


@asynccontextmanager
async def serve(
    text: str, exposition: Exposition, ready: Callable[[], list[str]], reload: Reload | None = None
) -> AsyncIterator[Address]:
    """Serve everybody, over plain HTTP; gives the address."""
    health = Health()
    door = Door(health.web_refused, health.web_handshake_failures)
    async with server.serve(text, exposition, ready, door, reload) as listener:
        yield listener.address


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


async def get(address: Address, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Ask for a page: status, type, text."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{address}{path}", headers=headers) as answer,
    ):
        return answer.status, answer.headers["Content-Type"], await answer.text()


# -- what cannot be listened on -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "9838", "localhost", ":", ":x", ":65536", "::1:9838", "a b:1", "a..b:1", "http://a:1"]
)
async def test_what_is_no_address_is_refused(text: str) -> None:
    """The sentence says what an address looks like."""
    with pytest.raises(UsageError) as refused:
        async with serve(text, pages(), nothing):
            pass
    expected = f"{text!r} is no address to listen on: write --web.listen-address host:port, such as :9838 or [::1]:9838"
    assert expected == str(refused.value)


async def test_a_port_in_use_is_refused() -> None:
    """Two servers cannot have one port; the sentence names another."""
    async with serve(ANY, pages(), nothing) as address:
        with pytest.raises(ListenError) as refused:
            async with serve(str(address), pages(), nothing):
                pass
    expected = (
        f"cannot listen on {address}: another program has the port; stop it, or choose another with "
        f"--web.listen-address :{address.port + 1}"
    )
    assert expected == str(refused.value)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            "nobody.invalid:9838",
            "the host is not known here; write an address of this machine, or --web.listen-address :9838 for every one",
        ),
        ("192.0.2.1:9838", "no interface here has that address; write --web.listen-address :9838 for every one"),
    ],
)
async def test_an_address_of_elsewhere_is_refused(text: str, remedy: str) -> None:
    """A name that is not known and an address of another machine are told apart."""
    with pytest.raises(ListenError) as refused:
        async with serve(text, pages(), nothing):
            pass
    assert f"cannot listen on {text}: {remedy}" == str(refused.value)


async def test_a_port_that_is_not_permitted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port below 1024 needs a privilege; the sentence names one that does not."""

    def denied(*_: object, **__: object) -> socket.socket:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", denied)
    with pytest.raises(ListenError) as refused:
        async with serve("127.0.0.1:80", pages(), nothing):
            pass
    expected = "cannot listen on 127.0.0.1:80: not permitted; choose a port above 1023 with --web.listen-address :9838"
    assert expected == str(refused.value)


# -- what is answered -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/metrics/x", "//", "/%00"])
async def test_other_paths_are_not_there(path: str) -> None:
    """Only the four paths exist."""
    async with serve(ANY, pages(), nothing) as address:
        assert (await get(address, path))[0] == 404


async def test_nothing_can_be_written() -> None:
    """A POST is refused."""
    async with serve(ANY, pages(), nothing) as address:
        assert (await get(address, "/metrics", "POST"))[0] == 405


async def test_not_ready_names_what_is_missing() -> None:
    """As long as types are not synced the answer is 503, with their names."""
    async with serve(ANY, pages(), lambda: ["widgets.example.com", "\ud800"]) as address:
        assert (await get(address, "/readyz")) == (503, "text/plain; charset=utf-8", "widgets.example.com\n?\n")


async def test_not_ready_names_no_more_than_twenty() -> None:
    """Of many types the first twenty are named, and how many more there are."""
    names = [f"t{number}.example.com" for number in range(23)]
    async with serve(ANY, pages(), lambda: names) as address:
        expected = [*names[:20], "and 3 more"]
        assert expected == (await get(address, "/readyz"))[2].splitlines()
    assert len(names) == 23


async def test_ready_is_asked_each_time() -> None:
    """Readiness comes with the last type, without a restart."""
    waiting = ["widgets.example.com"]
    async with serve(ANY, pages(), lambda: waiting) as address:
        assert (await get(address, "/readyz"))[0] == 503
        waiting.clear()
        assert (await get(address, "/readyz")) == (200, "text/plain; charset=utf-8", "ready\n")


async def test_health_does_not_depend_on_readiness() -> None:
    """The program is alive while it still reads."""
    async with serve(ANY, pages(), lambda: ["widgets.example.com"]) as address:
        assert (await get(address, "/healthz")) == (200, "text/plain; charset=utf-8", "ok\n")


async def test_a_scrape_gets_the_page() -> None:
    """The page, its type, and both headers as they were sent."""
    stand_in = FixedPage()
    async with serve(ANY, cast("Exposition", stand_in), nothing) as address:
        answer = await get(address, "/metrics", **{"Accept": "text/plain", "Accept-Encoding": "gzip;q=0"})
    assert answer == (200, TEXT, "some_metric 1\n")
    assert stand_in.asked == [("text/plain", "gzip;q=0")]


async def test_the_encoding_of_the_page_is_told() -> None:
    """What the exposition compressed is declared, not compressed again."""
    async with serve(ANY, pages(b"zipped", "gzip"), nothing) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert (body, head.lower().count(b"content-encoding: gzip")) == (b"zipped", 1)
    assert b"\r\nVary: Accept, Accept-Encoding\r\n" in head


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz"])
async def test_head_is_get_without_a_body(path: str) -> None:
    """HEAD answers as GET does, the length included, with nothing behind it."""
    async with serve(ANY, pages(), nothing) as address:
        status, content_type, text = await get(address, path)
        async with aiohttp.ClientSession() as session, session.head(f"http://{address}{path}") as answer:
            expected = (status, content_type, str(len(text.encode())), b"")
            found = (answer.status, answer.headers["Content-Type"], answer.headers["Content-Length"])
            assert expected == (*found, await answer.read())


async def test_the_landing_page() -> None:
    """Name, version and links to the other pages; no script, and nothing from elsewhere."""
    async with serve(ANY, pages(), nothing) as address:
        status, content_type, text = await get(address, "/")
    assert (status, content_type) == (200, "text/html; charset=utf-8")
    assert f"<h1>customresource-exporter <span>{__version__}</span></h1>" in text
    assert re.findall(r'href="([^"]*)"', text) == ["/metrics", "/readyz", "/healthz"]
    assert re.findall(r"<script|https?://|@import|url\(", text) == []


async def test_answers_say_little_of_the_program() -> None:
    """No versions of libraries, no guessing of types, nothing kept by a browser."""
    async with serve(ANY, pages(), nothing) as address, aiohttp.ClientSession() as session:
        for path in ("/", "/metrics", "/nothing"):
            async with session.get(f"http://{address}{path}") as answer:
                found = [answer.headers.get(name) for name in ("Server", "X-Content-Type-Options", "Cache-Control")]
                assert found == ["customresource-exporter", "nosniff", "no-store"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_reload_is_refused_where_it_is_not_enabled(method: str) -> None:
    """Without the flag nobody can have anything read again; the answer names the flag."""
    async with serve(ANY, pages(), nothing) as address:
        status, _, text = await get(address, "/-/reload", method)
    assert (status, text) == (403, "not enabled: start with --web.enable-lifecycle\n")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_reload_that_fails_is_told_with_the_sentence(method: str) -> None:
    """What is bad comes back in the answer."""

    async def bad() -> None:
        raise ConfigError("f: watch.include: is empty; remove the key")

    async with serve(ANY, pages(), nothing, bad) as address:
        status, _, text = await get(address, "/-/reload", method)
    assert (status, text) == (500, "f: watch.include: is empty; remove the key\n")


async def test_a_reload_is_answered_when_it_is_done() -> None:
    """Who asks knows then that it is in force; a GET reloads nothing."""
    done: list[str] = []

    async def reload() -> None:
        await asyncio.sleep(0)
        done.append("done")

    async with serve(ANY, pages(), nothing, reload) as address:
        assert (await get(address, "/-/reload"))[0] == 405
        assert done == []
        assert (await get(address, "/-/reload", "POST"))[0] == 200
        assert done == ["done"]


# -- where and how --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address("", 1), "localhost:1"),
        (Address("::", 1), "localhost:1"),
        (Address("0.0.0.0", 1), "localhost:1"),  # noqa: S104 - compared, not bound
        (Address("::1", 1), "[::1]:1"),
        (Address("127.0.0.1", 1), "127.0.0.1:1"),
    ],
)
def test_an_address_can_be_put_into_a_url(address: Address, expected: str) -> None:
    """Every interface is reached as localhost, IPv6 stands in brackets."""
    assert expected == str(address)


@pytest.mark.parametrize("text", [":0", "127.0.0.1:0", "localhost:0", "0.0.0.0:0"])
async def test_each_form_of_address_answers(text: str) -> None:
    """The port that was bound is told, and answers."""
    async with serve(text, pages(), nothing) as address:
        assert (await get(address, "/healthz"))[0] == 200


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
async def test_ipv6_answers() -> None:
    """An address in brackets is bound as it is, and no host means IPv6 too."""
    async with serve("[::1]:0", pages(), nothing) as address:
        assert (await get(address, "/healthz"))[0] == 200
    async with serve(":0", pages(), nothing) as address:
        assert (await get(Address("::1", address.port), "/healthz"))[0] == 200
        assert (await get(Address("127.0.0.1", address.port), "/healthz"))[0] == 200


async def test_without_ipv6_every_ipv4_interface_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has no IPv6 addresses is no reason to fail."""
    create_server = socket.create_server

    def only_ipv4(place: tuple[str, int], **options: object) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return create_server(place)

    monkeypatch.setattr(socket, "create_server", only_ipv4)
    async with serve(":0", pages(), nothing) as address:
        assert (await get(address, "/healthz"))[0] == 200


async def _beside_a_slow_reader() -> None:
    """Scrape while two others do not read what they asked for, then end while they still do not."""
    async with serve(ANY, pages(LARGE), nothing) as address:
        slow = [await asyncio.open_connection(address.host, address.port, limit=1) for _ in range(2)]
        for reader, writer in slow:
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readexactly(1)
        assert (await get(address, "/healthz"))[2] == "ok\n"
        assert len((await get(address, "/metrics"))[2]) == len(LARGE)
    for _, writer in slow:
        writer.transport.abort()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_slow_reader_holds_up_nobody(run: Callable[..., None]) -> None:
    """Others are served beside it, and the end of the program does not wait for it."""
    run(asyncio.wait_for(_beside_a_slow_reader(), 30.0))


async def test_the_port_is_free_after_the_end() -> None:
    """What was bound can be bound again at once."""
    # A port that no connection of anybody is given meanwhile.
    async with serve(f"127.0.0.1:{free_port()}", pages(), nothing) as first:
        await get(first, "/healthz")
    async with serve(str(first), pages(), nothing) as second:
        assert first == second
