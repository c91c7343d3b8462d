"""What happened to the objects of a store, as far back as it is remembered.

Pure. Must never forget one type's past before another's: what is known is known from one version on.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any, Literal

from msgspec import Struct

from exporter.sandbox.apiserver.refusals import expired


Object = dict[str, Any]
Type = tuple[str, str]


class Event(Struct, frozen=True):
    """One version of one object.

    Attributes:
        type: what happened
        version: with which it happened
        object: after it, in the storage version; of a deletion as it last was, at the version of the deletion
        previous: before it, None where it is new

    """

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    version: int
    object: Object
    previous: Object | None


class Log:
    """Remembers events, up to a number.

    Args:
        limit: how many

    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._order: deque[Type] = deque()
        self._events: defaultdict[Type, deque[Event]] = defaultdict(deque)
        self.oldest = 0

    def add(self, type_: Type, event: Event) -> None:
        """Take in what just happened."""
        self._order.append(type_)
        self._events[type_].append(event)
        if len(self._order) > self._limit:
            self.oldest = self._events[self._order.popleft()].popleft().version

    def after(self, type_: Type, version: int) -> list[Event]:
        """Tell what happened to objects of a type after a version, in its order.

        Raises:
            Refused: that is forgotten

        """
        if version < self.oldest:
            raise expired(f"too old resource version: {version} ({self.oldest})")
        found = []
        for event in reversed(self._events.get(type_, ())):
            if event.version <= version:
                break
            found.append(event)
        return found[::-1]

    def forget(self, version: int) -> None:
        """Forget all up to a version."""
        self._order.clear()
        self._events.clear()
        self.oldest = version

    def copy(self) -> Log:
        """Give a log that goes on from here on its own."""
        copy = Log(self._limit)
        copy.oldest = self.oldest
        copy._order = self._order.copy()
        copy._events.update((type_, events.copy()) for type_, events in self._events.items())
        return copy
