"""What a commit writes: the statements for a batch, and nothing else. Each is run once for all of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import encode
from exporter.records import encode_record, kind_of


if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from exporter.changes.batch import Batch
    from exporter.model import ObjectKey, Scope

    Types = Mapping[tuple[str, str], int]


def write(connection: sqlite3.Connection, types: Types, batch: Batch) -> None:
    """Write a batch, inside a transaction.

    Args:
        connection: of the writer
        types: number of each (group, plural); all that the batch speaks of are known
        batch: what to write

    """

    def place(key: ObjectKey) -> tuple[int, str, str]:
        return (types[key.group, key.resource], key.namespace, key.name)

    def stream(scope: Scope) -> tuple[int, str, str]:
        return (types[scope.group, scope.resource], scope.namespace, scope.selectors)

    execute_many = connection.executemany
    execute_many(
        "INSERT INTO changes (observed, line) VALUES (?, ?)",
        ((change.observed, encode(change)) for change in batch.changes),
    )
    execute_many(
        "INSERT INTO changes (observed, record, line) VALUES (?, ?, ?)",
        ((record.observed, kind_of(record), encode_record(record)) for record in batch.records),
    )
    execute_many(
        "INSERT INTO states (keeper, type, namespace, name, due, shown, tally, line) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (type, namespace, name, keeper) DO UPDATE SET "
        "due = excluded.due, shown = excluded.shown, tally = excluded.tally, line = excluded.line",
        (
            (keeper, *place(key), state.due, state.shown, state.tally, state.line)
            for (keeper, key), state in batch.states.items()
            if state is not None
        ),
    )
    execute_many(
        "DELETE FROM states WHERE keeper = ? AND type = ? AND namespace = ? AND name = ?",
        ((keeper, *place(key)) for (keeper, key), state in batch.states.items() if state is None),
    )
    execute_many(
        "INSERT INTO objects (type, namespace, name, uid, resource_version, state) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (type, namespace, name) DO UPDATE SET "
        "uid = excluded.uid, resource_version = excluded.resource_version, state = excluded.state",
        (
            (*place(key), stored.uid, stored.resource_version, stored.state)
            for key, stored in batch.objects.items()
            if stored is not None
        ),
    )
    execute_many(
        "DELETE FROM objects WHERE type = ? AND namespace = ? AND name = ?",
        (place(key) for key, stored in batch.objects.items() if stored is None),
    )
    execute_many(
        "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?)",
        ((*place(key), stone.uid, stone.at) for key, stone in batch.tombstones.items()),
    )
    execute_many(
        "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
        (
            (*stream(scope), mark.version, mark.resource_version, mark.complete)
            for scope, mark in batch.checkpoints.items()
            if mark is not None
        ),
    )
    execute_many(
        "DELETE FROM checkpoints WHERE type = ? AND namespace = ? AND selectors = ?",
        (stream(scope) for scope, mark in batch.checkpoints.items() if mark is None),
    )
