"""What a stream or a list holds that it should not, and how little it does: our place never goes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from exporter.changes.order import is_older
from exporter.kube import collection, reflector
from tests.changes.objects import widget
from tests.kube.watching import OPEN, bookmark, error, event, following, page, status
from tests.scripted import ABORT, CLOSE, STALL, Reply, Request


if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("9", "10", True), ("10", "9", False), ("7", "7", False), ("1" * 5000, "2" * 5000, True),
        ("", "5", False), ("5", "", False), ("opaque", "p", False),
    ],
)  # fmt: skip
def test_only_numbers_are_ordered(version: str, than: str, older: bool) -> None:
    """Versions are compared as the numbers that they are, of any length, and what is none is never older."""
    assert is_older(version, than) is older


async def test_a_bookmark_never_takes_us_back(tmp_path: Path) -> None:
    """After a bookmark of an older version the server is asked how far it is, and the watch goes on where it was."""
    back = Reply(200, [event("MODIFIED", 8), bookmark(6), STALL])
    async with following(tmp_path, page(8), back, page(8), OPEN, version="5") as (server, sink):
        requests = await server.wait_for(4)
        assert await sink.until(1) == ["modified 8 live"]

    assert [request.query["resourceVersion"] for request in requests] == ["5", "5", "8", "8"]
    assert "restarted broken" in sink.told


async def test_a_late_event_does_not_take_us_back(tmp_path: Path) -> None:
    """An event older than the one before is passed on, but the place to go on from stays, in the journal as well."""
    late = Reply(200, [event("MODIFIED", 8), event("MODIFIED", 7, uid="other"), ABORT])
    async with following(tmp_path, page(5), late, page(8), OPEN, version="5") as (server, sink):
        requests = await server.wait_for(4)
        assert await sink.until(3) == ["modified 8 live", "late modified 7 live", "progress 8"]

    assert requests[-1].query["resourceVersion"] == "8"


async def test_an_event_from_before_the_list_is_not_passed_on(tmp_path: Path) -> None:
    """What is older than the list was there or gone when it was made; the stream is opened again."""
    script = [Reply(200, [bookmark(9, end=True), event("ADDED", 4), STALL]), page(9), OPEN]
    async with following(tmp_path, *script) as (server, sink):
        await server.wait_for(3)
        assert await sink.until(1) == ["listed 9 baseline 0"]

    assert "skipped late" in sink.told


@pytest.mark.parametrize(
    "body",
    [b'{"kind":"Status","metadata":{},"status":"Success"}', b'{"metadata":{},"items":[]}', b"<html>", b"null", b""],
)
async def test_what_is_no_list_empties_nothing(tmp_path: Path, body: bytes) -> None:
    """An answer without a version, though it came with 200, is no list without objects: it is asked for again."""
    script = [status(400, "BadRequest"), Reply(200, [body]), page(8, widget(1)), OPEN]
    async with following(tmp_path, *script, mode="catch_up") as (_, sink):
        assert (await sink.until(5))[-2:] == ["added 1 catch_up", "listed 8 catch_up 1"]

    assert sink.told.count("listing start gap") == 1


async def test_an_outage_does_not_cost_the_history(tmp_path: Path) -> None:
    """However often a server says that it is away, with an error or a page for people, it is not listed after that."""
    away = [status(503, "ServiceUnavailable"), Reply(200, [b"<html>\n"]), Reply(502), status(429, "TooManyRequests")]
    async with following(tmp_path, *(away * 5), page(9), Reply(200, [event("MODIFIED", 6), STALL]), version="5") as (
        _,
        sink,
    ):
        assert await sink.until(1) == ["modified 6 live"]

    assert not [word for word in sink.told if word.startswith("listing")]


async def test_too_many_requests_never_cost_the_history(tmp_path: Path) -> None:
    """However often it is told so, and without a word how long to wait: a server with too much to do is not listed."""
    left = 8

    async def busy(request: Request) -> Reply:
        nonlocal left
        if "watch" not in request.query:
            return page(9)
        left -= 1
        return status(429, "TooManyRequests") if left >= 0 else Reply(200, [event("MODIFIED", 6), STALL])

    async with following(tmp_path, busy, version="5") as (_, sink):
        assert await sink.until(1) == ["modified 6 live"]


@pytest.mark.parametrize("reason", ["Expired", "Gone"])
async def test_expired_is_understood_without_its_code(tmp_path: Path, reason: str) -> None:
    """A Status in a stream may say that the history is gone by its reason alone."""
    line = json.dumps({"type": "ERROR", "object": {"kind": "Status", "reason": reason}}).encode() + b"\n"
    async with following(tmp_path, page(5), Reply(200, [line]), OPEN, version="5") as (server, sink):
        await server.wait_for(3)

    assert sink.told[:2] == ["synced", "restarted expired"]


async def test_an_error_in_a_stream_says_how_long_to_wait(tmp_path: Path) -> None:
    """What is in the details of a Status counts as it does in an answer; a code that is none is that of an error."""
    slow = b'{"type":"ERROR","object":{"code":429,"details":{"retryAfterSeconds":9}}}\n'
    async with following(tmp_path, page(5), Reply(200, [slow]), Reply(200, [error(7, "Odd")]), OPEN, version="5") as (
        server,
        sink,
    ):
        await server.wait_for(4)

    assert sink.slept[0] == 9.0
    assert sink.told[1:3] == ["restarted http_429", "restarted http_500"]


async def test_a_line_without_end_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends without ever ending a line does not fill our memory."""
    monkeypatch.setattr(collection, "_LONGEST_LINE", 1000)
    endless = Reply(200, [*[b"x" * 400] * 9, STALL])
    async with following(tmp_path, page(5), endless, page(5), OPEN, version="5") as (server, sink):
        await server.wait_for(4)

    assert "restarted broken" in sink.told


async def test_a_silent_stream_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that has not even a bookmark for too long is opened again, also the first one after a start."""
    monkeypatch.setattr(reflector, "_SILENCE", 1.0)
    async with following(tmp_path, page(5), OPEN, page(5), OPEN, version="5") as (server, sink):
        requests = await server.wait_for(4)

    assert [request.query["resourceVersion"] for request in requests] == ["5"] * 4
    assert sink.told[1] == "restarted connection"


async def test_a_server_that_is_away_is_still_one_with_watch_lists(tmp_path: Path) -> None:
    """Connections that break before the server has answered say nothing of how it lists."""
    listed = Reply(200, [event("ADDED", 4), bookmark(4, end=True), STALL])
    async with following(tmp_path, *[status(503, "ServiceUnavailable")] * 3, listed) as (server, sink):
        assert await sink.until(2) == ["added 4 baseline", "listed 4 baseline 1"]

    assert all("sendInitialEvents" in request.query for request in server.requests)


async def test_a_list_that_fails_is_not_counted_before_it_succeeds(tmp_path: Path) -> None:
    """An outage in which a list is asked for again and again is one gap, not many."""
    listed = Reply(200, [bookmark(4, end=True), STALL])
    async with following(tmp_path, *[status(503, "ServiceUnavailable")] * 4, listed, mode="catch_up") as (_, sink):
        await sink.until(6)

    assert sink.told.count("listing start gap") == 1


async def test_a_stream_that_brings_nothing_new_and_ends_is_not_hurried(tmp_path: Path) -> None:
    """A server that repeats itself and closes is not asked in a loop."""
    same = Reply(200, [bookmark(5)])
    async with following(tmp_path, page(5), same, same, same, OPEN, version="5") as (server, sink):
        await server.wait_for(5)

    assert sink.slept == [0.8, 1.6, 3.2]


async def test_a_stream_cut_inside_a_chunk_is_broken(tmp_path: Path) -> None:
    """A connection that ends in order, but too early, is an interruption like any other."""
    cut = Reply(200, [event("MODIFIED", 6), CLOSE])
    async with following(tmp_path, page(5), cut, Reply(200, [event("MODIFIED", 7), STALL]), version="5") as (_, sink):
        assert await sink.until(2) == ["modified 6 live", "modified 7 live"]

    assert sink.told == ["synced", "restarted connection"]
