"""What is told of an object's drift: the records that follow from one look to the next, and from the last one.

Pure: nothing is decided here, and the time is an argument. An id is the same however often a record is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from exporter.drift.episodes import gone
from exporter.drift.fights import Field, Fights
from exporter.drift.held import Held, held
from exporter.records import Transition, record_id
from exporter.timestamps import from_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.drift.episodes import Turn
    from exporter.model import ObjectKey
    from exporter.records import DriftEvent, ResolvedBy, State


class Telling:
    """Makes the records.

    Args:
        identity: gives the cluster's uid and the epoch, for the ids

    """

    def __init__(self, identity: Callable[[], tuple[str, int]]) -> None:
        self._identity = identity

    def of(self, key: ObjectKey, before: Held, turn: Turn, at: int, change: str) -> Iterator[Transition]:
        """Tell what began, changed or ended with a look; `change` is the id of what led to it, empty for nothing."""
        after = turn.held
        if turn.event is not None:
            ended = turn.ended
            shown = after
            if ended is not None:
                was = replace(before.evaluation, findings=before.evaluation.findings or ended.was)
                shown = replace(after, evaluation=was, episode=ended)
            yield self._transition(
                turn.event, key, shown, at, change,
                resolved_by=ended.righted_by if ended is not None else UNSET,
                duration=turn.duration if ended is not None else UNSET,
            )  # fmt: skip
        fighting = {one.path: one for one in after.fights.active} if after.uid else {}
        fought = {one.path: one for one in before.fights.active}
        for path, one in fighting.items():
            if path not in fought:
                yield self._fight("fight.opened", key, after, one, at, change)
        for path, one in fought.items():
            if path not in fighting:
                yield self._fight("fight.closed", key, after, one, at, change)

    def ends(self, states: Iterable[tuple[ObjectKey, str, State]], at: int) -> Iterator[Transition]:
        """End whatever goes on of objects that are judged no longer: nobody will ever tell how it came out."""
        for key, _, state in states:
            before = held(state)
            turn = gone(replace(before, fights=Fights()), at, "unknown")
            yield from self.of(key, before, turn, at, "")

    def _fight(self, event: DriftEvent, key: ObjectKey, after: Held, field: Field, at: int, change: str) -> Transition:
        seconds = (at - field.began) / 1e9 if field.began is not None and event == "fight.closed" else UNSET
        return self._transition(
            event,
            key,
            after,
            at,
            change,
            path=field.path,
            managers=field.managers,
            duration=seconds,
            ordinal=field.began,
        )

    def _transition(
        self, event: DriftEvent, key: ObjectKey, shown: Held, at: int, change: str, *, ordinal: int | None = None,
        path: str = "", managers: tuple[str, ...] = (), resolved_by: ResolvedBy | UnsetType = UNSET,
        duration: float | UnsetType = UNSET,
    ) -> Transition:  # fmt: skip
        observed = from_nanoseconds(at)
        place = (key.group, key.resource, key.namespace, key.name, shown.uid)
        episode = shown.episode
        which = episode.change or str(episode.began) if ordinal is None and episode is not None else str(ordinal)
        distinct = (change or observed,) if event == "drift.changed" else ()
        return Transition(
            id=record_id(*self._identity(), *place, event, path, which, *distinct),
            event=event,
            observed=observed,
            verdict=shown.verdict(key),
            change=change,
            resolved_by=resolved_by,
            duration=duration,
            path=path,
            managers=managers,
        )
