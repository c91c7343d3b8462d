"""The product's own metrics: how often what changed, who changed specs, how many objects there are.

`tally` is pure and says by how much a batch of changes moves the totals. `ChangeMetrics` holds what is shown, as
finished lines, so that a scrape only joins them, and knows which totals the journal has not got yet. Must never hold a
label that an object alone can choose (its name): the number of series is bounded by types and namespaces.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from exporter.batch import Series
from exporter.model import CHANGES_OF, WRITER_CLASSES
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.batch import Batch
    from exporter.model import Change
    from exporter.timestamps import Timestamp

    Place = tuple[str, str, str]  # (group, kind, namespace)

CHANGES = "customresource_changes_total"
SPEC_CHANGES = "customresource_spec_changes_total"
OBJECTS = "customresource_objects"
LAST_CHANGE = "customresource_last_change_timestamp_seconds"

MAX_LABEL_BYTES = 128
# A namespace that was emptied is shown so long, so that its last deletions are scraped and its counters do not flap.
EXPIRE_SECONDS = 900.0

_PLACE_LABELS = ("customresource_group", "customresource_kind", "namespace")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT = 2.0**53  # above, a float no longer holds every whole number


class _Family(Struct, frozen=True):
    type: str
    help: str
    labels: tuple[str, ...]

    def header(self, name: str, *, openmetrics: bool) -> bytes:
        # OpenMetrics names a counter without the suffix that its samples carry.
        shown = name.removesuffix("_total") if openmetrics else name
        return f"# HELP {shown} {self.help}\n# TYPE {shown} {self.type}\n".encode()


_FAMILIES = {
    CHANGES: _Family(
        "counter",
        "Versions of custom resources seen, by what the watch said and by what it means.",
        (*_PLACE_LABELS, "event", "change"),
    ),
    SPEC_CHANGES: _Family(
        "counter", "Changes of the desired state, by the class of who wrote it.", (*_PLACE_LABELS, "writer_class")
    ),
    OBJECTS: _Family("gauge", "Custom resources that exist.", _PLACE_LABELS),
    LAST_CHANGE: _Family("gauge", "When a change of this sort was last seen.", (*_PLACE_LABELS, "change")),
}
_ZEROS = (
    *((CHANGES, event, change) for event, changes in CHANGES_OF.items() for change in changes),
    *((SPEC_CHANGES, writer_class) for writer_class in WRITER_CLASSES),
)


class Deltas(Struct, frozen=True):
    """By how much totals grow, and what others become."""

    adds: dict[Series, float]
    sets: dict[Series, float]


def label_value(text: str) -> str:
    """Make any text a label value that cannot harm a page: valid UTF-8, at most 128 bytes of it.

    Two hostile texts may become one value; they are then one series, since two equal ones would spoil the page.
    """
    if text.isascii() and len(text) <= MAX_LABEL_BYTES:
        return text
    return _LONE_SURROGATE.sub("\ufffd", text).encode()[:MAX_LABEL_BYTES].decode(errors="ignore")


def tally(changes: Iterable[Change]) -> Deltas:
    """Count a batch of changes. Every version counts, heartbeats and no-ops too."""
    counts: dict[Series, int] = {}
    latest: dict[Series, Timestamp] = {}
    for change in changes:
        place = (change.group, change.kind, change.namespace)
        counted = (CHANGES, *place, change.event, change.change)
        counts[counted] = counts.get(counted, 0) + 1
        if change.change == "spec":
            writer_class = change.writer.class_
            spec = (SPEC_CHANGES, *place, "unknown" if writer_class is UNSET else writer_class)
            counts[spec] = counts.get(spec, 0) + 1
        last = (LAST_CHANGE, *place, change.change)
        if change.observed > latest.get(last, ""):
            latest[last] = change.observed
    # Cleaned once for each series, not for each change: this runs on the path of every commit.
    adds: dict[Series, float] = {}
    for series, count in counts.items():
        key = _cleaned(series)
        adds[key] = adds.get(key, 0.0) + count
    sets: dict[Series, float] = {}
    for series, observed in latest.items():
        key = _cleaned(series)
        sets[key] = max(sets.get(key, 0.0), to_nanoseconds(observed) / 1e9)
    return Deltas(adds, sets)


@lru_cache(maxsize=8192)
def _cleaned(series: Series) -> Series:
    return tuple(map(label_value, series))


class _Line:
    """One series: what stands before its value, and the finished line."""

    __slots__ = ("_prefix", "text", "value")

    def __init__(self, series: Series) -> None:
        family, *values = series
        labels = zip(_FAMILIES[family].labels, values, strict=True)
        pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in labels)
        self._prefix = f"{family}{{{pairs}}} ".encode()
        self.set(0.0)

    def set(self, value: float) -> None:
        self.value = value
        number = f"{value:.0f}" if value.is_integer() and abs(value) < _EXACT else repr(value)
        self.text = self._prefix + number.encode() + b"\n"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


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
        self._lines: dict[str, dict[Series, _Line]] = {name: {} for name in _FAMILIES}
        self._order: dict[str, list[Series]] = {name: [] for name in _FAMILIES}
        self._unsorted: set[str] = set()
        self._places: dict[Place, _Held] = {}
        self._empty: set[Place] = set()
        self._pages: dict[bool, bytes] = {}
        self._moved: set[Series] = set()
        self._dropped: set[Series] = set()

    def restore(self, totals: Mapping[Series, float]) -> None:
        """Take over the totals of a former run. What is no series of these families is left to others."""
        for series, value in totals.items():
            family = _FAMILIES.get(series[0]) if series else None
            if family is not None and len(series) == 1 + len(family.labels) and math.isfinite(value):
                self._line(tuple(map(label_value, series))).set(float(value))
        self._pages.clear()

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
            line = self._line(series)
            line.set(line.value + growth)
        for series, value in deltas.sets.items():
            self._line(series).set(value)
        self._moved.update(deltas.adds, deltas.sets)
        if deltas.adds:
            self._pages.clear()

    def unsaved(self) -> tuple[dict[Series, float], set[Series]]:
        """Give the totals that have moved since `saved` was called last, and the series that went."""
        return {series: self._lines[series[0]][series].value for series in self._moved}, self._dropped - self._moved

    def saved(self) -> None:
        """Note that what `unsaved` gives is in the journal."""
        self._moved.clear()
        self._dropped.clear()

    def objects(self, group: str, kind: str, namespace: str, delta: int) -> None:
        """Note that a type has more, or fewer, objects in a namespace."""
        place = (label_value(group), label_value(kind), label_value(namespace))
        if not delta or (delta < 0 and place not in self._places):
            return
        held = self._hold(place)
        held.objects = max(0, held.objects + delta)
        if held.objects:
            self._empty.discard(place)
            held.empty_since = None
        else:
            self._empty.add(place)
        if held.objects or (OBJECTS, *place) in held.series:
            self._line((OBJECTS, *place)).set(float(held.objects))
            self._pages.clear()

    def drop_type(self, group: str, kind: str) -> None:
        """Show a type no longer."""
        gone = (label_value(group), label_value(kind))
        self._drop([place for place in self._places if place[:2] == gone])

    def expire(self, now: float) -> None:
        """Drop what has held no object for 15 minutes of calls with `now` in seconds.

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

    def render(self, *, openmetrics: bool) -> bytes:
        """Give the families as text (0.0.4, or OpenMetrics without its end mark), in a stable order."""
        page = self._pages.get(openmetrics)
        if page is None:
            page = self._pages[openmetrics] = b"".join(self._parts(openmetrics=openmetrics))
        return page

    def _parts(self, *, openmetrics: bool) -> Iterator[bytes]:
        for name, family in _FAMILIES.items():
            lines, order = self._lines[name], self._order[name]
            if name in self._unsorted:
                order.sort()  # nearly sorted already: new series stand at the end
                self._unsorted.discard(name)
            yield family.header(name, openmetrics=openmetrics)
            for series in order:
                yield lines[series].text

    def _line(self, series: Series) -> _Line:
        lines = self._lines[series[0]]
        line = lines.get(series)
        if line is None:
            # The place comes first: making it may make this very line, as one of its zeros.
            held = self._hold((series[1], series[2], series[3]))
            line = lines.get(series)
            if line is None:
                line = self._make(series, held)
        return line

    def _make(self, series: Series, held: _Held) -> _Line:
        family = series[0]
        line = self._lines[family][series] = _Line(series)
        self._order[family].append(series)
        self._unsorted.add(family)
        held.series.add(series)
        return line

    def _hold(self, place: Place) -> _Held:
        """Find a place, or make it with all its zeros, so that the first change of each sort is already a growth."""
        held = self._places.get(place)
        if held is None:
            held = self._places[place] = _Held()
            self._empty.add(place)
            for family, *values in _ZEROS:
                self._make((family, *place, *values), held)
        return held

    def _drop(self, places: list[Place]) -> None:
        gone: list[Series] = []
        for place in places:
            gone.extend(self._places.pop(place).series)
            self._empty.discard(place)
        for series in gone:
            del self._lines[series[0]][series]
        for name in {series[0] for series in gone}:
            self._order[name] = [series for series in self._order[name] if series in self._lines[name]]
        if gone:
            self._pages.clear()
        self._moved.difference_update(gone)
        self._dropped.update(gone)
