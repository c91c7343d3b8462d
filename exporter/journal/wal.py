"""The journal's write-ahead log: how large it is, and how it is moved into the file before it grows too large.

Must never hold up the event loop: what waits for the disk is done in a thread.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from exporter.errors import JournalError
from exporter.journal import retention


if TYPE_CHECKING:
    import sqlite3

    from exporter.journal.files import Files
    from exporter.journal.limits import Limits

_AGAIN_SECONDS = 1.0


class WriteAheadLog:
    """The log of an open journal.

    Args:
        connection: of the writer
        files: of the journal
        limits: its bounds

    """

    def __init__(self, connection: sqlite3.Connection, files: Files, limits: Limits) -> None:
        self._connection = connection
        self._files = files
        self._limits = limits
        self._moving: asyncio.Task[bool] | None = None
        self._not_before = 0.0

    def swollen(self) -> bool:
        """Tell whether `shrink` has to be called before the next commit; costs two calls of the system.

        Raises:
            DamagedError: the journal's files were removed or replaced

        """
        return self._files.log_size() > self._limits.log_soft

    async def shrink(self) -> None:
        """Move the log into the file: beside the commits first, before the next one where that does not keep up.

        A reader that stands still in the middle of its read keeps the log from being used anew. It may then grow as
        long as it and the file are within the size of the journal, and not beyond.

        Raises:
            JournalError: it has grown that far
            sqlite3.Error: the file cannot be read or written
            DamagedError: the journal's files were removed or replaced

        """
        if self._files.log_size() <= self._limits.log_hard:
            if self._moving is None or self._moving.done():
                self._moving = asyncio.create_task(self._move())
                self._moving.add_done_callback(lambda task: task.cancelled() or task.exception())
            return
        if not self._full() and time.monotonic() < self._not_before:
            return
        if self._moving is not None:
            await asyncio.wait({self._moving})
        if not await self._move():
            self._not_before = time.monotonic() + _AGAIN_SECONDS
            if self._full():
                msg = (
                    f"the write-ahead log of {self._files.path} has grown to the limit of journal.size, since another "
                    "program stands still while it reads the journal: end it (a stopped `changes`, a shell of sqlite3)"
                )
                raise JournalError(msg)

    def _full(self) -> bool:
        if self._limits.size is None:
            return False
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (page,) = self._connection.execute("PRAGMA page_size").fetchone()
        return bool(self._files.log_size() + pages * page > self._limits.size)

    async def _move(self) -> bool:
        self._files.log_size()  # on other files than the writer's this would do harm
        return await asyncio.to_thread(retention.checkpoint, self._files.path)
