"""The exporter is killed, and told to stop, at every moment of its life, while it is written and delivered.

What it told by then, and what a Collector got by then, must be exactly what the server did. A test names the seed of
its moments; FAULTS_SEED begins with another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.accounts import long
from tests.faults.ends import ENDS, Life, at_a_commit, begin, rest, stop
from tests.faults.proxy import Instead, Proxy, is_watch
from tests.faults.table import Row
from tests.faults.trial import FULL, Trial
from tests.integration.exporting import Exporter
from tests.integration.load import Key, compare
from tests.servers.otlp import _flattened
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.faults.ends import End
    from tests.faults.proxy import Asked
    from tests.integration.load import Load
    from tests.servers.launch import Cluster, Collector

    Record = dict[str, Any]

pytestmark = pytest.mark.timeout(1800)

# A server remembers 75 s at least; who is killed again and again before it has seen anything rests sooner than that.
AWAY_SECONDS = 25.0
SEED = int(os.environ.get("FAULTS_SEED", "1"))
# Each end by itself, 216 kills and 60 times SIGTERM in all; or some of those that take no long time once.
OFTEN = {"SIGKILL": 9, "SIGTERM": 5}
PLANS = [(end,) * OFTEN[end.fault] for end in ENDS for _ in range(4)] if FULL else [(*ENDS[1:2], *ENDS[3:7])]


@pytest.mark.parametrize(
    ("seed", "plan"),
    list(enumerate(PLANS, start=SEED)),
    ids=lambda one: str(one) if isinstance(one, int) else one[0].phase,
)
async def test_nothing_is_lost_or_invented_over_its_ends(
    cluster: Cluster,
    collector: Collector,
    tmp_path: Path,
    record: Callable[[Row], None],
    seed: int,
    plan: Sequence[End],
) -> None:
    """Journal, counters and what a Collector got are what the server did; per kill, one batch at most comes twice."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_endpoint}
    with Trial(cluster, tmp_path, env=env, proxied=True) as trial:
        draw = random.Random(seed)  # noqa: S311 - moments
        life = Life(trial.exporter, trial, collector, draw)
        async with trial.writing(per_second=40, seed=seed):
            for _ in range(2):  # the baseline, which is not told, may not be there before
                await asyncio.to_thread(at_a_commit, trial.exporter)
            await asyncio.to_thread(trial.exporter.stop)
            away = time.monotonic()
            for end in draw.sample(plan, len(plan)):
                if time.monotonic() - away > AWAY_SECONDS:
                    await asyncio.to_thread(rest, life)
                    away = time.monotonic()
                await asyncio.to_thread(end.come, life)
            await asyncio.to_thread(begin, life)
        one_sort = len(set(plan)) == 1

        def drawn(row: Row) -> None:
            record(row._replace(times=len(plan), seed=seed))

        row = await trial.settle(plan[0].fault, plan[0].phase if one_sort else "all phases", drawn)
        got = await asyncio.to_thread(judge, collector, trial.load)
        drawn(got._replace(fault=f"{row.fault}, as delivered", phase=row.phase))
        assert repetitions(collector) <= sum(end.doubt for end in plan)


# -- while it lists ---------------------------------------------------------------------------------------------

# Slow enough that the list of a type takes about a second.
SLOWLY = (8_000, 0.02)
EXPIRED = Instead(410, b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}')
LISTS_KILLED = 10


def resumes(asked: Asked) -> bool:
    """Whether it asks to go on from where it was."""
    return is_watch(asked) and "sendInitialEvents" not in asked.query


def kill_while_listing(trial: Trial, draw: random.Random) -> None:
    """Let it list again and again, slowly, and kill it each time."""
    trial.exporter.kill()
    trial.proxy.dribble(*SLOWLY)
    for _ in range(LISTS_KILLED):
        trial.exporter.start(until="started")
        time.sleep(draw.uniform(0.0, 1.5))
        trial.exporter.kill()
    trial.proxy.dribble(0, 0.0)


def held(exporter: Exporter) -> dict[Key, tuple[str, str]]:
    """The last-seen state in its journal: uid and resourceVersion."""
    with closing(sqlite3.connect(f"file:{exporter.data_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
        rows = journal.execute(
            "SELECT kind, namespace, name, uid, resource_version FROM objects JOIN types ON types.id = objects.type"
        ).fetchall()
    return {Key(*row[:3]): (row[3], row[4]) for row in rows}


@long
@pytest.mark.parametrize("seed", [SEED, SEED + 1])
async def test_a_first_list_that_is_killed_is_begun_again(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], seed: int
) -> None:
    """It holds what the server has in the end, tells all that came after its first list, and nothing that did not."""
    with Trial(cluster, tmp_path, proxied=True, objects=200) as trial:
        trial.exporter.kill()
        shutil.rmtree(trial.exporter.data_dir)
        async with trial.writing(seed=seed):
            await asyncio.to_thread(kill_while_listing, trial, random.Random(seed))  # noqa: S311 - moments
            await asyncio.to_thread(trial.exporter.start)
            before = {key: len(versions) for key, versions in trial.load.truth.items()}
            for _ in range(3):
                await asyncio.to_thread(at_a_commit, trial.exporter)
        server = await trial.load.on_server()
        await asyncio.to_thread(eventually, lambda: held(trial.exporter) == server)
        told = await asyncio.to_thread(trial.exporter.changes)
        of = Counter(Key(one["kind"], one["namespace"], one["name"]) for one in told)
        due = {key: max(of[key], len(versions) - before.get(key, 0)) for key, versions in trial.load.truth.items()}
        truth = {key: versions[len(versions) - due[key] :] for key, versions in trial.load.truth.items()}
        compared = compare(truth, told)
        assert compared.wrong == [], compared.wrong
        record(Row("SIGKILL", "first list", True, compared.versions, 0, 0, 0, 0, 0, 0.0, LISTS_KILLED, seed))


@long
@pytest.mark.parametrize("again", [True, False], ids=["the history stays lost", "the history comes back"])
async def test_a_list_over_a_gap_that_is_killed_is_begun_again(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], again: bool
) -> None:
    """Nothing is told twice, made up or out of order, though a part of the list was taken in before each kill."""
    with Trial(cluster, tmp_path, proxied=True, objects=200) as trial:
        async with trial.writing():
            for _ in range(3):
                await asyncio.to_thread(at_a_commit, trial.exporter)
            trial.proxy.instead(EXPIRED, times=1_000, when=resumes)
            await asyncio.to_thread(kill_while_listing, trial, random.Random(SEED))  # noqa: S311 - moments
            if not again:
                trial.proxy.instead(None)
            await asyncio.to_thread(trial.exporter.start)
            trial.proxy.instead(None)
        server = await trial.load.on_server()
        await asyncio.to_thread(eventually, lambda: held(trial.exporter) == server)
        compared = compare(trial.load.truth, await asyncio.to_thread(trial.exporter.changes), complete=False)
        lost = len(compared.lost)
        phase = f"listing over a gap{' that closes again' if again else ''}"
        row = Row("SIGKILL", phase, False, compared.versions, lost, 0, 0, 0, 0, 0.0, LISTS_KILLED)
        record(row)
        print(row)  # noqa: T201 - the figures of a trial
        assert [compared.invented, compared.duplicates, compared.disordered] == [[], [], []]


def test_a_server_that_says_nothing_does_not_hold_up_the_end_of_a_start(cluster: Cluster, tmp_path: Path) -> None:
    """Told to stop before it knows which cluster it is at, it ends with 0, and soon."""
    with Proxy(cluster, tmp_path / "proxy") as proxy:
        proxy.stall()
        exporter = Exporter(proxy.kubeconfig, tmp_path / "data")
        exporter._server.start(exporter._command, lambda: len(proxy.asked) > 0)
        stop(exporter)


# -- what was delivered -------------------------------------------------------------------------------------------


def judge(collector: Collector, load: Load) -> Row:
    """Wait until it has a record of each version; whatever came first of each must be what the server did."""
    began, versions = time.monotonic(), sum(map(len, load.truth.values()))
    with suppress(AssertionError):  # what is missing is said below, by name
        eventually(lambda: len(set(map(uid, collector.records()))) >= versions, timeout=30)
    seconds = time.monotonic() - began
    first: dict[str, Record] = {}
    for one in collector.records():
        assert one == first.setdefault(uid(one), one), "the same id on something else"
    compared = compare(load.truth, map(change, first.values()))
    assert compared.wrong == [], compared.wrong
    twice = len(collector.records()) - len(first)
    print(f"{versions} versions, {twice} records twice, all there after {seconds:.2f} s")  # noqa: T201 - figures
    return Row("", "", True, versions, 0, 0, twice, 0, 0, round(seconds, 2))


def uid(record: Record) -> str:
    """The id by which whoever gets a record twice knows it again."""
    return str(record["attributes"]["log.record.uid"])


def change(record: Record) -> dict[str, Any]:
    """A record as `changes -o json` would print its change."""
    attributes = record["attributes"]
    names = ("kind", "name", "uid", "event", "resource_version", "gap")
    told = {name: attributes[f"customresource.{name}"] for name in names if f"customresource.{name}" in attributes}
    return {**told, "id": uid(record), "namespace": record["resource"]["k8s.namespace.name"]}


def repetitions(collector: Collector) -> int:
    """How many requests held an id that had come before: with the request just before, the one in doubt."""
    lines = (collector.directory / "logs.json").read_bytes().split(b"\n")[:-1]
    seen: set[str] = set()
    again = 0
    for before, request in pairwise([set(), *(set(map(uid, _flattened(json.loads(line)))) for line in lines)]):
        assert seen & request <= before, "repeated what had been acknowledged"
        again += bool(seen & request)
        seen |= request
    return again
