"""The ways in which an exporter ends: killed, or told to stop, at every moment of its life.

Each way begins without an exporter that runs, and ends so. Must never decide what is right afterwards: see test_kills.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.trial import FULL
from tests.integration.test_soak import counters
from tests.waiting import eventually


if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.faults.trial import Trial
    from tests.integration.exporting import Exporter
    from tests.servers.launch import Collector

END_SECONDS = 10.0
_DELIVERING = "delivering log records"
_WORK_SECONDS = 2.0 if FULL else 0.5


class Life(NamedTuple):
    """An exporter, what is around it, and the draw of its moments."""

    exporter: Exporter
    trial: Trial
    collector: Collector
    draw: random.Random

    def wait(self, longest: float) -> None:
        """Let a random time pass."""
        time.sleep(self.draw.uniform(0.0, longest))


def kill_while_starting(life: Life) -> None:
    """Before its first request for objects."""
    life.exporter.start(until=_DELIVERING)
    life.wait(0.1)
    life.exporter.kill()


def kill_while_resuming(life: Life) -> None:
    """While it goes on from where it was."""
    life.exporter.start(until="started")
    life.wait(0.1)
    life.exporter.kill()


def kill_while_watching(life: Life) -> None:
    """While it works."""
    begin(life)
    life.wait(_WORK_SECONDS)
    life.exporter.kill()


def kill_while_committing(life: Life) -> None:
    """Right after a commit, about when that is delivered."""
    begin(life)
    at_a_commit(life.exporter)
    life.wait(0.02)
    life.exporter.kill()


def kill_while_delivering(life: Life) -> None:
    """While a batch is sent but not acknowledged, and more is committed behind it."""
    begin(life)
    pause(life.collector, signal.SIGSTOP)
    try:
        for _ in range(2):  # a request, and what is committed while that waits
            at_a_commit(life.exporter)
        life.exporter.kill()
    finally:
        pause(life.collector, signal.SIGCONT)


def kill_while_stopping(life: Life) -> None:
    """While it ends in order."""
    begin(life)
    os.kill(life.exporter._running(), signal.SIGTERM)
    life.wait(0.3)
    life.exporter.kill()


def stop_while_starting(life: Life) -> None:
    """Told to stop before it is ready."""
    life.exporter.start(until=life.draw.choice((_DELIVERING, "started")))
    life.wait(0.1)
    stop(life.exporter)


def stop_while_watching(life: Life) -> None:
    """Told to stop while it works."""
    begin(life)
    life.wait(_WORK_SECONDS)
    stop(life.exporter)


def stop_unheard(life: Life) -> None:
    """Told to stop while neither the API server nor the endpoint says anything."""
    begin(life)
    pause(life.collector, signal.SIGSTOP)
    try:
        at_a_commit(life.exporter)
        life.trial.proxy.stall()
        stop(life.exporter)
    finally:
        pause(life.collector, signal.SIGCONT)
        life.trial.proxy.go_on()


def begin(life: Life) -> None:
    """Start it, and see that the counters are the journal."""
    life.exporter.start()
    before = counters(life.exporter)
    with journal(life.exporter) as reading:
        lines = [json.loads(line) for (line,) in reading.execute("SELECT line FROM changes").fetchall()]
    told = Counter((one["kind"], one["namespace"], one["event"], one["change"]) for one in lines)
    # The journal grows while it is read.
    assert before <= told <= counters(life.exporter)


def rest(life: Life) -> None:
    """Let it see what there is by now, and end in order."""
    begin(life)
    due = sum(map(len, life.trial.load.truth.values()))
    eventually(lambda: sum(counters(life.exporter).values()) >= due, 60)
    stop(life.exporter)


def stop(exporter: Exporter) -> None:
    """Tell it to stop; it must end with 0, and soon."""
    began = time.monotonic()
    exporter.stop()
    assert time.monotonic() - began < END_SECONDS


def pause(collector: Collector, how: signal.Signals) -> None:
    """Let a Collector do nothing, or go on."""
    assert collector.pid is not None
    os.kill(collector.pid, how)


def journal(exporter: Exporter) -> closing[sqlite3.Connection]:
    """Open its journal to read it, as anybody can beside it."""
    return closing(sqlite3.connect(f"file:{exporter.data_dir / 'journal.db'}?mode=ro", uri=True))


def at_a_commit(exporter: Exporter) -> None:
    """Return as soon as something is committed. Without the pauses of `eventually`: the moment itself is wanted."""
    with journal(exporter) as reading:

        def head() -> int:
            row = reading.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
            return int(row[0]) if row else 0

        before, deadline = head(), time.monotonic() + 30
        while head() == before:
            assert time.monotonic() < deadline, "nothing is committed"


class End(NamedTuple):
    """One end: for the table of faults, and whether it may leave a batch of which nobody knows whether it arrived."""

    fault: str
    phase: str
    come: Callable[[Life], None]
    doubt: bool = True


ENDS = (
    End("SIGKILL", "starting", kill_while_starting),
    End("SIGKILL", "resuming", kill_while_resuming),
    End("SIGKILL", "watching", kill_while_watching),
    End("SIGKILL", "committing", kill_while_committing),
    End("SIGKILL", "delivering", kill_while_delivering),
    End("SIGKILL", "stopping", kill_while_stopping),
    End("SIGTERM", "starting", stop_while_starting, doubt=False),
    End("SIGTERM", "watching", stop_while_watching, doubt=False),
    End("SIGTERM", "nobody answers", stop_unheard),
)
