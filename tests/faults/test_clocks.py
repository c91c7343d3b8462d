"""The machine's clock jumps, forwards and backwards, by hours and by days: what happened stays what happened.

Order is the journal's own, so a clock may be wrong about when, never about what. libfaketime moves the clock of a whole
process while it runs; where it is not installed (Debian: libfaketime), those tests are skipped and say so.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.faults.accounts import long
from tests.faults.endpoint import Endpoint
from tests.faults.trial import FULL, Trial
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.table import Row
    from tests.integration.exporting import Exporter
    from tests.servers.launch import Cluster


DAY = 24


@pytest.fixture
def faketime() -> Path:
    """The library that moves clocks."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        pytest.skip("libfaketime is not installed: apt-get install libfaketime")
    return found


class Moved:
    """The clock of a process, as a file says it.

    Args:
        library: libfaketime
        directory: for the file
        monotonic: whether the clock that cannot be set moves as well, as after a sleep of the machine

    """

    def __init__(self, library: Path, directory: Path, *, monotonic: bool) -> None:
        self._file = directory / "clock"
        self.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "0" if monotonic else "1",
        }

    def by(self, hours: int) -> None:
        """Move it from the true time by so many hours."""
        self._file.with_suffix(".new").write_text(f"{hours:+}h", encoding="ascii")
        self._file.with_suffix(".new").replace(self._file)  # never half of it


def unverified(cluster: Cluster, directory: Path) -> Path:
    """The way to a cluster whose certificate nobody looks at: at another time it is not valid."""
    config = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    for one in config["clusters"]:
        one["cluster"] = {"server": one["cluster"]["server"], "insecure-skip-tls-verify": True}
    file = directory / "unverified.kubeconfig"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


async def told_at(exporter: Exporter, hours: int) -> None:
    """Wait until the newest change was observed so many hours from now."""

    def there() -> bool:
        expected = datetime.now(UTC) + timedelta(hours=hours)
        with closing(sqlite3.connect(f"file:{exporter.data_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
            row = journal.execute("SELECT observed FROM changes ORDER BY seq DESC LIMIT 1").fetchone()
        return row is not None and abs(datetime.fromisoformat(row[0]) - expected) < timedelta(minutes=5)

    await asyncio.to_thread(eventually, there)


async def tidied(exporter: Exporter) -> None:
    """Wait until it has looked once more for what is too old."""

    def held() -> float:
        return exporter.metrics()["customresource_exporter_journal_changes", frozenset()]

    before = await asyncio.to_thread(held)
    await asyncio.to_thread(eventually, lambda: held() != before)


# Hours from the true time, one after the other; the last one lasts over a restart.
SET = (0, 2, 192, -2, -192, 0, -2) if FULL else (0, 192, -2)
SLEPT = (-2, 0, 2)  # a clock that cannot be set goes forwards only


@pytest.mark.parametrize(
    ("monotonic", "jumps"),
    [
        pytest.param(False, SET, id="set"),
        *([pytest.param(True, SLEPT, id="slept")] if FULL else []),
        *([pytest.param(False, (0, 192), id="restarted while wrong")] if FULL else []),
    ],
)
async def test_a_jump_loses_and_repeats_nothing(
    cluster: Cluster,
    faketime: Path,
    tmp_path: Path,
    record: Callable[[Row], None],
    monotonic: bool,
    jumps: tuple[int, ...],
) -> None:
    """While it works, and where it starts with a wrong clock: each version is told and delivered once, and is kept."""
    clock = Moved(faketime, tmp_path, monotonic=monotonic)
    clock.by(jumps[0])
    with (
        Endpoint("http/protobuf") as endpoint,
        Trial(cluster, tmp_path, env=clock.env | endpoint.env, kubeconfig=unverified(cluster, tmp_path)) as trial,
    ):
        async with trial.writing():
            for jump in jumps:
                clock.by(jump)
                await told_at(trial.exporter, jump)
                if jump > DAY:
                    await tidied(trial.exporter)
            await asyncio.to_thread(trial.exporter.stop)
            await asyncio.to_thread(trial.exporter.start)
            if jumps[-1] > DAY:
                await tidied(trial.exporter)
        phase = "after a sleep" if monotonic else f"set by {min(jumps)} to {max(jumps)} h"
        row = await trial.settle("clock", phase, record)
        await asyncio.to_thread(eventually, lambda: len(endpoint.taken) >= row.versions)
        assert row.versions == len({one.uid for one in endpoint.taken}) == len(endpoint.taken)


@long
async def test_a_clock_ahead_of_the_servers_hides_no_creation(
    cluster: Cluster, faketime: Path, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """With a selector, too, what is created is told as created, though our clock says that it is two hours old."""
    clock = Moved(faketime, tmp_path, monotonic=False)
    clock.by(2)
    selecting = {"watch": {"fieldSelector": "metadata.name!=nobody"}}
    way = unverified(cluster, tmp_path)
    with Trial(cluster, tmp_path, env=clock.env, kubeconfig=way, config=selecting) as trial:
        async with trial.writing():
            await told_at(trial.exporter, 2)
            await asyncio.sleep(1)  # something is to be created
        await trial.settle("clock", "ahead of the server's, with a selector", record)
