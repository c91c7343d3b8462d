"""Follows one scope: lists what there is, watches what happens, and goes on from where it was after any interruption.

The rules, most of them client-go's, and where ours differ:

* A stream that breaks is resumed from the last version seen, with back-off, for as long as the server remembers: a
  resume loses nothing, while a list swallows every version between (client-go lists again after one short watch).
* 410 Gone is asked twice, on a fresh connection each time, since another replica may still know; then listed.
* The initial list comes as a watch (WatchList, KEP-3157) where the server can, in pages where it cannot or where it
  never says that the list is complete.
* A version that the server has not reached (an etcd restored from a backup) makes a watch that is silent for ever:
  that is asked before resuming from a former run, and whenever a stream gave nothing at all.

Everything seen is put into the sink in order. This module never decides what a version means, and never writes.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog
from msgspec import Struct

from exporter.backoff import Backoff
from exporter.changes.observation import Head, Mode, Observation, read_head
from exporter.errors import ApiError, ClusterError, ExpiredError
from exporter.model import Checkpoint, ResourceType, Scope
from exporter.timestamps import now


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.kube.client import Api
    from exporter.model import Event

log = structlog.get_logger()

# Well under the 75 s that a server's watch cache remembers, while that is still likely to help.
_SOON = Backoff(first=0.8, factor=2.0, cap=5.0, jitter=1.0)
_LATER = Backoff(first=0.8, factor=2.0, cap=30.0, jitter=1.0)
_REFUSED = Backoff(first=5.0, factor=2.0, cap=60.0, jitter=0.5)
_SOON_FAILURES = 8
# So many answers in a row that end at once or in an error before it is tried with a list.
_FRUITLESS = 4
_PAGE = 500
# Bookmarks come every minute; a stream that has sent them before and is silent for longer is dead.
_SILENCE = 90.0
_LIST_END_WITHIN = 30.0
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_ONLY_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_EVENTS: dict[str, Event] = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}
_NO_WATCH_LIST = frozenset({400, 422})
_REFUSALS = frozenset({401, 403, 404, 405, 406, 415})


class Listed(Struct, frozen=True):
    """A list is complete: what is held of the scope and is not among these uids is gone."""

    type: ResourceType
    scope: Scope
    mode: Mode
    resource_version: str
    uids: set[str]


class Progress(Struct, frozen=True):
    """A bookmark: nothing happened in the scope up to this version."""

    type: ResourceType
    scope: Scope
    resource_version: str


class Sink(Protocol):
    """Where a reflector puts what it sees, and what it tells of itself."""

    async def put(self, item: Observation | Listed | Progress) -> None:
        """Take an item; wait while there are too many."""

    def synced(self, resource_type: ResourceType) -> None:
        """The type is listed, or its watch was resumed."""

    def degraded(self, resource_type: ResourceType, reason: str) -> None:
        """The type cannot be followed for now; an empty reason takes it back."""

    def received(self, resource_type: ResourceType) -> None:
        """Anything arrived."""

    def restarted(self, reason: str) -> None:
        """A watch has to be opened again."""

    def listing(self, reason: str, *, gap: bool) -> None:
        """A whole collection is listed."""

    def went_backwards(self) -> None:
        """The server's history is behind what we saw of it."""

    def skipped(self, reason: str) -> None:
        """An object has no identity that could be read."""


class Selection(Struct, frozen=True):
    """Which objects of a type a scope holds, and how much of them is read."""

    label_selector: str = ""
    field_selector: str = ""
    metadata_only: bool = False

    @property
    def text(self) -> str:
        """Tell two selections apart; part of the key of a checkpoint."""
        parts = (self.label_selector, self.field_selector, "metadata" if self.metadata_only else "")
        return "|".join(parts) if any(parts) else ""

    def params(self) -> dict[str, str]:
        """Give the parameters of a query."""
        params = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {name: value for name, value in params.items() if value}


class _WatchEvent(Struct):
    type: str
    object: msgspec.Raw


class _ListMeta(Struct):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    next: str = msgspec.field(default="", name="continue")


class _List(Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Status(Struct):
    code: int = 0
    reason: str = ""
    message: str = ""


_event_decoder = msgspec.json.Decoder(_WatchEvent)
_list_decoder = msgspec.json.Decoder(_List)
_status_decoder = msgspec.json.Decoder(_Status)


class _BrokenError(ClusterError):
    """The stream held something that is no event."""


class Reflector:
    """Follows one scope for ever.

    Args:
        api: the server
        resource_type: in the version to ask for
        scope: what is followed
        selection: its selectors
        sink: takes what is seen
        checkpoint: where to go on, None to begin with a list
        mode: how the first list is to be taken
        lists: bounds how many collections are listed at once

    """

    def __init__(
        self,
        api: Api,
        resource_type: ResourceType,
        scope: Scope,
        sink: Sink,
        *,
        selection: Selection,
        checkpoint: Checkpoint | None,
        mode: Mode,
        lists: asyncio.Semaphore,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._type = resource_type
        self._scope = scope
        self._selection = selection
        self._sink = sink
        self._version = checkpoint.resource_version if checkpoint else ""
        self._mode: Mode = mode
        self._lists = lists
        self._draw = draw
        self._watch_list = True
        self._unfinished = 0
        # A version from a former run, or one on which a stream gave nothing: the server may not have reached it.
        self._doubtful = bool(self._version)
        self._bookmarks = False
        self._failures = 0
        self._fruitless = 0
        self._expired = 0
        self._refused = ""
        self._synced = False
        self._holds = False
        self._why = "start"

    @property
    def version(self) -> str:
        """The last version seen: where another reflector of the same scope can go on."""
        return self._version

    async def run(self) -> None:
        """Follow the scope until cancelled."""
        while True:
            try:
                if self._version and self._doubtful and await self._is_ahead():
                    self._sink.went_backwards()
                    self._list_next("history_went_backwards")
                await (self._watch() if self._version else self._list())
            except ClusterError as error:
                await self._recover(error)
            finally:
                self._release()
            if self._version and self._fruitless > _FRUITLESS:
                self._list_next("fruitless")

    async def _recover(self, error: ClusterError) -> None:
        """Decide after an error: when to try again, and whether the history is lost."""
        at_least = 0.0
        if isinstance(error, ExpiredError):
            reason = "expired"
            self._expired += 1
            if self._expired > 1:
                self._list_next("expired")
        elif isinstance(error, ApiError):
            reason = f"http_{error.status}"
            at_least = error.retry_after or 0.0
            if error.status in _REFUSALS:
                self._refuse(error)
            elif error.retry_after is None:
                self._fruitless += 1
        elif isinstance(error, _BrokenError):
            reason = "broken"
            self._fruitless += 1
        else:
            reason = "connection"
        log.debug("watch interrupted", type=str(self._type), reason=reason, error=str(error))
        self._sink.restarted(reason)
        if reason != "expired" or not self._version:
            await self._pause(at_least)

    async def refresh(self) -> None:
        """List once so that the versions that are known are stored as they look now; the watch goes on beside it."""
        self._sink.listing("schema", gap=False)
        async for _ in self._pages("refresh", set()):
            pass

    # -- the two kinds of request -----------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Read one stream from the version we have until it ends."""
        got_anything = False
        timeout = random.randint(300, 600)  # noqa: S311 - spreads reconnects, hides nothing
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(timeout),
        }
        read_timeout = _SILENCE if self._bookmarks else timeout + 30.0
        try:
            async for event in self._events(params, read_timeout):
                got_anything = True
                if event.type != "ERROR":
                    self._healthy()
                await self._take(event, "live")
        finally:
            self._doubtful = self._doubtful or not got_anything
        if not got_anything:
            self._fruitless += 1
            self._sink.restarted("empty")
            await self._pause()
        else:
            self._sink.restarted("ended")

    def _list_next(self, why: str) -> None:
        """Give the history up: the next request lists."""
        self._version, self._why, self._expired, self._fruitless = "", why, 0, 0

    async def _list(self) -> None:
        """Take in the whole scope, then go on watching in the same stream where there is one."""
        await self._lists.acquire()
        self._holds = True
        self._sink.listing(self._why, gap=self._mode == "catch_up")
        if self._mode == "catch_up":
            # What this list stores may be newer than the checkpoint: after a crash, do not resume from that.
            await self._sink.put(Progress(self._type, self._scope, ""))
        if self._watch_list:
            await self._list_by_watch()
            return
        uids: set[str] = set()
        version = ""
        async for page_version in self._pages(self._mode, uids):
            version = page_version
        await self._finish(version, uids)

    def _release(self) -> None:
        """Let another scope list."""
        if self._holds:
            self._holds = False
            self._lists.release()

    async def _list_by_watch(self) -> None:
        uids: set[str] = set()
        params = {
            "watch": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(300, 600)),  # noqa: S311
        }
        complete = False
        try:
            async with asyncio.timeout(_LIST_END_WITHIN) as deadline:
                async for event in self._events(params, _SILENCE):
                    if complete:
                        self._healthy()
                        await self._take(event, "live")
                    else:
                        complete = await self._take_listed(event, uids)
                        at = asyncio.get_running_loop().time() + _LIST_END_WITHIN
                        deadline.reschedule(None if complete else at)
        except ApiError as error:
            if complete or error.status not in _NO_WATCH_LIST:
                raise
            self._watch_list = False
        except (ClusterError, TimeoutError) as error:
            # Once can be chance; a server, or a proxy before it, that never ends the list twice never will.
            self._watch_list = complete or self._unfinished == 0
            self._unfinished += not complete
            msg = f"the list of {self._type} was not completed: {error}"
            raise (error if isinstance(error, ClusterError) else _BrokenError(msg)) from error
        else:
            self._watch_list = complete
            self._sink.restarted("ended")

    async def _take_listed(self, event: _WatchEvent, uids: set[str]) -> bool:
        """Take in one event of the initial part of a watch; tell whether it was the last of it."""
        head = await self._take(event, self._mode)
        if head is None:
            return False
        if event.type == "DELETED":
            uids.discard(head.uid)
        elif event.type != "BOOKMARK":
            uids.add(head.uid)
        elif (head.annotations or {}).get("k8s.io/initial-events-end") == "true":
            await self._finish(head.resource_version, uids)
            return True
        else:
            msg = f"the watch of {self._type} sent a bookmark before the end of the list"
            raise _BrokenError(msg)
        return False

    async def _pages(self, mode: Mode, uids: set[str]) -> AsyncIterator[str]:
        """List in pages, put the objects into the sink, and give the list's version after each page."""
        accept = _METADATA_ONLY_LIST if self._selection.metadata_only else "application/json"
        params = {"limit": str(_PAGE), **self._selection.params()}
        while True:
            try:
                body = await self._api.get(self._type.path(self._scope.namespace), params, accept=accept)
            except ExpiredError:
                if "continue" not in params:
                    raise
                # The pages took longer than the server remembers: all at once, then.
                params = self._selection.params()
                uids.clear()
                continue
            try:
                page = _list_decoder.decode(body)
            except msgspec.DecodeError as error:
                msg = f"the list of {self._type} is no list: {error}"
                raise _BrokenError(msg) from error
            observed = now()
            for item in page.items or ():
                raw = bytes(item)
                try:
                    head = read_head(raw)
                except (ValueError, RecursionError):
                    self._sink.skipped("no_identity")
                    continue
                uids.add(head.uid)
                await self._sink.put(Observation(self._type, self._scope, "added", head, raw, observed, mode))
            self._sink.received(self._type)
            yield page.metadata.resource_version
            if not page.metadata.next:
                return
            params["continue"] = page.metadata.next

    async def _is_ahead(self) -> bool:
        """Ask whether the server has not yet reached our version, and so never will."""
        params = {"limit": "1", "resourceVersion": self._version, "resourceVersionMatch": "NotOlderThan"}
        try:
            await self._api.get(self._type.path(self._scope.namespace), {**params, **self._selection.params()})
        except ApiError as error:
            if "ResourceVersionTooLarge" in error.causes or "Too large resource version" in error.message:
                return True
            if isinstance(error, ExpiredError):
                return False
            raise
        self._doubtful = False
        return False

    # -- parts ------------------------------------------------------------------------------------------------

    async def _events(self, params: dict[str, str], read_timeout: float) -> AsyncIterator[_WatchEvent]:
        """Open a stream and give its events; what is left of a line when it ends is not one."""
        accept = _METADATA_ONLY if self._selection.metadata_only else "application/json"
        path = self._type.path(self._scope.namespace)
        rest = b""
        async with self._api.stream(
            path, {**params, **self._selection.params()}, accept=accept, read_timeout=read_timeout
        ) as response:
            self._accepted()
            async for chunk in self._api.chunks(response):
                self._sink.received(self._type)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if not line:
                        continue
                    try:
                        event = _event_decoder.decode(line)
                    except (msgspec.DecodeError, RecursionError) as error:
                        msg = f"the watch of {self._type} held something that is no event: {error}"
                        raise _BrokenError(msg) from error
                    yield event

    async def _take(self, event: _WatchEvent, mode: Mode) -> Head | None:
        """Put one event into the sink, and note how far we are."""
        raw = bytes(event.object)
        if event.type == "ERROR":
            status = _status_decoder.decode(raw)
            kind = ExpiredError if status.code == 410 else ApiError  # noqa: PLR2004
            raise kind(status.code, status.reason, status.message)
        try:
            head = read_head(raw)
        except (ValueError, RecursionError) as error:
            if event.type == "BOOKMARK":
                msg = f"the watch of {self._type} sent a bookmark without a version"
                raise _BrokenError(msg) from error
            self._sink.skipped("no_identity")
            return None
        if event.type == "BOOKMARK":
            if mode == "live":
                self._bookmarks = True
                self._version = head.resource_version
                await self._sink.put(Progress(self._type, self._scope, head.resource_version))
        elif (word := _EVENTS.get(event.type)) is not None:
            if mode == "live":
                self._version = head.resource_version
            await self._sink.put(Observation(self._type, self._scope, word, head, raw, now(), mode))
        else:
            self._sink.skipped("unknown_event")
        return head

    async def _finish(self, version: str, uids: set[str]) -> None:
        """The list is complete: watch from its version on, and take a next list as the end of an interruption."""
        await self._sink.put(Listed(self._type, self._scope, self._mode, version, uids))
        self._version, self._mode, self._doubtful, self._unfinished = version, "catch_up", False, 0
        self._healthy()
        self._release()
        self._tell_synced()

    def _accepted(self) -> None:
        """The server opened a stream: whatever kept us out is over, and a resumed watch is in sync."""
        if self._refused:
            self._refused = ""
            self._sink.degraded(self._type, "")
        if self._version:
            self._tell_synced()

    def _tell_synced(self) -> None:
        if not self._synced:
            self._synced = True
            self._sink.synced(self._type)

    def _healthy(self) -> None:
        self._failures = self._fruitless = self._expired = 0
        self._doubtful = False

    def _refuse(self, error: ApiError) -> None:
        """Tell of a refusal, once for as long as it lasts."""
        reason = error.reason or str(error.status)
        if self._refused != reason:
            self._refused = reason
            self._sink.degraded(self._type, str(error))

    async def _pause(self, at_least: float = 0.0) -> None:
        self._failures += 1
        policy = _REFUSED if self._refused else _SOON if self._failures <= _SOON_FAILURES else _LATER
        await asyncio.sleep(policy.delay(self._failures, self._draw(), at_least=at_least))
