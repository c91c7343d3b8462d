"""`python -m bench.deliver`: a backlog of changes in a journal, sent to an OTLP endpoint on the same machine, one core.

The endpoint takes everything and runs on another core. What is measured is the way from the journal to its answer:
reading, encoding, compression as it is set by default, sending, moving the cursor. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop
from msgspec import Struct

from bench import machine, objects, pipeline
from bench.programs import Sink
from bench.scripted import CLUSTER, Script
from exporter import logs
from exporter.changes.redact import redact_text
from exporter.delivery import Delivery
from exporter.journal.store import Journal
from exporter.metrics.health import Health
from exporter.otlp.envelope import Envelope
from exporter.otlp.logs import OtlpLogs
from exporter.otlp.sender import open_sender
from exporter.otlp.settings import resolve


if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOLS = ("http/protobuf", "grpc")


class Run(Struct, frozen=True, kw_only=True):
    """One round: records a second by the clock, µs of CPU for each."""

    per_second: float
    micros: float


async def fill(folder: Path, script: Script, changes: int) -> None:
    """Make a journal with changes of which nobody was told yet."""
    journal = Journal.open(folder)
    journal.cursor(OtlpLogs.name)
    journal.close()
    await pipeline.journal_of(script, folder, changes, {})


async def drain(folder: Path, env: Mapping[str, str]) -> tuple[float, float]:
    """Deliver all that is in a journal; seconds by the clock and of CPU."""
    settings = resolve(env)
    assert settings is not None  # noqa: S101 - we have said where to
    loop = asyncio.get_running_loop()
    journal = Journal.open(folder)
    envelope = Envelope(settings, journal_id=journal.id, cluster_uid=CLUSTER)
    delivery = Delivery(journal, OtlpLogs(envelope, await open_sender(settings)), Health())
    head = journal.head()
    began, used = loop.time(), time.process_time()
    running = asyncio.create_task(delivery.run())
    while journal.cursor(OtlpLogs.name) < head:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.005)
    seconds, cpu = loop.time() - began, time.process_time() - used
    delivery.stop()
    await running
    journal.close()
    return seconds, cpu


def measure(changes: int, rounds: int) -> dict[str, list[Run]]:
    """Send the same backlog again and again, with each protocol in turn."""
    found: dict[str, list[Run]] = {protocol: [] for protocol in PROTOCOLS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-deliver-")))
        sink = stack.enter_context(Sink(folder))
        stack.enter_context(machine.one_core())
        first, then = objects.lines("mix", types=pipeline.TYPES, objects=1_000, size=2 * objects.KIB, changes=changes)
        uvloop.run(fill(folder / "full", Script(pipeline.TYPES, first, then), changes))
        for number in range(rounds):
            for protocol, runs in found.items():
                data = folder / f"{len(runs)}-{number}-{protocol.replace('/', '-')}"
                shutil.copytree(folder / "full", data)
                before = sink.records
                seconds, cpu = uvloop.run(drain(data, sink.settings(protocol)))
                if sink.records - before != changes:
                    raise AssertionError(f"{sink.records - before} records have arrived, of {changes}")
                runs.append(Run(per_second=round(changes / seconds), micros=round(cpu / changes * 1e6, 1)))
    return found


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.deliver", description=__doc__)
    parser.add_argument("--changes", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    machine.as_the_exporter_does()
    logs.configure("error", "json", redact_text)
    sys.stdout.buffer.write(msgspec.json.encode(measure(options.changes, options.rounds)) + b"\n")


if __name__ == "__main__":
    main()
