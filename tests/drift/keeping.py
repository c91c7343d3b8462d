"""One object, the tracker, the keeper of drift with a book that counts what is asked, and a directory of manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from exporter.changes.batch import Batch
from exporter.changes.observation import Observation, read_head
from exporter.changes.redact import Redactor
from exporter.changes.schema import Schema
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.drift.held import held
from exporter.drift.keeper import DriftKeeper
from exporter.drift.settings import Directory, DriftSettings
from exporter.drift.surroundings import Surroundings
from exporter.model import ObjectKey, ResourceType, Scope
from exporter.records import State, Transition
from exporter.timestamps import Timestamp, from_nanoseconds, to_nanoseconds
from tests.changes.objects import KEY, WIDGET, at, widget
from tests.drift.objects import CSA, applied, owner


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.changes.observation import Mode
    from exporter.drift.tools import Place
    from exporter.model import Change, Event, Stored, Tombstone
    from exporter.records import Record, Verdict

Json = dict[str, Any]
SECOND = 10**9
START = to_nanoseconds(at("10:00:00"))


class Manifest(Struct, frozen=True):
    """A declared object."""

    spec: Json
    directory: Directory = Directory(path="/d", declarer="")
    problem: str = ""
    changed: Timestamp | str = ""

    def object(self) -> Json:
        meta = {"name": "web", "namespace": "team-a"}
        return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, "spec": self.spec}


class Manifests:
    """What a directory declares: one object, or nothing."""

    def __init__(self, manifest: Manifest | None) -> None:
        self.manifest = manifest

    def find(self, group: str, kind: str, namespace: str, name: str) -> Manifest | None:
        return self.manifest if (group, kind, namespace, name) == ("example.com", "Widget", "team-a", "web") else None

    def is_orphan(self, *_: str) -> bool:
        return False


class Life:
    """A tracker, the keeper, and what is kept and told."""

    def __init__(self, settings: DriftSettings | None = None, manifest: Manifest | None = None) -> None:
        self.settings = settings or DriftSettings()
        self.told: list[Transition] = []
        self.kept: dict[ObjectKey, State] = {}
        self.asked = 0
        self.reviewed: list[Place] = []
        self.now = START
        self.version = 0
        self._stored: dict[ObjectKey, Stored] = {}
        self._buried: dict[ObjectKey, Tombstone] = {}
        schema = Schema(known=True)
        self.surroundings = Surroundings(self.settings, WriterTable(), lambda _: schema, lambda _, obj: obj)
        if manifest is not None:
            self.surroundings.declare(Manifests(manifest))
        self.keeper = DriftKeeper(self.settings, self.surroundings, lambda: ("cluster-1", 0), self._review)
        self.tracker = Tracker(
            cluster_uid="cluster-1",
            redactor=Redactor(b"key"),
            writers=WriterTable(),
            stored=self._stored.get,
            buried=self._buried.get,
        )

    # -- what happens -----------------------------------------------------------------------------------------

    def see(self, obj: Json, event: Event = "modified", mode: Mode = "live", of: ResourceType = WIDGET) -> str:
        """See a version of an object, a second later; what is kept of it then."""
        self.now += SECOND
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        raw = msgspec.json.encode(obj)
        scope = Scope(*of.identity)
        self._commit(
            lambda batch: self.tracker.observe(
                Observation(of, scope, event, read_head(raw), raw, from_nanoseconds(self.now), mode), batch
            )
        )
        return self.state

    def review(self, key: ObjectKey = KEY) -> str:
        """Look at an object again, or at the place where there is none."""
        self.now += SECOND
        self._commit(lambda batch: self.tracker.review(WIDGET, key, from_nanoseconds(self.now), batch))
        return self.state

    def declare(self, manifest: Manifest | None) -> str:
        """Change the directory, and have the object reviewed."""
        self.surroundings.declare(Manifests(manifest))
        return self.review()

    def wait(self, seconds: float) -> str:
        """Let time go by, and call the keeper whenever it has named the time."""
        end = self.now + round(seconds * SECOND)
        while (state := self.kept.get(KEY)) is not None and state.due is not None and state.due <= end:
            self.now = max(self.now, state.due)
            self.keeper.time(KEY, self.now, self)
            again = self.kept.get(KEY)
            assert again is None or again.due is None or again.due > self.now, "it would be asked for ever"
        self.now = end
        return self.state

    # -- what came of it ----------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The word for the object; empty where nothing is kept of it."""
        return held(self.kept[KEY]).state if KEY in self.kept else ""

    @property
    def verdict(self) -> Verdict:
        """What is to be said of it."""
        return held(self.kept[KEY]).verdict(KEY)

    @property
    def clock(self) -> str:
        """The time as a server would write it."""
        return f"{from_nanoseconds(self.now)[:19]}Z"

    @property
    def events(self) -> list[str]:
        """What was told."""
        return [one.event for one in self.told]

    def _commit(self, work: Any) -> list[Change]:
        batch = Batch()
        work(batch)
        for key, stored in batch.objects.items():
            if stored is None:
                self._stored.pop(key, None)
            else:
                self._stored[key] = stored
        self._buried.update(batch.tombstones)
        for step, _ in batch.steps:
            self.keeper.step(step, self)
        return batch.changes

    def _review(self, places: Iterable[Place]) -> None:
        self.reviewed += places

    # -- the book -----------------------------------------------------------------------------------------------

    def get(self, key: ObjectKey) -> State | None:
        self.asked += 1
        return self.kept.get(key)

    def keep(self, key: ObjectKey, state: State | None) -> None:
        if state is None:
            self.kept.pop(key, None)
        else:
            self.kept[key] = state

    def tell(self, record: Record) -> None:
        assert isinstance(record, Transition)
        self.told.append(record)


def declared(replicas: int = 2, live: int | None = None, by: str = "", *, uid: str = "uid-1", **more: Any) -> Json:
    """Make a Widget that kubectl applied; with something else in it that somebody wrote, if that is given."""
    spec = {"replicas": replicas}
    paths = (CSA,) if by else (CSA, "/spec/replicas")
    entries = [owner("kubectl-client-side-apply", *paths, time=more.pop("wrote", "2026-03-01T10:00:00Z"))]
    if by:
        entries.append(owner(by, "/spec/replicas", time="2026-03-01T10:00:00Z"))
    meta = {"annotations": applied(spec=spec) | more.pop("annotations", {}), "managedFields": entries}
    generation = more.pop("generation", 1)
    return widget(
        uid=uid, generation=generation, meta=meta, spec={"replicas": replicas if live is None else live}, **more
    )
