"""What is built anew within the process: readiness, the page and the end, with a stand-in for what is built."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest

from exporter.metrics.exposition import TEXT, Page
from exporter.metrics.health import Health
from exporter.supervisor import Supervisor


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from exporter.changes.batch import Series
    from exporter.journal.store import Journal
    from exporter.metrics.exposition import Exposition


class Built:
    """Stands for an exporter: its page is its number, and it is ready when a test says so."""

    def __init__(self, number: int, journal: Journal) -> None:
        self.number = number
        self.journal = journal
        self.exposition = cast("Exposition", self)
        self.missing = ["widgets"]
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.ended = False

    async def scrape(self, *_: str) -> Page:
        return Page(str(self.number).encode(), TEXT, "")

    def waiting(self) -> list[str]:
        return self.missing

    def totals(self) -> dict[Series, float]:
        return {}

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.missing = ["stopping"]
        await self.may_end.wait()
        self.ended = True


class Desk:
    """A supervisor and what it has built."""

    def __init__(self, folder: Path | None) -> None:
        self.built: list[Built] = []
        self.failures: list[Exception] = []
        self.size = 64 * 1024**2
        self.stop = asyncio.Event()
        self.health = Health()
        self.supervisor = Supervisor(folder, lambda: self.size, "uid", self.health, self._build)

    async def _build(self, journal: Journal) -> Built:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        self.built.append(Built(len(self.built) + 1, journal))
        return self.built[-1]

    async def page(self) -> str:
        """What a scrape gives now."""
        return (await self.supervisor.front.scrape()).body.decode()


@asynccontextmanager
async def running(folder: Path | None) -> AsyncIterator[Desk]:
    """Run one, ready, until the block ends."""
    desk = Desk(folder)
    assert desk.supervisor.waiting() == ["the journal"]
    task = asyncio.create_task(desk.supervisor.run(desk.stop))
    await desk.page()
    desk.built[0].missing = []
    assert desk.supervisor.waiting() == []
    yield desk
    desk.stop.set()
    await asyncio.wait_for(task, 30)
    assert all(one.ended for one in desk.built)


async def until(predicate: Callable[[], bool]) -> None:
    """Let the loop work until something is so."""
    async with asyncio.timeout(30):
        while not predicate():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_who_was_ready_stays_ready_while_it_is_built_anew() -> None:
    """From the moment that it is asked for until the new one is; the old page is shown until then."""
    async with running(None) as desk:
        desk.built[0].may_end.clear()
        rebuilding = asyncio.create_task(desk.supervisor.rebuild())
        async with asyncio.timeout(30):
            while desk.built[0].missing != ["stopping"]:
                assert desk.supervisor.waiting() == []
                await asyncio.sleep(0)
        assert (desk.supervisor.waiting(), await desk.page(), rebuilding.done()) == ([], "1", False)
        desk.built[0].may_end.set()
        await rebuilding
        assert (desk.supervisor.waiting(), await desk.page(), desk.built[0].ended) == ([], "2", True)
        assert desk.built[0].journal is desk.built[1].journal
        desk.built[1].missing = []
        assert desk.supervisor.waiting() == []
        desk.built[1].missing = ["widgets"]
        assert desk.supervisor.waiting() == ["widgets"]


async def test_the_end_takes_readiness_although_something_is_built_anew() -> None:
    """Who is told to stop is not ready, whatever else was under way; who waited for it is told."""
    async with running(None) as desk:
        desk.built[0].may_end.clear()
        rebuilding = asyncio.create_task(desk.supervisor.rebuild())
        await until(lambda: desk.built[0].missing == ["stopping"])
        assert desk.supervisor.waiting() == []
        desk.stop.set()
        await until(lambda: desk.supervisor.waiting() == ["stopping"])
        desk.built[0].may_end.set()
        await asyncio.wait({rebuilding}, timeout=30)
        assert rebuilding.cancelled()
    assert len(desk.built) == 1


_TYPE = {"customresource_group": "g", "customresource_kind": "K"}


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("watch_synced", _TYPE),
        ("watch_degraded", _TYPE),
        ("watch_last_event_timestamp_seconds", _TYPE),
        ("delivery_backlog_changes", {"consumer": "c"}),
        ("delivery_oldest_seconds", {"consumer": "c"}),
        ("drift_declared_problems", {"kind": "yaml"}),
    ],
)
async def test_the_gauges_of_what_there_may_not_be_any_more_begin_anew(name: str, labels: dict[str, str]) -> None:
    """What is no longer followed, sent to or read is no longer shown: an alert about it would never end."""
    async with running(None) as desk:
        health = desk.health
        for of_type in (health.watch_synced, health.watch_degraded, health.watch_last_event):
            of_type.labels("g", "K").set(1)
        health.delivery_backlog.labels("c").set(1)
        health.delivery_oldest.labels("c").set_function(lambda: 1.0)
        health.drift_declared_problems.labels("yaml").inc()
        health.drift_declared.set(5)
        value = health.registry.get_sample_value
        assert value(f"customresource_exporter_{name}", labels) == 1
        await desk.supervisor.rebuild()
        assert value(f"customresource_exporter_{name}", labels) is None
        assert value("customresource_exporter_drift_declared_objects") == 0


async def test_another_size_is_that_of_a_journal_opened_again(tmp_path: Path) -> None:
    """It holds what it held; the same size leaves it open."""
    async with running(tmp_path) as desk:
        first = desk.built[0].journal
        first.note("a", "fact")
        await desk.supervisor.rebuild()
        assert desk.built[1].journal is first
        desk.size = 128 * 1024**2
        await desk.supervisor.rebuild()
        second = desk.built[2].journal
        assert (second.limits.size, second.noted("a"), second.id) == (desk.size, "fact", first.id)
        with pytest.raises(sqlite3.ProgrammingError):
            first.noted("a")


async def test_who_asks_while_building_fails_waits_for_one_that_succeeds() -> None:
    """Trouble with the journal that passes is tried again, and ends in what was asked for."""
    async with running(None) as desk:
        desk.failures = [sqlite3.OperationalError("disk is full")]
        await asyncio.wait_for(desk.supervisor.rebuild(), 30)
        assert await desk.page() == "2"


async def test_trouble_of_who_worked_before_does_not_outlive_them() -> None:
    """Whoever could not write, and was ended while trying, says no more that it is over: the next one tells anew."""
    async with running(None) as desk:

        def degraded() -> float | None:
            return desk.health.registry.get_sample_value("customresource_exporter_journal_degraded")

        care = desk.built[0].journal.care
        care.begins("writing", "the journal cannot be written")
        assert degraded() == 1
        desk.failures = [sqlite3.OperationalError("disk is full")]
        shown: set[float | None] = set()
        rebuilding = asyncio.create_task(desk.supervisor.rebuild())
        async with asyncio.timeout(30):
            while len(desk.built) == 1:  # what is built ends the trouble at once, before whoever asked for it is told
                shown.add(degraded())
                await asyncio.sleep(0.01)
            await rebuilding
        assert shown == {1}  # also while it cannot be built
        assert degraded() == 0
        care.begins("writing", "the journal cannot be written")
        assert degraded() == 1


async def test_two_who_ask_at_once_are_both_told() -> None:
    """Each gets one that was begun after it asked."""
    async with running(None) as desk:
        await asyncio.wait_for(asyncio.gather(desk.supervisor.rebuild(), desk.supervisor.rebuild()), 30)
        assert await desk.page() in {"2", "3"}
