"""A rollout that has ended, as the one record that is told of it: with the stages of its conditions, and its children.

Pure. Must never tell of two moments in the wrong order: what was seen after the end is not part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, replace

from exporter.records import Rollout, Stage, record_id


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.records import RolloutEnd, RolloutResult
    from exporter.rollout.lifecycle import End
    from exporter.rollout.readiness import Condition
    from exporter.rollout.values import Kept, Open
    from exporter.timestamps import Timestamp


def close(now: Open, result: RolloutEnd, end: End, observed: Timestamp) -> Rollout:
    """Tell a rollout that has ended, as a whole."""
    return _told(now, result, end.at, observed, settled=end.settled)


def so_far(now: Open, at: Timestamp) -> Rollout:
    """Tell how a rollout stands that has not ended."""
    return _told(now, "open", at, at)


def overdue(kept: Kept, at: Timestamp) -> Rollout | None:
    """Tell how the rollout stands that has ended without coming true, if the last one of an object did so."""
    if kept.overdue is None:
        return None
    blame = kept.unready[0] if kept.unready else None
    return Rollout(**asdict(kept.overdue), **_because(blame), observed=at, ended=at, result="overdue")


def _told(now: Open, result: RolloutResult, at: Timestamp, observed: Timestamp, *, settled: bool = False) -> Rollout:
    begun = now.begun
    ended = max(at, begun.started)
    return Rollout(
        **asdict(begun),
        **_because(None if result == "converged" else now.blame),
        observed=observed,
        ended=ended,
        result=result,
        settled=settled,
        gap=now.gap,
        stages=tuple(_stages(now, result, ended)),
        left_out=now.left_out,
        children=tuple(retraced(child, begun.trace) for child in now.children),
    )


def _because(blame: Condition | None) -> dict[str, Any]:
    """Give the parts of a rollout that say what keeps it from being ready."""
    if blame is None:
        return {}
    return {"condition": blame.type, "status": blame.status, "reason": blame.reason, "message": blame.message}


def retraced(rollout: Rollout, trace: str) -> Rollout:
    """Put a rollout that ended before its owner's, and all that it holds, into the owner's trace."""
    if rollout.trace == trace:
        return rollout
    return replace(rollout, trace=trace, children=tuple(retraced(child, trace) for child in rollout.children))


def _stages(now: Open, result: RolloutResult, ended: Timestamp) -> Iterator[Stage]:
    """Turn marks into stages: each from the mark of the same condition before, or from the start.

    What came to its end by itself has what was seen until then, also where all of it was seen at once. What another
    version ended has all that was seen before that, be its end, by the object's own word, an earlier time.
    """
    begun = now.begun
    last: dict[str, Timestamp] = {}
    numbers: dict[str, int] = {}

    def span(condition: str) -> str:
        numbers[condition] = number = numbers.get(condition, 0) + 1
        return record_id(begun.id, number, "stage", condition)[:16]

    by_itself = result in ("converged", "failed")
    for mark in now.marks[: now.by_then] if by_itself else now.marks:
        if mark.at > ended and result == "timed_out":
            continue
        started = last.get(mark.type, begun.started)
        last[mark.type] = at = min(max(mark.at, started), ended)
        yield Stage(
            span=span(mark.type), condition=mark.type, status=mark.status, reason=mark.reason, message=mark.message,
            before=mark.before, started=started, ended=at, transition=mark.since,
        )  # fmt: skip
    for one in now.conditions if result != "converged" else ():
        if one.good is False:
            yield Stage(
                span=span(one.type), condition=one.type, status=one.status, reason=one.reason, message=one.message,
                before=one.status, started=last.get(one.type, begun.started), ended=ended, transition=one.since,
                open=True,
            )  # fmt: skip
