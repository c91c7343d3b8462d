"""Drift over kills: what is kept and told of an object after a SIGKILL in the middle of any commit is what would be.

The state of an object and the change that it follows from are one transaction. Each statement that the journal runs is
once the last one of a life; the next life goes on from the checkpoint, as a watch does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from exporter import ingest as ingest_module
from exporter.changes.redact import Redactor
from exporter.changes.schema import Schema
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.drift.keeper import DriftKeeper
from exporter.drift.settings import DriftSettings
from exporter.drift.surroundings import Surroundings
from exporter.ingest import Elapsed, Inbox, Ingest
from exporter.journal.store import Journal
from exporter.keepers import Keepers
from exporter.metrics.health import Health
from exporter.model import Change
from exporter.records import Transition
from exporter.timestamps import to_nanoseconds
from tests.changes.objects import SCOPE, WIDGET, at, seen
from tests.drift.keeping import declared
from tests.metrics.product import product


if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from exporter.changes.observation import Observation

pytestmark = pytest.mark.timeout(300)

Row = tuple[Any, ...]


class Killed(BaseException):
    """The end of a life."""


class Connection:
    """A connection of SQLite that dies after so many statements, and does nothing any more then."""

    def __init__(self, real: sqlite3.Connection, left: int) -> None:
        self.real = real
        self.left = left

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self._live()
        return self.real.execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self._live()
        return self.real.executemany(*arguments)

    def _live(self) -> None:
        if not self.left:
            raise Killed
        self.left -= 1


class Clock:
    """The time of the story."""

    def __init__(self) -> None:
        self.now = 0

    def time_ns(self) -> int:
        return self.now

    def perf_counter(self) -> float:
        return 0.0


class Told(NamedTuple):
    """What the journal holds in the end."""

    states: list[Row]
    records: list[str]
    changes: list[str]


def story() -> list[Observation | str]:
    """Give what is seen, and the times at which nothing is, in order; each has the number of its place as version."""
    edited: dict[str, Any] = {"live": 5, "by": "kubectl-edit"}
    return [
        seen(declared(version=1), "added", clock="10:00:00"),
        seen(declared(version=2, generation=2, **edited), clock="10:00:10"),
        "10:03:00",
        seen(declared(version=4, generation=3, live=7, by="kubectl-edit"), clock="10:04:00"),
        seen(declared(version=5, generation=4), clock="10:05:00"),
        "10:07:00",
        seen(declared(version=7, generation=5, **edited), clock="10:08:00"),
        seen(declared(version=8, generation=6), clock="10:09:00"),
        "10:10:00",
        seen(declared(version=10, generation=7, **edited), clock="10:11:00"),
        seen(declared(version=11, generation=7, **edited), "deleted", clock="10:12:00"),
    ]


async def live(directory: Path, clock: Clock, statements: int) -> Told | None:
    """Go on with the story from the checkpoint; None if the life ended before it did."""
    journal = Journal.open(directory)
    journal.register(WIDGET)
    dying = Connection(journal._connection, statements)
    journal._connection = dying  # type: ignore[assignment]
    settings, health = DriftSettings(), Health()
    surroundings = Surroundings(settings, WriterTable(), lambda _: Schema(known=True))
    keeper = DriftKeeper(settings, surroundings, lambda: ("c", 0), lambda _: None)
    keepers = Keepers([keeper], journal.states, health)
    tracker = Tracker(
        cluster_uid="c", redactor=Redactor(b"k"), writers=WriterTable(),
        stored=journal.object, buried=journal.tombstone,
    )  # fmt: skip
    try:
        mark = journal.checkpoint_of(SCOPE)
        done = int(mark.resource_version) if mark is not None else 0
        for item in story()[done:]:
            clock.now = to_nanoseconds(at(item) if isinstance(item, str) else item.observed)
            inbox = Inbox()
            inbox.add(Elapsed() if isinstance(item, str) else item)
            inbox.close()
            await Ingest(inbox, tracker, journal, product(), health, keepers).run()
        return told(journal)
    except Killed:
        return None
    finally:
        journal._connection = dying.real
        journal.close()


def told(journal: Journal) -> Told:
    """Read what the journal holds."""
    rows = [row for _, row in journal.reader.scan()]
    return Told(
        [(key, state) for key, _, state in journal.states.all("drift")],
        [f"{one.id} {one.event} {one.observed}" for one in rows if isinstance(one, Transition)],
        [one.id for one in rows if isinstance(one, Change)],
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the loop the time of the story, in which nobody waits for a commit."""

    async def at_once(_seconds: float) -> None:
        """Wait for nothing."""

    clock = Clock()
    monkeypatch.setattr(ingest_module, "time", clock)
    monkeypatch.setattr(ingest_module, "next_tick", at_once)
    return clock


async def test_a_kill_at_any_statement_changes_nothing_that_is_kept_or_told(tmp_path: Path, clock: Clock) -> None:
    """Every life that ends early is followed by one that ends as if there had been no other."""
    whole = await live(tmp_path / "whole", clock, 1 << 30)
    assert whole is not None
    assert [record.split()[1] for record in whole.records] == [
        "drift.opened", "drift.changed", "drift.closed", "fight.opened", "drift.opened", "drift.closed", "fight.closed",
    ]  # fmt: skip
    killed = 0
    while True:
        directory = tmp_path / str(killed)
        if await live(directory, clock, killed) is not None:
            break
        assert await live(directory, clock, 1 << 30) == whole
        killed += 1
    assert killed > len(story()) * 10  # so many statements there were
