"""Which streams there are while types come and go, and what is left of a type that went."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from exporter.changes.redact import Redactor
from exporter.changes.schema import NO_SCHEMA
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.follow import Follower
from exporter.history import changes
from exporter.ingest import Inbox, Ingest
from exporter.journal.store import Journal
from exporter.kube.client import Api
from exporter.kube.collection import Selection
from exporter.kube.schema import Definition
from exporter.kube.selection import TypeSelection
from exporter.metrics.changes import ChangeMetrics
from exporter.metrics.health import Health
from exporter.model import Checkpoint
from tests.changes.objects import KEY, SCOPE, WIDGET, entry
from tests.kube.watching import PATH, bookmark, event, page, status
from tests.scripted import STALL, Reply, Server, serve


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ALL, _WHOLE = TypeSelection(), Selection()
OLD, NEW = (Definition(uid, WIDGET, NO_SCHEMA, "digest") for uid in ("crd-old", "crd-new"))


class Run:
    """A follower and what works for it, on a journal that may have seen a former run; `commits` lets it be written."""

    def __init__(self, server: Server, directory: Path, journal: Journal) -> None:
        self.journal = journal
        self.working: asyncio.Task[None]
        self._kubeconfig = directory / "kubeconfig"
        self._kubeconfig.write_text(server.kubeconfig)

    @asynccontextmanager
    async def __call__(
        self, *, types: TypeSelection = _ALL, selection: Selection = _WHOLE, commits: bool = True
    ) -> AsyncIterator[Follower]:
        """Run until the block ends; then it is as if killed: what is not committed is lost."""
        journal, inbox, health = self.journal, Inbox(), Health()
        tracker = Tracker(
            cluster_uid="c", redactor=Redactor(b"k"), writers=WriterTable(),
            stored=journal.object, buried=journal.tombstone,
        )  # fmt: skip
        ingest = Ingest(inbox, tracker, journal, ChangeMetrics(), health)
        async with Api.connect(str(self._kubeconfig)) as api:
            follower = Follower(
                api, journal, inbox, health, types=types, namespaces=(),
                selection=lambda *_: selection, went_backwards=lambda: None,
            )  # fmt: skip
            self.working = asyncio.create_task(ingest.run() if commits else asyncio.sleep(0))
            try:
                yield follower
            finally:
                self.working.cancel()
                await asyncio.gather(self.working, return_exceptions=True)
                await follower.stop()

    async def until(self, *words: str) -> list[str]:
        """Wait until these changes are told, and give all that were."""
        with suppress(TimeoutError):
            await until(lambda: self.told == list(words))
        return self.told

    @property
    def told(self) -> list[str]:
        return [f"{change.change} {change.resource_version}".rstrip() for change in changes(self.journal.after(0, 100))]


@asynccontextmanager
async def running(directory: Path, *script: Any) -> AsyncIterator[tuple[Run, Server]]:
    """Make a run on an empty journal."""
    async with serve() as server:
        server.on(PATH, *script)
        server.on(CRDS, page(9))
        journal = Journal.open(None)
        journal.note("discovered", "yes")
        yield Run(server, directory, journal), server
        await server.end()
        journal.close()


def begin(follower: Follower) -> None:
    """Tell of one type that was there before, and that there is no other."""
    follower.defined(OLD)
    follower.complete(frozenset({OLD.uid}))
    follower.asked()


async def until(predicate: Callable[[], object]) -> None:
    """Let everything work until something is so."""
    async with asyncio.timeout(30):
        while not predicate():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def listing(*objects: bytes, version: int) -> list[Any]:
    """Make the body of a watch that begins with these objects."""
    return [*objects, bookmark(version, end=True)]


async def test_objects_of_a_type_that_went_are_deleted_though_the_exporter_died_at_that_moment(tmp_path: Path) -> None:
    """That a CRD is gone is not noted before the deletions are: the next start finds both."""
    async with running(tmp_path, Reply(200, [*listing(event("ADDED", 1), version=1), STALL])) as (run, _):
        async with run() as follower:
            follower.defined(OLD)
            follower.complete(frozenset({OLD.uid}))
            assert await run.until("created 1") == ["created 1"]
        async with run(commits=False) as follower:
            follower.defined(OLD)
            follower.undefined(OLD)
            await asyncio.sleep(0)
        async with run() as follower:
            follower.complete(frozenset())

            assert await run.until("created 1", "deleted") == ["created 1", "deleted"]
            await until(lambda: not run.journal.definitions())
        assert (run.journal.definitions(), run.journal.scopes()) == ({}, [])


async def test_a_type_is_new_until_it_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash between a CRD's installation and the first mark of its stream does not make its objects a baseline."""
    async with running(tmp_path, Reply(200, [*listing(event("ADDED", 1), version=1), STALL])) as (run, _):
        with monkeypatch.context() as patched:
            patched.setattr(run.journal, "commit", lambda _: 1 // 0)
            async with run() as follower:
                with pytest.raises(ZeroDivisionError):
                    follower.defined(NEW)
        async with run() as follower:
            follower.defined(NEW)

            assert await run.until("created 1") == ["created 1"]


async def test_of_a_type_that_was_replaced_only_the_new_stream_tells(tmp_path: Path) -> None:
    """The stream of the CRD before is cut off as soon as the new one begins: it would tell what is over."""
    late = asyncio.Event()
    old = Reply(200, [*listing(event("ADDED", 1), version=1), late, event("MODIFIED", 5), STALL])
    new = [*listing(event("ADDED", 5), version=5), event("MODIFIED", 6), STALL]
    async with running(tmp_path, old, Reply(200, new)) as (run, _), run() as follower:
        follower.defined(OLD)
        follower.complete(frozenset({OLD.uid}))
        assert await run.until("created 1") == ["created 1"]
        follower.undefined(OLD)
        follower.defined(NEW)
        told = await run.until("created 1", "noop 5", "noop 6")
        late.set()
        await asyncio.sleep(0.5)

        assert run.told == told


async def test_the_end_of_a_type_is_told_though_its_first_list_was_never_complete(tmp_path: Path) -> None:
    """What a first list has stored does not stay behind when the type goes before its end."""
    refused = status(404, "NotFound")
    cut = Reply(200, [event("ADDED", 1), 0.5])
    async with running(tmp_path, cut, refused) as (run, _):
        run.journal.define(*WIDGET.identity, OLD.uid, OLD.digest)
        async with run() as follower:
            follower.defined(OLD)
            await until(lambda: run.journal.object(KEY))
            follower.undefined(OLD)
            await until(lambda: not run.journal.object(KEY))

            assert run.journal.object(KEY) is None
            assert run.journal.counts() == {}


async def test_nothing_goes_with_a_type_before_the_server_says_that_it_is_gone(tmp_path: Path) -> None:
    """No answer is no deletion; where a CRD is there again, what streams have told may be of the new type already."""
    back = page(9, {"metadata": {"name": str(WIDGET), "uid": NEW.uid}})
    list_and_404 = [Reply(200, listing(event("ADDED", 1), version=1)), status(404, "NotFound")]
    async with running(tmp_path, *list_and_404) as (run, server), run() as follower:
        server.on(CRDS, status(500, "InternalError"), back)
        follower.defined(OLD)
        follower.complete(frozenset({OLD.uid}))
        assert await run.until("created 1") == ["created 1"]
        follower.undefined(OLD)
        asked = await server.wait_for(2, CRDS)
        await asyncio.sleep(0.3)

        assert asked[0].query == {"fieldSelector": f"metadata.name={WIDGET}"}
        assert run.told == ["created 1"]
        assert run.journal.definitions()[WIDGET.identity][0] == OLD.uid


async def test_what_was_listed_is_waited_for_until_it_is_in_the_journal(tmp_path: Path) -> None:
    """Killed before, the exporter would take in as a baseline what happened meanwhile: it is not ready yet."""
    async with running(tmp_path, Reply(200, [*listing(event("ADDED", 1), version=1), STALL])) as (run, _):
        async with run(commits=False) as follower:
            begin(follower)
            await until(follower.in_sync)

            assert follower.waiting() == [str(WIDGET)]
        async with run() as follower:
            begin(follower)
            await until(lambda: not follower.waiting())

            assert run.journal.checkpoint_of(SCOPE) == Checkpoint("v1", "1", complete=True)


async def test_a_journal_that_cannot_be_written_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready means that the cluster is followed: a full disk is told by the log and the metrics of the journal."""

    def full(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    listed = Reply(200, [*listing(event("ADDED", 1), version=1), STALL])
    async with running(tmp_path, listed) as (run, _), run() as follower:
        begin(follower)
        monkeypatch.setattr(run.journal, "commit", full)
        await until(lambda: not follower.waiting())

        assert (len(follower.in_sync()), run.journal.object(KEY)) == (1, None)


async def test_a_type_that_is_refused_is_not_waited_for(tmp_path: Path) -> None:
    """It is told as degraded, whatever is in the journal of it."""
    async with running(tmp_path, status(403, "Forbidden")) as (run, _), run(commits=False) as follower:
        begin(follower)
        await until(lambda: not follower.waiting())

        assert follower.in_sync() == []


async def test_a_list_that_comes_after_is_not_waited_for(tmp_path: Path) -> None:
    """Who was ready does not cease to be by a gap, though the list after it is not in the journal yet."""
    lists = [Reply(200, [*listing(event("ADDED", number), version=number), STALL]) for number in (1, 2)]
    async with running(tmp_path, *lists) as (run, _), run() as follower:
        begin(follower)
        await until(lambda: not follower.waiting())
        run.working.cancel()
        follower.distrust(SCOPE, backwards=False)
        await until(lambda: len(follower._inbox) == 3)  # that a list begins, an object, and the end of the list

        assert follower.waiting() == []


async def test_a_selection_knows_what_a_broken_baseline_has_left(tmp_path: Path) -> None:
    """Objects of a first list that was never complete go without a word when their type is selected no longer."""
    async with running(tmp_path, Reply(200, [event("ADDED", 1), STALL])) as (run, _):
        run.journal.define(*WIDGET.identity, OLD.uid, OLD.digest)
        async with run() as follower:
            follower.defined(OLD)
            await until(lambda: run.journal.object(KEY))
        async with run(types=TypeSelection(exclude=("example.com/*",))) as follower:
            follower.forget_unselected()

        assert (run.journal.counts(), run.journal.scopes(), run.told) == ({}, [], [])


BORN, LATER = "2026-03-01T09:00:00Z", "2026-03-01T09:02:00Z"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ([BORN], ["created 2", "created 3"]),
        ([BORN, LATER], ["created 3"]),
        ([BORN, None], ["created 3"]),
        ([], ["created 3"]),
    ],
    ids=["as it was made", "minutes later", "at a time that is not said", "by nobody knows whom"],
)
async def test_what_comes_into_a_selection_is_no_creation(
    tmp_path: Path, written: list[str | None], told: list[str]
) -> None:
    """An old object is silent when a write selects it; a new one is told, however wrong our clock is."""
    made = {"managedFields": [entry("app", "spec.a", time=time) for time in written]}
    new = {"name": "other", "managedFields": [entry("app", "spec.a", time=BORN)]}
    stream: list[Any] = [
        bookmark(1, end=True),
        event("ADDED", 2, meta=made),
        event("ADDED", 3, uid="uid-2", meta=new),
        STALL,
    ]
    async with running(tmp_path, Reply(200, stream)) as (run, _):
        run.journal.define(*WIDGET.identity, OLD.uid, OLD.digest)
        async with run(selection=Selection(label_selector="app=web")) as follower:
            follower.defined(OLD)

            assert await run.until(*told) == told
