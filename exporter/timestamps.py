"""The one form of time in this program: RFC 3339 in UTC with six decimals, as text.

Text of one fixed form is what leaves the program, compares in order as it is, and costs nothing to store. Never
hand a time of another form from one module to the next.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NewType


Timestamp = NewType("Timestamp", str)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def from_nanoseconds(nanoseconds: int) -> Timestamp:
    """Turn nanoseconds since the Unix epoch into a timestamp; what is below a microsecond is cut off."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return Timestamp(f"{_second(seconds)}.{rest // 1000:06d}Z")


# Many times lie within one second, and each of them is asked for several times.
@lru_cache(maxsize=64)
def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}Z").timestamp())


@lru_cache(maxsize=1024)
def to_nanoseconds(timestamp: Timestamp) -> int:
    """Turn a timestamp into nanoseconds since the Unix epoch."""
    return _seconds(timestamp[:19]) * 1_000_000_000 + int(timestamp[20:26]) * 1000


def now() -> Timestamp:
    """Tell the wall clock's time."""
    return from_nanoseconds(time.time_ns())


def normalise(text: object) -> Timestamp | None:
    """Bring a time as Kubernetes writes it (RFC 3339, seconds or microseconds) to our form; None if it is none."""
    # Most texts that are asked about are no time: those are told apart without an exception.
    if not isinstance(text, str) or text[4:5] != "-" or text[10:11] not in ("T", "t", " "):
        return None
    return _normalised(text)


# Much happens within one second, and the server's times are of whole ones.
@lru_cache(maxsize=1024)
def _normalised(text: str) -> Timestamp | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    try:
        return _written(at if at.tzinfo is UTC else at.astimezone(UTC))
    except OverflowError:
        return None  # in UTC it would lie outside of what a date can be


def _written(at: datetime) -> Timestamp:
    """Write a time in UTC; many times faster than by a format."""
    return Timestamp(at.isoformat(timespec="microseconds")[:26] + "Z")
