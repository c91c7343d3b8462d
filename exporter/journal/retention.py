"""Keeping the journal within its size and age, and its files tidy.

Eviction takes the oldest changes first, a bounded number at a time, and tells for each consumer how many of them it
had not read: what is lost is counted. The last-seen state of the objects is never evicted.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from msgspec import Struct

from exporter.timestamps import from_nanoseconds, to_nanoseconds


if TYPE_CHECKING:
    from pathlib import Path

    from exporter.timestamps import Timestamp


# An object that comes back under its name within this time is `recreated`.
RECREATED_WITHIN = 600_000_000_000
_AT_ONCE = 2_000


class Evicted(Struct, frozen=True):
    """What one eviction took: `undelivered` by consumer."""

    changes: int
    undelivered: dict[str, int]


class Sizes(Struct, frozen=True):
    """`used` counts the pages in use, `files` what the file system sees, `wal` the write-ahead log of it; all bytes."""

    changes: int
    used: int
    files: int
    wal: int


def evict(connection: sqlite3.Connection, at: Timestamp, keep: int, max_bytes: int) -> Evicted:
    """Delete a bounded number of the oldest changes if they are too old or there are too many.

    Args:
        connection: of the writer, inside a transaction
        at: the time now
        keep: changes observed more than this before now go; nanoseconds
        max_bytes: while the pages in use exceed this, the oldest go

    """
    now = to_nanoseconds(at)
    connection.execute("DELETE FROM tombstones WHERE at < ?", (from_nanoseconds(now - RECREATED_WITHIN),))
    oldest, newest = connection.execute("SELECT min(seq), max(seq) FROM changes").fetchone()
    if oldest is None:
        return Evicted(0, {})
    (last,) = connection.execute(
        "SELECT max(seq) FROM changes WHERE observed < ?", (from_nanoseconds(now - keep),)
    ).fetchone()
    if last is None and _used(connection) <= max_bytes:
        return Evicted(0, {})
    # Never beyond what there is: the cursors move along, and must not run ahead of the sequence.
    last = min(newest if last is None else last, oldest + _AT_ONCE - 1)
    undelivered = connection.execute(
        "SELECT consumer, (SELECT count(*) FROM changes WHERE changes.seq > cursors.seq AND changes.seq <= ?) "
        "FROM cursors WHERE seq < ?",
        (last, last),
    ).fetchall()
    connection.execute("UPDATE cursors SET seq = ? WHERE seq < ?", (last, last))
    connection.execute("DELETE FROM dead_letters WHERE seq <= ?", (last,))
    count = connection.execute("DELETE FROM changes WHERE seq <= ?", (last,)).rowcount
    return Evicted(count, {consumer: number for consumer, number in undelivered if number})


def sizes(connection: sqlite3.Connection, path: Path | None) -> Sizes:
    """Measure the journal; one in memory has no files."""
    (changes,) = connection.execute("SELECT coalesce(max(seq) - min(seq) + 1, 0) FROM changes").fetchone()
    wal = _size(path.with_name(path.name + "-wal")) if path else 0
    files = _size(path) + wal if path else 0
    return Sizes(changes, _used(connection), files, wal)


def checkpoint(path: Path) -> None:
    """Move what is in the write-ahead log into the file, as far as no reader is in the way.

    On a connection of its own, so that it can run in a thread beside the writer.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.0)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.close()


def _used(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
