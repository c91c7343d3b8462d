"""Makes the objects, observations and trackers that the tests of the changes are about."""

from __future__ import annotations

from typing import Any

import msgspec

from exporter.changes.batch import Batch
from exporter.changes.observation import Mode, Observation, read_head
from exporter.changes.redact import Redactor
from exporter.changes.schema import NO_SCHEMA, Schema
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.model import Change, Event, ObjectKey, ResourceType, Scope, Stored, Tombstone
from exporter.timestamps import Timestamp, normalise


WIDGET = ResourceType("example.com", "v1", "widgets", "Widget")
SCOPE = Scope("example.com", "widgets")
KEY = ObjectKey("example.com", "widgets", "team-a", "web")


def at(clock: str) -> Timestamp:
    """Give a time of the day on which the tests take place."""
    timestamp = normalise(f"2026-03-01T{clock}Z")
    assert timestamp is not None
    return timestamp


def entry(manager: str, *paths: str, time: str | None = "2026-03-01T10:00:00Z", **more: Any) -> dict[str, Any]:
    """Make an entry of managedFields that owns the given paths (`spec.replicas`)."""
    fields: dict[str, Any] = {}
    for path in paths:
        node = fields
        for segment in path.split("."):
            node = node.setdefault(segment if ":" in segment else f"f:{segment}", {})
    made = {"manager": manager, "operation": "Update", "apiVersion": "example.com/v1", "fieldsV1": fields, **more}
    return {**made, "time": time} if time else made


def widget(version: int = 1, *, uid: str = "uid-1", generation: int | None = 1, **more: Any) -> dict[str, Any]:
    """Make a Widget; `meta` adds to its metadata, anything else is a top-level field."""
    meta: dict[str, Any] = {
        "name": "web",
        "namespace": "team-a",
        "uid": uid,
        "resourceVersion": str(version),
        "creationTimestamp": "2026-03-01T09:00:00Z",
        **more.pop("meta", {}),
    }
    if generation is not None:
        meta["generation"] = generation
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, **more}


def seen(obj: dict[str, Any], event: Event = "modified", mode: Mode = "live", clock: str = "10:00:00.5") -> Observation:
    """Observe an object."""
    raw = msgspec.json.encode(obj)
    return Observation(WIDGET, SCOPE, event, read_head(raw), raw, at(clock), mode)


class World:
    """A tracker and, in place of the journal, two dictionaries that each commit updates."""

    def __init__(self, schema: Schema = NO_SCHEMA, redact: tuple[str, ...] = (), ignore: tuple[Any, ...] = ()) -> None:
        self.stored: dict[ObjectKey, Stored] = {}
        self.buried: dict[ObjectKey, Tombstone] = {}
        self.redactor = Redactor(b"key", redact)
        self.tracker = Tracker(
            cluster_uid="cluster-1",
            redactor=self.redactor,
            writers=WriterTable(),
            stored=self.stored.get,
            buried=self.buried.get,
            schema=lambda _: schema,
            ignore=ignore,
        )

    def take(self, *observations: Observation) -> list[Change]:
        """Observe, commit, and give the changes."""
        batch = Batch()
        for observation in observations:
            self.tracker.observe(observation, batch)
        self.commit(batch)
        return batch.changes

    def commit(self, batch: Batch) -> None:
        """Do with a batch what the journal does."""
        for key, stored in batch.objects.items():
            if stored is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = stored
        self.buried.update(batch.tombstones)
