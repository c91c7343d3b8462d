"""A cluster on paper: objects are seen one after the other, time passes, the exporter restarts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.changes.batch import Batch
from exporter.changes.observation import Mode, Observation, read_head
from exporter.changes.redact import Redactor
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.model import Change, Event, ObjectKey, ResourceType, Scope, Stored, Tombstone
from exporter.records import Record, Rollout, State
from exporter.rollout.keeper import RolloutKeeper
from exporter.rollout.lifecycle import Place
from exporter.rollout.settings import RolloutSettings
from exporter.rollout.values import Kept, decode
from exporter.timestamps import Timestamp, from_nanoseconds, to_nanoseconds
from tests.changes.objects import at


if TYPE_CHECKING:
    from exporter.rollout.rules import Rules


def type_of(kind: str) -> ResourceType:
    """Give a type of example.com."""
    return ResourceType("example.com", "v1", f"{kind.lower()}s", kind)


def ready(status: str = "True", generation: int | None = None, **more: Any) -> dict[str, Any]:
    """Make a condition Ready."""
    made = {"type": "Ready", "status": status, **more}
    return made if generation is None else {**made, "observedGeneration": generation}


def status(generation: int | None, *conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Make a status whose controller has seen a generation."""
    seen = {} if generation is None else {"observedGeneration": generation}
    return {**seen, **({"conditions": list(conditions)} if conditions else {}), **more}


class Pages:
    """The states, in place of the journal and its book."""

    def __init__(self) -> None:
        self.states: dict[ObjectKey, State] = {}
        self.told: list[Record] = []
        self.belongs = ("", "")

    def get(self, key: ObjectKey) -> State | None:
        return self.states.get(key)

    def keep(self, key: ObjectKey, state: State | None) -> None:
        if state is None:
            self.states.pop(key, None)
        else:
            self.states[key] = state

    def tell(self, record: Record) -> None:
        self.told.append(msgspec.json.decode(msgspec.json.encode(record), type=Rollout))

    def belong(self, trace: str, span: str) -> None:
        self.belongs = (trace, span)


class World:
    """Objects, what the tracker makes of them, and the keeper that follows."""

    def __init__(self, *rules: Rules) -> None:
        self.rules = rules
        self.pages = Pages()
        self.stored: dict[ObjectKey, Stored] = {}
        self.buried: dict[ObjectKey, Tombstone] = {}
        self.created: dict[str, str] = {}
        self.changes: list[Change] = []
        self.versions = itertools.count(1)
        self.tracker = Tracker(
            cluster_uid="cluster-1",
            redactor=Redactor(b"key"),
            writers=WriterTable(),
            stored=self.stored.get,
            buried=self.buried.get,
        )
        self.keeper = self.make_keeper()

    def make_keeper(self) -> RolloutKeeper:
        """Make the keeper."""
        return RolloutKeeper(RolloutSettings(rules=self.rules), lambda: Place("cluster-1"))

    @property
    def told(self) -> list[Rollout]:
        """What was told so far."""
        return [record for record in self.pages.told if isinstance(record, Rollout)]

    def kept(self, name: str = "web", kind: str = "Widget") -> Kept | None:
        """Give what is kept of an object."""
        type_ = type_of(kind)
        state = self.pages.get(ObjectKey(type_.group, type_.resource, "team-a", name))
        return None if state is None else decode(state.line)

    def see(
        self,
        clock: str | Timestamp,
        *,
        name: str = "web",
        kind: str = "Widget",
        generation: int | None = 1,
        event: Event = "modified",
        mode: Mode = "live",
        uid: str = "",
        owners: tuple[str, ...] = (),
        meta: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """See an object: its version is new, and its spec follows its generation."""
        type_ = type_of(kind)
        observed = Timestamp(clock) if "T" in clock else at(clock)
        uid = uid or f"{kind}-{name}"
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": "team-a",
            "uid": uid,
            "resourceVersion": str(next(self.versions)),
            "creationTimestamp": self.created.setdefault(uid, f"{observed[:19]}Z"),
            **(meta or {}),
        }
        if generation is not None:
            metadata["generation"] = generation
        if owners:
            metadata["ownerReferences"] = [{"uid": owner, "controller": owner == owners[0]} for owner in owners]
        obj = {"metadata": metadata, "spec": {"size": generation}, **fields}
        raw = msgspec.json.encode(obj)
        seen = Observation(type_, Scope(type_.group, type_.resource), event, read_head(raw), raw, observed, mode)
        self.observe(seen)

    def observe(self, seen: Observation) -> None:
        """Let the tracker and the keeper take in an observation."""
        batch = Batch()
        self.tracker.observe(seen, batch)
        for key, stored in batch.objects.items():
            if stored is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = stored
        self.buried.update(batch.tombstones)
        for step, _ in batch.steps:
            self.pages.belongs = ("", "")
            self.keeper.step(step, self.pages)
            if step.change is not None:
                trace, span = self.pages.belongs
                self.changes.append(msgspec.structs.replace(step.change, trace=trace, span=span))

    def pass_time(self, clock: str | Timestamp) -> None:
        """Let all that is due until then happen, in its order."""
        until = to_nanoseconds(Timestamp(clock) if "T" in clock else at(clock))
        while due := [(state.due, key) for key, state in self.pages.states.items() if state.due is not None]:
            first, key = min(due, key=lambda one: (one[0], one[1].name))
            if first > until:
                break
            self.keeper.time(key, first, self.pages)

    def restart(self, clock: str | Timestamp) -> None:
        """End the exporter and start it anew."""
        observed = Timestamp(clock) if "T" in clock else at(clock)
        self.keeper = self.make_keeper()
        shown = [(key, state) for key, state in self.pages.states.items() if state.shown]
        self.keeper.restore(shown, to_nanoseconds(observed))


def later(clock: str, seconds: float) -> Timestamp:
    """Give a time so much after another."""
    return from_nanoseconds(to_nanoseconds(at(clock)) + int(seconds * 1e9))
