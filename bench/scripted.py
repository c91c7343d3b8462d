"""An API server's answers out of prepared bytes: the watches of the types, first what is there, then the changes.

Stands in for `exporter.kube.client.Api`, so that nothing but the exporter itself runs in the process that is measured.
Must never decode, copy or wait more than a socket would make it.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from bench import objects


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from bench.objects import Line

CLUSTER = "bench"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# What a watch that flows gives at once.
_CHUNK = 64 * 1024
EMPTY = b'{"kind":"List","metadata":{"resourceVersion":"1"},"items":[]}'


class _Object(Struct):
    metadata: dict[str, msgspec.Raw]


class _Event(Struct):
    type: str
    object: _Object


def listed(lines: Sequence[bytes]) -> bytes:
    """Make a list of the metadata of what is there before the changes, as the audit of an exporter asks for it."""
    events = [msgspec.json.decode(line, type=_Event) for line in lines]
    items = [event.object for event in events if event.type == "ADDED"]
    return msgspec.json.encode({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})


def answer(whole: bytes, query: Mapping[str, str]) -> bytes:
    """Answer who asks for a list; by one of a single object it is asked whether the server is behind: it is not."""
    return EMPTY if query.get("limit") == "1" else whole


class Script:
    """What the server says: by path, the initial part of a watch and what follows.

    Args:
        types: how many
        first: the objects that are there
        then: the changes

    """

    def __init__(self, types: int, first: Sequence[Line], then: Sequence[Line] = ()) -> None:
        crds = [objects.definition(number) for number in range(types)]
        for number, crd in enumerate(crds):
            crd["metadata"] |= {"uid": f"crd-{number}", "resourceVersion": "1"}
            crd["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        paths = [f"/apis/{objects.GROUP}/v1/{objects.plural(number)}" for number in range(types)]
        self.first = {path: [one.data for one in first if one.number == number] for number, path in enumerate(paths)}
        self.then = {path: [one.data for one in then if one.number == number] for number, path in enumerate(paths)}
        self.first[CRDS], self.then[CRDS] = [objects.event("ADDED", crd) for crd in crds], []
        for path, told in self.first.items():
            told.append(_bookmark("CustomResourceDefinition" if path == CRDS else "Bench"))


def _bookmark(kind: str) -> bytes:
    ends = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
    line = {"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": "v1", "metadata": ends}}
    return json.dumps(line).encode() + b"\n"


def chunks(lines: Sequence[bytes], size: int = _CHUNK) -> list[bytes]:
    """Cut lines into pieces as they come from a socket: where a piece ends, has nothing to do with lines."""
    whole = b"".join(lines)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


class ScriptedStream:
    """The answer to one watch."""

    def __init__(self, first: list[bytes], then: list[bytes], go: asyncio.Event) -> None:
        self._first = first
        self._then = then
        self._go = go

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body; the other streams get their turn with each piece, as with a socket."""
        for chunk in self._first:
            await asyncio.sleep(0)
            yield chunk
        await self._go.wait()
        for chunk in self._then:
            await asyncio.sleep(0)
            yield chunk
        await asyncio.Event().wait()

    async def rest(self) -> None:
        """Let the others go on."""
        await asyncio.sleep(0)


class ScriptedApi:
    """Gives the answers of a script; the changes once `go` is set."""

    server = "https://bench"

    def __init__(self, script: Script) -> None:
        self.go = asyncio.Event()
        self._first = {path: chunks(lines) for path, lines in script.first.items()}
        self._then = {path: chunks(lines) for path, lines in script.then.items()}

    async def get(self, *_: object, **__: object) -> bytes:
        """Answer whether the server is behind: it is not."""
        return EMPTY

    async def get_json(self, *_: object, **__: object) -> dict[str, Any]:
        """Offer nothing that no CRD defines."""
        return {}

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str], **_: object) -> AsyncIterator[ScriptedStream]:
        """Open a watch."""
        first = [] if "sendInitialEvents" not in params else self._first[path]
        yield ScriptedStream(first, self._then[path], self.go)
