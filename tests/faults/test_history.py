"""What is told when the server no longer holds all versions: the net changes, once, and that there is a gap.

Most tests share an API server that keeps no history of its own: whatever etcd has forgotten is gone for us as well. It
knows no WatchList, so that lists come in pages, whose continue tokens expire with the history.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.faults.accounts import DEGRADED, Account, long, through
from tests.faults.issuing import connected
from tests.faults.proxy import Proxy, is_list
from tests.faults.trial import FULL, Trial
from tests.integration.conftest import CONTROL_PLANE, _discard, _need
from tests.integration.widgets import LISTS, total
from tests.servers import backup
from tests.servers.launch import Cluster
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.faults.proxy import Asked
    from tests.faults.table import Row
    from tests.integration.conftest import NewCluster

SECONDS = 30.0 if FULL else 3.0
RESTARTS = "customresource_exporter_watch_restarts_total"
# So many events a watch cache keeps of a type at least, and those that are not older than so many seconds.
REMEMBERED = (100, 75.0)
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
            await trial.written(100)
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
            await trial.written(50)
            await asyncio.to_thread(trial.proxy.down)
            await trial.written(100)
            backup.compact(own)
            await asyncio.to_thread(trial.proxy.up)
            await trial.written(50)
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
            await trial.written(50)
        backup.compact(own)
        began = time.monotonic()

        def of_our_type(requests: list[Asked]) -> list[dict[str, str]]:
            lists = [one for one in requests if one.at > began and is_list(one) and trial.load.group in one.path]
            return [one.query for one in lists if one.query.get("limit") != "1"]

        await asyncio.to_thread(proxy.dribble, 1024, 0.02)
        async with trial.writing(seed=2):
            starting = asyncio.create_task(asyncio.to_thread(trial.exporter.start))
            await asyncio.to_thread(eventually, lambda: of_our_type(proxy.answered), 60)
            await trial.written(30)  # of what is on the page, which is settled by now
            backup.compact(own)
            await asyncio.to_thread(proxy.dribble, 0, 0.0)
            await starting
        row = await trial.settle("etcd compacted", "listing", record, history=False)
        assert row.lost > 0
        # What an audit asks comes after it.
        assert [sorted(query) for query in of_our_type(proxy.asked)][:3] == [["limit"], ["continue", "limit"], []]


async def test_a_history_that_is_always_too_short(own: Cluster, tmp_path: Path, record: Callable[[Row], None]) -> None:
    """Under writes, with a connection that breaks and a server that forgets at once, the end is right all the same."""
    with Trial(own, tmp_path, proxied=True) as trial:
        async with trial.writing():
            for _ in range(int(SECONDS)):
                await asyncio.to_thread(trial.proxy.cut)
                for _ in range(5):
                    await trial.written(5)
                    backup.compact(own)
        row = await trial.settle("etcd compacted all the time", "connections cut", record, history=False)
        assert row.lost > 0


@long
@pytest.mark.timeout(600)
async def test_a_watch_cache_that_is_too_small(cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]) -> None:
    """Etcd has the history, but the server's cache of it is full of newer versions: one list tells the difference."""
    events, seconds = REMEMBERED
    with Trial(cluster, tmp_path, types=1) as trial:
        await asyncio.to_thread(trial.exporter.stop)
        async with trial.writing(per_second=events / seconds / 2):  # so slowly that it need not grow for them
            await trial.written(3 * events // 2)
        await asyncio.to_thread(trial.exporter.start)
        row = await trial.settle("watch cache too small", "stopped", record, history=False)
        assert row.lost > 0
        assert await asyncio.to_thread(total, trial.exporter, LISTS, reason="expired") == 1


@long
async def test_a_server_that_has_too_much_to_do(
    new_cluster: NewCluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """Lists that a real API server refuses for its limit of requests at once are made later, and nothing else is."""
    limits = ("--enable-priority-and-fairness=false", "--max-requests-inflight=1", "--max-mutating-requests-inflight=9")
    cluster = await asyncio.to_thread(new_cluster, apiserver_args=[*FLAGS, *limits])
    account = Account(cluster)  # an admin is let in however much there is to do
    with Proxy(cluster, tmp_path / "way") as proxy:
        through(proxy, tmp_path / "kubeconfig", {"token": account.token})
        with Trial(cluster, tmp_path, kubeconfig=tmp_path / "kubeconfig") as trial:
            async with trial.writing():
                await asyncio.to_thread(proxy.down)
                await trial.written(100)
                backup.compact(cluster)
                async with busy(cluster):
                    await asyncio.to_thread(proxy.up)
                    refused = partial(total, trial.exporter, RESTARTS, reason="http_429")
                    await asyncio.to_thread(eventually, lambda: refused() >= 2, 120)
            row = await trial.settle("429 by the server's own limit", "listing", record, history=False)
            assert 0 < row.lost < row.versions
            assert await asyncio.to_thread(total, trial.exporter, DEGRADED) == 0


@asynccontextmanager
async def busy(cluster: Cluster) -> AsyncIterator[None]:
    """Give a server so much to read that it hardly has a turn for anybody else."""
    async with connected(cluster) as session:

        async def read() -> None:
            while True:
                async with session.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions") as answer:
                    await answer.read()

        readers = [asyncio.create_task(read()) for _ in range(16)]
        try:
            yield
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
