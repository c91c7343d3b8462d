"""`python -m bench.pipeline SORT`: watch bytes to journal, saturated, on one core.

The whole exporter, as `app` builds it, in this process: decoding, tracker with diff, writer and redaction, the journal
in a file, metrics. Only the socket is left out: the bytes come from memory. Beside it, the same lines go through the
decoding of the official client's watch, which is all that this one does with them. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop
from kubernetes.watch import Watch
from msgspec import Struct

from bench import machine, objects
from bench.hot import Sampler
from bench.programs import Sink
from bench.scripted import CLUSTER, Script, ScriptedApi
from exporter import app, logs
from exporter.changes.redact import redact_text
from exporter.config import Config
from exporter.drift.settings import DriftSettings
from exporter.history import changes as among
from exporter.journal.store import Journal
from exporter.metrics.changes import CHANGES
from exporter.otlp.envelope import Envelope
from exporter.otlp.logs import OtlpLogs
from exporter.otlp.sender import open_sender
from exporter.otlp.settings import resolve
from exporter.rollout.settings import RolloutSettings


if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.figures import Hot
    from bench.objects import Line, Sort
    from exporter.delivery import Consumer

TYPES = 20
# What is not a full group of a commit waits for the next tick: so many at the end are left out.
_LAST = 1_000
_DEFAULTS = Config()


class Run(Struct, frozen=True, kw_only=True):
    """One round: changes a second by the clock, and what one change and one line of the client's took in µs of CPU."""

    per_second: float
    micros: float
    client_micros: float


async def journal_of(
    script: Script, folder: Path, changes: int, env: Mapping[str, str], config: Config = _DEFAULTS
) -> tuple[float, float]:
    """Run an exporter on an empty journal until the changes are in it, and delivered where `env` says where to.

    Returns:
        seconds by the clock, and of CPU, from the first change on, for as many changes as `counted` says

    """
    wanted = counted(changes)
    api = ScriptedApi(script)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        journal = Journal.open(folder)
        stack.callback(journal.close)
        journal.bind(CLUSTER)
        consumers: list[Consumer] = []
        if (settings := resolve(env)) is not None:
            envelope = Envelope(settings, journal_id=journal.id, cluster_uid=CLUSTER)
            consumers.append(OtlpLogs(envelope, await open_sender(settings)))
        exporter = app.Exporter(config, journal, api, CLUSTER, b"k" * 32, consumers)  # type: ignore[arg-type]
        stop = asyncio.Event()
        running = asyncio.create_task(exporter.run(stop))
        there = sum(len(lines) - 1 for lines in script.first.values()) - TYPES
        while exporter.waiting() or sum(journal.counts().values()) < there:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
        began, used = loop.time(), time.process_time()
        api.go.set()
        while (done := told(exporter)) < wanted:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        head = journal.head()
        while consumers and journal.cursor(consumers[0].name) < head:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
        seconds, cpu = loop.time() - began, time.process_time() - used
        while told(exporter) < changes:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        stop.set()
        await running
        scale = wanted / done
    return seconds * scale, cpu * scale


def told(exporter: app.Exporter) -> float:
    """Count the changes that are in the journal; what was concluded from them stands among them there."""
    return sum(value for series, value in exporter.totals().items() if series[0] == CHANGES)


def counted(changes: int) -> int:
    """Tell how many changes are timed of so many."""
    return changes - min(_LAST, changes // 2)


def check(folder: Path, sort: Sort, changes: int) -> None:
    """Look into the journal: all changes must be there, and be what they are meant to be."""
    journal = Journal.open(folder)
    found: Counter[str] = Counter()
    seq = 0
    while rows := journal.after(seq, 10_000):
        found.update("heartbeat" if one.heartbeat else one.change for one in among(rows))
        seq = rows[-1][0]
    journal.close()
    expected = {"spec": changes // 3, "status": changes - changes // 3} if sort == "mix" else {sort: changes}
    if any(abs(found[name] - count) > 1 for name, count in expected.items()) or found.total() != changes:
        raise AssertionError(f"the journal holds {dict(found)}, which should have been {expected}")


def client(lines: list[Line]) -> float:
    """Let the official client decode lines as its watch does; µs of CPU for each."""
    watch = Watch()
    texts = [one.data for one in lines]
    began = time.process_time()
    for text in texts:
        watch.unmarshal_event(text.decode(), "object")
    return (time.process_time() - began) / len(texts) * 1e6


def measure(
    sort: Sort,
    *,
    size: int,
    changes: int,
    there: int,
    rounds: int,
    env: Mapping[str, str],
    suspicious: bool = False,
    config: Config = _DEFAULTS,
) -> list[Run]:
    """Run rounds, each on a journal of its own, and the client in turn with them."""
    runs = []
    for _ in range(rounds):
        first, then = _lines(sort, size=size, changes=changes, there=there, suspicious=suspicious)
        script = Script(TYPES, first, then)
        sample = then[:: max(1, len(then) // 4000)]
        with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as folder:
            seconds, cpu = uvloop.run(journal_of(script, Path(folder), changes, env, config))
            check(Path(folder), sort, changes)
        runs.append(
            Run(
                per_second=round(counted(changes) / seconds),
                micros=round(cpu / counted(changes) * 1e6, 1),
                client_micros=round(client(sample), 1),
            )
        )
    return runs


def profile(
    sort: Sort,
    *,
    size: int,
    changes: int,
    there: int,
    env: Mapping[str, str],
    suspicious: bool = False,
    config: Config = _DEFAULTS,
) -> list[Hot]:
    """Run once more, and look where the time goes; the start of the exporter is part of it."""
    first, then = _lines(sort, size=size, changes=changes, there=there, suspicious=suspicious)
    script = Script(TYPES, first, then)
    sampler = Sampler()
    with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as folder:
        sampler.start()
        uvloop.run(journal_of(script, Path(folder), changes, env, config))
        sampler.stop()
    return sampler.hottest()


def _lines(sort: Sort, *, size: int, changes: int, there: int, suspicious: bool) -> tuple[list[Line], list[Line]]:
    """Make the lines of a round anew: what is said to have happened must be as young as it is on a cluster.

    Of a change that is old when it is seen, the object's word for its time counts, and a rollout is over at once.
    """
    return objects.lines(
        sort,
        types=TYPES,
        objects=there,
        size=size,
        changes=changes,
        suspicious=suspicious,
        begin=dt.datetime.now(dt.UTC),
    )


def main() -> None:
    """Measure one sort, and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description=__doc__)
    parser.add_argument("sort", choices=objects.SORTS)
    parser.add_argument("--size", type=int, default=2, help="KiB of one object (%(default)d)")
    parser.add_argument("--changes", type=int, default=20_000, help="in one round (%(default)d)")
    parser.add_argument("--objects", type=int, default=1_000, help="that change (%(default)d)")
    parser.add_argument("--suspicious", action="store_true", help="objects that have to be searched for secrets")
    parser.add_argument(
        "--without",
        nargs="+",
        choices=("drift", "rollout"),
        default=(),
        help="sections of the configuration to disable",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--deliver", choices=("http/protobuf", "grpc"), help="and on to an OTLP endpoint on another core"
    )
    parser.add_argument("--profile", action="store_true", help="name the functions that take the time, instead")
    options = parser.parse_args()
    machine.as_the_exporter_does()
    logs.configure("error", "json", redact_text)
    config = Config(
        drift=DriftSettings(enabled="drift" not in options.without),
        rollout=RolloutSettings(enabled="rollout" not in options.without),
    )
    size = {
        "size": options.size * objects.KIB,
        "changes": options.changes,
        "there": options.objects,
        "suspicious": options.suspicious,
    }
    with ExitStack() as stack:
        env: Mapping[str, str] = {}
        sink = None
        if options.deliver:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-sink-")))
            sink = stack.enter_context(Sink(folder))
            env = sink.settings(options.deliver)
        stack.enter_context(machine.one_core())  # only now: the endpoint may have the other one
        if options.profile:
            found: object = profile(options.sort, **size, env=env, config=config)
        else:
            found = measure(options.sort, **size, rounds=options.rounds, env=env, config=config)
            if sink is not None and sink.records != options.changes * options.rounds:
                raise AssertionError(f"{sink.records} records have arrived, of {options.changes * options.rounds}")
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main()
