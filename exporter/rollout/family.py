"""Rollouts that begin because another one goes on: they belong to their owner's trace, at any depth.

Nothing says in which order the streams of two types are seen: a rollout that was seen before its owner's may belong to
it, too, as long as it is not told. When that is, see `holding`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET, Struct
from msgspec.structs import replace

from exporter.model import ObjectKey
from exporter.records import Begun, Link
from exporter.rollout.lifecycle import deadline
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.rollout.desk import Desk, Running
    from exporter.rollout.values import Open


MAX_DEPTH = 16
# So much earlier than its owner's a rollout may have been seen that belongs to it.
EARLIER = 2_000_000_000


BegunT = TypeVar("BegunT", bound=Begun)


class _Spot(Struct, frozen=True, gc=False):
    """A rollout to which another one can belong: of which object, where it is told, and when it began."""

    key: ObjectKey
    trace: str
    span: str
    began: int


def join(desk: Desk, key: ObjectKey) -> None:
    """Let a rollout that has just begun belong to that of its owner, if one goes on; link it to those of others."""
    running = desk.running(key)
    for uid in running.now.owners if running is not None else ():
        spot = None if running is None else _spot(desk, uid, running)
        if running is None or spot is None:
            continue
        if running.now.owner is None:
            running = _belong(desk, running, spot)
        else:
            links = (*running.now.begun.links, Link(spot.trace, spot.span, "owner"))
            running = desk.update(running, replace(running.now, begun=replace(running.now.begun, links=links)))


def adopt(desk: Desk, key: ObjectKey, at: int) -> None:
    """Take in the rollouts of owned objects that were seen before this one, at so many nanoseconds."""
    owner = desk.running(key)
    if owner is None:
        return
    for owned in desk.owned(owner.kept.uid):
        child = desk.running(owned)
        mine = child is not None and child.now.owner is None and owner.kept.uid in child.now.owners
        if child is not None and mine and at < deadline(child.now, desk.limits) and _may_hold(desk, owner, child):
            _belong(desk, child, _spot_of(owner))
        _adopt_held(desk, owned, owner, at)


def move_on(desk: Desk, before: Open | None, key: ObjectKey) -> None:
    """Give a rollout that has begun those owned ones that did not begin before it, though one before it took them.

    Args:
        desk: what is kept
        before: the rollout that it supersedes, if it does
        key: the object

    """
    owner = desk.running(key)
    spans = [one.rollout.span for one in owner.kept.held] if owner is not None else []
    for span in [*spans, before.begun.span] if before is not None else spans:
        for below in desk.below(span):
            owner, child = desk.running(key), desk.running(below)
            if owner is None:
                return
            its = owner.now.begun
            mine = child is not None and child.now.begun.parent == span and child.now.begun.started >= its.started
            if child is not None and mine and _may_hold(desk, owner, child):
                _belong(desk, child, _spot_of(owner))
            kept = desk.get(below)
            held = () if kept is None else (one.rollout for one in kept.held)
            _take(desk, below, {one.span for one in held if one.parent == span and one.started >= its.started}, owner)


def let_loose(desk: Desk, key: ObjectKey) -> None:
    """Give those owned ones their own traces that began only when this one was over, as is seen now."""
    owner = desk.running(key)
    for child in () if owner is None or owner.now.end is UNSET else tuple(children(desk, owner)):
        owner = desk.running(key)
        if owner is not None and not _began_in(desk, owner, child.now.begun):
            waiting = tuple(uid for uid in owner.now.waiting if uid != child.kept.uid)
            desk.update(owner, replace(owner.now, waiting=waiting))
            begun = replace(child.now.begun, parent="")
            desk.update(child, replace(child.now, owner=None, alone="", begun=begun))
            _retrace(desk, child.key, {begun.span}, child.now.alone)


def _adopt_held(desk: Desk, key: ObjectKey, owner: Running, at: int) -> None:
    """Take in those rollouts of an owned object that had not ended long before, and are not told yet."""
    kept = desk.get(key)
    taken = {
        one.rollout.span
        for one in (() if kept is None else kept.held)
        if owner.kept.uid in one.owners
        and _began_in(desk, owner, one.rollout)
        and at < max(one.over, to_nanoseconds(one.rollout.started) + EARLIER)
    }
    _take(desk, key, taken, owner)


def _take(desk: Desk, key: ObjectKey, spans: set[str], owner: Running) -> None:
    """Let rollouts of an object that have ended and are not told yet belong to one that goes on."""
    kept, its = desk.get(key), owner.now.begun
    if kept is None or not spans or key == owner.key:
        return
    held = tuple(
        replace(one, rollout=replace(one.rollout, parent=its.span), owner=owner.key, owners=())
        if one.rollout.span in spans
        else one
        for one in kept.held
    )
    desk.put(key, replace(kept, held=held))
    _retrace(desk, key, spans, its.trace)


def await_child(desk: Desk, key: ObjectKey) -> None:
    """Let the owner wait for a rollout, once it is certain that it will be told."""
    child = desk.running(key)
    owner = None if child is None or not child.now.speaks else owner_of(desk, child.now)
    if child is not None and owner is not None and child.kept.uid not in owner.now.waiting:
        desk.update(owner, replace(owner.now, waiting=(*owner.now.waiting, child.kept.uid)))


def children(desk: Desk, running: Running) -> Iterator[Running]:
    """Give the open rollouts that one waits for."""
    for uid in running.now.waiting:
        child = desk.find(uid)
        if child is not None and child.now.begun.parent == running.now.begun.span:
            yield child


def family(desk: Desk, key: ObjectKey) -> Iterator[Running]:
    """Give the open rollout of an object and those that wait below it, at any depth, the deepest first."""
    running = desk.running(key)
    if running is not None:
        for child in children(desk, running):
            yield from family(desk, child.key)
        yield running


def ancestors(desk: Desk, key: ObjectKey) -> list[ObjectKey]:
    """Name the objects whose rollouts one belongs to, the nearest first."""
    above: list[ObjectKey] = []
    running = desk.running(key)
    while running is not None and (owner := owner_of(desk, running.now)) is not None and owner.key not in above:
        above.append(owner.key)
        running = owner
    return above


def owner_of(desk: Desk, now: Open) -> Running | None:
    """Find the rollout that another one belongs to, if it is still open."""
    owner = None if now.owner is None else desk.running(now.owner)
    return owner if owner is not None and owner.now.begun.span == now.begun.parent else None


def _spot(desk: Desk, uid: str, child: Running) -> _Spot | None:
    """Find the rollout of an owner to which one belongs: the last that began before it, or just after it."""
    began = to_nanoseconds(child.now.begun.started)
    owner = desk.find(uid)
    spots = [_spot_of(owner)] if owner is not None and _may_hold(desk, owner, child) else []
    for key, kept in desk.holding(uid):
        for one in kept.held if key != child.key else ():
            its = one.rollout
            start = to_nanoseconds(its.started)
            if start - EARLIER <= began < one.over:
                spots.append(_Spot(key, its.trace, its.span, start))
    return max(spots, key=lambda spot: (spot.began <= began, -abs(spot.began - began)), default=None)


def _spot_of(owner: Running) -> _Spot:
    its = owner.now.begun
    return _Spot(owner.key, its.trace, its.span, to_nanoseconds(its.started))


def _may_hold(desk: Desk, owner: Running, child: Running) -> bool:
    """Tell whether a rollout can belong to another: it began while that went on, and they make no circle."""
    above = [owner.key, *ancestors(desk, owner.key)]
    in_time = _began_in(desk, owner, child.now.begun)
    return owner.now.speaks and in_time and child.key not in above and len(above) < MAX_DEPTH


def _began_in(desk: Desk, owner: Running, begun: Begun) -> bool:
    """Tell whether something began while a rollout went on, or was seen just before it.

    An owner that has come to its end went on only if it still waited for another one then.
    """
    began, now = to_nanoseconds(begun.started), owner.now
    others = (child.now for child in children(desk, owner) if child.now.begun.span != begun.span)
    if not any(began < deadline(other, desk.limits) for other in others):
        now = replace(now, waiting=())
    return to_nanoseconds(now.begun.started) - EARLIER <= began < deadline(now, desk.limits)


def _belong(desk: Desk, child: Running, spot: _Spot) -> Running:
    """Put a rollout into its owner's trace, and what belongs to it as well."""
    begun = replace(child.now.begun, parent=spot.span)
    alone = child.now.alone or begun.trace
    desk.update(child, replace(child.now, owner=spot.key, alone=alone, begun=begun))
    _retrace(desk, child.key, {begun.span}, spot.trace)
    await_child(desk, child.key)
    return desk.running(child.key) or child


def _retrace(desk: Desk, key: ObjectKey, spans: set[str], trace: str) -> None:
    """Put rollouts of an object into a trace, and what belongs to them; links to them lead there."""
    kept = desk.get(key)
    if kept is None:
        return
    held = tuple(replace(one, rollout=_moved(one.rollout, spans, trace)) for one in kept.held)
    now = None if kept.open is None else replace(kept.open, begun=_moved(kept.open.begun, spans, trace))
    desk.put(key, replace(kept, held=held, open=now, trace=trace if kept.span in spans else kept.trace))
    for span in spans:
        for below in desk.below(span):
            other = desk.get(below)
            moved = {one.span for one in (other.begun if other else ()) if one.parent == span and one.trace != trace}
            if moved:
                _retrace(desk, below, moved, trace)


def _moved(begun: BegunT, spans: set[str], trace: str) -> BegunT:
    links = tuple(replace(link, trace=trace) if link.span in spans else link for link in begun.links)
    return replace(begun, trace=trace if begun.span in spans else begun.trace, links=links)
