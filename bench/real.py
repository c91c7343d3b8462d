"""`python -m bench.real`: CPU time per change at a steady rate on a real kube-apiserver, with and without OTLP.

The exporter runs as its users run it, kube-state-metrics beside it on the same objects at the same time; what either
used is divided by the changes that the exporter counted. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import uvloop
from msgspec import Struct

from bench import load
from bench.figures import Hot
from bench.peer import KubeStateMetrics
from bench.programs import CHANGES, DELIVERED, Exporter, Sink
from tests.servers.launch import Cluster
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.programs import Program


class Size(Struct, frozen=True, kw_only=True):
    """How much of it."""

    types: int = 20
    objects: int = 50
    rate: float = 500.0
    warm_up: float = 4.0
    seconds: float = 20.0
    rounds: int = 3


class Measured(Struct, frozen=True, kw_only=True):
    """What one window gave; times in µs per change, memory in MiB."""

    changes_per_second: float
    exporter: float
    exporter_rss: float
    exporter_peak: float
    beside: float | None = None
    beside_peak: float | None = None
    sent: float = 0.0


async def window(
    kubeconfig: Path, todo: list[load.Place], size: Size, exporter: Exporter, beside: Program | None
) -> Measured:
    """Change objects for a while, and take what the programs used of the time after the warm-up."""
    stop = asyncio.Event()
    writing = asyncio.create_task(load.Writer(kubeconfig, todo, size.rate).run(stop))
    try:
        await _unless(writing, size.warm_up)
        # The page is asked for in a thread: the writers go on meanwhile.
        before = await asyncio.to_thread(_taken, exporter, beside)
        await _unless(writing, size.seconds)
        after = await asyncio.to_thread(_taken, exporter, beside)
    finally:
        stop.set()
        await writing
    seconds, changes, sent, ours, theirs = (new - old for new, old in zip(after, before, strict=True))
    memory = exporter.memory
    return Measured(
        changes_per_second=round(changes / seconds, 1),
        exporter=round(ours / changes * 1e6, 1),
        exporter_rss=memory.rss,
        exporter_peak=memory.peak,
        beside=round(theirs / changes * 1e6, 1) if beside else None,
        beside_peak=beside.memory.peak if beside else None,
        sent=sent,
    )


async def _unless(writing: asyncio.Task[None], seconds: float) -> None:
    """Wait, but not on if the writers have failed."""
    await asyncio.wait({writing}, timeout=seconds)
    if writing.done():
        writing.result()


def _taken(exporter: Exporter, beside: Program | None) -> tuple[float, float, float, float, float]:
    """Read the clock, the counters, and the CPU time of both."""
    metrics = exporter.metrics()
    changes, sent = (sum(value for (name, _), value in metrics.items() if name == one) for one in (CHANGES, DELIVERED))
    return time.monotonic(), changes, sent, exporter.cpu_seconds, beside.cpu_seconds if beside else 0.0


@contextmanager
def filled(size: Size) -> Iterator[tuple[Path, Path, list[load.Place]]]:
    """Run a cluster with the types and the objects: a folder for more, the admin's kubeconfig, the objects."""
    todo = load.places(size.types, size.objects)
    with tempfile.TemporaryDirectory(prefix="bench-real-") as name, ExitStack() as stack:
        cluster = stack.enter_context(Cluster(Path(name) / "cluster", apiserver_args=load.APISERVER))
        uvloop.run(load.install(cluster.kubeconfig, size.types))
        uvloop.run(load.fill(cluster.kubeconfig, todo))
        yield Path(name), cluster.kubeconfig, todo


def measure(size: Size, *, with_otlp: bool, with_peer: bool) -> dict[str, Any]:
    """Run all rounds on one cluster; each begins with an exporter of its own on an empty journal."""
    found: dict[str, list[Measured]] = {}
    with filled(size) as (folder, kubeconfig, todo), ExitStack() as stack:
        sink = stack.enter_context(Sink(folder))
        cases: dict[str, Mapping[str, str]] = {"journal and metrics": {}}
        if with_otlp:
            cases["journal, metrics and OTLP"] = sink.settings("http/protobuf")
        beside = stack.enter_context(KubeStateMetrics(kubeconfig, folder, size.types)) if with_peer else None
        if beside is not None:
            # What shows nothing costs nothing: it must show all before it is held against us.
            eventually(lambda: beside.follows(len(todo)), timeout=60)
        for number in range(size.rounds):
            for name, env in cases.items():
                data = folder / f"{len(found)}-{number}-data"
                with Exporter(kubeconfig, data, env) as exporter:
                    one = uvloop.run(window(kubeconfig, todo, size, exporter, beside))
                found.setdefault(name, []).append(one)
    return {"size": size, "rounds": found}


def profile(size: Size) -> list[Hot]:
    """Name the functions that take the CPU time, with journal and metrics."""
    with filled(size) as (folder, kubeconfig, todo):
        file = folder / "profile"
        with Exporter(kubeconfig, folder / "data", profile=file) as exporter:
            exporter.begin_profile()
            uvloop.run(window(kubeconfig, todo, size, exporter, None))
        return msgspec.json.decode(file.read_bytes(), type=list[Hot])


def main() -> None:
    """Measure, and print one line of JSON."""
    usual = Size()
    parser = argparse.ArgumentParser(prog="python -m bench.real", description=__doc__)
    parser.add_argument("--rate", type=float, default=usual.rate, help="changes a second (%(default)g)")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of one window (%(default)g)")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="windows of each case (%(default)d)")
    parser.add_argument("--no-otlp", action="store_true", help="journal and metrics alone")
    parser.add_argument("--no-peer", action="store_true", help="without kube-state-metrics beside it")
    parser.add_argument("--profile", action="store_true", help="name the functions that take the time, instead")
    options = parser.parse_args()
    size = Size(rate=options.rate, seconds=options.seconds, rounds=options.rounds)
    found: object
    if options.profile:
        found = profile(size)
    else:
        found = measure(size, with_otlp=not options.no_otlp, with_peer=not options.no_peer)
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main()
