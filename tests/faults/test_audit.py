"""The audit finds what no watch tells, has it put right, and takes nothing for wrong that is only on its way."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from exporter.app import Exporter as Program
from exporter.config import Config, Watch
from exporter.journal.store import Journal
from exporter.kube.client import Api
from exporter.metrics.health import Health
from tests.faults.table import Row
from tests.faults.test_restored import FINDINGS, GAPS, in_journal, on_server
from tests.faults.trial import FULL
from tests.integration.exporting import Exporter
from tests.integration.load import GROUP, Load
from tests.integration.widgets import LISTS, Widgets, total
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prometheus_client import Counter

    from tests.servers.launch import Cluster

SECONDS = 60.0 if FULL else 4.0


def test_what_a_bug_did_to_the_journal_is_found_counted_and_put_right(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """An object that is missing, one too many and one that is other: each is counted, told as a gap, and right."""
    widgets = Widgets(cluster, "bug.audit.example.com")
    widgets.install()
    widgets.create("a", "b", "c")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        widgets.resize("b", 2)
        eventually(exporter.changes)
    before = in_journal(exporter.data_dir)
    with closing(sqlite3.connect(exporter.data_dir / "journal.db")) as journal, journal:
        journal.execute("DELETE FROM objects WHERE name = 'a'")
        journal.execute(
            "UPDATE objects SET (resource_version, state) = (SELECT '7', state FROM objects AS other "
            "WHERE other.name = 'c') WHERE name = 'b'"
        )
        journal.execute(
            "INSERT INTO objects (type, namespace, name, uid, resource_version, state) "
            "SELECT type, namespace, 'ghost', 'nobody', resource_version, state FROM objects "
            "WHERE name = 'c'"
        )
    began = time.monotonic()
    with exporter:
        sizes = itertools.count(8)

        def found() -> float:
            widgets.resize("c", next(sizes))  # the watch has to pass the list
            return total(exporter, FINDINGS)

        eventually(found, 60)
        server = on_server(widgets)
        eventually(lambda: in_journal(exporter.data_dir) == server, 60)
        seconds = time.monotonic() - began
        for reason in ("missing", "extra", "differs"):
            assert total(exporter, FINDINGS, reason=reason) == 1
        assert total(exporter, LISTS) == total(exporter, GAPS) == 1
        assert exporter.get("/readyz")[0] == 200
        # The list may be the first to tell of c, which is written all the time.
        told = [(one["event"], one["name"]) for one in exporter.changes() if one.get("gap") and one["name"] != "c"]
        assert sorted(told) == [("added", "a"), ("deleted", "ghost"), ("modified", "b")]
        assert server["a"] == before["a"]
    record(Row("rows of the journal altered", "stopped", False, 3, 0, 0, 0, 0, 0, round(seconds, 2)))


@pytest.mark.timeout(SECONDS + 120)
async def test_under_heavy_writes_nothing_is_found(cluster: Cluster, tmp_path: Path) -> None:
    """However much is on its way while it looks, one audit after the other ends and finds nothing."""
    load = Load(cluster, types=2, objects=300, group=f"audit.{GROUP}")
    await asyncio.to_thread(load.install)
    journal, health, stop = Journal.open(tmp_path / "data"), Health(), asyncio.Event()
    config = Config(watch=Watch(include=(f"{load.group}/*",)))
    async with Api.connect(str(cluster.kubeconfig)) as api:
        program = Program(config, journal, api, await api.cluster_uid(), b"key", [], health)
        running = asyncio.create_task(program.run(stop))
        writing = asyncio.create_task(load.run(stop, per_second=300.0))
        await asyncio.to_thread(eventually, lambda: not program.waiting(), 30)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            await program._audit.once()
        stop.set()
        await asyncio.gather(running, writing)
    await asyncio.to_thread(load.remove)
    results = counted(health.audits)
    findings = counted(health.audit_findings)
    print(f"{load.writes} writes, audits {results}, findings {findings}")  # noqa: T201 - the figures of a trial
    assert findings == {"missing": 0, "extra": 0, "differs": 0}
    assert results["clean"] >= SECONDS / 2
    assert results["found"] == 0


def counted(counter: Counter) -> dict[str, float]:
    """What a counter with one label has counted, by that."""
    samples = [sample for family in counter.collect() for sample in family.samples if sample.name.endswith("_total")]
    return {next(iter(sample.labels.values())): sample.value for sample in samples}
