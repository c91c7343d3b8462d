"""What is kept of one object between two looks at it, and the verdict that follows from it.

Encoded as the state's line in the journal: fields are only ever added, at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from exporter.drift.fights import Fights
from exporter.drift.values import Evaluation, Memory
from exporter.model import WriterClass
from exporter.records import DriftState, Finding, ResolvedBy, SinceSource, State, Verdict
from exporter.timestamps import Timestamp


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import ObjectKey
    from exporter.records import DriftFlag


# Who is to blame where several are: a person before nobody known, and those before whoever may be meant to write.
_BLAME: tuple[WriterClass, ...] = ("human", "unknown", "gitops", "controller")
# Behind the state in a tally: the object is declared and not there.
_ABSENT = "?"
# As far as the journal counts, in the year 2262: people silence things until 2999.
_LATEST = 2**63 - 1
# States in which something lasts that people want to see by itself.
_SHOWN: frozenset[DriftState] = frozenset({"drifted", "flapping"})


class Episode(Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """Something is not as declared, from the first look that found it to the end of the time to clear.

    Args:
        since: when it began, as far back as can be known
        source: how that is known
        began: when it was first seen, nanoseconds since the Unix epoch
        opened: when it counted as drift; None while it may still be a rollout
        told: what was told of its fields last
        right_at: when it was found as declared again; None while it is not
        righted_by: who did that
        cause: who is to blame, as far as was found last
        was: what was wrong when it was last found so
        change: id of the change that showed it first; empty where none did

    """

    since: Timestamp
    source: SinceSource
    began: int
    opened: int | None = None
    told: str = ""
    right_at: int | None = None
    righted_by: ResolvedBy = "unknown"
    cause: WriterClass = "unknown"
    was: tuple[Finding, ...] = ()
    change: str = ""


class Held(Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """One object's drift.

    Args:
        uid: of the object, empty where a declared object has never been there
        kind: of the object
        state: the word for it
        evaluation: the last look at it
        memory: what the next look has to know
        episode: if something is not as declared
        turns: when it ceased to be as declared, within the window of flapping; nanoseconds
        fights: who writes against whom
        lagging: its controller has not yet looked at what is declared

    """

    uid: str
    kind: str
    state: DriftState
    evaluation: Evaluation
    memory: Memory
    episode: Episode | None = None
    turns: tuple[int, ...] = ()
    fights: Fights = Fights()
    lagging: bool = False

    @property
    def flags(self) -> tuple[DriftFlag, ...]:
        """Further facts that hold beside the state."""
        return (*self.evaluation.flags, "lagging") if self.lagging else self.evaluation.flags

    def verdict(self, key: ObjectKey) -> Verdict:
        """Say it."""
        found, episode = self.evaluation, self.episode
        return Verdict(
            group=key.group,
            kind=self.kind,
            namespace=key.namespace,
            name=key.name,
            uid=self.uid,
            state=self.state,
            since=episode.since if episode else UNSET,
            since_source=episode.source if episode else UNSET,
            cause=episode.cause if episode else UNSET,
            baseline=found.baseline or UNSET,
            confidence=found.confidence or UNSET,
            declarer=found.declarer,
            reason=found.unknown or found.suspended,
            fields=found.findings,
            ignored=found.ignored,
            additions=found.additions,
            flags=self.flags,
            problems=found.problems,
            left_out=found.left_out,
        )

    def keep(self, due: int | None) -> State:
        """Give what the journal is to keep; `due` in nanoseconds since the Unix epoch."""
        shown = self.state in _SHOWN or bool(self.evaluation.additions) or bool(self.fights.active)
        exists = "" if self.uid else _ABSENT
        tally = f"{self.state}{exists} {self.evaluation.declarer}"
        return State(_encoder.encode(self), tally, None if due is None else min(due, _LATEST), shown, self)


def held(state: State) -> Held:
    """Read back what `Held.keep` gave, also what an older version of it gave."""
    return state.value if isinstance(state.value, Held) else _decoder.decode(state.line)


def tallied(tally: str) -> tuple[str, str, bool]:
    """Take a tally apart: declarer, state, and whether there is such an object."""
    state, _, declarer = tally.partition(" ")
    return declarer, state.removesuffix(_ABSENT), not state.endswith(_ABSENT)


def cause(findings: Iterable[Finding]) -> WriterClass:
    """Say who is to blame; of what is missing nobody can be named."""
    classes = {
        "unknown" if one.writer is UNSET or one.writer.class_ is UNSET else one.writer.class_ for one in findings
    }
    return next((name for name in _BLAME if name in classes), "unknown")


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Held)
