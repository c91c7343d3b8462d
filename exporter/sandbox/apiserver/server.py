"""The emulated API server: HTTP on loopback before a store, with switches for what shall go wrong.

Reads a request, lets others answer it and sends that. No TLS, and nobody is asked who they are. Must never be reached
from outside, nor decide what an object may hold.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web
from isal import igzip
from msgspec import Struct

from exporter.sandbox.apiserver import discovery, openapi
from exporter.sandbox.apiserver.faults import Faults
from exporter.sandbox.apiserver.hub import Hub, Watched
from exporter.sandbox.apiserver.lists import Lists
from exporter.sandbox.apiserver.options import check_reached, read_options
from exporter.sandbox.apiserver.paths import read_path
from exporter.sandbox.apiserver.refusals import Refused
from exporter.sandbox.apiserver.store import Store
from exporter.sandbox.apiserver.verbs import Asked, answer, verb_of
from exporter.sandbox.apiserver.views import encode, kind_name
from exporter.sandbox.apiserver.watch import Stream


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.sandbox.apiserver.faults import Switch, Verb
    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.paths import Place
    from exporter.sandbox.apiserver.store import Snapshot

Object = dict[str, Any]

_OK = 200
_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
_HEALTH = {"/healthz", "/livez", "/readyz"}
# A real server takes no more; upstream's limit of a request's body.
_MOST_BYTES = 3 * 1024 * 1024
_COMPRESS_FROM = 128 * 1024
_LOG_LENGTH = 100_000
_SHORTEST_WATCH, _LONGEST_WATCH = 1800, 3600
_REASONS = {
    401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 429: "TooManyRequests",
    500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


class Request(Struct, frozen=True):
    """A request that came in: method, path, query, and when (seconds since 1970)."""

    method: str
    path: str
    query: dict[str, str]
    time: float


class Sandbox:
    """A running server. Made by `emulate`.

    Attributes:
        address: where it is, such as http://127.0.0.1:34567
        store: what it holds; what is written there is told to watches at once
        faults: what shall go wrong
        requests: those that came in, the latest 100,000

    """

    def __init__(self, store: Store, faults: Faults, bookmark_seconds: float) -> None:
        self.address = ""
        self.store = store
        self.faults = faults
        self.requests: deque[Request] = deque(maxlen=_LOG_LENGTH)
        self._hub = Hub(store, bookmark_seconds)
        self._lists = Lists(store)

    def kubeconfig(self) -> str:
        """Give the text of a kubeconfig with the way to here."""
        return (
            "apiVersion: v1\nkind: Config\ncurrent-context: emulated\n"
            f"clusters: [{{name: emulated, cluster: {{server: {self.address}}}}}]\n"
            "users: [{name: anybody, user: {}}]\n"
            "contexts: [{name: emulated, context: {cluster: emulated, user: anybody}}]\n"
        )

    def cut(self, resource: str = "") -> int:
        """Break the connections of all streams, or of those of a type such as `databases.db.example.com`."""
        return self._hub.cut(resource)

    def go_back(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of the store, as a cluster does whose etcd is restored; all streams break."""
        self.store.restore(snapshot)
        self._lists.forget()
        self._hub.cut()

    def finish(self) -> None:
        """End all streams in order."""
        self._hub.finish()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        query = dict(request.query)
        self.requests.append(Request(request.method, request.path, query, time.time()))
        try:
            return await self._answer(request, query)
        except Refused as refused:
            return _refusal(refused)

    async def _answer(self, request: web.BaseRequest, query: dict[str, str]) -> web.StreamResponse:
        # Before anything is looked up: whatever waits may find another world afterwards.
        body = await request.read()
        place = read_path(request.path)
        if place is None or not place.resource:
            return self._go_wrong("", "get") or self._describe(request.path)
        kind = self.store.kind(place.group, place.resource)
        if kind is None or not _is_served(kind, place, request.method):
            return _not_found()
        watch = not place.name and read_options(query).watch
        verb = verb_of(request.method, place, watch=watch)
        wrong = self._go_wrong(kind_name(kind), verb)
        if wrong is not None:
            return wrong
        headers = request.headers
        media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        accept, agent = headers.get("Accept", ""), headers.get("User-Agent", "")
        asked = Asked(verb, kind, place, query, accept, media, agent, body)
        if verb == "watch":
            return await self._watch(request, asked)
        answered = answer(asked, self.store, self._lists)
        return _json(answered.status, answered.body, request)

    async def _watch(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        options = read_options(asked.query)
        view = asked.view
        response = web.StreamResponse(headers=_HEADERS)
        if options.initial:
            check_reached(options.version, self.store.version)
        seconds = options.seconds or random.randint(_SHORTEST_WATCH, _LONGEST_WATCH)  # noqa: S311 - no secret
        watched = Watched(asked.kind, asked.place.namespace, options.selection, view)
        try:
            stream = Stream(self._hub, watched, options, self.faults, seconds)
        except Refused as refused:
            # Whoever asks for what is forgotten is told so in the stream.
            await response.prepare(request)
            await response.write(encode({"type": "ERROR", "object": refused.body()}) + b"\n")
            return response
        with suppress(ConnectionError):  # nobody is there any more
            await stream.run(request, response)
        return response

    def _describe(self, path: str) -> web.StreamResponse:
        """Answer what is asked about the server itself."""
        if path in _HEALTH:
            return web.Response(text="ok")
        kinds = self.store.kinds()
        found = discovery.describe(kinds, path) or openapi.describe(kinds, path)
        return _not_found() if found is None else _json(_OK, found)

    def _go_wrong(self, resource: str, verb: Verb) -> web.Response | None:
        """Answer as a switch says, None where nothing is to go wrong."""
        if (page := self.faults.take("page", resource, verb)) is not None:
            return web.Response(status=page.status, body=page.content, content_type="text/html")
        if (refuse := self.faults.take("refuse", resource, verb)) is not None:
            return _refusal(_refused(refuse, resource, verb))
        return None


@asynccontextmanager
async def emulate(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    store: Store | None = None,
    faults: Faults | None = None,
    bookmark_seconds: float = 60.0,
) -> AsyncIterator[Sandbox]:
    """Run an emulated API server on this event loop until the block ends.

    Args:
        host: address to listen on
        port: to listen on, 0 for any that is free
        store: what it holds, None for a fresh cluster
        faults: what shall go wrong, None for nothing yet
        bookmark_seconds: between two bookmarks of a watch

    Raises:
        OSError: the port is taken

    """
    sandbox = Sandbox(store if store is not None else Store(), faults or Faults(), bookmark_seconds)
    requests = partial(web.BaseRequest, loop=asyncio.get_running_loop(), client_max_size=_MOST_BYTES)
    # A watch whose client is gone must not wait for ever for the next write.
    server = web.Server(sandbox.handle, request_factory=requests, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        (listening,) = runner.addresses
        sandbox.address = f"http://{host}:{listening[1]}"
        yield sandbox
    finally:
        sandbox.faults.lift()
        sandbox.finish()
        await runner.cleanup()


def _is_served(kind: Kind, place: Place, method: str) -> bool:
    """Tell whether a type has what a path names. What is in namespaces can be listed over all of them, no more."""
    if place.version not in kind.versions or (place.subresource and (place.subresource != "status" or not kind.status)):
        return False
    if kind.namespaced and not place.namespace:
        return method == "GET" and not place.name
    return kind.namespaced or not place.namespace


def _refused(switch: Switch, resource: str, verb: Verb) -> Refused:
    reason = _REASONS.get(switch.status, "InternalError")
    details = {} if switch.retry_after is None else {"retryAfterSeconds": switch.retry_after}
    return Refused(switch.status, reason, f"{resource or 'the API'}: {verb} is refused by a switch", details)


def _refusal(refused: Refused) -> web.Response:
    response = _json(refused.status, refused.body())
    seconds = (refused.details or {}).get("retryAfterSeconds")
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
    return response


def _not_found() -> web.Response:
    return web.Response(status=404, text="404 page not found\n")


def _json(status: int, body: Object, request: web.BaseRequest | None = None) -> web.Response:
    """Make an answer; a large one is compressed for who accepts that, as upstream does."""
    data = encode(body)
    headers = dict(_HEADERS)
    if request is not None and len(data) >= _COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        data = igzip.compress(data, 1)
        headers["Content-Encoding"] = "gzip"
    return web.Response(status=status, body=data, headers=headers)
