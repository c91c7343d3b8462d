"""Hundreds of writes a second against the journal: each version once, in its order, over SIGKILLs too.

SOAK=1 runs the full size (minutes); otherwise a small one, which every `make test` can afford.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.integration.exporting import Exporter
from tests.integration.load import GROUP, NAMESPACES, Key, Load, Version, compare
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.launch import Cluster

CONFIG = f'watch: {{include: ["{GROUP}/*"]}}'


class Size(NamedTuple):
    """How much of it."""

    types: int
    objects: int
    seconds: float
    per_second: float
    kills: int


SIZE = Size(20, 500, 60.0, 400.0, 5) if os.environ.get("SOAK") == "1" else Size(4, 25, 4.0, 250.0, 3)
pytestmark = pytest.mark.timeout(SIZE.seconds + 300)

KEY = Key("Soak0", "soak-a", "one")
TRUTH = {KEY: [Version("added", "u", "1"), Version("modified", "u", "2"), Version("deleted", "u", "")]}
TOLD: list[dict[str, Any]] = [
    {"id": str(number), "kind": "Soak0", "namespace": "soak-a", "name": "one", "uid": "u"}
    | {"event": event, "resource_version": str(number)}
    for number, event in enumerate(("added", "modified", "deleted"), start=1)
]


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        (TOLD[:1] + TOLD[2:], ["1 lost"]),
        ([*TOLD[:2], TOLD[1] | {"id": "9", "resource_version": "9"}, TOLD[2]], ["1 invented"]),
        ([*TOLD[:2], *TOLD[1:]], ["1 invented", "1 twice"]),
        ([TOLD[1], TOLD[0], TOLD[2]], ["1 out of order"]),
        ([*TOLD[:2], TOLD[2] | {"gap": True}], ["1 marked gap"]),
        ([TOLD[0], TOLD[1] | {"uid": "v"}, TOLD[2]], ["1 lost", "1 invented"]),
        (TOLD, []),
    ],
)
def test_the_comparison_finds_what_is_wrong(told: list[dict[str, Any]], wrong: list[str]) -> None:
    """A version that is missing, made up, told twice or out of order is found, and nothing in a true journal."""
    assert wrong == [found.partition(":")[0] for found in compare(TRUTH, told).wrong]


@pytest.fixture(scope="module")
def load(cluster: Cluster) -> Iterator[Load]:
    """The types and the objects, there before any exporter of this module starts."""
    written = Load(cluster, types=SIZE.types, objects=SIZE.objects)
    written.install()
    yield written
    written.remove()


async def test_every_version_is_told_once_and_in_order(cluster: Cluster, load: Load, tmp_path: Path) -> None:
    """Under mixed writes the journal is exactly what the server assigned, and the counters are the journal."""
    load.forget()
    stop = asyncio.Event()
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=CONFIG) as exporter:
        asyncio.get_running_loop().call_later(SIZE.seconds, stop.set)
        await load.run(stop, per_second=SIZE.per_second)
        await asyncio.to_thread(judge, exporter, load, [])


@pytest.mark.parametrize("end", [Exporter.kill, Exporter.stop])
async def test_nothing_is_lost_or_invented_over_its_ends(
    cluster: Cluster, load: Load, tmp_path: Path, end: Callable[[Exporter], None]
) -> None:
    """The same holds where it is killed or told to stop while it works, while it resumes, and goes on with its data."""
    load.forget()
    stop = asyncio.Event()
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=CONFIG) as exporter:
        writing = asyncio.create_task(load.run(stop, per_second=SIZE.per_second, seed=2))
        ready = await asyncio.to_thread(end_and_restart, exporter, end, random.Random(3))  # noqa: S311 - moments
        stop.set()
        await writing
        await asyncio.to_thread(judge, exporter, load, ready)


def end_and_restart(exporter: Exporter, end: Callable[[Exporter], None], draw: random.Random) -> list[float]:
    """End it again and again, every second time once more while it starts; how long each start took until ready."""
    ready = []
    for number in range(SIZE.kills):
        time.sleep(SIZE.seconds / (SIZE.kills + 1) * draw.uniform(0.5, 1.0))  # it works meanwhile
        end(exporter)
        if number % 2:
            exporter.start(until="started")
            end(exporter)
        exporter.start()
        ready.append(exporter.seconds_to_ready)
    time.sleep(SIZE.seconds / (SIZE.kills + 1))
    return ready


def judge(exporter: Exporter, load: Load, ready: list[float]) -> None:
    """Hold journal and counters against the truth, once all of it can be there."""
    expected = sum(map(len, load.truth.values()))
    began = time.monotonic()
    with suppress(AssertionError):  # what is missing is said below, by name
        eventually(lambda: sum(counters(exporter).values()) >= expected, timeout=30)
    caught_up = time.monotonic() - began
    told = exporter.changes()
    compared = compare(load.truth, told)
    print(  # noqa: T201 - the figures of a soak
        f"{load.writes} writes, {compared.versions} versions, {len(told)} told, {compared.found}; "
        f"all there after {caught_up:.2f} s; starts to ready {[round(seconds, 2) for seconds in ready]}"
    )
    assert compared.wrong == []
    journal = Counter((one["kind"], one["namespace"], one["event"], one["change"]) for one in told)
    assert journal == counters(exporter)
    objects = [value for (name, _), value in exporter.metrics().items() if name == "customresource_objects"]
    assert (load.objects, SIZE.types * len(NAMESPACES)) == (sum(objects), len(objects))


def counters(exporter: Exporter) -> Counter[tuple[str, ...]]:
    """What /metrics has counted, by kind, namespace, event and change."""
    names = ("customresource_kind", "namespace", "event", "change")
    found: Counter[tuple[str, ...]] = Counter()
    for (name, labels), value in exporter.metrics().items():
        if name == "customresource_changes_total":
            found[tuple(dict(labels)[one] for one in names)] = int(value)
    return +found
