"""What is told when the server no longer holds all versions: the net changes, once, and that there is a gap.

The tests share an API server that keeps no history of its own: whatever etcd has forgotten is gone for us as well. It
knows no WatchList, so that lists come in pages, whose continue tokens expire with the history.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import is_list
from tests.faults.trial import FULL, Trial
from tests.integration.conftest import CONTROL_PLANE, _discard, _need
from tests.integration.widgets import LISTS, total
from tests.servers import backup
from tests.servers.launch import Cluster
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faults.table import Row

pytestmark = pytest.mark.timeout(180)
SECONDS = 30.0 if FULL else 3.0
FLAGS = ("--watch-cache=false", "--feature-gates=WatchList=false")


@pytest.fixture(scope="module")
def own(compat: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose history can be taken away, and that nobody else uses."""
    _need(CONTROL_PLANE, compat=compat)
    cluster = Cluster(tmp_path_factory.mktemp("history"), apiserver_args=FLAGS, compat=compat)
    try:
        cluster.start()
        yield cluster
    finally:
        _discard(cluster)


async def test_what_was_forgotten_while_it_was_stopped(
    own: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """After the start the server answers 410 twice, and one list for each type tells the difference."""
    with Trial(own, tmp_path) as trial:
        await asyncio.to_thread(trial.exporter.stop)
        async with trial.writing():
            await asyncio.sleep(1)  # something is to be written
        backup.compact(own)
        await asyncio.to_thread(trial.exporter.start)
        row = await trial.settle("etcd compacted", "stopped", record, history=False)
        assert row.lost > 0
        assert await asyncio.to_thread(total, trial.exporter, LISTS) == 2
        assert await asyncio.to_thread(total, trial.exporter, LISTS, reason="expired") == 2


async def test_what_was_forgotten_while_it_was_cut_off(
    own: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """The same holds where it runs and does not get through; what it had told before is not told again."""
    with Trial(own, tmp_path, proxied=True) as trial:
        async with trial.writing():
            await asyncio.sleep(0.5)  # something is to be written
            await asyncio.to_thread(trial.proxy.down)
            await asyncio.sleep(1)  # as above
            backup.compact(own)
            await asyncio.to_thread(trial.proxy.up)
            await asyncio.sleep(0.5)  # as above
        row = await trial.settle("etcd compacted", "cut off", record, history=False)
        assert 0 < row.lost < row.versions


async def test_what_was_forgotten_while_it_was_listing(
    own: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """A continue token that is too old costs a list in one piece; what was on a page and went since is deleted."""
    with Trial(own, tmp_path, proxied=True, types=1, objects=520) as trial:
        proxy = trial.proxy
        await asyncio.to_thread(trial.exporter.stop)
        async with trial.writing():
            await asyncio.sleep(0.5)  # something is to be written
        backup.compact(own)
        before = len(proxy.asked)

        def of_our_type() -> list[dict[str, str]]:
            asked = [one for one in proxy.asked[before:] if is_list(one) and trial.load.group in one.path]
            return [one.query for one in asked if one.query.get("limit") != "1"]

        await asyncio.to_thread(proxy.dribble, 1024, 0.02)
        async with trial.writing(seed=2):
            starting = asyncio.create_task(asyncio.to_thread(trial.exporter.start))
            await asyncio.to_thread(eventually, of_our_type)
            await asyncio.sleep(0.3)  # what is on the page is to change
            backup.compact(own)
            await asyncio.to_thread(proxy.dribble, 0, 0.0)
            await starting
        row = await trial.settle("etcd compacted", "listing", record, history=False)
        assert row.lost > 0
        assert [sorted(query) for query in of_our_type()] == [["limit"], ["continue", "limit"], []]


async def test_a_history_that_is_always_too_short(own: Cluster, tmp_path: Path, record: Callable[[Row], None]) -> None:
    """Under writes, with a connection that breaks and a server that forgets at once, the end is right all the same."""
    with Trial(own, tmp_path, proxied=True) as trial:
        async with trial.writing():
            for _ in range(int(SECONDS)):
                await asyncio.to_thread(trial.proxy.cut)
                for _ in range(5):
                    await asyncio.sleep(0.2)
                    backup.compact(own)
        row = await trial.settle("etcd compacted all the time", "connections cut", record, history=False)
        assert row.lost > 0
