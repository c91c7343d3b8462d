"""Rollouts as metrics: how long they took and how they ended, what is still to come true, and what is not ready.

What can change while something lasts (a reason) is on an info beside it, so that an alert's `for` never begins again.
Must never hold a message of an object: those are without bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.metrics.histograms import Exemplar, Histogram
from exporter.metrics.objects import ObjectSeries, object_family
from exporter.metrics.series import PLACE_LABELS
from exporter.records import ROLLOUT_RESULTS, Rollout
from exporter.rollout.keeper import NAME
from exporter.rollout.values import held
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client import Counter

    from exporter.changes.batch import Batch, Series
    from exporter.metrics.objects import Row
    from exporter.model import ObjectKey
    from exporter.records import Record, State

DURATION = "customresource_reconcile_duration_seconds"
PENDING = "customresource_reconcile_pending_since_timestamp_seconds"
UNREADY = "customresource_unready_since_timestamp_seconds"
INFO = "customresource_unready_info"

_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_OBJECTS = {
    PENDING: object_family(
        "gauge", "Since when a change of what is wanted has been waiting to come true; only while it does."
    ),
    UNREADY: object_family(
        "gauge", "Since when a condition of an object has not been as it should be; only while it is not.", "condition"
    ),
    INFO: object_family(
        "info", "What a condition that is not as it should be says.", "condition", "status", "reason"
    ),
}  # fmt: skip


class RolloutMetrics:
    """The series of rollouts as they stand after the last commit.

    Args:
        kinds: gives the kind of a type, by group and plural
        limit: how many series of one family and type are shown for single objects
        dropped: counts those that are not

    """

    def __init__(self, kinds: Callable[[str, str], str], limit: int, dropped: Counter) -> None:
        self._kinds = kinds
        self._begun: set[tuple[str, str]] = set()
        self._objects = ObjectSeries(_OBJECTS, self._shown, limit, dropped)
        self._durations = Histogram(
            DURATION, "How long changes of what is wanted took to come true, by how that ended.",
            (*PLACE_LABELS[:2], "result"), _BUCKETS,
        )  # fmt: skip

    def restore(self, totals: Mapping[Series, float]) -> None:
        """Take over the totals of a former run. What is no series of these families is left to others."""
        self._durations.restore(totals)

    def objects(self, group: str, kind: str, namespace: str, delta: int) -> None:
        """Objects are counted by others."""

    def committed(self, batch: Batch) -> None:
        """Take in a batch that is in the journal now."""
        for (keeper, key), state in batch.states.items():
            if keeper == NAME and ((state is not None and state.shown) or key in self._objects):
                self._objects.note(key, self._kinds(key.group, key.resource), state)
        self.count(batch.records)

    def count(self, records: Iterable[Record]) -> None:
        """Count rollouts that have ended, and those that they hold; call it after their commit."""
        for rollout in (record for record in records if isinstance(record, Rollout)):
            for one in rollout.all():
                self._hold(one.group, one.kind)
                if not one.settled:  # of those nobody knows how long they took
                    ended = to_nanoseconds(one.ended)
                    seconds = (ended - to_nanoseconds(one.started)) / 1e9
                    exemplar = Exemplar(rollout.trace, seconds, ended / 1e9)
                    self._durations.observe((one.group, one.kind, one.result), seconds, exemplar)

    @property
    def hungry(self) -> bool:
        """Something that was left out for want of room has room now; `feed` it."""
        return self._objects.hungry()

    def feed(self, shown: Iterable[tuple[ObjectKey, str, State]]) -> None:
        """Offer all objects that are to be shown by themselves."""
        for key, kind, state in shown:
            if key not in self._objects:
                self._objects.note(key, kind, state)
        self._objects.fed()

    def unsaved(self) -> tuple[dict[Series, float], set[Series]]:
        """Give the totals that have moved since `saved` was called last, and the series that went."""
        return self._durations.unsaved()

    def saved(self) -> None:
        """Note that what `unsaved` gives is in the journal."""
        self._durations.saved()

    def render(self, *, openmetrics: bool) -> bytes:
        """Give the families as text, in a stable order."""
        objects = self._objects.render(openmetrics=openmetrics)  # first: what begins shows its durations at 0
        return self._durations.render(openmetrics=openmetrics) + objects

    def _shown(self, group: str, kind: str, state: State | None) -> Iterable[Row]:
        rows = list(_rows(state))
        if any(family == PENDING for family, _, _ in rows):
            self._hold(group, kind)
        return rows

    def _hold(self, group: str, kind: str) -> None:
        """Show all results of a kind, at 0 before the first, so that each is a growth."""
        if (group, kind) not in self._begun:
            self._begun.add((group, kind))
            for result in ROLLOUT_RESULTS:
                self._durations.hold((group, kind, result))


def _rows(state: State | None) -> Iterator[Row]:
    """Say what is shown of one object."""
    if state is None or not state.shown:
        return
    kept = held(state)
    if (since := kept.waiting_since) is not None:
        yield PENDING, (), to_nanoseconds(since) / 1e9
    for one in kept.unready:
        if one.since:
            yield UNREADY, (one.type,), to_nanoseconds(one.since) / 1e9
        yield INFO, (one.type, one.status, one.reason), 1.0
