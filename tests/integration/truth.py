"""What a watch of the test's own saw: the versions of each object, and when. Shares nothing with the exporter.

Must never be interrupted: it is the truth.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.contract.installing import until
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from tests.contract.wire import Wire

_OK = 200
_SECONDS = 60.0

Object = dict[str, Any]


class Version(NamedTuple):
    """One version of an object, and when it was seen, nanoseconds since 1970."""

    body: Object
    seen: int

    @property
    def resource_version(self) -> str:
        """Its number."""
        return str(self.body["metadata"]["resourceVersion"])

    @property
    def conditions(self) -> dict[str, Object]:
        """The conditions by their types."""
        return {one["type"]: one for one in self.body.get("status", {}).get("conditions", ())}

    def status(self, type_: str) -> str:
        """The status of a condition; empty where it has none of that type."""
        return str(self.conditions.get(type_, {}).get("status", ""))


class Truth:
    """The versions of all objects of some types. Made by `watching`."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], list[Version]] = {}

    def versions(self, kind: str, name: str) -> list[Version]:
        """The versions of an object, in their order."""
        return self.objects.get((kind, name), [])

    async def comes(self, so: Callable[[], bool]) -> None:
        """Wait until something is so."""
        await asyncio.to_thread(eventually, so, _SECONDS)

    async def follow(self, wire: Wire, path: str, begun: asyncio.Event) -> None:
        """Watch a collection for ever, from where there is nothing in it yet."""
        # A server may say that a type is there a moment before it serves it.
        listed = (await until(lambda: wire.get(path), lambda answer: answer.status == _OK)).body
        assert listed["items"] == []
        begun.set()
        async with wire.watch(path, resourceVersion=listed["metadata"]["resourceVersion"]) as stream:
            async for event in stream:
                self._see(event["object"])

    def _see(self, body: Object) -> None:
        key = (body["kind"], body["metadata"]["name"])
        self.objects.setdefault(key, []).append(Version(body, time.time_ns()))


@asynccontextmanager
async def watching(wire: Wire, paths: Iterable[str]) -> AsyncIterator[Truth]:
    """Watch some collections, in which there is nothing yet, while the block runs."""
    truth = Truth()
    async with asyncio.TaskGroup() as group:
        begun = {path: asyncio.Event() for path in paths}
        tasks = [group.create_task(truth.follow(wire, path, event)) for path, event in begun.items()]
        for event in begun.values():
            await event.wait()
        yield truth
        for task in tasks:
            task.cancel()


def transitions(versions: Iterable[Version]) -> Iterator[tuple[Version, str, str, str, str]]:
    """Every condition that came to another status: in which version, its type, before and after, and since when."""
    for old, new in pairwise(versions):
        for type_ in sorted(old.conditions.keys() | new.conditions.keys()):
            before, after = old.status(type_), new.status(type_)
            if before != after:
                yield new, type_, before, after, new.conditions.get(type_, {}).get("lastTransitionTime", "")
