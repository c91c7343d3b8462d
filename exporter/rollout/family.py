"""Rollouts that begin because another one goes on: they belong to their owner's trace, at any depth.

The owner waits for those that it began, within limits, and is told with them. One that outlives it is told by itself,
in its trace. A rollout that was seen just before its owner's belongs to it, too: nothing says in which order the
streams of two types are seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from exporter.records import Link
from exporter.rollout.lifecycle import deadline
from exporter.rollout.telling import retraced
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import ObjectKey
    from exporter.records import Begun, Rollout
    from exporter.rollout.desk import Desk, Running
    from exporter.rollout.values import Open
    from exporter.timestamps import Timestamp


# In one record: it becomes one request, which must not be larger than what every endpoint takes.
MAX_SPANS = 1000
MAX_DEPTH = 16
MAX_EARLIER = 16
# So much earlier than its owner's a rollout may have been seen that belongs to it.
_EARLIER = 2_000_000_000


def join(desk: Desk, key: ObjectKey) -> None:
    """Let a rollout that has just begun belong to that of its owner, if one is open; link it to those of others."""
    running = desk.running(key)
    for uid in running.now.owners if running is not None else ():
        owner = desk.find(uid)
        if running is None or owner is None or not _may_hold(desk, owner, running):
            continue
        if running.now.owner is None:
            running = _belong(desk, running, owner)
        else:
            link = Link(owner.now.begun.trace, owner.now.begun.span, "owner")
            begun = replace(running.now.begun, links=(*running.now.begun.links, link))
            running = desk.update(running, replace(running.now, begun=begun))


def may_yet_be_owned(now: Open, seen: int, *, late: bool) -> bool:
    """Tell whether a rollout that ends may belong to an owner's that is not seen yet.

    Args:
        now: the rollout
        seen: when its end was seen, nanoseconds since the Unix epoch
        late: much is seen late now, and nothing says in which order

    """
    just_begun = seen - to_nanoseconds(now.begun.started) < _EARLIER
    return bool(now.owners) and now.owner is None and (late or just_begun) and len(now.earlier) < MAX_EARLIER


def move_on(desk: Desk, before: Open, key: ObjectKey) -> None:
    """Give a rollout that supersedes another one those owned ones that began after it, and go on."""
    owner = desk.running(key)
    for uid in before.waiting:
        child = desk.find(uid)
        if owner is None or child is None or child.now.begun.parent != before.begun.span:
            continue
        if child.now.begun.started >= owner.now.begun.started and _may_hold(desk, owner, child):
            _belong(desk, child, owner)
            owner = desk.running(key)


def adopt(desk: Desk, key: ObjectKey, at: int) -> None:
    """Take in the rollouts of owned objects that were seen just before this one and go on, at so many nanoseconds."""
    owner = desk.running(key)
    if owner is None:
        return
    for owned in desk.owned(owner.kept.uid):
        child = desk.running(owned)
        if child is None or child.now.owner is not None or owner.kept.uid not in child.now.owners:
            continue
        if at < deadline(child.now, desk.limits) and _may_hold(desk, owner, child):
            _belong(desk, child, owner)


def await_child(desk: Desk, key: ObjectKey) -> None:
    """Let the owner wait for a rollout, once it is certain that it will be told."""
    child = desk.running(key)
    owner = None if child is None or not child.now.speaks else _owner(desk, child.now)
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
    while running is not None and (owner := _owner(desk, running.now)) is not None and owner.key not in above:
        above.append(owner.key)
        running = owner
    return above


def hand_over(desk: Desk, ended: Open, rollout: Rollout | None) -> None:
    """Give a rollout that has ended to the owner that waits for it, or tell it.

    Args:
        desk: what is kept
        ended: it, as it was while it was open
        rollout: what is to be told; None where nothing is, but for those that it held

    """
    owner = _owner(desk, ended)
    if owner is not None:
        waiting = tuple(uid for uid in owner.now.waiting if uid != ended.begun.uid)
        desk.update(owner, replace(owner.now, waiting=waiting))
    for one in ended.earlier:
        desk.tell(one)
    if rollout is not None and owner is not None:
        _hold(desk, owner.key, rollout)
        return
    for one in ended.children if rollout is None else (rollout,):
        desk.tell(one)


def _hold(desk: Desk, key: ObjectKey, rollout: Rollout) -> None:
    """Let an open rollout hold one that has ended, to be told with it; what it has no room for is told at once."""
    owner = desk.running(key)
    if owner is None or sum(one.spans for one in (*owner.now.children, rollout)) > MAX_SPANS:
        desk.tell(rollout)
    else:
        desk.update(owner, replace(owner.now, children=(*owner.now.children, rollout)))


def _may_hold(desk: Desk, owner: Running, child: Running) -> bool:
    """Tell whether a rollout can belong to another: it began while that went on, and they make no circle."""
    above = [owner.key, *ancestors(desk, owner.key)]
    in_time = _began_in(desk, owner, child.now.begun.started)
    return owner.now.speaks and in_time and child.key not in above and len(above) < MAX_DEPTH


def _began_in(desk: Desk, owner: Running, started: Timestamp) -> bool:
    """Tell whether something began while a rollout went on, or was seen just before it."""
    began = to_nanoseconds(started)
    return to_nanoseconds(owner.now.begun.started) - _EARLIER <= began < deadline(owner.now, desk.limits)


def _belong(desk: Desk, child: Running, owner: Running) -> Running:
    """Put a rollout into its owner's trace, and what belongs to it as well."""
    its = owner.now.begun
    earlier = child.now.earlier
    taken = {one.span for one in earlier if _began_in(desk, owner, one.started)}
    links = _relinked(child.now.begun, taken, its.trace)
    begun = replace(child.now.begun, trace=its.trace, parent=its.span, links=links)
    child = desk.update(child, replace(child.now, owner=owner.key, begun=begun, earlier=()))
    _retrace(desk, child)
    for one in earlier:
        if one.span in taken:
            links = _relinked(one, taken, its.trace)
            _hold(desk, owner.key, replace(retraced(one, its.trace), parent=its.span, links=links))
        else:
            desk.tell(one)
    await_child(desk, child.key)
    return child


def _relinked(begun: Begun, spans: set[str], trace: str) -> tuple[Link, ...]:
    """Let links to some spans lead to the trace in which these are now."""
    return tuple(replace(link, trace=trace) if link.span in spans else link for link in begun.links)


def _retrace(desk: Desk, owner: Running) -> None:
    for child in children(desk, owner):
        begun = replace(child.now.begun, trace=owner.now.begun.trace)
        _retrace(desk, desk.update(child, replace(child.now, begun=begun)))


def _owner(desk: Desk, now: Open) -> Running | None:
    """Find the rollout that another one belongs to, if it is still open."""
    owner = None if now.owner is None else desk.running(now.owner)
    return owner if owner is not None and owner.now.begun.span == now.begun.parent else None
