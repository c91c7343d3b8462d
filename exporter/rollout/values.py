"""What is known of one object's rollouts between two looks at it: small, immutable, and kept in the journal.

Values only. Fields are only ever added: a journal outlives the program that wrote it.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from exporter.model import Change, ObjectKey, ResourceType
from exporter.records import Begun, Link, Rollout, State
from exporter.rollout.readiness import Condition, Readiness
from exporter.timestamps import Timestamp


_SECOND = 1_000_000_000


class Limits(Struct, frozen=True, kw_only=True):
    """How long things may take, nanoseconds.

    Args:
        timeout: a rollout
        settle: for so long it has to stay ready, or failed, before that is its end
        wait: for so long one that has come to its end waits for the rollouts of owned objects that it began
        quiet: when so long nothing was said of a change by an object that was ready before and cannot say which
            generation it means, it is taken to have had nothing to do
        probation: for so long a word is waited for where none of the type has ever said one

    """

    timeout: int = 3600 * _SECOND
    settle: int = 5 * _SECOND
    wait: int = 60 * _SECOND
    quiet: int = 60 * _SECOND
    probation: int = 300 * _SECOND


class Mark(Struct, frozen=True, gc=False, omit_defaults=True):
    """A condition came to a status; `type` is empty where the controller came to see the generation.

    Args:
        type, status, reason, message: of the condition; `status` is empty where it went
        before: the status before, empty where there was none
        at: when
        since: when, by its own account

    """

    type: str
    status: str
    reason: str
    message: str
    before: str
    at: Timestamp
    since: Timestamp | UnsetType = UNSET


class Open(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A rollout that has not ended.

    Args:
        begun: how it began
        timeout: how long it may take, nanoseconds
        said: its controller has written something since
        speaks: it is certain to be told, since something was said, or is to be expected
        quiet: it has been ready all along, and nothing was said that could mean this change
        caught_up: its controller has come to see the generation
        end: since when it has been ready or failed for good; it ends so if that lasts
        by_then: so many of the marks were made until then
        failed: it is the latter
        conditions: as they were seen last
        blame: of those, what keeps it from being ready
        marks: what its conditions went through; `left_out` counts those beyond the limit
        gap: a part of it was not watched
        owner: whose rollout holds it
        alone: the trace that it would have without that owner
        owners: uids of all owners, the controller first
        waiting: uids of owned objects whose rollouts began meanwhile and have not ended
        children: those that have
    """

    begun: Begun
    timeout: int
    said: bool = False
    speaks: bool = False
    quiet: bool = False
    caught_up: bool = False
    end: Timestamp | UnsetType = UNSET
    by_then: int = 0
    failed: bool = False
    conditions: tuple[Condition, ...] = ()
    blame: Condition | None = None
    marks: tuple[Mark, ...] = ()
    left_out: int = 0
    gap: bool = False
    owner: ObjectKey | None = None
    alone: str = ""
    owners: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    children: tuple[Rollout, ...] = ()


class Held(Struct, frozen=True, gc=False, omit_defaults=True):
    """A rollout that has ended and is not told yet: what it belongs to, or what belongs to it, may not be seen yet.

    Args:
        rollout: it
        over: until when it went on, nanoseconds since the Unix epoch: it may have come to its end before
        owner: the object whose rollout it belongs to
        owners: uids of all owners, as long as there is no such rollout

    """

    rollout: Rollout
    over: int
    owner: ObjectKey | None = None
    owners: tuple[str, ...] = ()


class Kept(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What is kept of an object.

    Args:
        uid: its identity
        kind, group: of it, since the metrics name them
        generation, ordinal, trace, span: of the rollout that began last; no trace where there was none
        open: that one, while it goes on
        overdue: the rollout that should have come true, where it has ended and had not
        unready: conditions that are not as they should be, each with the time since when
        held: rollouts before that one, in their order; they are told at the latest when it is `until`, nanoseconds

    """

    uid: str
    group: str = ""
    kind: str = ""
    generation: int = 0
    ordinal: int = 0
    trace: str = ""
    span: str = ""
    open: Open | None = None
    overdue: Begun | None = None
    unready: tuple[Condition, ...] = ()
    held: tuple[Held, ...] = ()
    until: int = 0

    @property
    def worth_keeping(self) -> bool:
        """Tell whether it says anything."""
        return bool(self.trace or self.unready or self.held)

    @property
    def begun(self) -> tuple[Begun, ...]:
        """What began and is not told yet."""
        held = tuple(one.rollout for one in self.held) if self.held else ()
        return held if self.open is None else (*held, self.open.begun)

    @property
    def parents(self) -> set[str]:
        """The spans of the rollouts to which something of it belongs."""
        return {one.parent for one in self.begun if one.parent}

    @property
    def seeks(self) -> set[str]:
        """Uids of the owners to whose rollouts something of it may yet belong."""
        found = {uid for one in self.held for uid in one.owners}
        if self.open is not None and self.open.owner is None:
            found.update(self.open.owners)
        return found

    @property
    def tally(self) -> str:
        """The word under which the object is counted."""
        if self.open is not None:
            return "open"
        return "overdue" if self.overdue else "unready" if self.unready else "at_rest"

    @property
    def waiting_since(self) -> Timestamp | None:
        """Since when a change of what is wanted has been waiting to come true; None where none is."""
        if self.overdue is not None:
            return self.overdue.started
        now = self.open
        return now.begun.started if now is not None and now.speaks and now.begun.opened != "readiness" else None

    @property
    def shown(self) -> bool:
        """Tell whether it has series of its own."""
        return bool(self.open or self.unready or self.overdue or self.held)


class Look(Struct, frozen=True, gc=False, kw_only=True):
    """One look at an object.

    Args:
        type: of the object
        key: its place
        uid: its identity
        observed: when it was looked at
        change: what was told of it; None where it is only seen to be there
        readiness: what it says of itself
        wanted: the change is one of what is wanted
        before: what it said in the version before; None where that is not known, or no rollout can begin
        said: its status has moved, and by more than a heartbeat
        owners: uids of its owners, the controller first, where a rollout can begin
        upstream: traces that its annotations name, where they came with this change
        lateness: what is seen so long after it is said to have happened is seen late, nanoseconds

    """

    type: ResourceType
    key: ObjectKey
    uid: str
    observed: Timestamp
    change: Change | None
    readiness: Readiness
    wanted: bool = False
    before: Readiness | None = None
    said: bool = False
    owners: tuple[str, ...] = ()
    upstream: tuple[Link, ...] = ()
    lateness: int = 3 * _SECOND


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Kept)


def encode(kept: Kept) -> bytes:
    """Encode for the journal."""
    return _encoder.encode(kept)


def decode(line: bytes) -> Kept:
    """Read back what `encode` wrote, also what an older version of it wrote."""
    return _decoder.decode(line)


def held(state: State) -> Kept:
    """Give what a state says, decoded if it is not at hand."""
    return state.value if isinstance(state.value, Kept) else decode(state.line)
