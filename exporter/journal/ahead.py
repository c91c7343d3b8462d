"""Looks up many places of the journal with one question.

A list, or many objects that change for the first time, would ask for each by itself, which takes ten times as long
where there is nothing to be found. Must never be needed: whoever asks for a single one gets the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import Stored, Tombstone


if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from exporter.model import ObjectKey


# A question has a fixed number of places, so that SQLite prepares it once; for fewer than these it is not worth asking.
_PLACES = 50
_FEW = 8
_KEYS = ", ".join(f"({number}, ?, ?, ?)" for number in range(_PLACES))
_OBJECTS = """
    SELECT number, objects.uid, resource_version, state, tombstones.uid, at FROM keys
    LEFT JOIN objects ON (objects.type, objects.namespace, objects.name) = (keys.type, keys.namespace, keys.name)
    LEFT JOIN tombstones
    ON (tombstones.type, tombstones.namespace, tombstones.name) = (keys.type, keys.namespace, keys.name)
"""


def objects(
    connection: sqlite3.Connection, types: Mapping[tuple[str, str], int], keys: Sequence[ObjectKey]
) -> dict[ObjectKey, tuple[Stored | None, Tombstone | None]]:
    """Give the last version and the tombstone of each of these places; of few, none at all."""
    return {
        key: (None if uid is None else Stored(uid, version, state), None if dead is None else Tombstone(dead, at))
        for key, uid, version, state, dead, at in rows(connection, types, keys, _OBJECTS)
    }


def rows(
    connection: sqlite3.Connection, types: Mapping[tuple[str, str], int], keys: Sequence[ObjectKey], select: str
) -> Iterator[tuple[Any, ...]]:
    """Ask about these places; nothing where they are few.

    Args:
        connection: of the journal
        types: number of each (group, plural)
        keys: the places; those of types that the journal does not know are left out
        select: from `keys`, which has the columns `number`, `type`, `namespace`, `name`; the first of what it gives is
            `number`, in whose stand the key comes back

    """
    question = f"WITH keys (number, type, namespace, name) AS (VALUES {_KEYS}) {select}"
    known = [key for key in keys if (key.group, key.resource) in types]
    for begin in range(0, len(known), _PLACES):
        part = known[begin : begin + _PLACES]
        if len(part) < _FEW:
            return
        values: list[int | str | None] = [
            value for key in part for value in (types[key.group, key.resource], key.namespace, key.name)
        ]
        values += [None] * (3 * _PLACES - len(values))
        for number, *row in connection.execute(question, values):
            if number < len(part):
                yield part[number], *row
