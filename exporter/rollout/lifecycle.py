"""One rollout for each generation of an object: how it begins, goes on and ends, from one look to the next.

A rollout begins with a change of what is wanted, or when readiness is lost without one. It ends as converged when
the controller has seen the generation and the object has been ready for a while; as failed when the object has said
for as long that it will not become ready; timed out, superseded by the next generation, or deleted. A condition that
is False is no end: most controllers try again.

Pure: time is an argument, what has to be remembered is a value. Must never depend on when it is asked: a deadline
that has passed has passed when it was, not when somebody noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import astuple, replace

from exporter.records import Begun, Link, Opening, RolloutEnd, record_id
from exporter.rollout.values import Kept, Limits, Mark, Open
from exporter.timestamps import Timestamp, from_nanoseconds, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.model import Change
    from exporter.rollout.habits import Habits
    from exporter.rollout.readiness import Condition, Readiness
    from exporter.rollout.values import Look


MAX_MARKS = 64
MAX_PATHS = 32


class Place(Struct, frozen=True, gc=False):
    """What ids are made of: which cluster, and how often its history has gone backwards."""

    cluster_uid: str
    epoch: int = 0


class End(Struct, frozen=True, gc=False):
    """How and when a rollout has ended; without a result when not a word was said of it, and nothing is to be told."""

    result: RolloutEnd | None
    at: Timestamp
    settled: bool = False


def begins(change: Change | None) -> bool:
    """Tell whether a change is one of what is wanted.

    Where a type has no status of its own (no subresource), each status that is written is a new generation.
    """
    if change is None or change.generation is UNSET:
        return False
    if change.change in ("created", "recreated"):
        return True
    if change.change != "spec":
        return False
    if change.truncated or not change.fields:
        return True
    return not all(one.path.startswith("/status/") or one.path == "/status" for one in change.fields)


def moment(
    observed: Timestamp, given: Timestamp | UnsetType, lateness: int, not_before: Timestamp | None = None
) -> Timestamp:
    """Tell when something happened that was seen at one time and is said to have happened at another.

    Times in objects are of whole seconds, and by other clocks; but of what was seen late they are the better ones.
    """
    if given is UNSET or to_nanoseconds(observed) - to_nanoseconds(given) <= lateness:
        return observed
    return given if not_before is None else max(given, not_before)


def open_rollout(
    kept: Kept | None,
    look: Look,
    habits: Habits,
    timeout: int,
    place: Callable[[], Place],
) -> Kept | None:
    """Begin a rollout if the look shows that one has begun; None if not. What was open before has been closed."""
    seen, change = look.readiness, look.change
    if seen.deleting:
        return None
    opened: Opening
    if change is not None and look.wanted and not habits.silent:
        opened = "spec" if change.change == "spec" else "created"
        generation = change.generation if change.generation is not UNSET else 0
        ordinal = 0
    elif (kept is None or kept.open is None) and _lost(look):
        opened = "readiness"
        generation = seen.generation or 0
        ordinal = kept.ordinal + 1 if kept is not None and kept.generation == generation else 1
    else:
        return None
    which = (look.uid, str(generation), str(ordinal))
    cluster_uid, epoch = astuple(place())
    id_ = record_id(cluster_uid, epoch, "rollout", *which)
    links = look.upstream
    if kept is not None and kept.trace:
        links = (Link(kept.trace, kept.span, "previous"), *links)
    begun = Begun(
        id=id_,
        trace=record_id(cluster_uid, epoch, "trace", *which),
        span=id_[:16],
        group=look.type.group,
        version=look.type.version,
        kind=look.type.kind,
        namespace=look.key.namespace,
        name=look.key.name,
        uid=look.uid,
        generation=generation,
        ordinal=ordinal,
        opened=opened,
        started=_started(look, opened),
        change="" if change is None else change.id,
        links=links,
    )
    if change is not None and opened != "readiness":  # who says that it is not ready any more has not made it so
        begun = replace(
            begun,
            writer=change.writer,
            fields=tuple(one.path for one in change.fields[:MAX_PATHS]),
            truncated=change.truncated or len(change.fields) > MAX_PATHS,
        )
    now = Open(
        begun=begun,
        timeout=timeout,
        said=opened == "readiness",
        speaks=habits.speaks,
        conditions=() if look.before is None else look.before.conditions,
        owners=look.owners,
    )
    kept = kept or Kept(uid=look.uid, group=look.type.group, kind=look.type.kind)
    return replace(
        kept, generation=generation, ordinal=ordinal, trace=begun.trace, span=begun.span, open=now, overdue=None
    )


def _started(look: Look, opened: Opening) -> Timestamp:
    change, blame = look.change, look.readiness.blame
    given = UNSET if change is None else change.happened
    if opened == "readiness" and blame is not None and blame.since is not UNSET:
        given = blame.since
    return moment(look.observed, given, look.lateness)


def _lost(look: Look) -> bool:
    """Tell whether an object that was ready says that something is wrong, which is more than that work goes on."""
    before, seen = look.before, look.readiness
    if before is None or seen.word not in ("unready", "failed") or not _was_ready(before):
        return False
    return seen.blame is not None and seen.blame.good is False


def _was_ready(before: Readiness) -> bool:
    """Tell whether an object was ready: also while work went on, as long as nothing was wrong."""
    if before.word == "ready":
        return True
    at_work = before.word == "unready" and before.blame is not None and before.blame.good is not False
    return at_work and any(one.good is True for one in before.conditions)


def go_on(now: Open, look: Look, habits: Habits, *, begun: bool = False) -> Open:
    """Take in what an object says while its rollout is open.

    Args:
        now: the rollout
        look: at the object
        habits: of its type
        begun: it is the look with which it has begun

    """
    seen, target = look.readiness, now.begun.generation
    marks, at = _transitions(now, look)
    caught_up = reports(seen, habits) and (seen.observed or 0) >= target
    if caught_up and not now.caught_up and now.begun.opened != "readiness":
        marks = (*marks, Mark("", str(target), "", "", "", at))
    if begun:
        marks = tuple(mark for mark in marks if mark.at > now.begun.started)  # else it began so
    said = now.said or look.said
    word = outcome(seen, target, habits, said=said)
    room = max(0, MAX_MARKS - len(now.marks))
    end: Timestamp | UnsetType = UNSET
    by_then = 0
    if word and now.end is not UNSET and now.failed == (word == "failed"):
        end, by_then = now.end, now.by_then
    elif word:
        end, by_then = at, min(MAX_MARKS, len(now.marks) + len(marks))
    return replace(
        now,
        said=said,
        speaks=now.speaks or habits.speaks or seen.word != "silent",
        quiet=seen.word == "ready" and not said and not reports(seen, habits),
        caught_up=now.caught_up or caught_up,
        end=end,
        by_then=by_then,
        failed=word == "failed",
        conditions=seen.conditions,
        blame=seen.blame,
        marks=now.marks + marks[:room],
        left_out=now.left_out + max(0, len(marks) - room),
        gap=now.gap or (look.change is not None and look.change.gap),
    )


def reports(seen: Readiness, habits: Habits) -> bool:
    """Tell whether an object says which generation it means, and can be believed."""
    return seen.observed is not None and (seen.explicit or habits.observes)


def outcome(seen: Readiness, generation: int, habits: Habits, *, said: bool) -> Literal["", "ready", "failed"]:
    """Tell what has come of a generation; empty while it goes on.

    Args:
        seen: what the object says of itself
        generation: that is meant
        habits: of its type
        said: it has said something since, which is all there is to go by where it does not say which generation

    """
    means_this = (seen.observed or 0) >= generation if reports(seen, habits) else said
    if not means_this or seen.word not in ("ready", "failed"):
        return ""
    if seen.basis == "observed_generation" and habits.judges:
        return ""  # it has been seen; the conditions are still to come
    return seen.word


def _transitions(now: Open, look: Look) -> tuple[tuple[Mark, ...], Timestamp]:
    """Find the conditions whose status moved, and when the last of them did."""
    started = now.begun.started
    happened = UNSET if look.change is None else look.change.happened
    at = moment(look.observed, happened, look.lateness, started)
    if look.readiness.conditions == now.conditions:
        return (), at
    gap = look.change is not None and look.change.gap
    before = {one.type: one for one in now.conditions}
    marks = []
    for one in look.readiness.conditions:
        was = before.pop(one.type, None)
        moved = UNSET if was is not None and was.since == one.since else one.since
        # In a gap it may have gone and come back; else who writes a new time for the same status has no transition.
        if was is not None and was.status == one.status and (not gap or moved is UNSET):
            continue
        # Twice within a second it has the same time; then the writer's is the better one.
        given = happened if moved is UNSET else moved
        marks.append(
            Mark(one.type, one.status, one.reason, one.message, was.status if was else "",
                 moment(look.observed, given, look.lateness, started), one.since)
        )  # fmt: skip
    latest = max((mark.at for mark in marks), default=at)
    marks.extend(Mark(gone.type, "", "", "", gone.status, at) for gone in before.values())
    return tuple(sorted(marks, key=lambda mark: mark.at)), latest


def deadline(now: Open, limits: Limits) -> int:
    """Tell when an open rollout ends if nothing is seen of it until then, nanoseconds since the Unix epoch."""
    if now.end is not UNSET:
        return to_nanoseconds(now.end) + (max(limits.wait, limits.settle) if now.waiting else limits.settle)
    limit = limits.quiet if now.quiet else now.timeout if now.speaks else limits.probation
    return to_nanoseconds(now.begun.started) + min(limit, now.timeout)


def end_by_time(now: Open, at: int, limits: Limits) -> End | None:
    """Tell how a rollout has ended by now, if it has.

    Args:
        now: the rollout
        at: nanoseconds since the Unix epoch
        limits: how long things may take

    """
    due = deadline(now, limits)
    if at < due:
        return None
    if now.end is not UNSET:
        return End("failed" if now.failed else "converged", now.end)
    if now.quiet:
        return End("converged", now.begun.started, settled=True)
    return End("timed_out" if now.speaks else None, from_nanoseconds(due))


def end_by_look(now: Open, look: Look) -> End | None:
    """Tell how a rollout ends with the next look, if it does: the object is on its way out, or wanted otherwise."""
    deleted = look.readiness.deleting
    if not deleted and not look.wanted:
        return None
    happened = UNSET if look.change is None else look.change.happened
    at = moment(look.observed, happened, look.lateness, now.begun.started)
    return cut_short(now, "deleted" if deleted else "superseded", at)


def cut_short(now: Open, result: RolloutEnd, at: Timestamp) -> End:
    """End a rollout from outside: one that was ready by then has converged."""
    if now.end is not UNSET and not now.failed:
        return End("converged", now.end)
    return End(result if now.speaks else None, at)


def at_rest(kept: Kept | None, look: Look, habits: Habits) -> Kept | None:
    """Keep of an object of which no rollout is open what is kept then."""
    seen = look.readiness
    bad = unready(kept, seen, look.observed)
    if kept is None:
        return Kept(uid=look.uid, group=look.type.group, kind=look.type.kind, unready=bad) if bad else None
    done = seen.deleting or outcome(seen, kept.generation, habits, said=True) == "ready"
    return replace(kept, unready=bad, overdue=None if done else kept.overdue)


def closed(kept: Kept, end: End) -> Kept:
    """Keep of an object what is kept when its rollout has ended."""
    now = kept.open
    if now is None or now.begun.opened == "readiness" or end.result not in ("failed", "timed_out"):
        return replace(kept, open=None, overdue=None)
    return replace(kept, open=None, overdue=now.begun)


def unready(kept: Kept | None, seen: Readiness, observed: Timestamp) -> tuple[Condition, ...]:
    """Give the conditions that are not as they should be, the one to blame first.

    Each has since when: by its own account, else as seen.
    """
    if seen.deleting or False not in [one.good for one in seen.conditions]:
        return ()
    known = {(one.type, one.status): one.since for one in kept.unready} if kept is not None else {}
    return tuple(
        one if one.since is not UNSET else replace(one, since=known.get((one.type, one.status), observed))
        for one in sorted(seen.conditions, key=lambda one: one != seen.blame)
        if one.good is False
    )
