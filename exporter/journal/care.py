"""Looks after the files of an open journal: whether they are still there and whole, and how large the log has grown.

Must never hold up the event loop: what waits for the disk is done in a thread. Must never give a journal up: that is
for whoever is told of damage.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import wraps
from sqlite3 import SQLITE_FULL
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

import structlog

from exporter.errors import DamagedError
from exporter.journal import files, retention
from exporter.journal.damage import damage
from exporter.journal.wal import WriteAheadLog


if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from exporter.journal.limits import Limits

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")


class Care:
    """What is known of the state of the files; to a journal in memory nothing ever happens.

    Attributes:
        damage: why the files cannot be used any more; None while they can
        pressed: set when somebody cannot write, so that whoever makes room does so at once
        full: whether it is the journal's own limit that keeps somebody from writing

    Args:
        connection: of the writer
        path: of the file, None for a journal in memory
        limits: what the files may take

    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None, limits: Limits) -> None:
        self._connection = connection
        self._path = path
        self._limits = limits
        self._log = WriteAheadLog(connection, files.Files(path), limits) if path else None
        self._damaged = asyncio.Event()
        self._troubles: set[str] = set()
        self.damage: DamagedError | None = None
        self.pressed = asyncio.Event()
        self.full = False

    def notice(self, error: BaseException) -> bool:
        """Take notice of an error of one of the journal's calls; tell whether its files are damaged by it."""
        reason = damage(error)
        if reason and self.damage is None:
            self.damage = error if isinstance(error, DamagedError) else DamagedError(reason, str(error))
            self._damaged.set()
        return bool(reason)

    async def spoilt(self) -> None:
        """Return as soon as it is noticed that the files are damaged, removed or replaced."""
        await self._damaged.wait()

    # -- trouble that passes ----------------------------------------------------------------------------------

    @property
    def degraded(self) -> bool:
        """Whether something keeps the journal from being what it should."""
        return bool(self._troubles) or self.damage is not None

    def refused(self, error: BaseException | None) -> None:
        """Note why a commit was refused, None once one was not, and call whoever makes room.

        SQLite has one error for a full disk and for its own limit; only for the latter is it of use to throw away.
        """
        self.pressed.set()  # also when it is over: the one who makes room may have failed for the same cause
        if error is None:
            self.full = False
            return
        if getattr(error, "sqlite_errorcode", 0) == SQLITE_FULL:
            with suppress(OSError):
                self.full = self._path is None or _free(self._path.parent) > self._limits.log_hard

    def begins(self, trouble: str, event: str, **facts: object) -> None:
        """Note trouble of a sort; it is logged when it begins, and not again."""
        if trouble not in self._troubles:
            self._troubles.add(trouble)
            log.warning(event, **facts)

    def ends(self, trouble: str, event: str) -> None:
        """Note that trouble of a sort is over."""
        if trouble in self._troubles:
            self._troubles.discard(trouble)
            log.info(event)

    def anew(self) -> None:
        """Forget the trouble of those who worked with the journal before: those who do now tell of theirs."""
        self._troubles.clear()
        self.full = False

    # -- the files --------------------------------------------------------------------------------------------

    def swollen(self) -> bool:
        """Tell whether the write-ahead log has grown so much that `shrink` must be called before the next commit.

        Raises:
            DamagedError: the files were removed or replaced: no commit may follow

        """
        return self._log is not None and self._log.swollen()

    async def shrink(self) -> None:
        """Keep the write-ahead log within its bounds; see `WriteAheadLog.shrink`."""
        if self._log is not None:
            await self._log.shrink()

    async def look(self) -> None:
        """See whether the files are still there and readable.

        Raises:
            sqlite3.Error: they cannot be read
            DamagedError: they were removed or replaced

        """
        if self._path is not None:
            self.swollen()
            await asyncio.to_thread(retention.look, self._path)

    async def rescue(self) -> Path | None:
        """Write what can still be read to a file of its own; see `files.rescue`. Nothing else may be asked meanwhile.

        Raises:
            sqlite3.Error: the disk is full, or cannot be written
            OSError: the directory cannot be made, or not be written

        """
        return await asyncio.to_thread(files.rescue, self._connection, self._path) if self._path else None


def _free(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


class _Cared(Protocol):
    care: Care


C = TypeVar("C", bound=_Cared)


def noticed(method: Callable[Concatenate[C, P], T]) -> Callable[Concatenate[C, P], T]:
    """Let an error that a method of the journal raises be noticed."""

    @wraps(method)
    def call(self: C, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.care.notice(error)
            raise

    return call
