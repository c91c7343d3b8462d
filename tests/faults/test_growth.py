"""A million events later, and beside readers that do not read: no more memory, no more files, no larger journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bench import objects
from tests.faults.endpoint import Endpoint
from tests.faults.flood import Flood
from tests.faults.trial import FULL
from tests.integration.exporting import PROGRAM, Exporter
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(1800)

# Caches fill first. Then a leak of LEAK bytes for each event would be far above what resident memory does by itself.
WARM, EVENTS = (100_000, 1_000_000) if FULL else (10_000, 30_000)
LEAK = 10.0 if FULL else 60.0
SIZE = 64 * 2**20 if FULL else 8 * 2**20
# Files that are open for a moment: those of the tidying, a scrape, a request.
FILES = 6
SAMPLES = 40 if FULL else 8


class Sample(NamedTuple):
    """What it holds after so many events; bytes."""

    events: float
    memory: float
    files: int
    journal: int


def sample(exporter: Exporter, events: int) -> Sample:
    """Measure it."""
    process = Path(f"/proc/{exporter._running()}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text(encoding="utf-8").splitlines())
    journal = sum(file.stat().st_size for file in exporter.data_dir.glob("journal.db*"))
    return Sample(events, int(status["VmRSS"].split()[0]) * 1024, len(list((process / "fd").iterdir())), journal)


def flow(flood: Flood, exporter: Exporter, events: int, samples: int) -> Iterator[Sample]:
    """Let so many events pass, and measure it so often, each time when all that was said is told."""
    for _ in range(samples):
        flood.until += events // samples
        eventually(lambda: counted(exporter) >= flood.until, timeout=300)
        yield sample(exporter, flood.said)


def counted(exporter: Exporter) -> float:
    """All changes that /metrics has counted."""
    return sum(value for (name, _), value in exporter.metrics().items() if name == "customresource_changes_total")


@contextmanager
def stopped_reader(exporter: Exporter) -> Iterator[None]:
    """Somebody follows the history, and then does nothing any more."""
    command: list[str | Path] = [PROGRAM, "changes", "--follow", "-o", "json", f"--data-dir={exporter.data_dir}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline()
            os.kill(reader.pid, signal.SIGSTOP)
            yield
        finally:
            reader.kill()


def total(exporter: Exporter, name: str) -> float:
    """The sum of a family about deliveries."""
    family = f"customresource_exporter_delivery_{name}"
    return sum(value for (sample, _), value in exporter.metrics().items() if sample == family)


@pytest.mark.parametrize("beside", ["nobody", "slow readers"] if FULL else ["slow readers"])
def test_many_events_leave_nothing_behind(tmp_path: Path, beside: str) -> None:
    """Memory does not grow with the events, nor do open files, and the journal stays within its size.

    Neither does it where an endpoint takes two seconds for each request and whoever follows the history has stopped:
    the watch is not held up, and what the endpoint will never get is counted.
    """
    config = {"watch": {"include": [f"{objects.GROUP}/*"]}, "journal": {"size": f"{SIZE >> 20}MiB"}}
    with ExitStack() as stack:
        flood = stack.enter_context(Flood(tmp_path, 200))
        endpoint = stack.enter_context(Endpoint("http/protobuf"))
        endpoint.rule = lambda request: endpoint.take(request)._replace(seconds=2.0)
        env = endpoint.env if beside == "slow readers" else {}
        exporter = Exporter(flood.kubeconfig, tmp_path / "data", config=json.dumps(config), env=env)
        stack.enter_context(exporter)
        warm = list(flow(flood, exporter, WARM, 1))
        if beside == "slow readers":
            stack.enter_context(stopped_reader(exporter))
        began = time.monotonic()
        samples = list(flow(flood, exporter, EVENTS, SAMPLES))
        slope = linear_regression([one.events for one in samples], [one.memory for one in samples]).slope
        print(  # noqa: T201 - the figures
            f"{EVENTS} events in {time.monotonic() - began:.0f} s beside {beside}: {slope:.1f} bytes more for each, "
            f"{samples[0].memory / 2**20:.1f} to {samples[-1].memory / 2**20:.1f} MiB, "
            f"{warm[-1].files} to {samples[-1].files} files, journal at most "
            f"{max(one.journal for one in samples) / 2**20:.1f} of {SIZE / 2**20:.0f} MiB; "
            f"{total(exporter, 'sent_total'):.0f} sent, {total(exporter, 'dropped_total'):.0f} dropped"
        )
        assert exporter.metrics()["customresource_exporter_journal_changes", frozenset()] < flood.said / 2
        assert max(one.journal for one in samples) <= SIZE * 1.05
        assert samples[-1].files <= warm[-1].files + FILES
        assert slope < LEAK
        if beside == "slow readers":
            assert total(exporter, "dropped_total") > 0
            assert total(exporter, "sent_total") < flood.said / 2
