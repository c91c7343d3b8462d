"""An API server in a thread that changes, makes and deletes objects, out of prepared bytes, as fast as it is heard.

It answers what the exporter asks, over plain HTTP, and nothing else. Must cost little: it runs beside what is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from bench import objects
from bench.scripted import CLUSTER, Script, answer, listed
from tests.faults.loops import end_all


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION, _NAME = "8888888888", "one-999999"
_AT_ONCE = 100
_PATH = f"/apis/{objects.GROUP}/v1/{objects.plural(0)}"


class Flood:
    """One type with so many objects; `with` serves it.

    Of ten events, seven are changes of the status and one of the spec; one makes an object under a name that never was
    before, and one deletes it.

    Attributes:
        kubeconfig: the way to it
        said: events so far
        until: events at which it pauses

    """

    def __init__(self, directory: Path, count: int) -> None:
        """Prepare the bytes.

        Args:
            directory: for the kubeconfig
            count: how many objects there are

        """
        draw = random.Random(1)  # noqa: S311 - the same in every run
        there = [objects.shown(0, index, objects.KIB, draw) for index in range(count)]
        lines = [objects.Line(0, objects.event("ADDED", one)) for one in there]
        first = Script(1, lines).first
        self._first = {path: b"".join(told) for path, told in first.items()}
        self._lists = {path: listed(told) for path, told in first.items()}
        self._changes = [_templates(one, draw) for one in there]
        self._new = objects.shown(0, 999_999, objects.KIB, draw)
        self.kubeconfig = directory / "flood.kubeconfig"
        self.said = 0
        self.until = 0
        self._serial = itertools.count(2)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="flood", daemon=True)

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        application = web.Application()
        application.router.add_get("/api/v1/namespaces/kube-system", self._identity)
        for path in self._first:
            application.router.add_get(path, self._collection)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        server = {"server": f"http://127.0.0.1:{self._runner.addresses[0][1]}"}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "flood",
            "clusters": [{"name": "flood", "cluster": server}],
            "users": [{"name": "flood", "user": {}}],
            "contexts": [{"name": "flood", "context": {"cluster": "flood", "user": "flood"}}],
        }  # fmt: skip
        self.kubeconfig.write_text(json.dumps(config), encoding="utf-8")

    async def _end(self) -> None:
        await self._runner.cleanup()
        await end_all()

    async def _identity(self, _: web.Request) -> web.Response:
        return web.json_response({"metadata": {"uid": CLUSTER}})

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            body = answer(self._lists[request.path], request.query)
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        if "sendInitialEvents" in request.query:
            await response.write(self._first[request.path])
        events = self._events() if request.path == _PATH else iter(())
        while True:
            if self.said < self.until and (chunk := b"".join(itertools.islice(events, _AT_ONCE))):
                self.said += _AT_ONCE
                await response.write(chunk)
            else:
                await asyncio.sleep(0.01)

    def _events(self) -> Iterator[bytes]:
        """Make events without end; what is left to do for each is to put in its number."""
        made = _template("ADDED", self._new)
        deleted = _template("DELETED", self._new)
        uid = self._new["metadata"]["uid"].encode()
        for turn in itertools.count():
            places = [(turn * 8 + place) % len(self._changes) for place in range(8)]
            for place, index in enumerate(places):
                yield self._changes[index][2 if place == 7 else turn % 2].replace(_VERSION.encode(), self._number())
            name = b"one-%06d" % (turn % 900_000 + 90_000)
            for template in (made, deleted):
                line = template.replace(_NAME.encode(), name).replace(uid, b"%036d" % turn)
                yield line.replace(_VERSION.encode(), self._number())

    def _number(self) -> bytes:
        return b"%010d" % (next(self._serial) + 1_000_000_000)


def _templates(one: dict[str, Any], draw: random.Random) -> list[bytes]:
    """Two versions that differ in the status, and one with another spec."""
    changed: tuple[tuple[objects.Sort, int], ...] = (("status", 1), ("status", 2), ("spec", 3))
    return [_template("MODIFIED", objects.changed(one, sort, version, draw)) for sort, version in changed]


def _template(word: str, one: dict[str, Any]) -> bytes:
    """A line in which the version is still to be put."""
    metadata = {**one["metadata"], "resourceVersion": _VERSION}
    return objects.event(word, {**one, "metadata": metadata})
