"""One life of the whole exporter, from its start on a journal to its end or its death, in time that costs nothing.

Everything is real but the server, the clock and the network: `exporter.app.Exporter` as it is, on a file. Time goes on
only when nobody has anything left to do. A life can end between any two things that it does, and its disk can fail at
any statement.
"""

from __future__ import annotations

import asyncio
import selectors
import sqlite3
from typing import TYPE_CHECKING, Any

from exporter.app import Exporter
from exporter.journal.read import Reader
from exporter.journal.store import Journal
from exporter.metrics.health import Health
from exporter.model import Checkpoint, Scope
from exporter.timestamps import from_nanoseconds
from tests.faults.model import TYPES
from tests.faults.model_api import ModelApi


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.changes.batch import Batch
    from exporter.config import Config
    from tests.faults.model import Server
    from tests.faults.witness import Witness

    Marks = dict[Scope, Checkpoint | None]

_BEGAN = 1_772_000_000 * 10**9


class Died(BaseException):
    """The exporter is no more: what it does now happens to nobody."""


class _Instant(selectors.SelectSelector):
    """Lets time pass instead of waiting for it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "nothing will ever happen again"
        self._clock.passed += max(0.0, timeout)
        return []


class Clock:
    """The time of all lives; stands in for the module `time` where the exporter reads it."""

    def __init__(self) -> None:
        self.passed = 1000.0  # the machine has been up for a while

    def monotonic(self) -> float:
        return self.passed

    perf_counter = monotonic

    def monotonic_ns(self) -> int:
        return int(self.passed * 1e9)

    def time_ns(self) -> int:
        return _BEGAN + int(self.passed * 1e9)

    def time(self) -> float:
        return self.time_ns() / 1e9

    def text(self) -> str:
        """The time as an API server writes it."""
        return from_nanoseconds(self.time_ns())[:19] + "Z"


class _Loop(asyncio.SelectorEventLoop):
    """An event loop on such a clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        super().__init__(_Instant(clock))

    def time(self) -> float:
        return self._clock.monotonic()

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Do here what would be done in a thread: no time passes beside us."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)
        return future


class Disk:
    """A connection to SQLite that can fail, or take the exporter's life, at a statement that writes.

    Args:
        connection: a real one
        died: is called at its death

    Attributes:
        failures: so many statements fail, after `good` ones that do not
        good: statements that go well before the first that does not
        dies: the life ends in place of the first failure

    """

    def __init__(self, connection: sqlite3.Connection, died: Callable[[], None]) -> None:
        self._connection = connection
        self._died = died
        self.failures, self.good, self.dies, self.dead = 0, 0, False, False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self._turn(sql)
        return self._connection.execute(sql, *parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        self._turn(sql)
        return self._connection.executemany(sql, parameters)

    def close(self) -> None:
        self.dead = True
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        """Give what is as it was."""
        return getattr(self._connection, name)

    def _turn(self, sql: str) -> None:
        if self.dead:
            raise Died
        if not self.failures or sql.startswith(("SELECT", "PRAGMA", "ROLLBACK")):
            return
        if self.good:
            self.good -= 1
            return
        self.failures -= 1
        if self.dies:
            self.dead = True
            self._died()
            raise Died
        raise sqlite3.OperationalError("database or disk is full")


class _Watched(Journal):
    """A journal whose commits have a witness."""

    witness: Witness
    marks: Callable[[], Marks]

    def commit(self, batch: Batch) -> None:
        before = self.marks()
        super().commit(batch)
        self.witness.committed(self, batch, before)


class Life:
    """One run of the exporter.

    Args:
        server: the model
        clock: of all lives
        directory: of the journal
        config: of this life
        witness: sees each commit

    """

    def __init__(self, server: Server, clock: Clock, directory: Path, config: Config, witness: Witness) -> None:
        self.config = config
        self.troubles: list[str] = []
        self._server = server
        self._loop = _Loop(clock)
        self._loop.set_exception_handler(self._trouble)
        self._health = Health()
        self.api = ModelApi(server)
        self.journal = journal = _Watched.open(directory)
        assert isinstance(journal, _Watched)
        journal.bind("cluster")
        journal.witness, journal.marks = witness, lambda: {scope: journal.checkpoint_of(scope) for scope in self.scopes}
        self._witness = witness
        try:
            self._loop.run_until_complete(self._begin())
        except BaseException:
            self.die()
            raise

    async def _begin(self) -> None:
        self._server.met(set(self._resumable()))
        self._stop = asyncio.Event()
        self.exporter = Exporter(self.config, self.journal, self.api, "cluster", b"key", [], self._health)  # type: ignore[arg-type]
        self.disk = Disk(self.journal._connection, self._loop.stop)
        self.journal._connection = self.disk  # type: ignore[assignment]
        self.journal.reader = Reader(self.disk)  # type: ignore[arg-type]
        self._witness.begins(self.journal, self.scopes)
        self._task = self._loop.create_task(self.exporter.run(self._stop))

    @property
    def scopes(self) -> list[Scope]:
        """What this life follows."""
        watch = self.config.watch
        selectors = f"{watch.label_selector}||" if watch.label_selector else ""
        return [
            Scope(*one.identity, namespace, selectors)
            for one in TYPES
            for namespace in watch.namespaces or ("",)
            if one.namespaced or not namespace
        ]

    def _resumable(self) -> Iterator[tuple[tuple[str, str], str]]:
        """Give the collections that the journal knows how to go on with."""
        definitions = {identity: uid for identity, (uid, _) in self.journal.definitions().items()}
        for resource_type in TYPES:
            crd = self._server.definition(resource_type)
            for scope in self.scopes:
                mark = self.journal.checkpoint_of(scope)
                if (
                    (scope.group, scope.resource) == resource_type.identity
                    and (mark and mark.complete and mark.resource_version)
                    and crd == definitions.get(resource_type.identity)
                ):
                    yield resource_type.identity, scope.namespace

    # -- what happens to it -----------------------------------------------------------------------------------

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        timer = self._loop.call_later(seconds, self._loop.stop)
        self._loop.run_forever()
        timer.cancel()

    def turns(self, count: int) -> None:
        """Let everybody who has something to do take so many turns, without waiting for anything."""
        for _ in range(count):
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()

    @property
    def dead(self) -> bool:
        """Tell whether it died."""
        return self.disk.dead

    @property
    def over(self) -> bool:
        """Tell whether it came to an end that nobody asked for."""
        return self._task.done() and not self.dead

    def end(self) -> None:
        """End in order."""
        self._stop.set()
        self._loop.run_until_complete(asyncio.wait({self._task}))
        self.die()

    def die(self) -> None:
        """End at once."""
        if not self._loop.is_closed():
            self.journal.close()
            self._loop.run_until_complete(self._fall())
            self._loop.close()

    async def _fall(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def _trouble(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Died | sqlite3.Error):
            self.troubles.append(repr(error or context["message"]))

    # -- what it shows ----------------------------------------------------------------------------------------

    def counted(self, name: str, **labels: str) -> float:
        """Give the value of one of the exporter's own metrics."""
        value = self._health.registry.get_sample_value(f"customresource_exporter_{name}", labels)
        return value or 0.0

    def shown(self) -> str:
        """Give what is shown of changes and objects."""
        return self.exporter._metrics.render(openmetrics=False).decode()
