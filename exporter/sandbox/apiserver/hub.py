"""Who is told of a write: the open streams, by type, and the lines that they share.

A line is made once for all streams that show the object alike. A write is put into the streams of its type that it
concerns, and wakes no others. Must never wait: it is called in the middle of a write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter.sandbox.apiserver.kinds import DEFINITION, Kind
from exporter.sandbox.apiserver.selectors import Selection
from exporter.sandbox.apiserver.views import View, kind_name


if TYPE_CHECKING:
    from exporter.sandbox.apiserver.log import Event
    from exporter.sandbox.apiserver.store import Store
    from exporter.sandbox.apiserver.watch import Stream

Object = dict[str, Any]

_EVENTS_REMEMBERED = 4096


class Watched(Struct, frozen=True):
    """What a stream is of."""

    kind: Kind
    namespace: str
    selection: Selection
    view: View

    @property
    def resource(self) -> str:
        """The type, as switches name it."""
        return kind_name(self.kind)

    def turn(self, event: Event) -> tuple[str, Object] | None:
        """Say what an event is in here; what begins or ceases to be selected comes or goes. None for nothing."""
        if self.namespace not in {"", event.object["metadata"].get("namespace", "")}:
            return None
        if not self.selection:
            return event.type, event.object
        now = event.type != "DELETED" and self.selection.accepts(event.object)
        before = event.previous is not None and self.selection.accepts(event.previous)
        if now:
            return "MODIFIED" if before else "ADDED", event.object
        if not before or event.previous is None:
            return None
        # It goes as it last was in here, at the version with which it went.
        version = {"resourceVersion": event.object["metadata"]["resourceVersion"]}
        return "DELETED", event.previous | {"metadata": event.previous["metadata"] | version}


class Hub:
    """The open streams of a store.

    Args:
        store: tells of each write
        bookmark_seconds: between two bookmarks of a stream

    """

    def __init__(self, store: Store, bookmark_seconds: float) -> None:
        self.store = store
        self.bookmark_seconds = bookmark_seconds
        self._streams: dict[tuple[str, str], dict[Stream, None]] = {}
        self._lines: dict[int, tuple[Event, dict[tuple[str, View], bytes]]] = {}
        store.listeners.append(self._tell)

    def enter(self, stream: Stream) -> None:
        """From here on the stream is told."""
        kind = stream.watched.kind
        self._streams.setdefault((kind.group, kind.kind), {})[stream] = None

    def leave(self, stream: Stream) -> None:
        """From here on it is not."""
        kind = stream.watched.kind
        self._streams.get((kind.group, kind.kind), {}).pop(stream, None)

    def cut(self, resource: str = "") -> int:
        """Break the connections of the streams of a type, or of all; tells how many."""
        found = [one for one in self._all() if resource in {"", one.watched.resource}]
        for stream in found:
            stream.abort()
        return len(found)

    def finish(self) -> None:
        """End all streams in order, as a server does that goes down; from here on nothing is told."""
        self.store.listeners.remove(self._tell)
        for stream in self._all():
            stream.finish()

    def line(self, event: Event, turned: tuple[str, Object], view: View) -> bytes:
        """Give the line of an event, which is made once for all who see it alike."""
        word, obj = turned
        if word == "DELETED" and obj is not event.object:
            return view.event(word, obj)
        known = self._lines.get(id(event))
        if known is None:
            known = self._lines[id(event)] = (event, {})
            if len(self._lines) > _EVENTS_REMEMBERED:
                del self._lines[next(iter(self._lines))]
        line = known[1].get((word, view))
        if line is None:
            line = known[1][word, view] = view.event(word, obj)
        return line

    def _all(self) -> list[Stream]:
        return [stream for streams in self._streams.values() for stream in streams]

    def _tell(self, event: Event) -> None:
        group, _, _ = event.object["apiVersion"].rpartition("/")
        kind = event.object["kind"]
        for stream in self._streams.get((group, kind), ()):
            stream.tell(event)
        if (group, kind) == (DEFINITION.group, DEFINITION.kind):
            self._end_unserved(event)

    def _end_unserved(self, event: Event) -> None:
        """End the streams of a type, or of one version of it, that is there no more."""
        spec = event.object["spec"]
        versions = set() if event.type == "DELETED" else {one["name"] for one in spec["versions"] if one["served"]}
        for stream in self._streams.get((spec["group"], spec["names"]["kind"]), ()):
            if stream.watched.view.api_version.rpartition("/")[2] not in versions:
                stream.finish()
