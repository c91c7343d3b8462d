"""What time it is, for who throws away what is old. Must never believe at once a clock that makes all of it old."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog


if TYPE_CHECKING:
    from collections.abc import Callable


log = structlog.get_logger()

_BELIEVED_AFTER = 86_400_000_000_000


class Clock:
    """A clock that cannot be carried away.

    The time is that of the newest change, or of the former look, and what has passed since by the clock that cannot be
    set. The machine's clock is followed as long as it is not far ahead of that, at the start or by a jump, and after it
    has stayed there for a day of running. One that is behind is followed at once: that throws nothing away.

    Args:
        newest: when the newest change of the journal was observed, nanoseconds since the epoch; None without one
        wall: the machine's clock, nanoseconds since the epoch
        lived: a clock that cannot be set, nanoseconds
        ahead: what `ahead` was when the newest change was observed by the machine's clock

    Attributes:
        ahead: nanoseconds by which the machine's clock is not believed, 0 where it is followed

    """

    def __init__(
        self,
        newest: int | None,
        wall: Callable[[], int] = time.time_ns,
        lived: Callable[[], int] = time.monotonic_ns,
        *,
        ahead: int = 0,
    ) -> None:
        self._wall = wall
        self._lived = lived
        self.ahead = ahead
        self._anchor = wall() if newest is None else newest - ahead
        self._anchored = lived()
        self._ahead_since: int | None = None

    def now(self, ahead: int) -> int:
        """Tell the time, nanoseconds since the epoch; believe a clock that is ahead by no more than so many."""
        wall, lived = self._wall(), self._lived()
        expected = self._anchor + lived - self._anchored
        if wall > expected + ahead:
            if self._ahead_since is None:
                self._ahead_since = lived
                log.warning(
                    "the clock is far ahead of the newest change; for a day of running it makes no change too old",
                    ahead_seconds=(wall - expected) // 1_000_000_000,
                )
            if lived - self._ahead_since < _BELIEVED_AFTER:
                self.ahead = wall - expected
                return expected
        self.ahead = 0
        self._ahead_since, self._anchor, self._anchored = None, wall, lived
        return wall
