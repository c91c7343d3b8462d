"""What there is to say when a day is over: who changed what how often, what came back, and what became of drift.

Pure: changes and conclusions in, facts out. Must never know what was played; it says what was seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec import UNSET

from exporter.tables import shown, visible, who
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.model import Change
    from exporter.records import Finding, Transition, Verdict
    from exporter.timestamps import Timestamp

Fact = tuple[str, str]  # what it is about, and a sentence

_SECOND = 1_000_000_000


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
    """Say what was deleted and made again."""
    facts = []
    gone: dict[tuple[str, str], Change] = {}
    for change in changes:
        place = (change.kind, place_of(change))
        if change.change == "deleted":
            gone[place] = change
        elif change.change == "recreated" and place in gone:
            seconds = _seconds(gone[place].observed, change.observed)
            sentence = f"{place[1]}: deleted, and made again by {who(change.writer)} after {seconds:.1f} s"
            facts.append(("came back", sentence))
    return facts


def drift(told: Iterable[Transition], verdicts: Iterable[Verdict]) -> list[Fact]:
    """Say what was not as declared and is again, what still is not, what is fought over, and what is only noted.

    Args:
        told: what was concluded over the day
        verdicts: of all objects, at its end

    """
    facts, noted = [], []
    for one in told:
        sentence, since = f"{place_of(one.verdict)} {say(one)}", one.verdict.since
        if one.event == "drift.closed" and since is not UNSET:
            facts.append(("drift ended", f"{sentence}, since {_time(since)}"))
        elif one.event == "fight.opened":
            facts.append(("fight", sentence))
    for verdict in verdicts:
        place, since = place_of(verdict), verdict.since
        if since is not UNSET:
            facts.append(
                ("drift lasts", f"{place}{_by(verdict.fields)} since {_time(since)}: {_moved(verdict.fields)}")
            )
        if verdict.ignored:
            rule = visible(verdict.ignored[0].rule)
            noted.append(("ignored", f"{place}{_by(verdict.ignored)}: {_moved(verdict.ignored)}; {rule}"))
        if verdict.additions:
            noted.append(("undeclared", f"{place}{_by(verdict.additions)}: {_moved(verdict.additions)}"))
    return facts + noted


def say(told: Transition, *, wide: bool = True) -> str:
    """Say a conclusion, without the place; without the classes of writers where there is little room."""
    if told.path:
        return f"between {' and '.join(map(visible, told.managers))}: {visible(told.path)}"
    verdict = told.verdict
    by = _by(verdict.fields, wide=wide)
    if told.resolved_by is UNSET or told.duration is UNSET:
        return f"{by}: {_moved(verdict.fields)}".lstrip(" :")
    righted = verdict.declarer if told.resolved_by == "declarer" else told.resolved_by
    return f"by {visible(righted)} after {told.duration:.1f} s: {_moved(verdict.fields)}{by}"


def place_of(one: Change | Verdict, *, wide: bool = True) -> str:
    """Name an object, without its kind where there is little room."""
    kind = one.kind if wide else ""
    return visible(" ".join(filter(None, (kind, "/".join(filter(None, (one.namespace, one.name)))))))


def _by(findings: Sequence[Finding], *, wide: bool = True) -> str:
    """Say who wrote the first finding, if that is known."""
    writer = findings[0].writer if findings else UNSET
    if writer is UNSET:
        return ""
    return f" by {who(writer) if wide else visible(writer.name)}"


def _moved(findings: Sequence[Finding]) -> str:
    """Say what of the first finding is not as declared, and how many more there are."""
    if not findings:
        return "nothing"
    first = findings[0]
    if not first.path:
        return "it is not there"
    if first.declared is UNSET:
        moved = f"{visible(first.path)} + {shown(first.live)}"
    elif first.live is UNSET:
        moved = f"{visible(first.path)} - {shown(first.declared)}"
    else:
        moved = f"{visible(first.path)} {shown(first.declared)} → {shown(first.live)}"
    return moved + (f", +{len(findings) - 1} more" if len(findings) > 1 else "")


def _time(timestamp: Timestamp) -> str:
    return f"{timestamp[11:19]}Z"


def _seconds(first: Timestamp, second: Timestamp) -> float:
    return (to_nanoseconds(second) - to_nanoseconds(first)) / _SECOND
