"""The end of an event loop that runs in a thread of a test's own.

Whatever is left open in one is a ResourceWarning when it is collected, which fails the test that runs at that moment.
"""

from __future__ import annotations

import asyncio
from typing import Any


_POLL_SECONDS = 0.001


async def end_all() -> None:
    """Cancel the other tasks of the running loop and close its connections; returns when all of that is done."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    loop: Any = asyncio.get_running_loop()
    transports = [*loop._transports.values()]
    for transport in transports:
        transport.abort()
    while any(transport._sock is not None for transport in transports):  # noqa: ASYNC110 - asyncio closes them, untold
        await asyncio.sleep(_POLL_SECONDS)
