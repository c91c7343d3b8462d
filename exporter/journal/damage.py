"""What an error of SQLite says of the journal: that its files are bad, or only that the time is.

Pure. Everything that is not surely damage is trouble that passes (a full disk, a lock, an I/O error): a journal is
never given up for that.
"""

from __future__ import annotations

import sqlite3

import msgspec

from exporter.errors import DamagedError


_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
# Our statements are constants: a table that they do not find is not there because the file is another one.
_FOREIGN = ("no such table", "no such column")
_REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on its disk, or raise journal.size",
    sqlite3.SQLITE_IOERR: "see whether its disk is full, read-only or failing",
    sqlite3.SQLITE_READONLY: "make its disk and its directory writable again",
    sqlite3.SQLITE_CANTOPEN: "see whether its directory is still there and ours to write",
    sqlite3.SQLITE_BUSY: "end the other program that holds it locked",
}


def damage(error: BaseException) -> str:
    """Name the reason why the journal's files cannot be used any more; empty where they can."""
    if isinstance(error, DamagedError):
        return error.reason
    if isinstance(error, msgspec.MsgspecError):  # a line that we wrote and cannot read
        return "corrupt"
    if not isinstance(error, sqlite3.DatabaseError):
        return ""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return "moved"
    foreign = isinstance(error, sqlite3.OperationalError) and str(error).startswith(_FOREIGN)
    return "corrupt" if foreign or code & 0xFF in _DAMAGE else ""


def remedy(error: BaseException) -> str:
    """Say what a person can do about trouble that passes."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _REMEDIES.get(code, "see what keeps its disk from being written")
