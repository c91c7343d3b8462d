"""Tells the ingest loop when a time has come that the state of an object has named.

One look at an index each second, or as soon as the next time is known to come. Must never do the work itself: there
is one loop that writes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING

from exporter.ingest import Elapsed


if TYPE_CHECKING:
    from exporter.ingest import Inbox
    from exporter.journal.states import States


_LOOK_SECONDS = 1.0
_SOON_SECONDS = 0.05


async def watch(states: States, inbox: Inbox) -> None:
    """Work until cancelled.

    Args:
        states: what is kept of the objects
        inbox: takes a word when the time has come

    """
    while True:
        try:
            due = states.next_due()
        except sqlite3.Error:
            due = None  # the ingest loop meets the same trouble, and deals with it
        left = _LOOK_SECONDS if due is None else min(_LOOK_SECONDS, (due - time.time_ns()) / 1e9)
        if left <= 0:
            inbox.add(Elapsed())
            left = _SOON_SECONDS
            await inbox.until_kept()
        await asyncio.sleep(max(left, _SOON_SECONDS))
