"""The course of the rollouts that lie on the desk: what a look at an object, or the time, does to them.

Here the lifecycle of one rollout and the family that it belongs to come together. Pure: time is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from exporter.rollout.family import (
    adopt,
    ancestors,
    await_child,
    children,
    family,
    join,
    let_loose,
    move_on,
)
from exporter.rollout.holding import hand_over
from exporter.rollout.lifecycle import (
    at_rest,
    closed,
    cut_short,
    deadline,
    end_by_look,
    end_by_time,
    go_on,
    open_rollout,
    unready,
)
from exporter.rollout.telling import close
from exporter.rollout.values import Kept
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.model import ObjectKey
    from exporter.rollout.desk import Desk, Running
    from exporter.rollout.lifecycle import End, Place
    from exporter.rollout.values import Look
    from exporter.timestamps import Timestamp


# What happened by now was seen (clear), or only now, so that deadlines of a whole family may have passed and which came
# first matters (late), or is still being seen, the objects of each type in their own order (partial).
Sight = Literal["clear", "late", "partial"]


def take(desk: Desk, look: Look, place: Callable[[], Place], timeout: int, at: int) -> None:
    """Take in a look at an object: it may end a rollout, begin one, carry one on, or show the object at rest.

    Args:
        desk: what is kept
        look: at the object
        place: what ids are made of
        timeout: how long a rollout of it may take, nanoseconds
        at: when what it shows happened, nanoseconds since the Unix epoch

    """
    key = look.key
    habits = desk.habits(key)
    before = desk.running(key)
    if before is not None and (end_ := end_by_look(before.now, look)):
        end(desk, before, end_, look.observed, at)
        desk.belong(before.now)
    kept = desk.get(key)
    begun = open_rollout(kept, look, habits, timeout, place)
    kept = begun or kept
    if kept is None or kept.open is None:
        desk.put(key, at_rest(kept, look, habits))
        return
    spoke = begun is None and kept.open.speaks
    now = go_on(kept.open, look, habits, begun=begun is not None)
    desk.put(key, replace(kept, open=now, unready=unready(kept, look.readiness, look.observed)))
    if begun is not None:
        join(desk, key)
    elif desk.hold:
        let_loose(desk, key)
    if now.speaks and not spoke:
        await_child(desk, key)
        adopt(desk, key, at)
        move_on(desk, None if before is None else before.now, key)
    if (running := desk.running(key)) is not None:
        desk.belong(running.now)


def let_go(desk: Desk, key: ObjectKey, observed: Timestamp, *, deleted: bool) -> None:
    """Forget an object; a rollout of it that is open ends, and is told if the object was deleted."""
    running = desk.running(key)
    if running is not None and deleted:
        end(desk, running, cut_short(running.now, "deleted", observed), observed, to_nanoseconds(observed))
        desk.belong(running.now)
    elif running is not None:
        hand_over(desk, key, running.now, None, 0)
    kept = desk.get(key)
    if kept is not None and kept.held:
        desk.put(key, Kept(uid=kept.uid, group=kept.group, kind=kept.kind, held=kept.held, until=kept.until))
    else:
        desk.put(key, None)


def pass_time(desk: Desk, key: ObjectKey, at: int, observed: Timestamp, sight: Sight) -> None:
    """End what has ended by a time: the rollout of an object, and before it whatever has a say in its end.

    Args:
        desk: what is kept
        key: the object
        at: the time, nanoseconds since the Unix epoch
        observed: when that is noticed
        sight: of what had to be noticed by then

    """
    while (first := desk.running(key)) is not None:
        if sight != "clear" or first.now.owner is not None:  # else nothing but itself has a say
            concerned = [key, *ancestors(desk, key)]
            if sight == "clear":
                runnings: Iterable[Running | None] = map(desk.running, concerned)
            else:
                runnings = family(desk, concerned[-1 if sight == "late" else 0])
            first = min(filter(None, runnings), key=lambda one: deadline(one.now, desk.limits), default=first)
        end_ = end_by_time(first.now, at, desk.limits)
        if end_ is None:
            return
        end(desk, first, end_, observed, deadline(first.now, desk.limits))


def end(desk: Desk, running: Running, how: End, observed: Timestamp, over: int) -> None:
    """End a rollout: it is told, held, or given to the one that it belongs to.

    Args:
        desk: what is kept
        running: the rollout
        how: it has ended
        observed: when that is noticed
        over: until when it went on, nanoseconds since the Unix epoch: it may have come to its end before

    """
    if how.result == "timed_out":  # so have those that it waits for, and are told with it
        for child in children(desk, running):
            end(desk, child, cut_short(child.now, "timed_out", how.at), observed, over)
        running = desk.running(running.key) or running
    desk.put(running.key, closed(running.kept, how))
    if how.result is None:
        desk.learn(running.key, desk.habits(running.key).unsaid())
        hand_over(desk, running.key, running.now, None, over)
    else:
        hand_over(desk, running.key, running.now, close(running.now, how.result, how, observed), over)
