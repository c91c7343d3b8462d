"""The journal's size is kept, whatever happens, and no clock empties it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.changes.redact import Redactor
from exporter.config import JournalLimits
from exporter.errors import JournalError
from exporter.journal.age import Clock
from exporter.journal.limits import limits
from exporter.journal.read import FILE_NAME
from exporter.journal.retention import evict
from exporter.journal.store import Journal
from exporter.metrics.health import Health
from exporter.model import Stored
from exporter.timestamps import from_nanoseconds
from exporter.upkeep import Upkeep
from tests.changes.objects import KEY, WIDGET
from tests.journal.test_store import DAY, change
from tests.metrics.product import product


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20
HOUR = DAY // 24
NOW = 1_790_000_000 * 10**9


def opened(directory: Path, size: int) -> Journal:
    """Open a journal of a size that knows the type of the tests."""
    journal = Journal.open(directory, size=size)
    journal.register(WIDGET)
    return journal


def on_disk(directory: Path) -> int:
    """What the journal's files take, bytes."""
    return sum((directory / name).stat().st_size for name in (FILE_NAME, f"{FILE_NAME}-wal"))


def batch(number: int, objects: int = 100) -> Batch:
    """Some hundred kilobytes that no packer makes smaller: objects, each with a change."""
    return Batch(
        changes=[change(number * 1000 + one) for one in range(objects)],
        objects={
            replace(KEY, name=f"{number}-{one}"): Stored("u", str(one), os.urandom(2000)) for one in range(objects)
        },
    )


async def written(journal: Journal, one: Batch) -> None:
    """Commit as the ingest does."""
    if journal.care.swollen():
        await journal.care.shrink()
    journal.commit(one)


async def fill(journal: Journal, most: int) -> sqlite3.OperationalError | None:
    """Commit so many batches, or until there is no more room."""
    for number in range(most):
        try:
            await written(journal, batch(number))
        except sqlite3.OperationalError as error:
            return error
    return None


@pytest.mark.parametrize("size", [8 * MIB, 64 * MIB, 1024 * MIB])
def test_a_size_is_shared_out_between_file_and_log(size: int) -> None:
    """File and log together are what the journal may take, and eviction begins before the file is full."""
    shares = limits(size)
    assert shares.file is not None
    assert shares.file + shares.log_hard < size
    assert 0 < shares.log_soft < shares.log_hard
    assert shares.evict_at < shares.file


async def test_the_limit_is_hard_and_eviction_makes_room(tmp_path: Path) -> None:
    """A full journal takes nothing more, never grows beyond its size, and can be written again after an eviction."""
    journal = opened(tmp_path, 8 * MIB)
    journal.cursor("otlp")
    journal.commit(Batch(changes=[change(number) for number in range(4000)]))
    error = await fill(journal, 100)

    assert error is not None
    assert error.sqlite_errorcode == sqlite3.SQLITE_FULL
    assert on_disk(tmp_path) <= 1.05 * 8 * MIB
    evicted = journal.evict(365 * 100 * DAY)
    rows = limits(8 * MIB).evict_rows
    assert (evicted.changes, evicted.undelivered) == (rows, {"otlp": rows})
    await written(journal, batch(500, 20))
    assert on_disk(tmp_path) <= 1.05 * 8 * MIB
    journal.close()


async def test_the_log_is_bounded_however_fast_it_is_written(tmp_path: Path) -> None:
    """Commits without a pause do not let the write-ahead log run away from what moves it into the file."""
    journal = opened(tmp_path, 8 * MIB)
    for number in range(200):
        await written(journal, replace_objects(number))
        assert on_disk(tmp_path) <= 1.05 * 8 * MIB
    journal.close()


def replace_objects(number: int) -> Batch:
    """The same hundred objects, other content: the file does not grow, the log does."""
    return Batch(
        objects={replace(KEY, name=str(one)): Stored("u", str(number), os.urandom(2000)) for one in range(100)}
    )


async def test_a_reader_that_stands_still_stops_the_writing_at_the_limit(tmp_path: Path) -> None:
    """Such a reader keeps the log from being used anew: at the limit commits are refused until it goes."""
    journal = opened(tmp_path, 8 * MIB)
    await written(journal, replace_objects(0))
    reader = sqlite3.connect(f"file:{tmp_path / FILE_NAME}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM objects").fetchone()

    async def overwrite() -> None:
        for number in range(1, 100):
            await written(journal, replace_objects(number))

    with pytest.raises(JournalError, match="another program stands still while it reads the journal: end it"):
        await overwrite()
    assert on_disk(tmp_path) <= 1.05 * 8 * MIB

    reader.close()
    await written(journal, replace_objects(101))
    assert on_disk(tmp_path) <= 1.05 * 8 * MIB
    journal.close()


async def until(so: Callable[[], bool]) -> None:
    """Let the loop run until it is so."""
    while not so():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


async def test_objects_that_leave_no_room_are_told(tmp_path: Path) -> None:
    """Where the state of the objects alone is too large, the gauge and one line say so, until there is room."""
    journal = opened(tmp_path, MIB)
    upkeep = Upkeep(journal, JournalLimits(), product(), Redactor(b"k"), Health(), frozenset())
    journal.care.refused(await fill(journal, 10))
    running = asyncio.create_task(upkeep.run())
    async with asyncio.timeout(30):
        await until(lambda: journal.care.degraded)
        gone = [key for key, _, _ in journal.objects("example.com", "widgets")]
        journal.commit(Batch(objects=dict.fromkeys(gone)))
        journal.care.refused(None)
        journal.care.pressed.set()
        await until(lambda: not journal.care.degraded)
    running.cancel()
    await asyncio.wait({running})
    journal.close()


async def test_what_goes_unread_by_an_output_that_is_off_is_no_loss(tmp_path: Path) -> None:
    """Its place stays in the journal; what it would have sent is not counted, or an alert about it would never end."""
    journal = opened(tmp_path, 64 * MIB)
    for consumer in ("on", "off"):
        journal.cursor(consumer)
    journal.commit(Batch(changes=[change(1), change(2)]))
    health = Health()
    upkeep = Upkeep(journal, JournalLimits(retention_ns=1), product(), Redactor(b"k"), health, frozenset({"on"}))
    running = asyncio.create_task(upkeep.run())
    async with asyncio.timeout(30):
        await until(lambda: journal.head() == 2 and not journal.after(0, 10))
    running.cancel()
    await asyncio.wait({running})
    journal.close()

    def dropped(consumer: str) -> float | None:
        labels = {"consumer": consumer, "reason": "retention"}
        return health.registry.get_sample_value("customresource_exporter_delivery_dropped_total", labels)

    assert (dropped("on"), dropped("off")) == (2, None)


class Clocks:
    """Two clocks, set by hand."""

    wall = NOW
    lived = 0

    def __init__(self, newest: int | None = NOW - HOUR) -> None:
        self.clock = Clock(newest, lambda: self.wall, lambda: self.lived)

    def pass_(self, nanoseconds: int) -> None:
        """Let time pass."""
        self.wall += nanoseconds
        self.lived += nanoseconds


def test_a_clock_that_runs_ahead_is_not_believed_for_a_day() -> None:
    """After a jump time goes on as it did; a clock that stays there is believed in the end."""
    clocks = Clocks()
    assert clocks.clock.now(DAY) == NOW
    clocks.pass_(HOUR)
    clocks.wall += 400 * DAY

    assert clocks.clock.now(DAY) == NOW + HOUR
    clocks.pass_(23 * HOUR)
    assert clocks.clock.now(DAY) == NOW + 24 * HOUR
    clocks.pass_(HOUR)
    assert clocks.clock.now(DAY) == clocks.wall


def test_a_clock_that_is_ahead_at_the_start_is_not_believed_either() -> None:
    """A start on a journal is at the time of its newest change, or a little later."""
    clocks = Clocks(newest=NOW - 400 * DAY)

    assert clocks.clock.now(DAY) == NOW - 400 * DAY
    clocks.wall -= 400 * DAY
    assert clocks.clock.now(DAY) == clocks.wall


def test_a_clock_that_was_ahead_before_a_restart_makes_nothing_old_after_it(tmp_path: Path) -> None:
    """What was observed by a clock that was not believed is no measure of the time: that it was ahead is kept."""
    clocks, journal = Clocks(newest=NOW), opened(tmp_path, 4 * MIB)
    journal._clock = clocks.clock
    clocks.wall += 400 * DAY
    journal.evict(7 * DAY)
    journal.close()
    journal = opened(tmp_path, 4 * MIB)
    clocks.clock = Clock(clocks.wall, lambda: clocks.wall, lambda: clocks.lived, ahead=journal._clock.ahead)

    assert clocks.clock.now(DAY) == NOW
    clocks.wall -= 400 * DAY
    journal._clock = clocks.clock
    journal.evict(7 * DAY)
    journal.close()
    assert opened(tmp_path, 4 * MIB)._clock.ahead == 0


def test_a_clock_that_is_behind_is_followed() -> None:
    """It makes nothing older than it is."""
    clocks = Clocks()
    clocks.wall -= 400 * DAY

    assert clocks.clock.now(DAY) == clocks.wall


@pytest.mark.parametrize(
    ("observed", "left"),
    [
        ([0, 1, 9, 10], [3, 4]),
        ([0, 99, 1, 9, 10], [4, 5]),  # one from when the clock was ahead goes with those around it
        ([9, 0, 10], [1, 2, 3]),  # and one from when it was behind takes nobody along
        ([99, 98, 10], [1, 2, 3]),
    ],
)
def test_age_counts_in_the_order_of_the_journal(observed: list[int], left: list[int]) -> None:
    """Only what is too old, with all before it, goes for its age, whatever the clock was when it was observed."""
    journal = Journal.open(None)
    start = NOW - 10 * DAY
    journal.commit(
        Batch(
            changes=[
                replace(change(number), observed=from_nanoseconds(start + days * DAY))
                for number, days in enumerate(observed)
            ]
        )
    )
    evict(journal._connection, NOW, 5 * DAY, 1 << 40)

    assert [number for number, _ in journal.after(0, 10)] == left
    journal.close()
