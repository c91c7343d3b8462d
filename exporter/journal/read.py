"""Reading the journal: by the outputs inside the exporter, and by the command line beside it.

Every call is one short read, so that nobody holds back the write-ahead log. Nothing here writes.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from exporter.errors import JournalError
from exporter.model import decode


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.model import Change
    from exporter.timestamps import Timestamp


FILE_NAME = "journal.db"
_CHUNK = 500


class Reader:
    """The changes of a journal, in the order of its own sequence.

    Args:
        connection: an open connection; `close` closes it

    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def head(self) -> int:
        """Give the sequence number of the newest change ever written, 0 before the first."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
        return row[0] if row else 0

    def after(self, seq: int, limit: int) -> list[tuple[int, Change]]:
        """Give at most `limit` changes that follow `seq`, each with its number."""
        rows = self._connection.execute(
            "SELECT seq, line FROM changes WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
        ).fetchall()
        return [(number, decode(line)) for number, line in rows]

    def scan(self, since: Timestamp | None = None) -> Iterator[tuple[int, Change]]:
        """Go through all changes observed at or after `since`, oldest first, in short reads."""
        seq = 0
        if since is not None:
            (first,) = self._connection.execute("SELECT min(seq) FROM changes WHERE observed >= ?", (since,)).fetchone()
            seq = self.head() if first is None else first - 1
        while rows := self.after(seq, _CHUNK):
            yield from ((number, change) for number, change in rows if since is None or change.observed >= since)
            seq = rows[-1][0]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def open_reader(data_dir: Path) -> Reader:
    """Open the journal in a directory for reading, beside a running exporter or without one.

    Raises:
        JournalError: there is no journal there, or it cannot be read

    """
    path = data_dir / FILE_NAME
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        msg = f"there is no journal in {data_dir}: give --data-dir the directory of a running or past exporter"
        raise JournalError(msg) from None
    except OSError as error:
        msg = f"cannot read the journal {path}: {error.strerror}; run this as the user that the exporter runs as"
        raise JournalError(msg) from error
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
        connection.execute("SELECT count(*) FROM meta").fetchone()
    except sqlite3.Error as error:
        msg = f"cannot read the journal {path}: {error}; is it this user's to read, and whole?"
        raise JournalError(msg) from error
    return Reader(connection)
