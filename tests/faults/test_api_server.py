"""The API server killed and started again, in each of the phases of an exporter that follows it.

An API server that starts anew remembers no history below its first list: whoever had not seen everything by then gets
the net change from a list, and the gap is counted. Each test has a cluster of its own, since it hurts it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import is_watch
from tests.faults.rows import Rows
from tests.faults.trial import FULL, Trial
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.integration.conftest import NewCluster
    from tests.servers.launch import Cluster

# Longer than the pauses between attempts, and than a server that has just begun takes to say that it does not know the
# place of a watch.
_STEADY = 15.0
_SECONDS = 3.0 if FULL else 0.7
_ROUNDS = 5 if FULL else 1
pytestmark = pytest.mark.timeout(1800 if FULL else 600)


async def test_an_api_server_killed_under_writes_costs_no_net_change(
    new_cluster: NewCluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """What is held is right after it, nothing is made up, and the gap is counted."""
    cluster = await asyncio.to_thread(new_cluster)
    with Trial(cluster, tmp_path, objects=10) as trial:
        for number in range(_ROUNDS):
            await _killed_while_watched(cluster, trial, seed=number)
        # Whoever was refused for half a minute, as long as a busy machine takes to start a server, tries once a minute.
        await trial.settle("API server killed", "watching", record, history=False, times=_ROUNDS, within=120.0)


@pytest.mark.skipif(not FULL, reason="FAULTS=full: the API server killed in the other phases")
async def test_an_api_server_killed_at_any_other_time_costs_no_net_change(
    new_cluster: NewCluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """Killed when everything had been seen it costs nothing at all; while it is listed, or we end, no net change."""
    cluster = await asyncio.to_thread(new_cluster)
    rows = Rows(record)
    with Trial(cluster, tmp_path, proxied=True, objects=10) as trial:
        for number in range(_ROUNDS):
            await _killed_idle(cluster, trial)
            async with trial.writing(seed=number):
                await asyncio.sleep(_SECONDS)  # something is to be written
        await trial.settle("API server killed", "idle", rows, times=_ROUNDS)
        for number in range(_ROUNDS):
            await _killed_while_listed(cluster, trial, seed=20 + number)
        await trial.settle("API server killed", "listing", rows, history=False, times=2 * _ROUNDS, within=120.0)
        for number in range(_ROUNDS):
            await _killed_while_flushed(cluster, trial, seed=30 + number)
        await trial.settle("API server killed", "flushing", rows, history=False, times=_ROUNDS, within=120.0)


async def _killed_idle(cluster: Cluster, trial: Trial) -> None:
    """Kill it when everything has been seen, and wait until both types are in step again."""
    cluster.kill_apiserver()
    await asyncio.to_thread(cluster.restart_apiserver)
    await asyncio.to_thread(eventually, lambda: _in_step(trial), 180.0)


def _in_step(trial: Trial) -> bool:
    """Whether the last that was asked for each type is a watch, so long ago that it would have ended by now."""
    for number in range(2):
        ours = [one for one in trial.proxy.asked if one.path.endswith(f"/{trial.load.group}/v1/soak{number}s")]
        # An audit lists as well, in larger pages.
        last = next(one for one in reversed(ours) if is_watch(one) or one.query.get("limit") == "1")
        if not is_watch(last) or time.monotonic() - last.at < _STEADY:
            return False
    return True


async def _killed_while_watched(cluster: Cluster, trial: Trial, *, seed: int) -> None:
    """Kill it under writes, which go on when it is back."""
    async with trial.writing(per_second=200, seed=seed):
        await asyncio.sleep(_SECONDS)  # they are at work
        cluster.kill_apiserver()
        await asyncio.to_thread(cluster.restart_apiserver)
        await asyncio.sleep(_SECONDS)  # and go on


async def _killed_while_listed(cluster: Cluster, trial: Trial, *, seed: int) -> None:
    """Kill it twice: the second time when the lists that the first made necessary have come to a half."""
    async with trial.writing(seed=seed):
        await asyncio.sleep(_SECONDS)  # they are at work
        trial.proxy.stall()  # what is written now it must miss: else it might go on without a list
        await asyncio.sleep(0.5)
        cluster.kill_apiserver()
        trial.proxy.cut()
        trial.proxy.go_on()
        trial.proxy.dribble(200, 0.05)
        began = time.monotonic()
        await asyncio.to_thread(cluster.restart_apiserver)
        await asyncio.to_thread(eventually, lambda: _listed_since(trial, began), 180.0)
        cluster.kill_apiserver()
        trial.proxy.dribble(0, 0.0)
        await asyncio.to_thread(cluster.restart_apiserver)


def _listed_since(trial: Trial, began: float) -> bool:
    """Whether a type is being listed, in whatever way; one of which nothing happened meanwhile needs not be."""
    return any(
        asked.at > began
        and trial.load.group in asked.path
        # With a limit of 1 it only asks how far the server is.
        and ("sendInitialEvents" in asked.query or int(asked.query.get("limit", 0)) > 1)
        for asked in trial.proxy.asked
    )


async def _killed_while_flushed(cluster: Cluster, trial: Trial, *, seed: int) -> None:
    """Kill it, and stop the exporter with what it has just seen."""
    async with trial.writing(per_second=200, seed=seed):
        await asyncio.sleep(_SECONDS)  # they are at work
        cluster.kill_apiserver()
        await asyncio.to_thread(trial.exporter.stop)
        await asyncio.to_thread(cluster.restart_apiserver)
        await asyncio.to_thread(trial.exporter.start)
