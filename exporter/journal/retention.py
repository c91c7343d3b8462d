"""Keeping the journal within its size and age, and its files tidy.

Eviction takes the oldest changes first, a bounded number at a time, and tells for each consumer how many of them it
had not read: what is lost is counted. The last-seen state of the objects is never evicted.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from msgspec import Struct

from exporter.timestamps import from_nanoseconds


if TYPE_CHECKING:
    from pathlib import Path


# An object that comes back under its name within this time is `recreated`.
RECREATED_WITHIN = 600_000_000_000
AT_ONCE = 2_000


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


def evict(connection: sqlite3.Connection, now: int, keep: int, max_bytes: int, at_once: int = AT_ONCE) -> Evicted:
    """Delete a bounded number of the oldest changes if they are too old or there are too many.

    Args:
        connection: of the writer, inside a transaction
        now: the time, nanoseconds since the epoch
        keep: changes observed more than this before now go; nanoseconds
        max_bytes: while the pages in use exceed this, the oldest go
        at_once: so many go, at most

    """
    connection.execute("DELETE FROM tombstones WHERE at < ?", (from_nanoseconds(now - RECREATED_WITHIN),))
    rows = min(at_once, AT_ONCE)
    last = _oversize(connection, rows) if _used(connection) > max_bytes else _outdated(connection, rows, now, keep)
    if last is None:
        return Evicted(0, {})
    undelivered = connection.execute(
        "SELECT consumer, (SELECT count(*) FROM changes WHERE changes.seq > cursors.seq AND changes.seq <= ?) "
        "FROM cursors WHERE seq < ?",
        (last, last),
    ).fetchall()
    connection.execute("UPDATE cursors SET seq = ? WHERE seq < ?", (last, last))
    connection.execute("DELETE FROM dead_letters WHERE seq <= ?", (last,))
    count = connection.execute("DELETE FROM changes WHERE seq <= ?", (last,)).rowcount
    return Evicted(count, {consumer: number for consumer, number in undelivered if number})


def _oversize(connection: sqlite3.Connection, rows: int) -> int | None:
    """Name the last change that goes to make room. Never beyond what there is: the cursors move along with it."""
    oldest, newest = connection.execute("SELECT min(seq), max(seq) FROM changes").fetchone()
    return None if oldest is None else min(newest, oldest + rows - 1)


def _outdated(connection: sqlite3.Connection, rows: int, now: int, keep: int) -> int | None:
    """Name the last change that is too old, as are all before it.

    The order is the journal's own. What was observed while the clock was wrong is in its place there: a change of the
    past behind one that is young goes with that one, and one of the future goes with what follows it.
    """
    first, past, last = from_nanoseconds(now), from_nanoseconds(now - keep), None
    for seq, observed in connection.execute("SELECT seq, observed FROM changes ORDER BY seq LIMIT ?", (rows,)):
        if observed < past:
            last = seq
        elif observed <= first:
            break
    return last


def sizes(connection: sqlite3.Connection, path: Path | None) -> Sizes:
    """Measure the journal; one in memory has no files."""
    (changes,) = connection.execute("SELECT coalesce(max(seq) - min(seq) + 1, 0) FROM changes").fetchone()
    wal = _size(path.with_name(path.name + "-wal")) if path else 0
    files = _size(path) + wal if path else 0
    return Sizes(changes, _used(connection), files, wal)


def checkpoint(path: Path) -> bool:
    """Move what is in the write-ahead log into the file; tell whether all of it could be.

    A reader in the middle of its read keeps what was written after it began in the log.

    Raises:
        sqlite3.Error: the file cannot be read or written, or is no journal any more

    """
    with _beside(path) as connection:
        busy, there, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return not busy and bool(there == moved)


def look(path: Path) -> None:
    """Read a little of the file.

    Raises:
        sqlite3.Error: it cannot be read, or is no journal any more

    """
    with _beside(path) as connection:
        connection.execute("SELECT count(*) FROM meta").fetchone()


def _beside(path: Path) -> closing[sqlite3.Connection]:
    """Open a connection beside the writer's, so that it can be used in a thread, and reads without what that knows."""
    return closing(sqlite3.connect(path, isolation_level=None, timeout=0.0))


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
