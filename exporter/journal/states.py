"""What keepers keep of single objects, read from the journal; it is written with the changes, by the one commit."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from exporter.journal.ahead import rows
from exporter.model import ObjectKey
from exporter.records import State


if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from exporter.model import Scope


# Objects that changed last are likely to change next: of so many, times keepers, what is kept is at hand.
_RECENT = 2048
_OF_KEYS = """
    SELECT number, keeper, line, tally, due, shown FROM keys
    LEFT JOIN states ON (states.type, states.namespace, states.name) = (keys.type, keys.namespace, keys.name)
"""


class States:
    """The states of a journal. Whoever writes any must say so: see `wrote` and `forget`.

    Args:
        connection: of the journal
        types: number of each (group, plural)

    """

    def __init__(self, connection: sqlite3.Connection, types: Mapping[tuple[str, str], int]) -> None:
        self._connection = connection
        self._types = types
        self._recent: dict[tuple[str, ObjectKey], State | None] = {}

    def state(self, keeper: str, key: ObjectKey) -> State | None:
        """Give what a keeper keeps of an object, None if it keeps nothing."""
        place = (keeper, key)
        if place in self._recent:
            return self._recent[place]
        state = self._read(keeper, key)
        self._remember({place: state})
        return state

    def foresee(self, keepers: Collection[str], keys: Iterable[ObjectKey]) -> None:
        """Look up at once what these keepers keep of objects, and have it at hand."""
        recent = self._recent
        unknown = list({key: None for key in keys for keeper in keepers if (keeper, key) not in recent})
        asked = rows(self._connection, self._types, unknown, _OF_KEYS)
        found: dict[tuple[str, ObjectKey], State | None] = {}
        for key, keeper, line, tally, due, shown in asked:
            for name in keepers:
                found.setdefault((name, key), None)
            if keeper is not None:
                found[keeper, key] = State(line, tally, due, bool(shown))
        self._remember({place: state for place, state in found.items() if place not in recent})

    def wrote(self, states: Mapping[tuple[str, ObjectKey], State | None]) -> None:
        """Take in what was committed."""
        self._remember(states)

    def _remember(self, states: Mapping[tuple[str, ObjectKey], State | None]) -> None:
        """Keep states at hand, in place of those that were longest not touched."""
        recent = self._recent
        for place, state in states.items():
            recent.pop(place, None)
            recent[place] = state
        for place in list(islice(recent, max(0, len(recent) - _RECENT))):
            del recent[place]

    def forget(self) -> None:
        """Take in that states have gone that nobody named."""
        self._recent.clear()

    def _read(self, keeper: str, key: ObjectKey) -> State | None:
        row = self._connection.execute(
            "SELECT line, tally, due, shown FROM states WHERE type = ? AND namespace = ? AND name = ? AND keeper = ?",
            (self._types[key.group, key.resource], key.namespace, key.name, keeper),
        ).fetchone()
        return State(row[0], row[1], row[2], bool(row[3])) if row else None

    def due(self, at: int, limit: int) -> list[tuple[str, ObjectKey]]:
        """Give at most so many (keeper, object) whose time has come, the longest overdue first.

        Args:
            at: nanoseconds since the Unix epoch
            limit: how many

        """
        rows = self._connection.execute(
            "SELECT keeper, grp, resource, namespace, name FROM states JOIN types ON types.id = type "
            "WHERE due <= ? ORDER BY due LIMIT ?",
            (at, limit),
        )
        return [(keeper, ObjectKey(*place)) for keeper, *place in rows]

    def next_due(self) -> int | None:
        """Tell when the next time comes, nanoseconds since the Unix epoch; None for never."""
        (due,) = self._connection.execute("SELECT min(due) FROM states WHERE due IS NOT NULL").fetchone()
        return None if due is None else int(due)

    def shown(self, keeper: str) -> Iterator[tuple[ObjectKey, str, State]]:
        """Go through the objects that a keeper wants shown by themselves: key, kind, state."""
        return self._several(keeper, "AND shown")

    def all(self, keeper: str) -> Iterator[tuple[ObjectKey, str, State]]:
        """Go through all objects that a keeper keeps something of: key, kind, state; in the order of their places."""
        return self._several(keeper, "ORDER BY grp, kind, namespace, name")

    def inside(self, keeper: str, scope: Scope) -> Iterator[tuple[ObjectKey, str, State]]:
        """Go through the objects of a scope that a keeper keeps something of: key, kind, state."""
        number = self._types.get((scope.group, scope.resource))
        return self._several(
            keeper, "AND type = ? AND (? = '' OR namespace = ?)", (number, scope.namespace, scope.namespace)
        )

    def _several(
        self, keeper: str, more: str, values: tuple[int | str | None, ...] = ()
    ) -> Iterator[tuple[ObjectKey, str, State]]:
        columns = "grp, resource, namespace, name, kind, line, tally, due, shown"
        rows = self._connection.execute(
            f"SELECT {columns} FROM states JOIN types ON types.id = type WHERE keeper = ? {more}",  # noqa: S608 - constants
            (keeper, *values),
        )
        for group, resource, namespace, name, kind, line, tally, due, shown in rows:
            yield ObjectKey(group, resource, namespace, name), kind, State(line, tally, due, bool(shown))

    def tallies(self, keeper: str) -> dict[tuple[str, str, str, str], int]:
        """Count the objects that a keeper keeps something of, by (group, kind, namespace, tally)."""
        rows = self._connection.execute(
            "SELECT grp, kind, namespace, tally, count(*) FROM states JOIN types ON types.id = type "
            "WHERE keeper = ? GROUP BY 1, 2, 3, 4",
            (keeper,),
        )
        return {(group, kind, namespace, tally): count for group, kind, namespace, tally, count in rows}
