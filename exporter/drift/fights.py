"""Two writers that set a field back and forth, each undoing what the other did.

A rate never sees a slow fight, and a busy field is none: what counts is that a value comes back by another hand than
the one that wrote before. Only who overwrites somebody else's field is noted, so that a declarer's own rollouts leave
nothing here. Pure; values are kept as hashes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace


if TYPE_CHECKING:
    from exporter.model import Change


# A flip is a value that was there before, written by another hand than the last; so many in so long are a fight.
FLIPS = 3
WINDOW = 3600 * 10**9
# What is kept of one object: fields, and of each the last writes.
_PATHS = 8
_WRITES = 6
_FIELDS = 16


class Field(Struct, frozen=True, gc=False, array_like=True):
    """One field that somebody took from somebody else.

    Args:
        path: of it
        writes: (who, hash of what), oldest first; of the first nobody is known
        flips: when a value came back by another hand, nanoseconds
        began: when the fight was found, nanoseconds; None where there is none
        last: when it was last written

    """

    path: str
    writes: tuple[tuple[str, str], ...] = ()
    flips: tuple[int, ...] = ()
    began: int | None = None
    last: int = 0

    @property
    def managers(self) -> tuple[str, ...]:
        """Who fights."""
        return tuple(sorted({who for who, _ in self.writes if who}))


class Fights(Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """The fields of one object over which somebody may fight."""

    fields: tuple[Field, ...] = ()

    @property
    def active(self) -> tuple[Field, ...]:
        """Those over which somebody does."""
        return tuple(one for one in self.fields if one.began is not None) if self.fields else ()

    def due(self) -> int | None:
        """Tell when the first of them is quiet for long enough, nanoseconds."""
        return min(map(_ends, self.fields)) if self.fields else None

    def after(self, change: Change, at: int) -> Fights:
        """Take in a change in which somebody took a field from somebody else.

        Args:
            change: with a writer that is known
            at: nanoseconds since the Unix epoch

        """
        known = {one.path: one for one in self.at(at).fields}
        for moved in change.fields[:_FIELDS]:
            before = known.pop(moved.path, None) or Field(moved.path, (("", _hash(moved.old)),))
            known[moved.path] = _written(before, change.writer.name, _hash(moved.new), at)
        # What is fought over is not forgotten for the sake of what may come to nothing.
        return Fights(tuple(sorted(known.values(), key=lambda one: one.began is not None))[-_PATHS:])

    def at(self, at: int) -> Fights:
        """Forget what is over at a time."""
        fields = []
        for one in self.fields:
            if one.last + WINDOW > at:
                flips = _within(one.flips, at)
                fields.append(replace(one, flips=flips, began=one.began if len(flips) >= FLIPS else None))
        return self if tuple(fields) == self.fields else Fights(tuple(fields))


def _written(field: Field, who: str, what: str, at: int) -> Field:
    last, _ = field.writes[-1]
    flips = _within(field.flips, at)
    if who != last and any(what == before for _, before in field.writes[:-1]):
        flips = (*flips, at)
    began = field.began if field.began is not None else at if len(flips) >= FLIPS else None
    return Field(field.path, (*field.writes, (who, what))[-_WRITES:], flips, began, at)


def _within(flips: tuple[int, ...], at: int) -> tuple[int, ...]:
    return tuple(flip for flip in flips if flip + WINDOW > at)[-_WRITES:]


def _ends(field: Field) -> int:
    return (field.flips[-FLIPS] if field.began is not None else field.last) + WINDOW


def _hash(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = b"" if value is msgspec.UNSET else msgspec.json.encode(value, order="deterministic")
    return hashlib.sha256(text).hexdigest()[:16]
