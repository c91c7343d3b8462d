"""Reading the journal: by the outputs inside the exporter, and by the command line beside it.

Every call is one short read, so that nobody holds back the write-ahead log. Nothing here writes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import MsgspecError

from exporter.errors import JournalError
from exporter.journal.damage import damage
from exporter.journal.schema import STEPS, WITH_RECORDS
from exporter.journal.states import States
from exporter.records import decode_record


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import ObjectKey
    from exporter.records import Record, State
    from exporter.timestamps import Timestamp


FILE_NAME = "journal.db"
_CHUNK = 500
_NO_RECORDS = "NULL"


class Reader:
    """The changes of a journal, and the records among them, in the order of its own sequence.

    Args:
        connection: an open connection; `close` closes it
        path: of the file, if somebody else may move it away meanwhile

    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None = None) -> None:
        self._connection = connection
        self._path = path
        self._inode = path.stat().st_ino if path else 0
        (steps,) = connection.execute("PRAGMA user_version").fetchone()
        # A file that no exporter has brought up to date has none.
        self._record = "record" if steps >= WITH_RECORDS else _NO_RECORDS

    def head(self) -> int:
        """Give the sequence number of the newest change or record ever written, 0 before the first."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
        return row[0] if row else 0

    def after(self, seq: int, limit: int) -> list[tuple[int, Record]]:
        """Give at most `limit` changes and records that follow `seq`, each with its number.

        Raises:
            JournalError: there are none, and the file is not where it was: there will never be any

        """
        rows = self._connection.execute(
            f"SELECT seq, {self._record}, line FROM changes WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - constants
            (seq, limit),
        ).fetchall()
        if not rows and self._path is not None:
            self._check_place(self._path)
        return [(number, decode_record(kind, line)) for number, kind, line in rows]

    def scan(self, since: Timestamp | None = None) -> Iterator[tuple[int, Record]]:
        """Go through everything observed at or after `since`, oldest first, in short reads."""
        seq = 0
        if since is not None:
            (first,) = self._connection.execute("SELECT min(seq) FROM changes WHERE observed >= ?", (since,)).fetchone()
            seq = self.head() if first is None else first - 1
        while rows := self.after(seq, _CHUNK):
            yield from ((number, record) for number, record in rows if since is None or record.observed >= since)
            seq = rows[-1][0]

    def states(self, keeper: str) -> Iterator[tuple[ObjectKey, str, State]]:
        """Go through all objects that a keeper keeps something of: key, kind, state."""
        if self._record != _NO_RECORDS:
            yield from States(self._connection, {}).all(keeper)

    def called(self, name: str) -> Iterator[tuple[str, str, str]]:
        """Go through what is called so, is there, was there lately or should be: group, kind, namespace."""
        tables = ["objects", "tombstones", *(["states"] if self._record != _NO_RECORDS else [])]
        each = " UNION ".join(f"SELECT type, namespace FROM {table} WHERE name = :name" for table in tables)  # noqa: S608 - constants
        yield from self._connection.execute(
            f"SELECT grp, kind, namespace FROM ({each}) JOIN types ON id = type",  # noqa: S608 - constants
            {"name": name},
        ).fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _check_place(self, path: Path) -> None:
        try:
            if path.stat().st_ino == self._inode:
                return
        except OSError:
            pass
        msg = f"the journal {path} was removed or begun anew while it was read: run the command again"
        raise JournalError(msg)


@contextmanager
def reading(data_dir: str | Path) -> Iterator[Reader]:
    """Read a journal beside a running exporter; what cannot be read in the block either is told in one sentence.

    Raises:
        JournalError: there is no journal, or it cannot be read

    """
    with closing(open_reader(Path(data_dir))) as reader:
        try:
            yield reader
        except (sqlite3.Error, MsgspecError) as error:
            msg = f"cannot read the journal in {data_dir}: {error}; is the file damaged, or its disk full?"
            raise JournalError(msg) from error


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
    if not path.stat().st_size:
        msg = f"the journal {path} is empty: no exporter has written to it, or something has emptied it; start one"
        raise JournalError(msg)
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
        (steps,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("SELECT count(*) FROM meta").fetchone()
    except sqlite3.Error as error:
        remedy = "is it this user's to read, and its disk sound?"
        if damage(error):
            remedy = "it is damaged or no journal; an exporter that is started on it moves it aside and begins anew"
        msg = f"cannot read the journal {path}: {error}; {remedy}"
        raise JournalError(msg) from error
    if steps > len(STEPS):
        connection.close()
        msg = f"the journal {path} was written by a newer version of this program: read it with that one"
        raise JournalError(msg)
    return Reader(connection, path)
