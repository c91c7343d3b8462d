"""Following one scope, against a server that does what real ones do only when things go wrong."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from exporter.kube import reflector
from tests.changes.objects import widget
from tests.kube.watching import OPEN, bookmark, error, event, following, page, short, status
from tests.scripted import ABORT, STALL, Reply


if TYPE_CHECKING:
    from pathlib import Path

    from exporter.changes.observation import Observation
    from exporter.kube.sink import Listed, Progress


async def test_a_stream_cut_inside_a_line_resumes_after_the_last_whole_one(tmp_path: Path) -> None:
    """Half an event is nothing: the next request asks from the version before it, without a list."""
    cut = Reply(200, [event("MODIFIED", 6), event("MODIFIED", 7)[:40], ABORT])
    async with following(tmp_path, page(1), cut, Reply(200, [event("MODIFIED", 7), STALL]), version="5") as (
        server,
        sink,
    ):
        assert await sink.until(2) == ["modified 6 live", "modified 7 live"]

    assert [request.query.get("resourceVersion") for request in server.requests] == ["5", "5", "6"]
    assert sink.told == ["synced", "restarted connection"]


async def test_garbage_in_a_stream_is_tried_again_before_it_is_listed(tmp_path: Path) -> None:
    """A line that is no event is never skipped: the version is asked for again, and at last everything is listed."""
    garbage = Reply(200, [b"<html>\n"])
    script = [*[page(1), garbage] * 5, Reply(200, [event("ADDED", 9), bookmark(9, end=True), STALL])]
    async with following(tmp_path, *script, version="5", mode="catch_up") as (_, sink):
        assert await sink.until(3) == ["progress ", "added 9 catch_up", "listed 9 catch_up 1"]

    assert sink.told == ["synced", *["restarted broken"] * 5, "listing fruitless gap"]


async def test_history_that_is_gone_is_asked_for_twice_then_listed(tmp_path: Path) -> None:
    """410 may come from one replica of several; after the second the list gives the net change."""
    gone = Reply(200, [error(410)])
    script = [page(1), gone, gone, Reply(200, [event("ADDED", 9), bookmark(9, end=True), event("MODIFIED", 10), STALL])]
    async with following(tmp_path, *script, version="5", mode="catch_up") as (server, sink):
        assert await sink.until(4) == ["progress ", "added 9 catch_up", "listed 9 catch_up 1", "modified 10 live"]

    assert [request.query.get("resourceVersion") for request in server.requests] == ["5", "5", "5", None]
    assert sink.slept[:1] != [0.0]


async def test_a_list_that_has_to_begin_anew_does_not_count_what_came_before(tmp_path: Path) -> None:
    """What was on a page and is gone when everything is asked for again was deleted: no watch tells of that."""
    script = [
        status(400, "BadRequest"),
        page(5, widget(1, uid="gone", meta={"name": "gone"}), more="token"),
        status(410, "Expired"),
        page(9, widget(2)),
        OPEN,
    ]
    async with following(tmp_path, *script) as (_, sink):
        assert await sink.until(3) == ["added 1 baseline", "added 2 baseline", "listed 9 baseline 1"]


async def test_who_waits_to_list_again_keeps_nobody_from_listing(tmp_path: Path) -> None:
    """The right to list is given back before the pause that follows a refusal."""
    lists = asyncio.Semaphore(1)
    async with following(tmp_path, status(403, "Forbidden"), lists=lists, pausing=True) as (_, sink):
        await asyncio.wait_for(sink.paused.wait(), 30)

        assert not lists.locked()


@pytest.mark.parametrize("depth", [150, 600, 900, 940, 970, 985, 1500, 9000])
async def test_an_object_of_any_depth_is_passed_on(tmp_path: Path, depth: int) -> None:
    """However deeply somebody nests an object, it and those of others come, by a watch and in pages."""
    deep = (
        json.dumps(widget(2, uid="deep", spec="DEEP")).replace('"DEEP"', '{"a":' * depth + "1" + "}" * depth).encode()
    )
    stream: list[Any] = [b'{"type":"ADDED","object":', deep, b"}\n", event("ADDED", 3), bookmark(3, end=True), STALL]
    async with following(tmp_path, Reply(200, stream)) as (_, sink):
        assert await sink.until(3) == ["added 2 baseline", "added 3 baseline", "listed 3 baseline 2"]

    pages = Reply(200, [b'{"metadata":{"resourceVersion":"4"},"items":[', deep, b"]}"])
    async with following(tmp_path, status(400, "BadRequest"), pages, OPEN) as (_, sink):
        assert await sink.until(2) == ["added 2 baseline", "listed 4 baseline 1"]


async def test_too_many_requests_are_answered_with_patience_not_with_a_list(tmp_path: Path) -> None:
    """429 is waited out for as long as the server says, and the watch goes on where it was."""
    busy = status(429, "TooManyRequests", {"Retry-After": "7"})
    async with following(tmp_path, page(1), busy, Reply(200, [event("MODIFIED", 6), STALL]), version="5") as (_, sink):
        assert await sink.until(1) == ["modified 6 live"]

    assert sink.slept == [7.0]
    assert sink.told == ["restarted http_429", "synced"]


async def test_a_server_behind_our_version_is_found_out_before_the_silence(tmp_path: Path) -> None:
    """When the server has not reached our version its history went backwards: everything is listed."""
    behind = status(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge"}])
    script = [behind, page(3), Reply(200, [event("ADDED", 3), bookmark(3, end=True), STALL])]
    async with following(tmp_path, *script, version="999", mode="catch_up") as (server, sink):
        assert await sink.until(3) == ["progress ", "added 3 catch_up", "listed 3 catch_up 1"]

    assert server.requests[0].query == {
        "limit": "1", "resourceVersion": "999", "resourceVersionMatch": "NotOlderThan",
    }  # fmt: skip
    assert sink.told == ["went backwards", "listing history_went_backwards gap", "synced"]


@pytest.mark.parametrize("current", [999, 1000])
async def test_a_server_that_is_behind_its_own_store_is_no_history_that_went_backwards(
    tmp_path: Path, current: int
) -> None:
    """Where only the server's cache has not reached our version, the watch goes on where it was."""
    behind = status(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge"}])
    stream = Reply(200, [event("MODIFIED", 1001), STALL])
    async with following(tmp_path, behind, page(current), stream, version="999", mode="catch_up") as (server, sink):
        assert await sink.until(1) == ["modified 1001 live"]

    assert [request.query.get("resourceVersion") for request in server.requests] == ["999", None, "999"]
    assert sink.told == ["synced"]


async def test_a_stream_that_gave_nothing_is_doubted(tmp_path: Path) -> None:
    """After a stream without a byte the server is asked whether it has reached our version at all."""
    async with following(tmp_path, page(1), Reply(200, []), page(1), OPEN, version="5") as (server, _):
        requests = await server.wait_for(4)

    assert [request.query.get("resourceVersionMatch") for request in requests] == [
        "NotOlderThan", None, "NotOlderThan", None,
    ]  # fmt: skip


async def test_a_refused_type_degrades_and_is_tried_again(tmp_path: Path) -> None:
    """403 is told once for as long as it lasts, and taken back when the server lets us in."""
    refused = status(403, "Forbidden")
    listed = Reply(200, [bookmark(4, end=True), STALL])
    async with following(tmp_path, refused, refused, listed) as (_, sink):
        assert await sink.until(1) == ["listed 4 baseline 0"]

    assert [word for word in sink.told if not word.startswith(("listing", "restarted"))] == [
        "degraded", "recovered", "synced",
    ]  # fmt: skip
    assert sink.slept == [5.0, 10.0]


@pytest.mark.parametrize("code", [429, 500])
@pytest.mark.parametrize(("failures", "told"), [(8, ["synced"]), (9, ["degraded", "recovered", "synced"])])
async def test_a_type_that_the_server_cannot_answer_for_degrades(
    tmp_path: Path, failures: int, told: list[str], code: int
) -> None:
    """A few errors in a row are a hiccup; a list that goes on failing, as by a broken conversion, is told once."""
    broken = [status(code, "InternalError")] * failures
    listed = Reply(200, [bookmark(4, end=True), STALL])
    async with following(tmp_path, *broken, listed) as (_, sink):
        assert await sink.until(1) == ["listed 4 baseline 0"]

    assert [word for word in sink.told if not word.startswith(("listing", "restarted"))] == told
    assert max(sink.slept) <= 30.0


async def test_a_list_that_breaks_off_each_time_does_not_flap(tmp_path: Path) -> None:
    """A server that begins each list and then fails at it is told once, although it lets us in every time."""
    error = b'{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError","message":"conversion"}}\n'
    broken = [status(500, "InternalError")] * 9
    listed = Reply(200, [bookmark(4, end=True), STALL])
    async with following(tmp_path, *broken, Reply(200, [error]), listed) as (_, sink):
        assert await sink.until(1) == ["listed 4 baseline 0"]

    assert [word for word in sink.told if not word.startswith(("listing", "restarted"))] == [
        "degraded", "recovered", "synced",
    ]  # fmt: skip


async def test_who_is_told_to_stay_away_for_long_says_so_at_once(tmp_path: Path) -> None:
    """Eight waits of ten minutes each would keep the program from being ready for an hour and more."""
    away = status(503, "ServiceUnavailable", {"Retry-After": "600"})
    async with following(tmp_path, away, pausing=True) as (_, sink):
        await asyncio.wait_for(sink.paused.wait(), 30)
        assert sink.told == ["degraded", "restarted http_503"]


async def test_a_quiet_type_without_bookmarks_is_not_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends none is asked after each silence, and its answer is a sign of life; one that does is not."""
    monkeypatch.setattr(reflector, "_SILENCE", 1.0)
    async with following(tmp_path, page(1), OPEN, page(1), OPEN, version="5") as (server, sink):
        await server.wait_for(4)
        assert sink.receipts == 1
    told = Reply(200, [bookmark(6), STALL])
    async with following(tmp_path, page(1), told, Reply(200, []), page(1), OPEN, version="5") as (server, sink):
        await server.wait_for(5)
        assert sink.receipts == 1  # the bookmark


async def test_a_quiet_type_recovers_without_bookmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that was open until its time was over is one that works, also where there was nothing to tell."""
    monkeypatch.setattr(reflector, "_SHORT", 0.0)
    busy = [status(503, "ServiceUnavailable", {"Retry-After": "1"})] * 9
    async with following(tmp_path, page(1), *busy, Reply(200, []), page(1), OPEN, version="5") as (server, sink):
        await server.wait_for(13)
    assert [word for word in sink.told if not word.startswith("restarted")] == ["degraded", "synced", "recovered"]


@pytest.mark.parametrize("code", [400, 422])
async def test_a_server_without_watch_lists_is_listed_in_pages(tmp_path: Path, code: int) -> None:
    """Where the initial part of a watch is refused, pages are read, and the watch goes on from their version."""
    pages = [page(8, widget(1), more="next"), page(8, widget(2, uid="uid-2", meta={"name": "b"}))]
    script = [status(code, "Invalid"), *pages, Reply(200, [event("MODIFIED", 9), STALL])]
    async with following(tmp_path, *script) as (server, sink):
        assert await sink.until(4) == ["added 1 baseline", "added 2 baseline", "listed 8 baseline 2", "modified 9 live"]

    assert [request.query.get("continue") for request in server.requests] == [None, None, "next", None]


async def test_a_watch_list_that_never_ends_is_given_up(tmp_path: Path) -> None:
    """A server that sends bookmarks but never the one that ends the list gets a list in pages."""
    endless = Reply(200, [event("ADDED", 1), bookmark(5), STALL])
    async with following(tmp_path, endless, endless, page(8, widget(1)), OPEN) as (_, sink):
        assert await sink.until(4) == [*["added 1 baseline"] * 3, "listed 8 baseline 1"]


async def test_pages_that_expire_are_asked_for_in_one_piece(tmp_path: Path) -> None:
    """A continue token that is too old does not cost the list."""
    script = [status(422, "Invalid"), page(8, widget(1), more="next"), status(410, "Expired"), page(9, widget(1)), OPEN]
    async with following(tmp_path, *script) as (server, sink):
        assert await sink.until(3) == ["added 1 baseline", "added 1 baseline", "listed 9 baseline 1"]

    assert "limit" not in server.requests[3].query


async def test_an_object_without_identity_is_counted_and_passed_over(tmp_path: Path) -> None:
    """One hostile object does not stop the others."""
    odd = b'{"type":"ADDED","object":{"metadata":{}}}\n'
    script = [Reply(200, [odd, event("ADDED", 2), bookmark(2, end=True), STALL])]
    async with following(tmp_path, *script) as (_, sink):
        assert await sink.until(2) == ["added 2 baseline", "listed 2 baseline 1"]

    assert "skipped no_identity" in sink.told


async def test_a_stream_that_ends_in_order_is_opened_again_at_once(tmp_path: Path) -> None:
    """The usual end of a watch costs no wait and no list; a bookmark is where it goes on."""
    first = Reply(200, [event("ADDED", 1), bookmark(1, end=True), event("MODIFIED", 2), bookmark(7)])
    async with following(tmp_path, first, OPEN) as (server, sink):
        await server.wait_for(2)
        assert await sink.until(4) == ["added 1 baseline", "listed 1 baseline 1", "modified 2 live", "progress 7"]

    assert server.requests[1].query["resourceVersion"] == "7"
    assert (sink.slept, sink.told[-1]) == ([], "restarted ended")


async def test_what_was_not_handed_on_does_not_count_as_seen(tmp_path: Path) -> None:
    """When a reflector ends while its sink is full, another goes on before what was not taken."""
    script = [page(1), Reply(200, [event("MODIFIED", 6), event("MODIFIED", 7), STALL])]
    async with following(tmp_path, *script, version="5") as (_, sink):
        put, full = sink.put, asyncio.Event()

        async def stuck(item: Observation | Listed | Progress) -> None:
            if sink.items:
                full.set()
                await asyncio.Event().wait()
            await put(item)

        sink.put = stuck  # type: ignore[method-assign]
        await asyncio.wait_for(full.wait(), 30)
        assert sink.reflector is not None
        assert (sink.reflector.version, [short(item) for item in sink.items]) == ("6", ["modified 6 live"])


async def test_watches_ask_for_plain_bytes(tmp_path: Path) -> None:
    """Since a server may send many gzip members in one stream, watches ask for no compression."""
    async with following(tmp_path, OPEN) as (server, _):
        (request,) = await server.wait_for(1)

    assert request.headers["accept-encoding"] == "identity"
