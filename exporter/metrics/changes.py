"""The product's own metrics: how often what changed, who changed specs, how many objects there are.

`tally` is pure and says by how much a batch of changes moves the totals. `ChangeMetrics` holds what is shown, and for
how long. Must never hold a label that an object alone can choose (its name): the number of series is bounded by types
and namespaces.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from exporter.changes.batch import Series
from exporter.metrics.series import PLACE_LABELS, Family, Lines, label_value
from exporter.model import CHANGES_OF, WRITER_CLASSES
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.changes.batch import Batch
    from exporter.model import Change
    from exporter.timestamps import Timestamp

    Place = tuple[str, str, str]  # (group, kind, namespace)

CHANGES = "customresource_changes_total"
SPEC_CHANGES = "customresource_spec_changes_total"
OBJECTS = "customresource_objects"
LAST_CHANGE = "customresource_last_change_timestamp_seconds"

# A namespace that was emptied is shown so long, so that its last deletions are scraped and its counters do not flap.
EXPIRE_SECONDS = 900.0

_FAMILIES = {
    CHANGES: Family(
        "counter",
        "Versions of custom resources seen, by what the watch said and by what it means.",
        (*PLACE_LABELS, "event", "change"),
    ),
    SPEC_CHANGES: Family(
        "counter", "Changes of the desired state, by the class of who wrote it.", (*PLACE_LABELS, "writer_class")
    ),
    OBJECTS: Family("gauge", "Custom resources that exist.", PLACE_LABELS),
    LAST_CHANGE: Family("gauge", "When a change of this sort was last seen.", (*PLACE_LABELS, "change")),
}
_ZEROS = (
    *((CHANGES, event, change) for event, changes in CHANGES_OF.items() for change in changes),
    *((SPEC_CHANGES, writer_class) for writer_class in WRITER_CLASSES),
)


class Deltas(Struct, frozen=True):
    """By how much totals grow, and what others become."""

    adds: dict[Series, float]
    sets: dict[Series, float]


def tally(changes: Iterable[Change]) -> Deltas:
    """Count a batch of changes. Every version counts, heartbeats and no-ops too."""
    # Taken apart once for each sort of change, not for each change: this runs on the path of every commit.
    counts: dict[tuple[Any, ...], int] = {}
    latest: dict[tuple[Any, ...], Timestamp] = {}
    for one in changes:
        sort = (one.group, one.kind, one.namespace, one.event, one.change, one.writer.class_)
        counts[sort] = counts.get(sort, 0) + 1
        if one.observed > latest.get(sort, ""):
            latest[sort] = one.observed
    adds: dict[Series, float] = {}
    sets: dict[Series, float] = {}
    for sort, count in counts.items():
        *place, event, change, writer_class = sort
        grown = [_cleaned((CHANGES, *place, event, change))]
        if change == "spec":
            grown.append(_cleaned((SPEC_CHANGES, *place, "unknown" if writer_class is UNSET else writer_class)))
        for series in grown:
            adds[series] = adds.get(series, 0.0) + count
        last = _cleaned((LAST_CHANGE, *place, change))
        sets[last] = max(sets.get(last, 0.0), to_nanoseconds(latest[sort]) / 1e9)
    return Deltas(adds, sets)


@lru_cache(maxsize=8192)
def _cleaned(series: Series) -> Series:
    return tuple(map(label_value, series))


class _Held:
    """What is shown of one place: its series, and since when it has held nothing."""

    __slots__ = ("empty_since", "objects", "series")

    def __init__(self) -> None:
        self.objects = 0
        self.series: set[Series] = set()
        self.empty_since: float | None = None


class ChangeMetrics:
    """The series of the change families as they stand after the last commit; use it from one thread."""

    def __init__(self) -> None:
        self._lines = Lines(_FAMILIES)
        self._places: dict[Place, _Held] = {}
        self._empty: set[Place] = set()
        self.unsaved, self.saved, self.render = self._lines.unsaved, self._lines.saved, self._lines.render

    def restore(self, totals: Mapping[Series, float]) -> None:
        """Take over the totals of a former run. What is no series of these families is left to others."""
        for series, value in self._lines.restore(totals):
            self._set(series, value)

    def committed(self, batch: Batch) -> None:
        """Take in a batch that is in the journal now."""
        self.count(batch.changes)
        for (group, kind, namespace), grown in batch.counted.items():
            self.objects(group, kind, namespace, grown)
        for group, kind in batch.removed:
            self.drop_type(group, kind)

    def count(self, changes: Iterable[Change]) -> None:
        """Count changes; call it after their commit."""
        deltas = tally(changes)
        for series, growth in deltas.adds.items():
            # The place comes first: making it may make this very line, as one of its zeros.
            self._hold(series).series.add(series)
            self._lines.add(series, growth)
        for series, value in deltas.sets.items():
            self._set(series, value)
        self._lines.moved(deltas.adds)
        self._lines.moved(deltas.sets)

    def objects(self, group: str, kind: str, namespace: str, delta: int) -> None:
        """Note that a type has more, or fewer, objects in a namespace."""
        place = (label_value(group), label_value(kind), label_value(namespace))
        if not delta or (delta < 0 and place not in self._places):
            return
        shown = (OBJECTS, *place)
        held = self._hold(shown)
        held.objects = max(0, held.objects + delta)
        if held.objects:
            self._empty.discard(place)
            held.empty_since = None
        else:
            self._empty.add(place)
        if held.objects or shown in held.series:
            self._set(shown, float(held.objects))

    def drop_type(self, group: str, kind: str) -> None:
        """Show a type no longer."""
        gone = (label_value(group), label_value(kind))
        self._drop([place for place in self._places if place[:2] == gone])

    def expire(self, now: float) -> list[Place]:
        """Drop what has held no object for 15 minutes of calls with `now` in seconds, and tell what that was.

        Call it often: the time begins with the first call that finds a place empty.
        """
        past = []
        for place in self._empty:
            held = self._places[place]
            if held.empty_since is None or held.empty_since > now:  # the clock may be set back
                held.empty_since = now
            elif now - held.empty_since >= EXPIRE_SECONDS:
                past.append(place)
        self._drop(past)
        return past

    def _set(self, series: Series, value: float) -> None:
        self._hold(series).series.add(series)
        self._lines.put(series, value)

    def _hold(self, series: Series) -> _Held:
        """Find a series' place, or make it with all its zeros, so that the first change of each sort is a growth."""
        place = (series[1], series[2], series[3])
        held = self._places.get(place)
        if held is None:
            held = self._places[place] = _Held()
            self._empty.add(place)
            for family, *values in _ZEROS:
                zero = (family, *place, *values)
                held.series.add(zero)
                self._lines.make(zero)
        return held

    def _drop(self, places: list[Place]) -> None:
        gone: list[Series] = []
        for place in places:
            gone.extend(self._places.pop(place).series)
            self._empty.discard(place)
        self._lines.drop(gone)
