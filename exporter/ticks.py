"""One beat for all who can wait a moment: what is done together costs less than the same done one by one.

Streams are read at the tick, and what they held is committed a little later: at a few hundred changes a second most of
the cost is waking up, and each commit has its own price. Nothing waits longer than one period.
"""

from __future__ import annotations

import asyncio


# Seconds between two ticks.
PERIOD = 0.2


async def next_tick(later: float = 0.0) -> None:
    """Wait for the next tick.

    Args:
        later: seconds after the tick

    """
    await asyncio.sleep(PERIOD - (asyncio.get_running_loop().time() - later) % PERIOD)
