"""The journal's write-ahead log is cut, as by a crash of the machine: the journal stands at an earlier commit.

What is missing then is what the watches tell again from there. Must never be asked of a log that holds the baseline.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from tests.faults.trial import Trial
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.servers.launch import Cluster


def cut_in_half(log: Path) -> None:
    """Take the newest half of it away."""
    size = log.stat().st_size
    assert size > 0
    os.truncate(log, size // 2)


async def test_a_log_that_is_cut_costs_nothing_that_the_server_remembers(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """After a start on half of a log the rest is told again, each version once."""
    with Trial(cluster, tmp_path) as trial:
        await asyncio.to_thread(trial.exporter.stop)  # with that the log is in the file
        await asyncio.to_thread(trial.exporter.start)
        async with trial.writing():
            await trial.written(100)
            await asyncio.to_thread(eventually, lambda: len(trial.exporter.changes()) > 50, 60)
            trial.exporter.kill()
            before = len(trial.exporter.changes())
            cut_in_half(tmp_path / "data" / "journal.db-wal")
            assert len(trial.exporter.changes()) < before
            await asyncio.to_thread(trial.exporter.start)
        await trial.settle("disk: log cut in half", "start", record)
