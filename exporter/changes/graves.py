"""What was deleted, as far as it must be known again: who comes back under a name, and who only seems to.

A watch can tell of an object after its deletion, twice or late; that must not bring it back. It does no I/O: the
journal, which keeps the last one of each place for a while, is a look-up function to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import Tombstone


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.changes.batch import Batch
    from exporter.changes.observation import Observation
    from exporter.model import ObjectKey
    from exporter.timestamps import Timestamp


_LAST = 1024


class Graves:
    """Knows what was deleted.

    Args:
        buried: looks up the tombstone of a place in the journal

    """

    def __init__(self, buried: Callable[[ObjectKey], Tombstone | None]) -> None:
        self._buried = buried
        # Several objects may have come and gone in one place since a stream began; the journal knows the last one.
        self._uids: dict[str, None] = {}

    def stone(self, key: ObjectKey, batch: Batch) -> Tombstone | None:
        """Tell which object was last deleted in a place, None if none is remembered."""
        return batch.tombstones.get(key) or self._buried(key)

    def bury(self, key: ObjectKey, uid: str, at: Timestamp, batch: Batch) -> None:
        """Remember that an object was deleted."""
        batch.tombstones[key] = Tombstone(uid, at)
        if len(self._uids) >= _LAST:
            del self._uids[next(iter(self._uids))]
        self._uids[uid] = None

    def hold(self, seen: Observation, stone: Tombstone | None) -> bool:
        """Tell whether a watch speaks of an object that was deleted before. What a list holds is there.

        Args:
            seen: the object
            stone: of its place

        """
        return (seen.mode == "live" or seen.late) and self._know(seen, stone)

    def open(self, seen: Observation, stone: Tombstone | None) -> bool:
        """Take in that an object is there, and tell whether it was deleted before: then the history went back.

        Args:
            seen: the object
            stone: of its place

        """
        known = self._know(seen, stone)
        self._uids.pop(seen.head.uid, None)
        return known

    def _know(self, seen: Observation, stone: Tombstone | None) -> bool:
        return seen.head.uid in self._uids or (stone is not None and stone.uid == seen.head.uid)
