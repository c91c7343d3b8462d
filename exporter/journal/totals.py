"""The totals of the counters in the journal, with the number of the change up to which they count."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec


if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from exporter.changes.batch import Series


def load(connection: sqlite3.Connection) -> dict[Series, float]:
    """Give the totals that were saved last."""
    rows = connection.execute("SELECT series, value FROM totals")
    return {tuple(msgspec.json.decode(series, type=list[str])): value for series, value in rows}


def save(connection: sqlite3.Connection, totals: Mapping[Series, float], dropped: Iterable[Series]) -> None:
    """Write totals that have moved, and forget those that are no longer shown; inside a transaction."""
    connection.executemany(
        "INSERT OR REPLACE INTO totals VALUES (?, ?)", ((_key(series), value) for series, value in totals.items())
    )
    connection.executemany("DELETE FROM totals WHERE series = ?", ((_key(series),) for series in dropped))


@lru_cache(maxsize=8192)
def _key(series: Series) -> str:
    return msgspec.json.encode(series).decode()
