"""From one look at an object after the other to its state: what has to last before it counts, and what ends it.

A finding that is younger than the time to settle, or than the declarer's own last write, may be a rollout: `pending`.
What lasts is an episode, until the object has been as declared for the time to clear. What comes and goes is
`flapping`, one episode for all of it. While there is no telling, or somebody has asked for silence, an episode neither
begins nor ends. Pure: the time is an argument, and each call names the time of the next.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from exporter.drift.held import Episode, Held, cause
from exporter.records import DriftEvent
from exporter.timestamps import Timestamp, from_nanoseconds, to_nanoseconds


if TYPE_CHECKING:
    from exporter.drift.settings import DriftSettings
    from exporter.drift.values import Evaluation
    from exporter.records import DriftState, Finding, ResolvedBy, SinceSource


class Turn(Struct, frozen=True, gc=False):
    """What a look comes to.

    Args:
        held: what is kept of the object now
        event: what is to be told; None for nothing
        due: when to look again without a change, nanoseconds since the Unix epoch; None for never
        ended: of the episode that has ended
        duration: of it, seconds

    """

    held: Held
    event: DriftEvent | None = None
    due: int | None = None
    ended: Episode | None = None
    duration: float = 0.0


def look(
    held: Held, found: Evaluation, at: int, settings: DriftSettings, by: ResolvedBy = "unknown", change: str = ""
) -> Turn:
    """Take in an evaluation.

    Args:
        held: what was kept after the look before; of an object never seen, one without an episode
        found: the evaluation; the same as before where only time has gone by
        at: nanoseconds since the Unix epoch
        settings: times
        by: who wrote the version that was looked at
        change: id of the change that led to it; empty where none did

    """
    was = held.evaluation.findings
    held = replace(held, evaluation=found, turns=_within(held.turns, at, settings))
    if found.unknown:
        return Turn(replace(held, state="unknown"))
    if found.suspended:
        until = to_nanoseconds(Timestamp(found.suspended_until)) if found.suspended_until else None
        return Turn(replace(held, state="suspended"), due=until)
    if found.findings:
        return _wrong(held, at, settings, change)
    return _right(held, at, settings, by, was)


def gone(held: Held, at: int, by: ResolvedBy = "deleted") -> Turn:
    """End what there is, since the object is gone; what was put right before that was not ended by it."""
    episode = held.episode
    righted = episode is not None and episode.right_at is not None
    return _ended(held, "in_sync", at, episode.righted_by if episode is not None and righted else by)


def _wrong(held: Held, at: int, settings: DriftSettings, change: str) -> Turn:
    """The object is not as declared."""
    found, episode = held.evaluation, held.episode
    turned = episode is None or episode.right_at is not None
    if episode is None:
        since, source = _since(found, at)
        episode = Episode(since, source, at, change=change)
    declared_at = _time(found.declared_at)
    # A manifest comes before what is applied of it: that is how a rollout looks, however many there are.
    rollout = found.baseline == "directory" and at < declared_at + settings.settle_ns
    if turned and not rollout:
        held = replace(held, turns=(*held.turns, at))
    episode = replace(episode, right_at=None, cause=cause(found.findings))
    flapping = len(held.turns) >= settings.flapping.flips
    counts_at = max(to_nanoseconds(episode.since), declared_at) + settings.settle_ns
    if episode.opened is None and at < counts_at and not flapping:
        return Turn(replace(held, state="pending", episode=episode), due=counts_at)
    event: DriftEvent | None = "drift.opened" if episode.opened is None else None
    told = _digest(found)
    if event is None and told != episode.told and not flapping:
        event = "drift.changed"
    told = told if event is not None else episode.told
    opened = at if episode.opened is None else episode.opened
    state: DriftState = "flapping" if flapping else "drifted"
    held = replace(held, state=state, episode=replace(episode, opened=opened, told=told))
    return Turn(held, event, _calm(held, settings) if flapping else None)


def _right(held: Held, at: int, settings: DriftSettings, by: ResolvedBy, was: tuple[Finding, ...]) -> Turn:
    """The object is as declared, or nobody declares it."""
    found, episode = held.evaluation, held.episode
    calm: DriftState = "unmanaged" if not found.baseline else "ignored" if found.ignored else "in_sync"
    flapping = len(held.turns) >= settings.flapping.flips
    if episode is None or (episode.opened is None and not flapping):
        due = _calm(held, settings) if held.turns else None  # what came and went may come again
        return Turn(replace(held, state=calm, episode=None), due=due)
    if episode.right_at is None:
        episode = replace(episode, right_at=at, righted_by=by, was=was or episode.was)
        held = replace(held, episode=episode)
    clear_at = (episode.right_at or at) + settings.clear_ns
    if flapping:
        event: DriftEvent | None = "drift.opened" if episode.opened is None else None
        opened = at if episode.opened is None else episode.opened
        held = replace(held, state="flapping", episode=replace(episode, opened=opened))
        return Turn(held, event, max(clear_at, _calm(held, settings)))
    if at < clear_at:
        return Turn(replace(held, state="drifted"), due=clear_at)
    return _ended(held, calm, at, episode.righted_by)


def _ended(held: Held, state: DriftState, at: int, by: ResolvedBy) -> Turn:
    episode = held.episode
    after = replace(held, state=state, episode=None)
    if episode is None or episode.opened is None:
        return Turn(after)
    right = at if episode.right_at is None else episode.right_at
    duration = max(0.0, (right - to_nanoseconds(episode.since)) / 1e9)
    return Turn(after, "drift.closed", ended=replace(episode, righted_by=by), duration=duration)


def _since(found: Evaluation, at: int) -> tuple[Timestamp, SinceSource]:
    """Tell since when something is wrong: as seen, or as the writers of what is wrong have it, if that is earlier.

    A manager's entry has the time of its last write, so the age is a lower bound. What it wrote before the declarer
    last declared the object was right then.
    """
    seen = from_nanoseconds(at)
    times = [
        one.at
        for one in found.findings
        if one.at is not UNSET and found.declared_at < one.at < seen and one.writer is not UNSET
    ]
    return (min(times), "managed_fields") if times else (seen, "observed")


def _within(turns: tuple[int, ...], at: int, settings: DriftSettings) -> tuple[int, ...]:
    return tuple(turn for turn in turns if turn + settings.flapping.window_ns > at)[-settings.flapping.flips :]


def _calm(held: Held, settings: DriftSettings) -> int:
    """Tell when the turns that there were will no longer be too many, or be forgotten."""
    flips = settings.flapping.flips
    first = held.turns[-flips] if len(held.turns) >= flips else held.turns[-1]
    return first + settings.flapping.window_ns


def _time(timestamp: Timestamp | str) -> int:
    return to_nanoseconds(Timestamp(timestamp)) if timestamp else 0


def _digest(found: Evaluation) -> str:
    """Tell apart what is wrong, not who or when."""
    parts = [replace(one, writer=UNSET, at=UNSET) for one in found.findings]
    return hashlib.sha256(msgspec.json.encode((cause(found.findings), parts))).hexdigest()[:16]
