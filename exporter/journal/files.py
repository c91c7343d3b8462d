"""The journal's files: made, locked, watched, and moved aside where they are no journal that this program can read.

Never deletes a journal that may still be worth something: it is renamed, and only of such copies the oldest go, when
there are too many. Whatever is wrong with a disk (full, read-only, failing) is no reason to give a journal up.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from exporter.errors import DamagedError, JournalError
from exporter.journal.damage import damage
from exporter.journal.read import FILE_NAME
from exporter.journal.schema import migrate


if TYPE_CHECKING:
    from exporter.journal.limits import Limits


LOCK_NAME = "journal.lock"
# The epoch is kept beside the journal, too: one that is begun anew must not give an id that another change has.
_EPOCH_NAME = "journal.epoch"
# What SQLite keeps beside the file. The write-ahead log goes first when the three are moved: see `set_aside`.
_BESIDE = ("-wal", "-shm")
# So many journals that were moved aside are kept, and together no more than the journal itself may have.
COPIES = 3
# History is checked where it is read; what the next change of an object is compared with, when the journal is opened.
_CHECKED = ("meta", "types", "objects", "checkpoints", "cursors", "totals", "tombstones", "definitions")


class Reset(Struct, frozen=True):
    """A journal had to be begun anew.

    Attributes:
        reason: `corrupt`; `newer`, written by a newer version of this program; `empty`, a file of no bytes
        copy: where the former one is now, None if there was nothing to keep
        removed: how many older copies had to go
        undelivered: by consumer, changes in it that were not delivered, where that could be read

    """

    reason: str
    copy: Path | None
    removed: int
    undelivered: dict[str, int]


class Files:
    """The files of an open journal, as they were when it was opened.

    Args:
        path: of the file

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log_path = Path(f"{path}-wal")
        self._file = _identity(path.stat())
        self._log: tuple[int, int] | None = None

    def log_size(self) -> int:
        """Give the size of the write-ahead log, bytes.

        Raises:
            DamagedError: a file is no longer there, or another one is in its place: what is written would be lost

        """
        try:
            file = self.path.stat()
        except OSError as error:
            msg = f"the journal {self.path} was removed while it was in use"
            raise DamagedError("moved", msg) from error
        if _identity(file) != self._file:
            msg = f"another file was put in the place of the journal {self.path} while it was in use"
            raise DamagedError("moved", msg)
        try:
            found = self._log_path.stat()
        except OSError as error:
            if self._log is None:
                return 0
            msg = f"the journal's write-ahead log {self._log_path} was removed while it was in use"
            raise DamagedError("moved", msg) from error
        if self._log is None:
            self._log = _identity(found)
        elif self._log != _identity(found):
            msg = f"another file was put in the place of the journal's log {self._log_path} while it was in use"
            raise DamagedError("moved", msg)
        return found.st_size


def take(data_dir: Path) -> int:
    """Make a directory ours; give the file that holds the lock.

    Raises:
        JournalError: it cannot be written, or another exporter has it

    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        msg = f"cannot write to the data directory {data_dir}: {error.strerror}; give --data-dir one that is writable"
        raise JournalError(msg) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        msg = f"another exporter uses the data directory {data_dir}: stop it, or give --data-dir another directory"
        raise JournalError(msg) from error
    return lock


def connect(data_dir: Path, limits: Limits) -> tuple[sqlite3.Connection, Reset | None]:
    """Open the file of a directory that is ours; one that cannot be used is moved aside, and a new one made.

    Raises:
        JournalError: the directory cannot be written
        sqlite3.Error: the disk is full, or cannot be read or written

    """
    path = data_dir / FILE_NAME
    reset = None
    with suppress(FileNotFoundError):
        if path.stat().st_size == 0:  # SQLite writes a first page at once; and it would delete the log
            reset = set_aside(path, "empty", limits)
    try:
        return _open(path, limits), reset
    except (sqlite3.DatabaseError, DamagedError) as error:
        reason = damage(error)
        if not reason:
            raise
    reset = set_aside(path, reason, limits)
    return _open(path, limits), reset


def _open(path: Path, limits: Limits) -> sqlite3.Connection:
    # What objects hold is nobody else's business; SQLite gives its other files the mode of this one.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        msg = f"cannot write to {path}: {error.strerror}; give --data-dir a directory that is writable"
        raise JournalError(msg) from error
    # Used by one thread at a time; what takes long is done in another one while the first does not touch it.
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=5.0, cached_statements=256, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA cache_size = -8192")
        connection.execute(f"PRAGMA journal_size_limit = {limits.log_soft}")
        migrate(connection, str(path))
        if limits.file is not None:
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {limits.file // page}")
        check(connection, _CHECKED)
    except BaseException:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection, tables: tuple[str, ...] = ()) -> None:
    """Look whether tables, or without any the whole file, are whole.

    Raises:
        DamagedError: they are not

    """
    for where in [f"('{table}')" for table in tables] or [""]:
        for (found,) in connection.execute(f"PRAGMA quick_check{where}"):
            if found != "ok":
                raise DamagedError("corrupt", f"the journal is damaged: {found}")


def set_aside(path: Path, reason: str, limits: Limits) -> Reset:
    """Rename a journal's files, so that a new one can be made; keep a bounded number of such copies.

    Raises:
        JournalError: they cannot be renamed

    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")  # so fine that no two copies share a name
    copy = path.with_name(f"{path.name}.corrupt-{stamp}")
    moved = False
    try:
        # The log before the file: SQLite deletes one that it finds beside a new file.
        for suffix in (*_BESIDE, ""):
            with suppress(FileNotFoundError):
                source = Path(f"{path}{suffix}")
                if suffix or source.stat().st_size:
                    source.rename(f"{copy}{suffix}")
                    moved |= suffix != "-shm"
    except OSError as error:
        msg = f"cannot move the journal {path} aside: {error.strerror}; make its directory writable"
        raise JournalError(msg) from error
    undelivered = _undelivered(copy)
    return Reset(reason, copy if moved else None, _prune(path, copy.name, limits), undelivered)


def _prune(path: Path, newest: str, limits: Limits) -> int:
    """Delete the oldest copies beyond the number and the size that are kept; the newest one always is."""
    copies: dict[str, int] = {}
    for file in path.parent.glob(f"{path.name}.corrupt-*"):
        name = file.name.removesuffix("-wal").removesuffix("-shm")
        with suppress(FileNotFoundError):
            copies[name] = copies.get(name, 0) + file.stat().st_size
    names = sorted(copies, key=lambda name: (name == newest, name), reverse=True)
    kept, size = 0, 0
    for name in names:
        size += copies[name]
        if kept and (kept == COPIES or (limits.size is not None and size > limits.size)):
            break
        kept += 1
    for name in names[kept:]:
        for suffix in ("", *_BESIDE):
            with suppress(OSError):
                (path.parent / f"{name}{suffix}").unlink()
    return len(names) - kept


def _undelivered(copy: Path) -> dict[str, int]:
    """Count what each consumer had not got of a journal that was moved aside, as far as it can be read."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT consumer, (SELECT count(*) FROM changes WHERE changes.seq > cursors.seq) FROM cursors"
        ).fetchall()
        return {consumer: count for consumer, count in rows if count}
    return {}


def rescue(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Write what an open connection still reads whole to a file of its own; None where it is not whole.

    The files may have been removed, replaced or overwritten: the connection holds the removed ones open, and has read
    much of the rest before.

    Raises:
        sqlite3.Error: the disk is full, or cannot be written
        OSError: the directory cannot be made, or not be written

    """
    saved = path.with_name(f"{path.name}.saved")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    saved.unlink(missing_ok=True)
    os.close(os.open(saved, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(saved)) as target:
            connection.backup(target)
            check(target)
    except (sqlite3.DatabaseError, DamagedError) as error:
        for suffix in ("", "-journal", *_BESIDE):
            Path(f"{saved}{suffix}").unlink(missing_ok=True)
        if damage(error):
            return None
        raise
    return saved


def put_back(saved: Path, path: Path, limits: Limits) -> Reset:
    """Put a rescued journal in the place of what is there now, which is moved aside."""
    aside = set_aside(path, "moved", limits)
    saved.rename(path)
    return aside


def epoch(path: Path | None) -> int:
    """Give the epoch that a journal begins with which is made now: the last one that is known in its directory."""
    with suppress(OSError, ValueError):
        return int(path.with_name(_EPOCH_NAME).read_text(encoding="ascii")) if path else 0
    return 0


def keep_epoch(path: Path | None, number: int) -> None:
    """Keep the epoch beside the journal; that this fails matters only if the journal is lost later."""
    with suppress(OSError):
        if path is not None:
            path.with_name(_EPOCH_NAME).write_text(str(number), encoding="ascii")


def _identity(found: os.stat_result) -> tuple[int, int]:
    return (found.st_dev, found.st_ino)
