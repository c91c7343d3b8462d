"""The values that flow: what is watched, what was seen, what it means.

All of them are immutable and know nothing of where they come from or go to. No value holds itself, not by way of
others either, so the garbage collector never has to look at one: `gc=False`, here and wherever values are made for each
version, makes each in half the time.

`Change`, encoded as JSON with `encode`, is at once the row of the journal and the line of `changes -o json`; its field
names are a contract and only ever grow.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from exporter.timestamps import Timestamp


Event = Literal["added", "modified", "deleted"]
ChangeType = Literal[
    "created", "recreated", "deleted", "deleting", "spec", "schema", "metadata", "status", "ownership", "noop"
]
WriterClass = Literal["human", "gitops", "controller", "unknown"]
WriterSource = Literal["managed_fields", "unresolved"]
Op = Literal["add", "remove", "replace"]

WRITER_CLASSES: tuple[WriterClass, ...] = get_args(WriterClass)

# Which change words each event can carry: the combinations that exist from the start as zeros in /metrics.
CHANGES_OF: dict[Event, tuple[ChangeType, ...]] = {
    "added": ("created", "recreated"),
    "modified": ("deleting", "spec", "schema", "metadata", "status", "ownership", "noop"),
    "deleted": ("deleted",),
}


class ResourceType(Struct, frozen=True, cache_hash=True):
    """A kind of object as the API server serves it.

    `resource` is the plural name in the URL. Two values with another `version` are the same type: its identity is
    (group, resource), see `identity`.
    """

    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool = True

    @property
    def identity(self) -> tuple[str, str]:
        """What stays the same when another version of the type is served."""
        return (self.group, self.resource)

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """Give the URL path of the collection (or of one object) below the API server's address."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{scope}/{self.resource}" + (f"/{name}" if name else "")

    def __str__(self) -> str:
        """Name it as kubectl does: `widgets.example.com`."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


class ObjectKey(Struct, frozen=True, gc=False, cache_hash=True):
    """One object's place: the type's identity, and namespace (empty for cluster-scoped ones) and name."""

    group: str
    resource: str
    namespace: str
    name: str


class Stored(Struct, frozen=True, gc=False):
    """The last-seen version of an object: `state` is the packed, redacted JSON of all of it."""

    uid: str
    resource_version: str
    state: bytes


class Tombstone(Struct, frozen=True, gc=False):
    """What is remembered of an object that was deleted: enough to know it when it comes back or is told twice."""

    uid: str
    at: Timestamp


class Scope(Struct, frozen=True, cache_hash=True):
    """One stream of watch events: a type, or one namespace of it, under one pair of selectors."""

    group: str
    resource: str
    namespace: str = ""
    selectors: str = ""


class Checkpoint(Struct, frozen=True, gc=False):
    """How far a scope has been followed.

    `complete` says that every object of the scope is in the journal, so that one that is not there is new. An empty
    `resource_version` means: nowhere to resume from, list.
    """

    version: str
    resource_version: str
    complete: bool


class FieldChange(Struct, frozen=True, gc=False, omit_defaults=True):
    """One leaf that moved. `path` is a JSON Pointer; an absent side is UNSET, since JSON null is a value."""

    path: str
    op: Op
    old: Any = UNSET
    new: Any = UNSET


class Writer(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """Who wrote a version, and how that is known. Without a name it is `unresolved`, perhaps with candidates."""

    name: str = ""
    class_: WriterClass | UnsetType = msgspec.field(default=UNSET, name="class")
    source: WriterSource
    operation: str = ""
    subresource: str = ""
    user: str = ""
    candidates: tuple[str, ...] = ()


UNRESOLVED = Writer(source="unresolved")


class Change(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One version of one object: what changed against the version before, and who did it.

    `happened` is absent where nothing in the object tells; `gap` marks what was found by listing after an
    interruption, so that versions in between may be missing. `trace` and `span` (32 and 16 hex digits) are those of
    the rollout that it belongs to, if one is open.
    """

    id: str
    observed: Timestamp
    happened: Timestamp | UnsetType = UNSET
    event: Event
    change: ChangeType
    group: str = ""
    version: str
    kind: str
    namespace: str = ""
    name: str
    uid: str
    resource_version: str = ""
    generation: int | UnsetType = UNSET
    fields: tuple[FieldChange, ...] = ()
    truncated: bool = False
    writer: Writer
    heartbeat: bool = False
    gap: bool = False
    trace: str = msgspec.field(default="", name="trace_id")
    span: str = msgspec.field(default="", name="span_id")

    @property
    def matters(self) -> bool:
        """Tell whether it is worth telling unasked: heartbeats and versions without a difference are not."""
        return self.change != "noop" and not self.heartbeat


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Change)


def encode(change: Change) -> bytes:
    """Encode a change as the one line of JSON that the journal stores and `changes -o json` prints."""
    return _encoder.encode(change)


def decode(line: bytes) -> Change:
    """Read back what `encode` wrote, also what an older version of it wrote."""
    return _decoder.decode(line)


def change_id(cluster_uid: str, epoch: int, object_uid: str, resource_version: str, event: Event) -> str:
    """Make the deterministic id of a change: 32 hex digits, the same after a restart and in a second replica.

    A deletion has no resourceVersion in it, so that a deletion that was seen and one that was inferred from a list
    give one id.
    """
    version = "" if event == "deleted" else resource_version
    text = "\n".join((cluster_uid, str(epoch), object_uid, version, event))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
