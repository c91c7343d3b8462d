"""One collection of objects on the API server, and the three questions that are asked of it: list, watch, how far.

Turns bytes into observations and bookmarks; what is not understood is counted or raised, never passed on. When to ask
which question is the reflector's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from exporter.changes.observation import Mode, Observation, read_bookmark, read_head
from exporter.changes.order import is_older
from exporter.changes.shallow import shallow
from exporter.errors import ApiError, ClusterError, ExpiredError
from exporter.kube.answers import api_error
from exporter.timestamps import now


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.kube.client import Api
    from exporter.kube.sink import Sink
    from exporter.model import Event, ResourceType, Scope
    from exporter.timestamps import Timestamp


_T = TypeVar("_T")

_PAGE = "500"
_JSON = "application/json"
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_ONLY_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_EVENTS: dict[str, Event] = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}
# So begins the line of an event as API servers write it.
_BEGINS: dict[bytes, Event] = {b'{"type":"%b","object":' % word.encode(): event for word, event in _EVENTS.items()}
_GONE, _SERVER_ERROR = 410, 500
# A Status may say it by its reason alone; the codes of errors are these.
_GONE_REASONS = frozenset({"Expired", "Gone"})
_ERROR_CODES = range(400, 600)
# Bytes of a line: many times what an API server stores in one object.
_LONGEST_LINE = 64 * 1024 * 1024
# A live stream that gives less than this at once, in bytes, trickles: it rests until the next tick. One that flows is
# read as it comes.
_TRICKLE = 8 * 1024


class BrokenStreamError(ClusterError):
    """The server sent something that is no answer to the question."""


class Selection(Struct, frozen=True):
    """Which objects of a type are asked for, and how much of them."""

    label_selector: str = ""
    field_selector: str = ""
    metadata_only: bool = False

    @property
    def text(self) -> str:
        """Tell two selections apart: part of the key of a checkpoint; empty for everything."""
        parts = (self.label_selector, self.field_selector, "metadata" if self.metadata_only else "")
        return "|".join(parts) if any(parts) else ""

    def params(self) -> dict[str, str]:
        """Give the parameters of a query."""
        params = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {name: value for name, value in params.items() if value}


class Bookmark(Struct, frozen=True):
    """The watch has reached a version; `ends_list` says that the initial objects are complete."""

    resource_version: str
    ends_list: bool


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


_event_decoder = msgspec.json.Decoder(_WatchEvent)
_list_decoder = msgspec.json.Decoder(_List)
_status_decoder = msgspec.json.Decoder(_Status)


def _decoded(decoder: msgspec.json.Decoder[_T], raw: bytes, *, around: int) -> _T:
    """Decode; an object that is nested too deeply is cut, lest the one of a stranger keep us from all the others."""
    try:
        return decoder.decode(raw)
    except RecursionError:
        return decoder.decode(shallow(raw, around))


def _error(raw: bytes) -> ApiError:
    """Make an error of the Status in a stream, which may say by its reason alone that the history is gone."""
    status = _status_decoder.decode(raw)
    code = status.code if status.code in _ERROR_CODES else _SERVER_ERROR
    return api_error(_GONE if status.reason in _GONE_REASONS else code, {}, raw)


class Collection:
    """The objects of one scope on the server.

    Args:
        api: the server
        resource_type: in the version to ask for
        scope: which part of the type
        selection: which objects of that
        sink: is told of what arrives and of what cannot be read

    """

    def __init__(self, api: Api, resource_type: ResourceType, scope: Scope, selection: Selection, sink: Sink) -> None:
        self.type = resource_type
        self.scope = scope
        self._api = api
        self._selection = selection
        self._sink = sink
        self._path = resource_type.path(scope.namespace)

    async def watch(
        self, params: dict[str, str], *, mode: Callable[[], Mode], opened: Callable[[], None], read_timeout: float
    ) -> AsyncIterator[Observation | Bookmark]:
        """Open a stream and give what it holds; what is left of a line when it ends is nothing.

        Args:
            params: of the query, beside the selectors
            mode: how an observation is to be taken, asked for each
            opened: is called when the server has accepted
            read_timeout: seconds without a byte after which the stream counts as dead

        Raises:
            ExpiredError: the server does not remember the version
            ApiError: it refused, at once or inside the stream
            BrokenStreamError: it sent something that is no event
            ClusterError: the connection broke

        """
        accept = _METADATA_ONLY if self._selection.metadata_only else _JSON
        query = {"watch": "true", "allowWatchBookmarks": "true", **params, **self._selection.params()}
        parts, size = [b""], 0
        async with self._api.stream(self._path, query, accept=accept, read_timeout=read_timeout) as stream:
            opened()
            async for chunk in stream.chunks():
                self._sink.received()
                parts.append(chunk)
                if b"\n" not in chunk:  # a part of a long line is put to the others once, at its end
                    size += len(chunk)
                    if size > _LONGEST_LINE:
                        msg = f"the watch of {self.type} held a line without end"
                        raise BrokenStreamError(msg)
                    continue
                *lines, rest = b"".join(parts).split(b"\n")
                parts, size = [rest], len(rest)
                observed = now()
                for line in lines:
                    if line and (item := self._item(line, mode(), observed)) is not None:
                        yield item
                if len(chunk) < _TRICKLE and mode() == "live":
                    await stream.rest()

    def _item(self, line: bytes, mode: Mode, observed: Timestamp) -> Observation | Bookmark | None:
        begin = line.find(b"{", 1)
        word = _BEGINS.get(line[:begin])
        if word is not None and line.endswith(b"}"):
            # If what is between is one object, then the line is an event: nobody has to look at all of it twice.
            raw = line[begin:-1]
            try:
                return Observation(self.type, self.scope, word, read_head(raw), raw, observed, mode)
            except (ValueError, RecursionError):
                pass
        return self._any_item(line, mode, observed)

    def _any_item(self, line: bytes, mode: Mode, observed: Timestamp) -> Observation | Bookmark | None:
        """Read a line of whatever kind."""
        try:
            event = _decoded(_event_decoder, line, around=1)
            raw = bytes(event.object)
            if event.type == "ERROR":
                raise _error(raw)
            if event.type == "BOOKMARK":
                return Bookmark(*read_bookmark(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = f"the watch of {self.type} held something that is no event: {error}"
            raise BrokenStreamError(msg) from error
        if event.type not in _EVENTS:
            self._sink.skipped("unknown_event")
            return None
        return self._observation(_EVENTS[event.type], raw, mode, observed)

    def _observation(self, event: Event, raw: bytes, mode: Mode, observed: Timestamp) -> Observation | None:
        try:
            try:
                head = read_head(raw)
            except RecursionError:
                raw = shallow(raw)
                head = read_head(raw)
        except ValueError:
            self._sink.skipped("no_identity")
            return None
        return Observation(self.type, self.scope, event, head, raw, observed, mode)

    async def pages(
        self, mode: Mode, *, anew: Callable[[], None] = lambda: None
    ) -> AsyncIterator[tuple[str, list[Observation]]]:
        """List in pages: each with the version of the list, which is the same on all of them.

        Where the pages take longer than the server remembers, everything is asked for again in one piece; then some
        objects come twice, and some that came are no longer there.

        Args:
            mode: how the observations are to be taken
            anew: is called when what came before does not belong to the list that comes now

        Raises:
            ApiError: the server refused
            ClusterError: it did not answer, or with something that is no list

        """
        accept = _METADATA_ONLY_LIST if self._selection.metadata_only else _JSON
        params = {"limit": _PAGE, **self._selection.params()}
        while True:
            try:
                body = await self._api.get(self._path, params, accept=accept, gzip=True)
            except ExpiredError:
                if "continue" not in params:
                    raise
                params = self._selection.params()
                anew()
                continue
            page = self._page(body)
            self._sink.received()
            observed = now()
            seen = [self._observation("added", bytes(item), mode, observed) for item in page.items or ()]
            yield page.metadata.resource_version, [one for one in seen if one is not None]
            if not page.metadata.next:
                return
            params["continue"] = page.metadata.next

    def _page(self, body: bytes) -> _List:
        """Decode a page. What has no version is none: to take a Status for an empty list would delete everything."""
        try:
            page = _decoded(_list_decoder, body, around=2)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = f"the list of {self.type} is no list: {error}"
            raise BrokenStreamError(msg) from error
        if not page.metadata.resource_version:
            msg = f"the list of {self.type} has no version"
            raise BrokenStreamError(msg)
        return page

    async def is_behind(self, version: str) -> bool:
        """Ask whether the server has not yet reached a version. Then a watch from there is silent for ever.

        A server that says so may only be behind the others, or behind its own store; so it is asked once more, for
        what the store holds now.
        """
        one = {"limit": "1", **self._selection.params()}
        try:
            not_older = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
            self._page(await self._api.get(self._path, one | not_older))
        except ExpiredError:
            return False
        except ApiError as error:
            if "ResourceVersionTooLarge" not in error.causes and "Too large resource version" not in error.message:
                raise
            current = self._page(await self._api.get(self._path, one)).metadata.resource_version
            return is_older(current, version) or not current.isdecimal()
        return False
