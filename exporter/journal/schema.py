"""The journal's tables, as the steps that lead from an empty file to the schema of today.

A step that was released is never edited: a later one is added. `PRAGMA user_version` counts the steps a file has
taken, so an old file takes the missing ones when it is opened, and a file of a newer program is not touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import DamagedError


if TYPE_CHECKING:
    import sqlite3


STEPS = (
    # 1: objects, changes, checkpoints, totals, one cursor for each consumer.
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE types (
        id INTEGER PRIMARY KEY,
        grp TEXT NOT NULL,
        resource TEXT NOT NULL,
        kind TEXT NOT NULL,
        UNIQUE (grp, resource)
    ) STRICT;
    CREATE TABLE objects (
        id INTEGER PRIMARY KEY,
        type INTEGER NOT NULL REFERENCES types (id),
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        uid TEXT NOT NULL,
        resource_version TEXT NOT NULL,
        state BLOB NOT NULL,
        UNIQUE (type, namespace, name)
    ) STRICT;
    CREATE TABLE tombstones (
        type INTEGER NOT NULL REFERENCES types (id),
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        uid TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (type, namespace, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoints (
        type INTEGER NOT NULL REFERENCES types (id),
        namespace TEXT NOT NULL,
        selectors TEXT NOT NULL,
        version TEXT NOT NULL,
        resource_version TEXT NOT NULL,
        complete INTEGER NOT NULL,
        PRIMARY KEY (type, namespace, selectors)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, also after everything was evicted
        observed TEXT NOT NULL,
        line BLOB NOT NULL
    ) STRICT;
    CREATE TABLE totals (series TEXT PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE cursors (consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    """,
    # 2: find by time without a scan; keep what an endpoint refused; know which CRDs existed, followed or not.
    """
    CREATE INDEX changes_observed ON changes (observed);
    CREATE TABLE dead_letters (
        consumer TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at TEXT NOT NULL,
        reason TEXT NOT NULL,
        line BLOB NOT NULL,
        PRIMARY KEY (consumer, seq)
    ) STRICT;
    CREATE TABLE definitions (
        grp TEXT NOT NULL,
        resource TEXT NOT NULL,
        uid TEXT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (grp, resource)
    ) STRICT, WITHOUT ROWID;
    """,
    # 3: totals are saved from time to time, with the change up to which they count; so far they counted all.
    """
    INSERT INTO meta SELECT 'counted', CAST(coalesce(max(seq), 0) AS TEXT) FROM sqlite_sequence WHERE name = 'changes';
    """,
    # 4: what is concluded from the changes stands among them, and what is kept for the next conclusion beside them.
    """
    ALTER TABLE changes ADD COLUMN record TEXT;  -- what kind of record; NULL is a change
    CREATE TABLE states (
        id INTEGER PRIMARY KEY,
        keeper TEXT NOT NULL,
        type INTEGER NOT NULL REFERENCES types (id),
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        due INTEGER,
        shown INTEGER NOT NULL,
        tally TEXT NOT NULL,
        line BLOB NOT NULL,
        UNIQUE (type, namespace, name, keeper)
    ) STRICT;
    CREATE INDEX states_due ON states (due) WHERE due IS NOT NULL;
    CREATE INDEX states_shown ON states (keeper) WHERE shown;
    """,
)


# The step that put records among the changes.
WITH_RECORDS = 4


def migrate(connection: sqlite3.Connection, place: str) -> None:
    """Bring a file to the schema of today, each step in a transaction of its own.

    Raises:
        DamagedError: the file was written by a newer program

    """
    (taken,) = connection.execute("PRAGMA user_version").fetchone()
    if taken > len(STEPS):
        msg = f"{place} was written by a newer version of this program (schema {taken}, this one knows {len(STEPS)})"
        raise DamagedError("newer", msg)
    for number, step in enumerate(STEPS[taken:], start=taken + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT")
