"""Any order of writes, deliveries, cuts, forgotten history, lists and crashes: what the journal tells is what happened.

The server and the reflector are a model here; tracker, ingest and journal are the real ones. Must never look at how a
change came about, only at what was written and what was told.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.changes.observation import Mode, Observation
from exporter.changes.redact import Redactor
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.ingest import Inbox, Ingest, Item
from exporter.journal.store import Journal
from exporter.kube.sink import Listed, Progress
from exporter.metrics.changes import ChangeMetrics
from exporter.metrics.health import Health
from tests.changes.objects import SCOPE, WIDGET, seen, widget


NAMES = ("a", "b", "c")


class Happened(NamedTuple):
    """One thing that happened on the server; a deletion is told without its version."""

    event: Any
    name: str
    uid: str
    version: int

    @property
    def told(self) -> tuple[str, str, str]:
        """How the journal is to tell of it."""
        return (self.event, self.uid, "" if self.event == "deleted" else str(self.version))


class Promises(RuleBasedStateMachine):
    """A server with three names, one reflector, and an exporter that may die at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        # The server.
        self.version = 1
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[Happened, dict[str, Any]]] = []
        self.forgotten = 0
        # What may be missing: lists swallow what happened while nobody watched, and the first one says nothing.
        self.swallowed: set[Happened] = set()
        self.baseline = 0
        # How far the journal has followed for certain.
        self.committed = 0
        self.journal = Journal.open(self.directory)
        self.journal.register(WIDGET)
        self.begin()

    def teardown(self) -> None:
        """End in order: everything is delivered and committed, and compared."""
        try:
            while self.pending or self.position != self.version or self.left is not None:
                self.goes_on(100)
                self.commits(1000)
            self.compare_whole()
        finally:
            self.journal.close()
            shutil.rmtree(self.directory)

    # -- the exporter -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start on what the journal holds, as `follow` does."""
        tracker = Tracker(
            cluster_uid="c", redactor=Redactor(b"k"), writers=WriterTable(),
            stored=self.journal.object, buried=self.journal.tombstone,
        )  # fmt: skip
        self.inbox = Inbox()
        self.metrics = ChangeMetrics()
        self.ingest = Ingest(self.inbox, tracker, self.journal, self.metrics, Health())
        mark = self.journal.checkpoint_of(SCOPE)
        self.mode: Mode = "catch_up" if mark and mark.complete else "baseline"
        self.position = int(mark.resource_version or 0) if mark else 0
        self.pending: list[Item] = []
        self.left: list[dict[str, Any]] | None = None  # of a list that is under way
        self.uids: set[str] = set()
        self.listed = self.since = 0

    @rule(count=st.integers(1, 4))
    def goes_on(self, count: int) -> None:
        """The reflector takes in so many events or objects more, listing first where it has to."""
        if self.left is None and (not self.position or self.position < self.forgotten):
            self.since = self.position or self.committed
            self.left, self.uids, self.listed, self.position = list(self.objects.values()), set(), self.version, 0
            if self.mode == "catch_up":
                self.pending.append(Progress(WIDGET, SCOPE, ""))
        if self.left is not None:
            page, self.left = self.left[:count], self.left[count:]
            self.uids |= {one["metadata"]["uid"] for one in page}
            self.pending += [seen(one, "added", self.mode) for one in page]
            if not self.left:
                self.complete()
            return
        for happened, obj in [one for one in self.history if one[0].version > self.position][:count]:
            self.pending.append(seen(obj, happened.event))
            self.position = happened.version

    def complete(self) -> None:
        self.pending.append(Listed(WIDGET, SCOPE, self.mode, str(self.listed), self.uids))
        if self.mode == "baseline":
            self.baseline = self.listed
        self.swallowed |= {one for one, _ in self.history if self.since < one.version <= self.listed}
        self.mode, self.position, self.left = "catch_up", self.listed, None

    @rule()
    def falls_behind(self) -> None:
        """What was taken in is followed by a list, since the server has forgotten the rest."""
        self.goes_on(2)
        self.forgets()
        self.goes_on(2)

    @precondition(lambda self: 0 < self.position == self.version)
    @rule()
    def bookmark(self) -> None:
        """The server says how far it is."""
        self.pending.append(Progress(WIDGET, SCOPE, str(self.position)))

    @rule()
    def list_is_cut(self) -> None:
        """A list that is under way has to begin again; a watch that is cut goes on where it was."""
        self.left = None

    @rule(count=st.integers(1, 12))
    def commits(self, count: int) -> None:
        """So much of the inbox becomes one batch."""
        batch, self.pending = self.pending[:count], self.pending[count:]
        asyncio.run(self.commit(batch))
        for item in batch:
            if isinstance(item, Listed | Progress):
                self.committed = max(self.committed, int(item.resource_version or 0))
            elif isinstance(item, Observation) and item.mode == "live":
                self.committed = max(self.committed, int(item.head.resource_version))

    async def commit(self, items: list[Item]) -> None:
        for item in items:
            await self.inbox.put(item)
        while len(self.inbox):
            await self.ingest._commit(await self.ingest._next_batch())

    @rule()
    def crashes(self) -> None:
        """What is not committed is gone; the next start goes on from the journal."""
        self.journal.close()
        self.journal = Journal.open(self.directory)
        self.begin()

    # -- the server -------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), what=st.sampled_from(("spec", "status", "delete")))
    def write(self, name: str, what: str) -> None:
        """Somebody makes, changes or deletes an object."""
        self.version += 1
        there = self.objects.get(name)
        if there is None:
            uid = f"uid-{self.version}"
            obj = widget(self.version, uid=uid, meta={"name": name}, spec={"size": self.version})
            happened = Happened("added", name, uid, self.version)
        else:
            uid, generation = there["metadata"]["uid"], there["metadata"]["generation"] + (what == "spec")
            obj = {**there, "metadata": {**there["metadata"], "resourceVersion": str(self.version)}}
            obj["metadata"]["generation"] = generation
            if what != "delete":
                obj[what] = {"size": self.version}
            happened = Happened("deleted" if what == "delete" else "modified", name, uid, self.version)
        self.history.append((happened, obj))
        if happened.event == "deleted":
            del self.objects[name]
        else:
            self.objects[name] = obj

    @rule()
    def forgets(self) -> None:
        """The server's history now begins here: who is behind gets 410."""
        self.forgotten = self.version

    # -- what must hold ---------------------------------------------------------------------------------------

    def told(self, name: str) -> list[tuple[str, str, str]]:
        changes = [change for _, change in self.journal.after(0, 10_000) if change.name == name]
        return [(c.event, c.uid, "" if c.event == "deleted" else c.resource_version) for c in changes]

    @invariant()
    def nothing_is_invented(self) -> None:
        """What is told of an object happened to it, in that order, and is told once."""
        for name in NAMES:
            happened = iter([one.told for one, _ in self.history if one.name == name])
            for one in self.told(name):
                # A list shows an object that is new to it as added, whatever its last event was.
                assert any(one in (true, ("added", *true[1:])) for true in happened), (one, self.told(name))

    def compare_whole(self) -> None:
        """At the end everything is told that no list swallowed, and the net change of what one did."""
        for name in NAMES:
            told = self.told(name)
            truth = [one for one, _ in self.history if one.name == name and one.version > self.baseline]
            for one in truth:
                assert one in self.swallowed or one.told in told, (one, told)
            if truth and name in self.objects:
                assert told[-1][1:] == truth[-1].told[1:], (told, truth)
            held = {key.name: (uid, version) for key, uid, version in self.journal.objects(*WIDGET.identity)}
            there = self.objects.get(name)
            assert held.get(name) == (there and (there["metadata"]["uid"], there["metadata"]["resourceVersion"]))
            gone = [one for one in told if one[0] == "added" and ("deleted", one[1], "") not in told]
            assert len(gone) <= 1, told
            assert not gone or gone[-1][1] == (there or {"metadata": {"uid": ""}})["metadata"]["uid"], told


Promises.TestCase.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPromises = Promises.TestCase
