"""The way to the API server spoiled as a whole: reset, refused, nothing passed on, a trickle; in each phase."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import Instead, is_watch
from tests.faults.rows import Rows
from tests.faults.trial import FULL, Trial
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.proxy import Asked, Proxy
    from tests.faults.table import Row
    from tests.servers.launch import Cluster

    Step = Callable[[Proxy], None]

_HELD = 3.0
# More than the silence, in seconds, after which a stream counts as dead; servers remember so few writes for longer.
_DEAD = 150.0
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not FULL, reason="FAULTS=full: the way to the API server, spoiled as a whole"),
]


def _trickle(proxy: Proxy) -> None:
    proxy.dribble(100, 0.02)


def _reset_in_a_line(proxy: Proxy) -> None:
    """Pieces are much smaller than an event: the reset comes inside one."""
    proxy.cut()
    proxy.dribble(0, 0.0)


def _do_nothing(_: Proxy) -> None:
    pass


def _stall(proxy: Proxy) -> None:
    proxy.stall()


def _stalled_then_reset(proxy: Proxy) -> None:
    proxy.cut()
    proxy.go_on()


# What begins a fault, and what ends it.
FAULTS: dict[str, tuple[Step, Step]] = {
    "connections reset": (lambda proxy: proxy.cut(), _do_nothing),
    "connections refused": (lambda proxy: proxy.down(), lambda proxy: proxy.up()),
    "nothing passed on": (_stall, lambda proxy: proxy.go_on()),
    "nothing passed on, then reset": (_stall, _stalled_then_reset),
    "a trickle": (_trickle, lambda proxy: proxy.dribble(0, 0.0)),
    "a trickle, then reset in a line": (_trickle, _reset_in_a_line),
}


async def test_no_state_of_the_way_costs_a_version(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """Idle, under writes, or when it is told to stop: the exporter ends in time, and every version is told."""
    rows = Rows(record)
    with Trial(cluster, tmp_path, proxied=True, objects=10) as trial:
        for seed, (fault, (begin, end)) in enumerate(FAULTS.items()):
            begin(trial.proxy)
            await asyncio.sleep(_HELD)  # nothing happens meanwhile
            end(trial.proxy)
            async with trial.writing(seed=seed):
                await asyncio.sleep(1)
            await trial.settle(fault, "idle", rows)
            async with trial.writing(seed=100 + seed):
                await asyncio.sleep(0.5)
                begin(trial.proxy)
                await asyncio.sleep(_HELD)  # writers go on
                end(trial.proxy)
            await trial.settle(fault, "watching", rows)
            async with trial.writing(seed=200 + seed):
                await asyncio.sleep(0.5)
                begin(trial.proxy)
                await asyncio.to_thread(trial.exporter.stop)
                end(trial.proxy)
                await asyncio.to_thread(trial.exporter.start)
            await trial.settle(fault, "flushing", rows)


async def test_a_stream_that_died_without_a_word_is_found(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """Connections that stay open and bring nothing for longer than bookmarks need are given up, and nothing is lost."""
    with Trial(cluster, tmp_path, proxied=True, objects=10) as trial:
        before = len(trial.proxy.asked)
        trial.proxy.stall()
        async with trial.writing(per_second=0.5):
            await asyncio.to_thread(eventually, lambda: _anew(trial, before), _DEAD)
        trial.proxy.go_on()
        await trial.settle("nothing passed on until given up", "watching", record)


def _anew(trial: Trial, before: int) -> bool:
    """Whether anything was asked for again of each type."""
    return len({one.path for one in trial.proxy.asked[before:] if trial.load.group in one.path}) == 2


async def test_an_outage_is_quiet_in_real_time_too(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """After two minutes in which everything is answered with 503, each type asks at most twice a minute."""
    with Trial(cluster, tmp_path, proxied=True, objects=10) as trial:
        trial.proxy.instead(Instead(503), times=1_000_000)
        trial.proxy.cut()
        async with trial.writing(per_second=0.3):
            await asyncio.sleep(120)
            before = len(trial.proxy.asked)
            await asyncio.sleep(60)
            asked = [one.path for one in trial.proxy.asked[before:]]
        trial.proxy.instead(None)
        print({path: asked.count(path) for path in set(asked)})  # noqa: T201 - the figures
        assert all(asked.count(path) <= 2 for path in set(asked))
        await trial.settle("503 for three minutes", "watching", record, within=90.0)


async def test_a_server_that_has_too_much_to_do_is_waited_for(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """Told to wait 20 seconds, nobody asks sooner; nothing is listed anew for that, and nothing is lost."""
    with Trial(cluster, tmp_path, proxied=True, objects=10) as trial:

        def ours(asked: Asked) -> bool:
            return is_watch(asked) and trial.load.group in asked.path

        trial.proxy.instead(Instead(429, headers={"Retry-After": "20"}), times=4, when=ours)
        before = len(trial.proxy.asked)
        trial.proxy.cut()
        async with trial.writing(per_second=5):
            await asyncio.to_thread(eventually, lambda: sum(map(ours, trial.proxy.asked[before:])) == 6, 90.0)
        await trial.settle("429 with Retry-After: 20", "watching", record)
        asked = [one for one in trial.proxy.asked[before:] if ours(one)]
        for path in {one.path for one in asked}:
            moments = [one.at for one in asked if one.path == path]
            assert all(after - at >= 20.0 for at, after in itertools.pairwise(moments)), moments
