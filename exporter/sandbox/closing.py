"""What there is to say when a day is over: who changed what how often, what came back, and over what was fought.

Pure: changes in, lines of text out. Must never know what was played; it says what was seen.
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

_SECOND = 1_000_000_000
# Once is putting something back; more often it is a fight.
_FIGHT = 2


class Undoing(Struct, frozen=True):
    """A change of a field by one writer, and its being taken back by another."""

    done: Change
    undone: Change
    field: FieldChange


def report(changes: Sequence[Change]) -> list[str]:
    """Say what was seen, a line for each thing; an empty line parts the parts."""
    lines = _writers(changes)
    back = _came_back(changes)
    return [*lines, "", *back] if back else lines


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


def _writers(changes: Sequence[Change]) -> list[str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for change in changes:
        counts[who(change.writer)]["heartbeat" if change.heartbeat else change.change] += 1
    width = max(map(len, counts), default=0)
    order = sorted(counts, key=lambda name: (-counts[name].total(), name))
    return [
        f"{name:<{width}}  {counts[name].total():>4}   "
        + ", ".join(f"{count} {word}" for word, count in counts[name].most_common())
        for name in order
    ]


def _came_back(changes: Sequence[Change]) -> list[str]:
    lines = []
    for cases in undoings(changes).values():
        first, last = cases[0], cases[-1]
        field = f"{_place(first.done)} {visible(first.field.path)}"
        if len(cases) >= _FIGHT:
            values = f"{shown(last.field.old)} and {shown(last.field.new)}"
            rivals = " and ".join(sorted({visible(one.undone.writer.name) for one in cases}))
            lines.append(f"fought over  {field}: {rivals} took it back from each other {len(cases)} times ({values})")
        else:
            seconds = _seconds(first.done, first.undone)
            lines.append(
                f"put back     {field}: {who(first.done.writer)} made it {shown(first.field.old)}, "
                f"{who(first.undone.writer)} made it {shown(first.field.new)} again after {seconds:.1f} s"
            )
    gone: dict[tuple[str, str], Change] = {}
    for change in changes:
        place = (change.kind, _place(change))
        if change.change == "deleted":
            gone[place] = change
        elif change.change == "recreated" and place in gone:
            seconds = _seconds(gone[place], change)
            lines.append(
                f"came back    {place[1]}: deleted, and made again by {who(change.writer)} after {seconds:.1f} s"
            )
    return lines


def _place(change: Change) -> str:
    return visible(f"{change.kind} {change.namespace}/{change.name}" if change.namespace else change.name)


def _seconds(first: Change, second: Change) -> float:
    return (to_nanoseconds(second.observed) - to_nanoseconds(first.observed)) / _SECOND
