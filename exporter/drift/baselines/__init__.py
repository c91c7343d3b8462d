"""What an object is held against, in the order in which it is looked for; the first that there is serves.

A baseline is one module with a function `read(look) -> Found | None`, and one line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.drift.baselines import directory, last_applied, projected, snapshot, tool_status


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.drift.baselines.found import Found
    from exporter.drift.look import Look
    from exporter.records import BaselineName

BASELINES: dict[BaselineName, Callable[[Look], Found | None]] = {
    "directory": directory.read,
    "last_applied": last_applied.read,
    "tool_status": tool_status.read,
    "projected": projected.read,
    "snapshot": snapshot.read,
}
