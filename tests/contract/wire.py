"""The plainest client of an API server: one request, one answer, nothing tried again and nothing understood.

Must never share code with the emulated server, nor correct what a server says.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from exporter.kube.auth import load


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from exporter.kube.auth import AuthRefresher

Object = dict[str, Any]

JSON = "application/json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"  # JSON is YAML
# Who writes where a test does not say.
WRITER = "tester"
_EVENT_SECONDS = 30.0


class Answer(NamedTuple):
    """What a server answered; `body` is its JSON, or text where it is none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def reason(self) -> str:
        """Why it refused: the word that clients decide by."""
        return str(self.body["reason"])

    @property
    def version(self) -> str:
        """The resourceVersion of the object, or of the list."""
        return str(self.body["metadata"]["resourceVersion"])


class Stream:
    """The events of a watch, as they come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self._response = response

    async def next(self) -> Object:
        """The next event; `AssertionError` where the stream ends or nothing comes."""
        line = await asyncio.wait_for(self._response.content.readline(), _EVENT_SECONDS)
        assert line, "the stream has ended"
        event: Object = json.loads(line)
        return event

    async def take(self, count: int) -> list[Object]:
        """The next events."""
        return [await self.next() for _ in range(count)]

    async def __aiter__(self) -> AsyncIterator[Object]:
        """All events until the server ends the stream, as they come."""
        while line := await self._response.content.readline():
            yield json.loads(line)

    async def rest(self) -> list[Object]:
        """All events until the server ends the stream."""
        body = await asyncio.wait_for(self._response.content.read(), _EVENT_SECONDS)
        return [json.loads(line) for line in body.splitlines()]


class Wire:
    """Requests to one server. Made by `reach`."""

    def __init__(self, session: aiohttp.ClientSession, auth: AuthRefresher) -> None:
        self._session = session
        self._auth = auth

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        media: str = JSON,
        accept: str = JSON,
        who: str = WRITER,
        **query: str,
    ) -> Answer:
        """Send a request and read the whole answer.

        Args:
            method: of HTTP
            path: below the server's address
            body: bytes as they are, anything else as JSON
            media: what the body is said to be
            accept: what is wanted back
            who: the field manager of a write; empty for none
            query: further parameters

        """
        params = ({"fieldManager": who} if who and method in {"POST", "PUT", "PATCH"} else {}) | query
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Accept": accept, **({"Content-Type": media} if data is not None else {})}
        async with self._open(method, path, params, headers, data) as response:
            text = await response.text()
            is_json = "json" in response.headers.get("Content-Type", "")
            return Answer(response.status, response.headers, json.loads(text) if is_json else text)

    async def post(self, collection: str, body: object, **options: str) -> Answer:
        """Create."""
        return await self.call("POST", collection, body, **options)

    async def get(self, path: str, **options: str) -> Answer:
        """Read or list."""
        return await self.call("GET", path, **options)

    async def put(self, path: str, body: object, **options: str) -> Answer:
        """Replace."""
        return await self.call("PUT", path, body, **options)

    async def merge(self, path: str, patch: object, **options: str) -> Answer:
        """Merge patch (RFC 7386)."""
        return await self.call("PATCH", path, patch, media=MERGE, **options)

    async def json_patch(self, path: str, patch: object, **options: str) -> Answer:
        """JSON patch (RFC 6902)."""
        return await self.call("PATCH", path, patch, media=JSON_PATCH, **options)

    async def apply(self, path: str, body: object, **options: str) -> Answer:
        """Server-side apply."""
        return await self.call("PATCH", path, body, media=APPLY, **options)

    async def delete(self, path: str, options: object = None, **query: str) -> Answer:
        """Delete, with DeleteOptions where given."""
        return await self.call("DELETE", path, options, **query)

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str = JSON, **query: str) -> AsyncIterator[Stream]:
        """Open a watch."""
        async with self._open("GET", path, {"watch": "true", **query}, {"Accept": accept}, None) as response:
            try:
                yield Stream(response)
            finally:
                # What is left early is cut: a farewell of TLS could come after the end of the event loop.
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()

    @asynccontextmanager
    async def _open(
        self, method: str, path: str, params: dict[str, str], headers: dict[str, str], data: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        credentials = await self._auth.fresh()
        always = {"Accept-Encoding": "identity", "User-Agent": "contract/1.0"}
        async with self._session.request(
            method,
            credentials.server + path,
            params=params,
            data=data,
            headers={**always, **headers, **await credentials.headers()},
            ssl=credentials.tls or True,
            skip_auto_headers=("Content-Type",),
        ) as response:
            yield response


@asynccontextmanager
async def reach(kubeconfig: Path) -> AsyncIterator[Wire]:
    """Reach the server that a kubeconfig names."""
    auth = await load(str(kubeconfig))
    try:
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session:
            yield Wire(session, auth)
    finally:
        await auth.close()
