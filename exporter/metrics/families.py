"""All families of the product as one: brought up to date after each commit, kept in the journal, shown on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.drift.keeper import NAME as DRIFT
from exporter.model import Change
from exporter.rollout.keeper import NAME as ROLLOUTS


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.changes.batch import Batch, Series
    from exporter.metrics.changes import ChangeMetrics
    from exporter.metrics.drift import DriftMetrics
    from exporter.metrics.rollouts import RolloutMetrics
    from exporter.records import Record


class Families:
    """The families of the product.

    Args:
        changes: of changes
        drift: of drift
        rollouts: of rollouts

    Attributes:
        of_objects: those that show single objects, by the keeper of the states that they show

    """

    def __init__(self, changes: ChangeMetrics, drift: DriftMetrics, rollouts: RolloutMetrics) -> None:
        self.changes = changes
        self.drift = drift
        self.of_objects: dict[str, DriftMetrics | RolloutMetrics] = {DRIFT: drift, ROLLOUTS: rollouts}
        self._parts = (changes, drift, rollouts)

    def restore(self, totals: Mapping[Series, float]) -> None:
        """Take over the totals of a former run."""
        for part in self._parts:
            part.restore(totals)

    def count(self, rows: Iterable[tuple[int, Record]]) -> None:
        """Count rows of the journal that no total has."""
        rows = list(rows)
        self.changes.count(row for _, row in rows if isinstance(row, Change))
        for part in self.of_objects.values():
            part.count(record for _, record in rows)

    def objects(self, counts: Mapping[tuple[str, str, str], int]) -> None:
        """Take over how many objects there are of each (group, kind, namespace)."""
        for place, count in counts.items():
            for part in self._parts:
                part.objects(*place, count)

    def committed(self, batch: Batch) -> None:
        """Take in a batch that is in the journal now."""
        for part in self._parts:
            part.committed(batch)

    def unsaved(self) -> tuple[dict[Series, float], set[Series]]:
        """Give the totals that have moved since `saved` was called last, and the series that went."""
        moved: dict[Series, float] = {}
        dropped: set[Series] = set()
        for part in self._parts:
            some, gone = part.unsaved()
            moved.update(some)
            dropped.update(gone)
        return moved, dropped

    def saved(self) -> None:
        """Note that what `unsaved` gives is in the journal."""
        for part in self._parts:
            part.saved()

    def expire(self, now: float) -> None:
        """Drop what has held no object for long; `now` in seconds."""
        self.drift.drop(self.changes.expire(now))

    def render(self, *, openmetrics: bool) -> bytes:
        """Give all families as text."""
        return b"".join(part.render(openmetrics=openmetrics) for part in self._parts)
