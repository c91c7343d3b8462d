"""The journal's disk and file fail in every way that can be made here: /metrics stays up, and nothing else is lost.

Disks are made full with a file system of their own, and fail with a limit on the size of files; a file system that
turns read-only under open files cannot be made without harm to others, and gives SQLite the same error.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.faults.table import Row
from tests.faults.trial import FULL, Trial
from tests.integration.exporting import PROGRAM
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.launch import Cluster

    Record = Callable[[Row], None]


DEGRADED = "customresource_exporter_journal_degraded"
RESETS = "customresource_exporter_journal_resets_total"
RESCUES = "customresource_exporter_journal_rescues_total"
DROPPED = "customresource_exporter_delivery_dropped_total"
CHANGES = "customresource_changes_total"
_DISK_BYTES = 24 << 20
_SECONDS = 20.0 if FULL else 1.0
_GARBAGE = b"no page of a database looks like this. " * 4000


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A file system of its own for a directory."""
    place.mkdir(parents=True)
    mount = shutil.which("mount")
    if os.geteuid() or mount is None:
        pytest.skip("a file system of its own needs root and mount")
    answer = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        pytest.skip(f"a file system of its own cannot be mounted here: {answer.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)  # noqa: S607 - beside mount


@contextmanager
def full(place: Path) -> Iterator[None]:
    """Fill the disk to the last byte."""
    ballast = place / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                fill(file.fileno(), b"\0" * size)
        yield
    finally:
        ballast.unlink(missing_ok=True)


def fill(file: int, block: bytes) -> None:
    """Write blocks until there is no room for one more."""
    try:
        while os.write(file, block) == len(block):
            pass
    except OSError:
        return


@contextmanager
def failing(trial: Trial) -> Iterator[None]:
    """Let every write that makes a file longer fail with an I/O error."""
    pid = trial.exporter._running()
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def shown(trial: Trial, name: str) -> float:
    """The sum of a metric's samples; it must be there."""
    return sum(value for (sample, _), value in trial.exporter.metrics().items() if sample == name)


def reset(trial: Trial) -> dict[str, float]:
    """How often a journal was begun anew, by the reason."""
    samples = trial.exporter.metrics().items()
    return {dict(labels)["reason"]: value for (sample, labels), value in samples if sample == RESETS}


async def is_degraded(trial: Trial, expected: bool, within: float = 30.0) -> None:
    """Wait until the gauge says so; the pages and the readiness must be there all the time."""

    def told() -> bool:
        assert trial.exporter.get("/readyz")[0] == 200
        return shown(trial, DEGRADED) == expected

    await asyncio.to_thread(eventually, told, within)


async def test_what_cannot_be_written_waits(cluster: Cluster, tmp_path: Path, record: Record) -> None:
    """While nothing can be written the pages are served and the watches held back; then it goes on, and all is told."""
    data = tmp_path / "data"
    with small_disk(data), Trial(cluster, tmp_path) as trial:
        for fault in ("disk: full", "disk: I/O error"):
            async with trial.writing():
                await asyncio.sleep(0.3)
                with full(data) if fault == "disk: full" else failing(trial):
                    await is_degraded(trial, expected=True)
                    await asyncio.sleep(_SECONDS)
                    await is_degraded(trial, expected=True)
            await trial.settle(fault, "watching", record)
            await is_degraded(trial, expected=False)
        assert reset(trial) == {}


async def test_files_that_go_away_are_written_anew(cluster: Cluster, tmp_path: Path, record: Record) -> None:
    """A directory, a file or a log that is removed or replaced is made again from what is held open; all is told."""
    data = tmp_path / "data"

    def remove() -> None:
        shutil.rmtree(data.rename(tmp_path / "removed"))  # at once: the exporter looks at any moment, and makes it anew

    def replace() -> None:
        (data / "other").write_bytes(_GARBAGE)
        (data / "other").rename(data / "journal.db")

    faults: dict[str, Callable[[], object]] = {
        "disk: directory removed": remove,
        "disk: file replaced": replace,
        "disk: log removed": (data / "journal.db-wal").unlink,
        "disk: file removed": (data / "journal.db").unlink,
    }
    with Trial(cluster, tmp_path) as trial:
        for number, (fault, do) in enumerate(faults.items(), start=1):
            async with trial.writing():
                await asyncio.sleep(0.3)
                do()
                await asyncio.to_thread(eventually, lambda number=number: shown(trial, RESCUES) == number, 30)
                assert trial.exporter.get("/readyz")[0] == 200
            await trial.settle(fault, "watching", record)
        await is_degraded(trial, expected=False)
        assert reset(trial) == {}


def overwrite(path: Path) -> None:
    """Put garbage into the file itself."""
    with path.open("r+b") as file:
        file.write(_GARBAGE)


def make_newer(path: Path) -> None:
    """Say that a newer program wrote the file."""
    with closing(sqlite3.connect(path)) as journal:
        journal.execute("PRAGMA user_version = 1000")


async def is_taken_in(trial: Trial) -> None:
    """Wait until the baseline of all objects is in the journal."""
    await asyncio.to_thread(eventually, lambda: shown(trial, "customresource_objects") == trial.load.objects, 30)


async def begun_anew(trial: Trial, fault: str, phase: str, record: Record, before: int) -> None:
    """Judge a journal that was begun anew: what is written from now on is told, and what was before counts as lost."""
    trial.load.forget()
    async with trial.writing():
        await asyncio.sleep(0.5)
    row = await trial.settle(fault, phase, lambda _: None)
    record(row._replace(history=False, versions=row.versions + before, lost=row.lost + before))


async def test_a_damaged_journal_is_begun_anew(cluster: Cluster, tmp_path: Path, record: Record) -> None:
    """What cannot be read is moved aside, at the start or while it runs; counters go on, and readiness stays."""
    path = tmp_path / "data" / "journal.db"
    with Trial(cluster, tmp_path) as trial:
        async with trial.writing():
            await trial.written(50)  # more of the file than the exporter knows by heart after its start
        await trial.settle("disk: none", "before", lambda _: None)
        trial.exporter.stop()
        trial.exporter.start()
        counted = shown(trial, CHANGES)
        assert counted > 0
        overwrite(path)

        await asyncio.to_thread(eventually, lambda: reset(trial) == {"corrupt": 1.0}, 30)
        await is_degraded(trial, expected=False)
        assert shown(trial, CHANGES) == counted
        assert shown(trial, "customresource_exporter_gaps_total") == 1
        await is_taken_in(trial)
        await begun_anew(trial, "disk: overwritten", "watching", record, 0)

        for fault, spoil in (("disk: garbage", overwrite), ("disk: newer schema", make_newer)):
            trial.exporter.stop()
            spoil(path)
            trial.load.forget()
            async with trial.writing():
                await asyncio.sleep(0.3)
            unseen = sum(map(len, trial.load.truth.values()))
            trial.exporter.start()
            assert reset(trial) == {"newer" if spoil is make_newer else "corrupt": 1.0}
            await is_taken_in(trial)
            assert trial.exporter.changes() == []
            await begun_anew(trial, fault, "start", record, unseen)
    told = [line["moved_to"] for line in map(json.loads, trial.exporter.log.splitlines()) if "moved_to" in line]
    assert sorted(told) == copies(tmp_path / "data")
    assert len(told) == 3


def copies(data: Path) -> list[str]:
    """The journals that were moved aside."""
    return sorted(map(str, data.glob("journal.db.corrupt-*Z")))


async def test_a_quota_is_kept_and_what_it_forces_out_is_counted(
    cluster: Cluster, tmp_path: Path, record: Record
) -> None:
    """With an endpoint that is away the journal stays within its size, and each change that went undelivered counts."""
    size = 2 << 20
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    largest = 0
    with Trial(cluster, tmp_path, env=env, config={"journal": {"size": "2MiB"}}) as trial:
        began = time.monotonic()
        async with trial.writing(per_second=400):
            forced_out = asyncio.create_task(asyncio.to_thread(eventually, lambda: shown(trial, DROPPED) > 0, 120))
            while not forced_out.done() or time.monotonic() - began < (120.0 if FULL else 4.0):
                largest = max(largest, sum(map(bytes_of, (tmp_path / "data").glob("journal.db*"))))
                await asyncio.sleep(0.02)
            await forced_out
        versions = sum(map(len, trial.load.truth.values()))
        await asyncio.to_thread(eventually, lambda: shown(trial, CHANGES) == versions, 30)
        await asyncio.to_thread(eventually, lambda: accounted(trial) == versions, 30)  # one may go between two looks
        record(Row("disk: quota", "endpoint away", False, versions, 0, 0, 0, 0, 0, 0.0))
        assert largest <= 1.05 * size
        print(f"largest: {largest / size:.3f} of the size")  # noqa: T201 - the figure of a trial
        trial.exporter.kill()  # else it would go on trying for seconds


def accounted(trial: Trial) -> int:
    """How many changes are still there, or were counted when they were forced out."""
    return len(trial.exporter.changes()) + int(shown(trial, DROPPED))


def bytes_of(file: Path) -> int:
    """The size of a file, if it is the journal's; its shared memory is none of the disk's."""
    return file.stat().st_size if file.name in {"journal.db", "journal.db-wal"} else 0


def test_a_start_that_fails_leaves_no_journal(cluster: Cluster, tmp_path: Path) -> None:
    """Where the address is taken nothing is made in the data directory."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flags = [f"--kubeconfig={cluster.kubeconfig}", f"--data-dir={tmp_path / 'data'}"]
        address = f"--web.listen-address=127.0.0.1:{taken.getsockname()[1]}"
        answer = subprocess.run([PROGRAM, "run", *flags, address], capture_output=True, check=False, timeout=120)

    assert answer.returncode == 1
    assert b"cannot listen on" in answer.stderr
    assert not (tmp_path / "data").exists()
