"""The judgement itself: a trial without a fault passes, and what is wrong with the journal is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.faults.trial import Trial


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.servers.launch import Cluster


@pytest.mark.parametrize("history", [True, False])
async def test_a_version_that_is_missing_is_found(cluster: Cluster, tmp_path: Path, history: bool) -> None:
    """A journal that lacks the last version of an object is judged wrong, whether history was there or not."""
    rows: list[Row] = []
    with Trial(cluster, tmp_path) as trial:
        async with trial.writing():
            await trial.written(20)
        await trial.settle("none", "idle", rows.append)
        with closing(sqlite3.connect(tmp_path / "data" / "journal.db")) as journal, journal:
            journal.execute("DELETE FROM changes WHERE seq = (SELECT max(seq) FROM changes)")
        with pytest.raises(AssertionError, match="not what the server has"):
            await trial.settle("a row deleted", "idle", rows.append, history=history, within=1.0)
    assert rows[1].lost == 1


async def test_without_a_fault_nothing_is_wrong(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """Every version that the writers made is told, once and in order."""
    with Trial(cluster, tmp_path) as trial:
        async with trial.writing():
            await trial.written(50)
        row = await trial.settle("none", "watching", record)
    assert row.versions > 20
