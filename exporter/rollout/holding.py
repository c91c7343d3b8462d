"""What becomes of a rollout that has ended: its owner's holds it, it is held until more is seen, or it is told.

The owner waits for those that it began, within limits, and is told with them. One that outlives it is told by itself,
in its trace. After a restart, when much is seen late and each type by itself, all is held until there was time to see
it. Must never lose one: what there is no room for is told at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from exporter.rollout.family import EARLIER, owner_of
from exporter.rollout.telling import retraced
from exporter.rollout.values import Held
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from exporter.model import ObjectKey
    from exporter.records import Rollout
    from exporter.rollout.desk import Desk
    from exporter.rollout.values import Open


# In one record: it becomes one request, which must not be larger than what every endpoint takes.
MAX_SPANS = 1000
MAX_HELD = 16


def hand_over(desk: Desk, key: ObjectKey, ended: Open, rollout: Rollout | None, over: int) -> None:
    """Give a rollout that has ended to the owner that waits for it, hold it, or tell it.

    Args:
        desk: what is kept
        key: the object
        ended: it, as it was while it was open
        rollout: what is to be told; None where nothing is, but for those that it held
        over: until when it went on, nanoseconds since the Unix epoch

    """
    owner = owner_of(desk, ended)
    if owner is not None:
        waiting = tuple(uid for uid in owner.now.waiting if uid != ended.begun.uid)
        desk.update(owner, replace(owner.now, waiting=waiting))
    if rollout is None:
        for one in ended.children:
            desk.tell(one)
        return
    kept, until = desk.get(key), _held_until(desk, ended, rollout)
    if kept is not None and until and len(kept.held) < MAX_HELD:
        held = Held(rollout, over, ended.owner, ended.owners if ended.owner is None else ())
        desk.put(key, replace(kept, held=(*kept.held, held), until=max(kept.until, until)))
    else:
        release(desk, key)
        _pass_on(desk, rollout, ended.owner)


def release(desk: Desk, key: ObjectKey) -> None:
    """Let go of what is held of an object: it goes to the owner's rollout that is not told yet, or is told."""
    kept = desk.get(key)
    for one in () if kept is None else kept.held:
        _release(desk, key, one)


def release_due(desk: Desk, at: int) -> None:
    """Let go of all that is to be held no longer, the deepest first, so that each is told with what belongs to it."""
    if not desk.holds:
        return
    due = [(key, kept) for key in desk.held() if (kept := desk.get(key)) is not None and kept.until <= at]
    above = {one.rollout.span: one.rollout.parent for _, kept in due for one in kept.held}

    def depth(span: str) -> int:
        count = 0
        while span := above.get(span, ""):
            count += 1
        return count

    every = [(-depth(one.rollout.span), one.rollout.started, key, one) for key, kept in due for one in kept.held]
    for _, _, key, one in sorted(every, key=lambda item: item[:2]):
        _release(desk, key, one)


def _release(desk: Desk, key: ObjectKey, one: Held) -> None:
    kept = desk.get(key)
    if kept is None:
        return
    now = next(held for held in kept.held if held.rollout.span == one.rollout.span)  # it may hold more meanwhile
    others = tuple(held for held in kept.held if held is not now)
    desk.put(key, replace(kept, held=others, until=kept.until if others else 0))
    children = tuple(retraced(child, now.rollout.trace) for child in now.rollout.children)
    _pass_on(desk, replace(now.rollout, children=children), now.owner)


def _held_until(desk: Desk, ended: Open, rollout: Rollout) -> int:
    """Tell until when a rollout that has ended is held; 0 where it is not."""
    if desk.hold or not ended.owners or ended.owner is not None:
        return desk.hold
    until = to_nanoseconds(rollout.started) + EARLIER
    return until if to_nanoseconds(rollout.observed) < until else 0


def _pass_on(desk: Desk, rollout: Rollout, key: ObjectKey | None) -> None:
    """Give a rollout to that of its owner, if that is not told yet and has room; else tell it."""
    owner = None if key is None else desk.get(key)
    if key is not None and owner is not None:
        now = owner.open
        if now is not None and now.begun.span == rollout.parent and _has_room(now.children, rollout):
            desk.put(key, replace(owner, open=replace(now, children=(*now.children, rollout))))
            return
        for place, one in enumerate(owner.held):
            if one.rollout.span == rollout.parent and _has_room(one.rollout.children, rollout):
                whole = replace(one.rollout, children=(*one.rollout.children, rollout))
                held = (*owner.held[:place], replace(one, rollout=whole), *owner.held[place + 1 :])
                desk.put(key, replace(owner, held=held))
                return
    desk.tell(rollout)


def _has_room(children: tuple[Rollout, ...], rollout: Rollout) -> bool:
    return sum(one.spans for one in (*children, rollout)) <= MAX_SPANS
