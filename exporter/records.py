"""What the journal holds beside the changes: what was concluded from them, and what the next conclusion needs.

A `State` is kept for each object by whoever follows its changes, committed together with them. A record is what such
a follower has to tell, in the same sequence as the changes, so that outputs deliver it like one. Values only; field
names are a contract and only ever grow.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from exporter.model import Change, Writer, WriterClass
from exporter.timestamps import Timestamp


if TYPE_CHECKING:
    from collections.abc import Iterator


class State(Struct, frozen=True, gc=False):
    """What a follower keeps of one object.

    Args:
        line: whatever it needs, encoded by itself
        tally: the word under which the object is counted; see `Journal.tallies`
        due: when to be called again without a change, nanoseconds since the Unix epoch; None for never
        shown: it is shown by itself in the metrics, so it is read at the start
        value: what the line says, where it is at hand: it is not stored

    """

    line: bytes
    tally: str
    due: int | None = None
    shown: bool = False
    value: Any = None


# -- drift ----------------------------------------------------------------------------------------------------------

DriftState = Literal[
    "unmanaged", "unknown", "in_sync", "pending", "drifted", "flapping", "suspended", "ignored"
]  # fmt: skip
FindingKind = Literal["changed", "missing", "extra_in_list", "stale_owned"]
BaselineName = Literal["directory", "last_applied", "tool_status", "projected", "snapshot"]
Confidence = Literal["high", "medium", "low"]
DriftFlag = Literal["additions", "baseline_moved", "lagging", "missing", "orphan"]
DriftEvent = Literal["drift.opened", "drift.changed", "drift.closed", "fight.opened", "fight.closed"]
SinceSource = Literal["observed", "managed_fields"]
ResolvedBy = Literal["declarer", "human", "gitops", "controller", "unknown", "deleted"]

DRIFT_STATES: tuple[DriftState, ...] = get_args(DriftState)
RESOLVED_BY: tuple[ResolvedBy, ...] = get_args(ResolvedBy)


class Finding(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One declared field that is not as declared.

    Attributes:
        path: a JSON Pointer into the live object; into the declared one where the field is missing in the live one
        finding: what is wrong with it; UNSET for an addition, which nobody declared
        declared: the declared value, masked; UNSET where there is none
        live: the live value, masked; UNSET where there is none
        writer: who owns the live value; absent where nobody can be named
        at: when that writer last wrote, by its managedFields entry; UNSET where not known
        rule: the reason of the ignore rule that covers it; empty where none does

    """

    path: str
    finding: FindingKind | UnsetType = UNSET
    declared: Any = UNSET
    live: Any = UNSET
    writer: Writer | UnsetType = UNSET
    at: Timestamp | UnsetType = UNSET
    rule: str = ""


class Verdict(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What is to be said of one object: the line of `drift -o json`.

    Attributes:
        group, kind, namespace, name: the object; `uid` is empty where a declared object is missing
        state: one word
        since: since when it has been in a state other than `in_sync`; UNSET in sync
        since_source: how that is known; a writer's entry gives a lower bound of the age
        cause: the class of who is to blame: the worst of the findings' writers
        baseline: what the object was compared with
        confidence: in that baseline
        declarer: who declares it: argocd, flux, helm, kubectl, terraform, …, or a field manager's name
        reason: why the state is `unknown` or `suspended`
        fields: what is wrong, not ignored
        ignored: what would be wrong but for a rule
        additions: fields that a person owns and nobody declared
        flags: further facts that hold beside the state
        problems: what is wrong with what people wrote on the object for us; a sentence each
        left_out: so many more findings and additions than are told here

    """

    group: str = ""
    kind: str
    namespace: str = ""
    name: str
    uid: str = ""
    state: DriftState
    since: Timestamp | UnsetType = UNSET
    since_source: SinceSource | UnsetType = UNSET
    cause: WriterClass | UnsetType = UNSET
    baseline: BaselineName | UnsetType = UNSET
    confidence: Confidence | UnsetType = UNSET
    declarer: str = ""
    reason: str = ""
    fields: tuple[Finding, ...] = ()
    ignored: tuple[Finding, ...] = ()
    additions: tuple[Finding, ...] = ()
    flags: tuple[DriftFlag, ...] = ()
    problems: tuple[str, ...] = ()
    left_out: int = 0


class Transition(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """An episode of drift, or a fight over a field, began, changed or ended.

    Attributes:
        id: deterministic, as a change's
        event: what happened
        observed: when it was noticed
        verdict: the object's, with it
        change: id of the change that led to it; empty where time alone did
        resolved_by: who ended it
        duration: of what ended, seconds
        path: the field fought over
        managers: who fights

    """

    id: str
    event: DriftEvent
    observed: Timestamp
    verdict: Verdict
    change: str = ""
    resolved_by: ResolvedBy | UnsetType = UNSET
    duration: float | UnsetType = UNSET
    path: str = ""
    managers: tuple[str, ...] = ()


# -- rollouts -------------------------------------------------------------------------------------------------------

RolloutEnd = Literal["converged", "failed", "timed_out", "superseded", "deleted"]
RolloutResult = RolloutEnd | Literal["open", "overdue"]
Opening = Literal["created", "spec", "readiness"]
LinkKind = Literal["previous", "owner", "upstream"]

ROLLOUT_RESULTS: tuple[RolloutEnd, ...] = get_args(RolloutEnd)


class Stage(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """How long a condition took to come to a status: from the status before, or from the start of the rollout.

    Attributes:
        span: 16 hex digits, deterministic
        condition: its type; a JSON Pointer for a phase; empty for the generation that the controller says to have seen
        status: what it came to; empty where the condition went; in a stage that is `open`, what it stayed at
        reason, message: given with that status; the message masked and cut
        before: the status before, empty where there was none
        started, ended: as observed, or where nobody was there to observe, as the object tells
        transition: lastTransitionTime, as the object tells it
        open: the rollout ended while it lasted, and it is not as it should be

    """

    span: str = msgspec.field(name="span_id")
    condition: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    before: str = ""
    started: Timestamp
    ended: Timestamp
    transition: Timestamp | UnsetType = UNSET
    open: bool = False


class Link(Struct, frozen=True, gc=False):
    """What else a rollout has to do with.

    Attributes:
        trace: 32 hex digits
        span: 16 hex digits
        kind: previous (the object's last rollout), owner (one that does not hold it), upstream (an annotation)

    """

    trace: str = msgspec.field(name="trace_id")
    span: str = msgspec.field(name="span_id")
    kind: LinkKind


class Begun(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What of a rollout is known from its beginning.

    Attributes:
        id: deterministic, as a change's
        trace, span: 32 and 16 hex digits, deterministic; those that are held by their owner's have its trace
        parent: the span of its owner's rollout, 16 hex digits; empty where it has a trace of its own
        group, version, kind, namespace, name, uid: the object
        generation: that was rolled out
        ordinal: 0 for a change of what is wanted, else which loss of readiness in this generation it was
        opened: what began it
        started: as observed, or where nobody was there to observe, as the object tells
        change: id of the change that began it
        writer: of that change, where it is one of what is wanted
        fields: paths that it changed, at most so many; `truncated` where there were more
        links: what else it has to do with

    """

    id: str
    trace: str = msgspec.field(name="trace_id")
    span: str = msgspec.field(name="span_id")
    parent: str = msgspec.field(default="", name="parent_span_id")
    group: str = ""
    version: str
    kind: str
    namespace: str = ""
    name: str
    uid: str
    generation: int
    ordinal: int = 0
    opened: Opening
    started: Timestamp
    change: str = ""
    writer: Writer | UnsetType = UNSET
    fields: tuple[str, ...] = ()
    truncated: bool = False
    links: tuple[Link, ...] = ()


class Rollout(Begun, frozen=True, omit_defaults=True, kw_only=True):
    """A rollout from its beginning to its end: told once, as a whole, when it has ended.

    Attributes:
        observed: when it was noticed that it has ended
        ended: as it was with `started`
        result: how it ended; `open` or `overdue` where it has not come to an end yet, and is only shown as it stands
        settled: it was ready all along and its controller said nothing; then nobody knows how long it took
        condition, status, reason, message: what kept it from being ready, where it ended otherwise; masked and cut
        gap: it began, or went on, while nobody was watching
        stages: of its conditions, in order of their ends; `left_out` counts those beyond the limit
        children: rollouts of owned objects that began meanwhile and ended before it was told

    """

    observed: Timestamp
    ended: Timestamp
    result: RolloutResult
    settled: bool = False
    condition: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    gap: bool = False
    stages: tuple[Stage, ...] = ()
    left_out: int = 0
    children: tuple[Rollout, ...] = ()

    @property
    def spans(self) -> int:
        """How many spans it is drawn with."""
        return sum(1 + len(one.stages) for one in self.all())

    def all(self) -> Iterator[Rollout]:
        """Go through it and the rollouts that it holds, at any depth."""
        yield self
        for child in self.children:
            yield from child.all()


# -- in the journal ------------------------------------------------------------------------------------------------

Record = Change | Transition | Rollout
RecordKind = Literal["drift", "rollout"]

_encoder = msgspec.json.Encoder()
_DECODERS: dict[RecordKind | None, msgspec.json.Decoder[Any]] = {
    None: msgspec.json.Decoder(Change),
    "drift": msgspec.json.Decoder(Transition),
    "rollout": msgspec.json.Decoder(Rollout),
}
_KINDS: dict[type[Record], RecordKind] = {Transition: "drift", Rollout: "rollout"}


def kind_of(record: Record) -> RecordKind | None:
    """Name the kind of a record as the journal notes it; None is a change."""
    return _KINDS.get(type(record))


def encode_record(record: Record) -> bytes:
    """Encode a record as the line that the journal stores."""
    return _encoder.encode(record)


def decode_record(kind: RecordKind | None, line: bytes) -> Record:
    """Read back what `encode_record` wrote, also what an older version of it wrote."""
    record: Record = _DECODERS[kind].decode(line)
    return record


def record_id(cluster_uid: str, epoch: int, *parts: str) -> str:
    """Make the deterministic id of a record: 32 hex digits, the same after a restart and in a second replica."""
    text = "\n".join((cluster_uid, str(epoch), *parts))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
