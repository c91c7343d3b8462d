"""Streams of the emulated server: what they cost, what they hold back, and when they end."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import aiohttp

from exporter.sandbox.apiserver import watch
from exporter.sandbox.apiserver.server import emulate
from exporter.sandbox.apiserver.views import View
from tests.contract.gadgets import BOX, CRDS, GADGET, SHARED, made, version
from tests.contract.installing import install, remove
from tests.sandbox.conftest import PATH


if TYPE_CHECKING:
    import pytest

    from exporter.sandbox.apiserver.log import Event
    from tests.sandbox.conftest import Ground

MANY = 300
_SECONDS = 30.0


async def test_a_stream_that_nobody_reads_is_broken(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client does not read waits for it up to a limit, then its connection breaks; writes never wait."""
    monkeypatch.setattr(watch, "_MOST_WAITING", 20)
    await ground.make("a")
    text = "x" * 200_000
    async with ground.wire.watch(PATH, resourceVersion="0") as slow, ground.wire.watch(PATH) as quick:
        await quick.next()
        for size in range(60):
            await ground.wire.merge(f"{PATH}/a", {"spec": {"size": size, "color": text}})
            assert (await quick.next())["object"]["spec"]["size"] == size
        broken = False
        try:
            seen = [await slow.next() for _ in range(61)]
        except (aiohttp.ClientPayloadError, AssertionError):
            broken = True
    assert broken, len(seen)


async def test_a_line_is_made_once_for_all(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many streams that show an object alike share the bytes of an event; another form is made once more."""
    made_lines: list[str] = []
    event = View.event

    def counted(view: View, word: str, obj: dict[str, Any]) -> bytes:
        made_lines.append(word)
        return event(view, word, obj)

    begin = ground.sandbox.store.version
    partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(ground.wire.watch(PATH, resourceVersion=str(begin), accept=accept))
            for accept in ["application/json"] * 5 + [partial] * 5
        ]
        monkeypatch.setattr(View, "event", counted)
        await ground.make("a")
        assert [{"ADDED"}] * 10 == [{(await stream.next())["type"]} for stream in streams]
        late = await stack.enter_async_context(ground.wire.watch(PATH, resourceVersion=str(begin)))
        await late.next()
    assert made_lines == ["ADDED"] * 2


async def test_a_write_wakes_those_whom_it_concerns(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write is put into the streams of its type and namespace once, and into no others."""
    await install(ground.wire, BOX, SHARED[BOX])
    await ground.wire.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    woken: list[str] = []
    put = watch.Stream._put

    def noted(stream: watch.Stream, line: bytes) -> None:
        woken.append(stream.watched.namespace or stream.watched.kind.resource)
        put(stream, line)

    paths = (PATH, GADGET.path("shop"), GADGET.path(), BOX.path(), "/api/v1/namespaces")
    async with AsyncExitStack() as stack:
        begin = str(ground.sandbox.store.version)
        for path in paths:
            await stack.enter_async_context(ground.wire.watch(path, resourceVersion=begin))
        selected = ground.wire.watch(GADGET.path(), resourceVersion=begin, labelSelector="team=x")
        await stack.enter_async_context(selected)
        monkeypatch.setattr(watch.Stream, "_put", noted)
        await ground.make("a", namespace="shop")
        await ground.make("b")
    assert sorted(woken) == ["default", "gadgets", "gadgets", "shop"]


async def test_many_streams_are_told_of_a_write(ground: Ground) -> None:
    """Hundreds of streams that are open at once each have every version, in order and once."""
    begin = str(ground.sandbox.store.version)
    query = {"watch": "true", "resourceVersion": begin}
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        asyncio.timeout(_SECONDS),
        aiohttp.ClientSession(ground.sandbox.address, connector=connector) as session,
        AsyncExitStack() as stack,
    ):
        opened = [session.get(PATH, params=query) for _ in range(MANY)]
        streams = await asyncio.gather(*(stack.enter_async_context(one) for one in opened))
        await ground.make("a")
        for size in (2, 3):
            await ground.resize("a", size)
        lines = await asyncio.gather(*(_lines(stream, 3) for stream in streams))
    assert {(1, 2, 3)} == {tuple(json.loads(line)["object"]["spec"]["size"] for line in one) for one in lines}


async def test_nothing_is_lost_between_the_beginning_and_what_happens(ground: Ground) -> None:
    """Streams that open while somebody writes have each version after their list, or their version, once."""
    await ground.make("a")

    async def write() -> None:
        for size in range(2, 60):
            await ground.resize("a", size)

    async def follow(**query: str) -> list[int]:
        async with ground.wire.watch(PATH, **query) as stream:
            sizes = [(await stream.next())["object"]["spec"]["size"]]
            while sizes[-1] != 59:
                sizes.append((await stream.next())["object"]["spec"]["size"])
            return sizes

    begin = str(ground.sandbox.store.version)
    writing = asyncio.create_task(write())
    following = []
    for _ in range(10):
        following += [asyncio.create_task(follow()), asyncio.create_task(follow(resourceVersion=begin))]
        await asyncio.sleep(0)
    await writing
    for sizes in await asyncio.gather(*following):
        assert list(range(sizes[0], 60)) == sizes


async def test_bookmarks_come_now_and_then(ground: Ground) -> None:
    """Who allows bookmarks is told how far the server is, though nothing happened in the type; others are not."""
    begin = str(ground.sandbox.store.version)
    async with (
        ground.wire.watch(PATH, resourceVersion=begin, allowWatchBookmarks="true") as stream,
        ground.wire.watch(PATH, resourceVersion=begin, timeoutSeconds="1") as without,
    ):
        answer = await ground.wire.post("/api/v1/namespaces", {"metadata": {"name": "elsewhere"}})
        event = await stream.next()
        while event["object"]["metadata"]["resourceVersion"] == begin:  # it may be told so before anything has happened
            event = await stream.next()
        assert ("BOOKMARK", answer.version) == (event["type"], event["object"]["metadata"]["resourceVersion"])
        assert await without.rest() == []


async def test_a_stream_ends_with_its_type(ground: Ground) -> None:
    """A watch ends, after it was told of the deletions, when its type is removed or its version no longer served."""
    two = SHARED[GADGET]["spec"]["versions"]
    await ground.make("a")
    begin = str(ground.sandbox.store.version)
    other = PATH.replace("/v1/", "/v2/")
    async with (
        ground.wire.watch(PATH, resourceVersion=begin) as stream,
        ground.wire.watch(other, resourceVersion=begin) as of_v2,
    ):
        unserved = {"spec": {"versions": [two[0], version("v2", storage=False) | {"served": False}]}}
        await ground.wire.merge(f"{CRDS}/{GADGET}", unserved)
        assert await of_v2.rest() == []
        await ground.make("b")
        assert (await stream.next())["object"]["metadata"]["name"] == "b"
        await remove(ground.wire, GADGET)
        assert sorted((event["type"], event["object"]["metadata"]["name"]) for event in await stream.rest()) == [
            ("DELETED", "a"),
            ("DELETED", "b"),
        ]


async def test_a_stream_whose_client_is_gone_is_forgotten(ground: Ground) -> None:
    """A closed connection takes its stream with it, without a write; nothing is kept of it."""
    async with ground.wire.watch(PATH, resourceVersion="0"):
        assert len(ground.sandbox._hub._all()) == 1
    async with asyncio.timeout(_SECONDS):
        while ground.sandbox._hub._all():  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)


async def test_streams_end_in_order_with_the_server() -> None:
    """A server that goes down ends its streams, a stalled one too; its clients see an end and no broken connection."""
    async with aiohttp.ClientSession() as session, AsyncExitStack() as stack:
        async with emulate() as sandbox:
            url = f"{sandbox.address}/api/v1/namespaces"
            sandbox.faults.stall(resource="namespaces", after=1, times=1)
            streams = [await stack.enter_async_context(session.get(url, params={"watch": "true"})) for _ in range(2)]
            for stream in streams:
                await stream.content.readline()
        assert [(await asyncio.wait_for(stream.read(), _SECONDS))[-1:].strip() for stream in streams] == [b""] * 2


async def test_a_write_by_hand_is_told_too(ground: Ground) -> None:
    """What is put into the store directly reaches the streams as what comes over HTTP does."""
    told: list[Event] = []
    ground.sandbox.store.listeners.append(told.append)
    kind = ground.sandbox.store.kind(GADGET.group, GADGET.resource)
    assert kind is not None
    async with ground.wire.watch(PATH, resourceVersion="0") as stream:
        ground.sandbox.store.create(kind, "default", made("direct"), "somebody")
        event = await stream.next()
    assert [(one.type, one.object["metadata"]["name"]) for one in told] == [("ADDED", "direct")]
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "direct")


async def _lines(response: aiohttp.ClientResponse, count: int) -> list[bytes]:
    return [await response.content.readline() for _ in range(count)]
