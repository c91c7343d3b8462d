"""What can go wrong on request: what it looks like on the wire, and that whoever follows the server gets over it."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from exporter.kube.client import Api
from exporter.kube.collection import Collection, Selection
from exporter.kube.reflector import Reflector
from exporter.model import Scope
from tests.contract.gadgets import CONFIG_MAP, GADGET, made
from tests.kube.watching import Recorder
from tests.sandbox.conftest import PATH


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.sandbox.apiserver.faults import Faults, Switch
    from exporter.sandbox.apiserver.server import Sandbox
    from tests.sandbox.conftest import Ground

NAME = str(GADGET)
WATCH_LIST = {
    "watch": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}
REFUSALS = {403: "Forbidden", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
_SECONDS = 30.0

# What befalls the stream of a reflector, and what the reflector then tells.
BEFALLS: dict[str, tuple[Callable[[Faults], Switch], str]] = {
    "cut": (lambda faults: faults.cut(resource=NAME, after=1), "restarted connection"),
    "garbage": (lambda faults: faults.garbage(resource=NAME, after=1), "restarted broken"),
    "dribble": (lambda faults: faults.dribble(resource=NAME, size=1), ""),
    "no-end": (lambda faults: faults.no_end(resource=NAME, times=1), "restarted broken"),
    "page": (lambda faults: faults.page(resource=NAME, times=1), "restarted broken"),
    "429": (lambda faults: faults.refuse(429, resource=NAME, times=2, retry_after=0), "restarted http_429"),
    "503": (lambda faults: faults.refuse(503, resource=NAME, times=2), "restarted http_503"),
    "403": (lambda faults: faults.refuse(403, resource=NAME, times=1), "recovered"),
}


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_request_is_refused(ground: Ground, status: int) -> None:
    """A type is refused with a Status as often as it was set, and other types are answered."""
    ground.sandbox.faults.refuse(status, resource=NAME, times=2, retry_after=7)
    answers = [await ground.wire.get(PATH) for _ in range(3)]
    assert [status, status, 200] == [answer.status for answer in answers]
    assert (REFUSALS[status], "7") == (answers[0].reason, answers[0].headers["Retry-After"])


async def test_a_refusal_can_be_of_one_verb(ground: Ground) -> None:
    """Where watching is refused, reading and writing go on, and so does the watch of another type."""
    ground.sandbox.faults.refuse(403, resource=NAME, verb="watch")
    asked = [
        await ground.wire.get(PATH, watch="true"),
        await ground.wire.get(PATH),
        await ground.wire.post(PATH, made()),
    ]
    assert [answer.status for answer in asked] == [403, 200, 201]
    async with ground.wire.watch(CONFIG_MAP.path("default"), timeoutSeconds="1") as stream:
        assert (stream.status, await stream.rest()) == (200, [])


async def test_a_switch_holds_until_it_is_lifted(ground: Ground) -> None:
    """Without a number it is for ever, for all types and for discovery; lifted, everything is answered again."""
    faults = ground.sandbox.faults
    switch = faults.refuse(500)
    paths = (PATH, "/apis", "/version", "/api/v1/namespaces")
    assert [(await ground.wire.get(path)).status for path in paths] == [500] * 4
    faults.lift(switch)
    assert [(await ground.wire.get(path)).status for path in paths] == [200] * 4


async def test_a_page_of_a_proxy_comes_instead(ground: Ground) -> None:
    """A request is answered 200 with HTML."""
    ground.sandbox.faults.page(resource=NAME, times=1)
    answer = await ground.wire.get(PATH, accept="*/*")
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    assert "<title>" in answer.body
    assert (await ground.wire.get(PATH)).body["items"] == []


async def test_a_stream_breaks_in_the_middle_of_a_line(ground: Ground) -> None:
    """After so many lines half a line comes, then the connection is gone without an end; once."""
    await ground.make("a", "b")
    ground.sandbox.faults.cut(resource=NAME, after=1)
    async with _stream(ground.sandbox) as response:
        first, half = await response.content.readline(), await _until_broken(response)
    assert json.loads(first)["object"]["metadata"]["name"] == "a"
    assert (b'{"type":"ADDED"', b"\n" in half) == (half[:15], False)
    async with _stream(ground.sandbox) as response:
        assert [_word(await response.content.readline()) for _ in range(3)] == [b"ADDED", b"ADDED", b"BOOKMARK"]


async def test_open_streams_can_be_cut_now(ground: Ground) -> None:
    """Streams of a type break at once, those of another go on; how many broke is told."""
    await ground.make("a")
    sandbox = ground.sandbox
    async with _stream(sandbox) as first, _stream(sandbox) as second, ground.wire.watch(CONFIG_MAP.path()) as other:
        for response in (first, second):
            await response.content.readline()
        assert sandbox.cut(NAME) == 2
        for response in (first, second):
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        await ground.wire.post(CONFIG_MAP.path("default"), made(resource_type=CONFIG_MAP))
        assert (await other.next())["object"]["metadata"]["name"] == "one"


async def test_a_stalled_stream_goes_on_when_lifted(ground: Ground) -> None:
    """Nothing comes after so many lines though something happens; then all of it comes, in order."""
    await ground.make("a")
    switch = ground.sandbox.faults.stall(resource=NAME, after=2)
    async with _stream(ground.sandbox) as response:
        assert [_word(await response.content.readline()) for _ in range(2)] == [b"ADDED", b"BOOKMARK"]
        for size in (2, 3):
            await ground.resize("a", size)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.content.readany(), 0.3)
        ground.sandbox.faults.lift(switch)
        sizes = [await _size(response) for _ in range(2)]
    assert sizes == [2, 3]


async def test_a_dribbled_stream_is_whole(ground: Ground) -> None:
    """Bytes come in tiny pieces, and together they are the lines that would have come."""
    await ground.make("a")
    ground.sandbox.faults.dribble(resource=NAME, size=3)
    async with _stream(ground.sandbox) as response:
        pieces = [await response.content.readchunk() for _ in range(20)]
        assert {len(data) for data, _ in pieces} == {3}
        line = b"".join(data for data, _ in pieces) + await response.content.readline()
    assert json.loads(line)["object"]["metadata"]["name"] == "a"


async def test_garbage_comes_between_lines(ground: Ground) -> None:
    """A line that is no JSON comes before the one that would come, which follows."""
    await ground.make("a")
    ground.sandbox.faults.garbage(resource=NAME, content=b"<html>")
    async with _stream(ground.sandbox) as response:
        assert [await response.content.readline(), _word(await response.content.readline())] == [b"<html>\n", b"ADDED"]


async def test_the_end_of_the_first_part_is_kept_back(ground: Ground) -> None:
    """The annotated bookmark does not come, later bookmarks do; the next stream has it again."""
    ground.sandbox.faults.no_end(resource=NAME, times=1)
    for expected in ([False, False], [True, False]):
        async with _stream(ground.sandbox) as response:
            bookmarks = [json.loads(await response.content.readline())["object"]["metadata"] for _ in range(2)]
        assert expected == ["annotations" in metadata for metadata in bookmarks]


async def test_a_stream_can_be_many_gzip_members(ground: Ground) -> None:
    """Who accepts gzip gets a member for each flush; who asks for identity, as the exporter does, gets none."""
    ground.sandbox.faults.gzip(resource=NAME)
    async with _stream(ground.sandbox, encoding="gzip") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        members = [(await response.content.readchunk())[0]]
        await ground.make("a")
        while b"ADDED" not in gzip.decompress(members[-1]):
            members.append((await response.content.readchunk())[0])
    assert all(member.startswith(b"\x1f\x8b") for member in members)
    assert _word(gzip.decompress(b"".join(members)).splitlines()[0]) == b"BOOKMARK"
    async with _stream(ground.sandbox) as response:
        assert ("Content-Encoding" in response.headers, b"ADDED") == (False, _word(await response.content.readline()))


async def test_history_can_go_back(ground: Ground) -> None:
    """After a restore versions are lower, what came since is gone, streams broke, and a watch from then is silent."""
    (before,) = await ground.make("a")
    snapshot = ground.sandbox.store.snapshot()
    ahead = (await ground.resize("a", 2))["metadata"]["resourceVersion"]
    await ground.make("b")
    async with _stream(ground.sandbox) as response:
        await response.content.readline()
        ground.sandbox.go_back(snapshot)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    listed = (await ground.wire.get(PATH)).body
    assert ([before], True) == (listed["items"], int(listed["metadata"]["resourceVersion"]) < int(ahead))
    too_large = await ground.wire.get(PATH, limit="1", resourceVersion=ahead, resourceVersionMatch="NotOlderThan")
    assert too_large.status == 504
    async with ground.wire.watch(PATH, resourceVersion=ahead, timeoutSeconds="1") as silent:
        await ground.make("c")
        assert (silent.status, await silent.rest()) == (200, [])


@pytest.mark.parametrize("case", BEFALLS)
async def test_a_reflector_gets_over_it(ground: Ground, case: str) -> None:
    """Whatever befalls its stream, the exporter's reflector has every version in the end, and each once in order."""
    befall, told = BEFALLS[case]
    await ground.make("a", "b")
    befall(ground.sandbox.faults)
    async with _following(ground) as sink:
        await _until(lambda: "synced" in sink.told)
        for size in range(2, 8):
            await ground.resize("a", size)
        last = (await ground.make("c"))[0]["metadata"]["resourceVersion"]
        await _until(lambda: last in _versions(sink))
    assert told in {*sink.told, ""}
    versions = [int(version) for version in dict.fromkeys(_versions(sink))]
    assert len(versions) == 9
    assert sorted(versions[2:]) == versions[2:]


async def test_a_reflector_lists_again_when_history_is_forgotten(ground: Ground) -> None:
    """Cut and compacted, a reflector is told 410, lists, and marks the list as a gap."""
    await ground.make("a")
    async with _following(ground) as sink:
        await _until(lambda: "synced" in sink.told)
        ground.sandbox.faults.refuse(503, resource=NAME, verb="watch", times=1)
        ground.sandbox.cut(NAME)
        await ground.resize("a", 2)
        ground.sandbox.store.compact()
        last = (await ground.resize("a", 3))["metadata"]["resourceVersion"]
        await _until(lambda: last in _versions(sink))
    assert "listing expired gap" in sink.told


async def test_a_reflector_notices_that_history_went_back(ground: Ground) -> None:
    """Once its silent stream breaks, a reflector finds that the server is behind what it has seen, and lists."""
    await ground.make("a")
    sandbox = ground.sandbox
    snapshot = sandbox.store.snapshot()
    for size in range(2, 5):
        ahead = (await ground.resize("a", size))["metadata"]["resourceVersion"]
    async with _following(ground) as sink:
        await _until(lambda: "synced" in sink.told)
        sandbox.go_back(snapshot)
        await _until(lambda: sandbox.requests[-1].query.get("resourceVersion", "") >= ahead)
        await _until(lambda: sandbox.cut(NAME) == 1)
        await _until(lambda: "listing history_went_backwards gap" in sink.told)
        (new,) = await ground.make("b")
        await _until(lambda: new["metadata"]["resourceVersion"] in _versions(sink))
    assert "went backwards" in sink.told


@asynccontextmanager
async def _following(ground: Ground) -> AsyncIterator[Recorder]:
    """Let the exporter's own reflector follow the gadgets; it never waits long before it tries again."""
    async with Api.connect(str(ground.kubeconfig)) as api:
        sink = Recorder()
        scope = Scope(GADGET.group, GADGET.resource)
        reflector = Reflector(
            Collection(api, GADGET, scope, Selection(), sink),
            sink,
            version="",
            mode="baseline",
            lists=asyncio.Semaphore(1),
            draw=lambda: 0.0,
            sleep=sink.sleep,
        )
        task = asyncio.create_task(reflector.run())
        try:
            yield sink
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def _stream(sandbox: Sandbox, *, encoding: str = "identity") -> AsyncIterator[aiohttp.ClientResponse]:
    """Open a WatchList and leave its bytes as they are."""
    headers = {"Accept-Encoding": encoding}
    async with (
        aiohttp.ClientSession(sandbox.address, auto_decompress=False) as session,
        session.get(GADGET.path(), params=WATCH_LIST, headers=headers) as response,
    ):
        assert response.status == 200
        yield response


async def _until_broken(response: aiohttp.ClientResponse) -> bytes:
    """Read until the connection breaks; an end in order is none."""
    read = b""
    try:
        while chunk := await response.content.readany():
            read += chunk
    except aiohttp.ClientPayloadError:
        return read
    raise AssertionError(f"the stream ended in order after {read!r}")


async def _until(so: Callable[[], bool]) -> None:
    """Wait on this event loop, where the server runs too."""
    async with asyncio.timeout(_SECONDS):
        while not so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def _size(response: aiohttp.ClientResponse) -> Any:
    """The size in the next line that is no bookmark."""
    while _word(line := await response.content.readline()) == b"BOOKMARK":
        pass
    return json.loads(line)["object"]["spec"]["size"]


def _word(line: bytes) -> bytes:
    return line.split(b'"')[3]


def _versions(sink: Recorder) -> list[str]:
    return [item.head.resource_version for item in sink.items if hasattr(item, "head")]
