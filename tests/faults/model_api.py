"""What the exporter takes for its way to an API server: the model's answers as bytes, whole, cut, late or wrong.

In place of `exporter.kube.client.Api`, with the same errors. One fault at a time is taken from the model's list by the
next request that it fits. Must never wait for real time.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.errors import ApiError, NetworkError
from exporter.kube.answers import api_error
from exporter.kube.discovery import CRD
from tests.faults.model import TYPES
from tests.faults.model_stream import ModelStream
from tests.faults.model_wire import status


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from exporter.model import ResourceType
    from tests.faults.model import Asked, Server

# Faults of any request; of a watch; of one that begins with a list; of a list in pages. Each with a number: bytes or
# lines that come before it.
ANY = ("refused", "busy", "forbidden", "broken")
WATCH = ("cut", "garbage", "gone", "gone at once", "error", "empty", "end", "stall", "twice", "late")
LISTING = ("endless", "unsupported", "endless", "early bookmark")
PAGES = ("expired", "no list")

_PAGE = 2
_LATENCY = 0.01
_RETRY_AFTER = 3.0
# Only who wants to compare asks for metadata.
_AUDIT = "as=PartialObjectMetadataList"


class ModelApi:
    """A way to the model.

    Args:
        server: the model

    Attributes:
        chunk: bytes in one piece of a stream, at most
        cut: is set when the streams that are open break

    """

    server = "https://model"

    def __init__(self, server: Server) -> None:
        self._model = server
        self._tokens: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        self.chunk = 1 << 16
        self.cut = asyncio.Event()

    def break_streams(self) -> None:
        """Break every open stream."""
        self.cut.set()
        self.cut = asyncio.Event()

    async def get_json(self, path: str, params: Mapping[str, str] | None = None, **_: Any) -> dict[str, Any]:
        """Answer as JSON."""
        return msgspec.json.decode(await self.get(path, params or {}), type=dict[str, Any])

    async def get(self, path: str, params: Mapping[str, str] | None = None, *, accept: str = "", **_: Any) -> bytes:
        """Answer a list, one of its pages, a question for one object, or whether a version has been reached."""
        query = dict(params or {})
        resource_type, namespace, name = self._read(path)
        asked = self._model.asked(resource_type, namespace)
        if name:
            await self._arrive(resource_type, None)
            return self._one(resource_type, namespace, name)
        await self._arrive(resource_type, asked)
        if "resourceVersionMatch" in query:
            return self._behind(int(query["resourceVersion"]))
        fault, _count = self._fault(resource_type, PAGES)
        if fault == "no list":
            asked.errors += 1
            return b"<html>"
        token = query.get("continue", "")
        if fault == "expired" and token:
            raise _error(410, "Expired")
        if token:
            rv, rest = self._tokens.pop(token)
        else:
            if _AUDIT not in accept:
                self._model.listed(resource_type, namespace)
            rv = self._model.rv
            rest = [one.body for one in self._model.there(resource_type, namespace, query.get("labelSelector", ""))]
        page, rest = (rest[:_PAGE], rest[_PAGE:]) if "limit" in query else (rest, [])
        more = {}
        if rest:
            more = {"continue": f"{path}/{rv}/{len(rest)}"}
            self._tokens[more["continue"]] = (rv, rest)
        return msgspec.json.encode({"metadata": {"resourceVersion": str(rv), **more}, "items": page})

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, read_timeout: float, **_: Any
    ) -> AsyncIterator[ModelStream]:
        """Open a watch."""
        query = dict(params)
        resource_type, namespace, _name = self._read(path)
        asked = self._model.asked(resource_type, namespace)
        initial = "sendInitialEvents" in query
        await self._arrive(resource_type, asked)
        fault, count = self._fault(resource_type, WATCH + (LISTING if initial else ()))
        if fault == "unsupported":
            raise _error(422, "Invalid")
        if initial:
            self._model.listed(resource_type, namespace)
            since = self._model.rv
        else:
            since = int(query["resourceVersion"])
            self._model.watched(resource_type, namespace, since)
        if fault == "gone at once" or since < self._model.floor:
            asked.gone += 1
            if count % 2:
                raise _error(410, "Expired")
            fault = "gone at once"
        stream = ModelStream(self, self._model, resource_type, namespace, query, asked)
        stream.begin(since, initial=initial, fault=fault, count=count, silence=read_timeout)
        try:
            yield stream
        finally:
            stream.close()

    # -- parts ------------------------------------------------------------------------------------------------

    def _read(self, path: str) -> tuple[ResourceType, str, str]:
        """Take a path apart."""
        parts = path.split("/")[2:]
        group, _version, *rest = parts
        namespace = rest.pop(0) and rest.pop(0) if rest[0] == "namespaces" else ""
        resource, *name = rest
        found = next(one for one in (CRD, *TYPES) if one.identity == (group, resource))
        return found, namespace, name[0] if name else ""

    async def _arrive(self, resource_type: ResourceType, asked: Asked | None) -> None:
        """Let a request reach the server, if it does, and be served at all."""
        await asyncio.sleep(_LATENCY)
        time = asyncio.get_running_loop().time()
        if self._model.down:
            raise NetworkError("refused", "down")
        if not self._model.defined(resource_type):
            raise _error(404, "NotFound")
        if asked is not None:
            assert time >= asked.not_before, f"asked for {resource_type} before the time that we gave"
        fault, _count = self._fault(resource_type, ANY)
        if fault == "refused":
            raise NetworkError("refused", "refused")
        if fault == "busy":
            if asked is not None:
                asked.not_before = time + _RETRY_AFTER
            raise api_error(429, {"Retry-After": "3"}, msgspec.json.encode(status(429, "TooManyRequests")))
        if fault == "forbidden":
            raise _error(403, "Forbidden")
        if fault == "broken":
            if asked is not None:
                asked.errors += 1
            raise _error(500, "InternalError")

    def _fault(self, resource_type: ResourceType, fitting: tuple[str, ...]) -> tuple[str, int]:
        """Take the first fault that is meant for a type, if it fits."""
        for number, (fault, count, only) in enumerate(self._model.faults):
            if only in (None, resource_type):
                if fault not in fitting:
                    break
                del self._model.faults[number]
                return fault, count
        return "", 0

    def _one(self, resource_type: ResourceType, namespace: str, name: str) -> bytes:
        version = self._model.objects.get((resource_type, namespace, name))
        if version is None:
            raise _error(404, "NotFound")
        return msgspec.json.encode(version.body)

    def _behind(self, version: int) -> bytes:
        if version <= self._model.rv:
            self._model.deceived = self._model.deceived or version not in self._model.lineage
            return msgspec.json.encode({"metadata": {"resourceVersion": str(self._model.rv)}, "items": []})
        for resource_type in TYPES:  # who knows it of one collection knows it of all
            self._model.excuse(resource_type)
        raise _error(504, "Timeout", "ResourceVersionTooLarge")


def _error(code: int, reason: str, *causes: str) -> ApiError:
    return api_error(code, {}, msgspec.json.encode(status(code, reason, causes)))
