"""What there is to say when a day is over: who changed what how often, what came back, and over what was fought.

Pure: changes in, facts out. Must never know what was played; it says what was seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from exporter.changes.redact import MASK
from exporter.model import Change, FieldChange
from exporter.tables import shown, visible, who
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Fact = tuple[str, str]  # what it is about, and a sentence

_SECOND = 1_000_000_000
# Once is putting something back; more often it is a fight.
_FIGHT = 2


class Undoing(Struct, frozen=True):
    """A change of a field by one writer, and its being taken back by another."""

    done: Change
    undone: Change
    field: FieldChange


def undoings(changes: Iterable[Change]) -> dict[tuple[str, str], list[Undoing]]:
    """Find what was taken back by another writer, by (uid, path), in the order in which it happened."""
    last: dict[tuple[str, str], tuple[Change, FieldChange]] = {}
    found: dict[tuple[str, str], list[Undoing]] = defaultdict(list)
    for change in changes:
        for field in change.fields if change.change == "spec" else ():
            place = (change.uid, field.path)
            before = last.get(place)
            last[place] = (change, field)
            if before is None or MASK in str(field.new) or UNSET in (field.old, field.new):
                continue
            if before[1].old == field.new and before[0].writer.name != change.writer.name:
                found[place].append(Undoing(before[0], change, field))
    return dict(found)


def by_writer(changes: Iterable[Change]) -> list[Fact]:
    """Say who changed what how often, the busiest first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for change in changes:
        counts[who(change.writer)]["heartbeat" if change.heartbeat else change.change] += 1
    order = sorted(counts, key=lambda name: (-counts[name].total(), name))
    return [
        (
            name,
            f"{counts[name].total():>3}   "
            + ", ".join(f"{count} {word}" for word, count in counts[name].most_common()),
        )
        for name in order
    ]


def came_back(changes: Sequence[Change]) -> list[Fact]:
    """Say what was put back by somebody else, fought over, or deleted and made again."""
    facts = []
    for cases in undoings(changes).values():
        first, last = cases[0], cases[-1]
        field = f"{_place(first.done)} {visible(first.field.path)}"
        if len(cases) >= _FIGHT:
            values = f"{shown(last.field.old)} and {shown(last.field.new)}"
            rivals = " and ".join(sorted({visible(one.undone.writer.name) for one in cases}))
            sentence = f"{field}: {rivals} took it back from each other {len(cases)} times ({values})"
            facts.append(("fought over", sentence))
        else:
            sentence = (
                f"{field}: {who(first.done.writer)} made it {shown(first.field.old)}, "
                f"{who(first.undone.writer)} made it {shown(first.field.new)} again "
                f"after {_seconds(first.done, first.undone):.1f} s"
            )
            facts.append(("put back", sentence))
    gone: dict[tuple[str, str], Change] = {}
    for change in changes:
        place = (change.kind, _place(change))
        if change.change == "deleted":
            gone[place] = change
        elif change.change == "recreated" and place in gone:
            seconds = _seconds(gone[place], change)
            sentence = f"{place[1]}: deleted, and made again by {who(change.writer)} after {seconds:.1f} s"
            facts.append(("came back", sentence))
    return facts


def _place(change: Change) -> str:
    return visible(f"{change.kind} {change.namespace}/{change.name}" if change.namespace else change.name)


def _seconds(first: Change, second: Change) -> float:
    return (to_nanoseconds(second.observed) - to_nanoseconds(first.observed)) / _SECOND
