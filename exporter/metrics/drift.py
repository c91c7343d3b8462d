"""Drift as metrics: how many objects are in which state, and of those that are not as declared, which, since when, why.

What can change while something lasts (the cause, the baseline) is on an info beside it, so that an alert's `for`
never begins again. Must never hold a path or a value of a field: those are without bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from exporter.drift.held import held, tallied
from exporter.drift.keeper import NAME
from exporter.metrics.histograms import Histogram
from exporter.metrics.objects import ObjectSeries, object_family
from exporter.metrics.series import PLACE_LABELS, Family, Lines, label_value
from exporter.records import DRIFT_STATES, RESOLVED_BY, Transition
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from prometheus_client import Counter

    from exporter.changes.batch import Batch, Series
    from exporter.metrics.objects import Row
    from exporter.model import ObjectKey
    from exporter.records import Record, State

STATES = "customresource_drift_state_objects"
SINCE = "customresource_drift_since_timestamp_seconds"
INFO = "customresource_drift_info"
FIELDS = "customresource_drift_fields"
MISSING = "customresource_missing_since_timestamp_seconds"
UNDECLARED = "customresource_undeclared_fields"
FIGHT = "customresource_fight_active"
EPISODES = "customresource_drift_episodes_total"
DURATION = "customresource_drift_episode_duration_seconds"

_BUCKETS = (10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0)
_TOTALS = {
    STATES: Family("gauge", "Objects by who declares them and by the state of their drift.",
                   (*PLACE_LABELS, "declarer", "state")),
    EPISODES: Family("counter", "Times that an object was not as declared, by whom, and by who ended it.",
                     (*PLACE_LABELS, "cause", "resolved_by")),
}  # fmt: skip
_OBJECTS = {
    SINCE: object_family("gauge", "Since when an object has not been as declared; only while it is not."),
    INFO: object_family("info", "Why an object is not as declared, and against what.",
                        "cause", "baseline", "declarer"),
    FIELDS: object_family("gauge", "Declared fields that are not as declared; only while there are any."),
    MISSING: object_family("gauge", "Since when a declared object has not been there; only while it is not."),
    UNDECLARED: object_family("gauge", "Fields that a person owns and nobody declared; only while there are any."),
    FIGHT: object_family("gauge", "1 while writers undo each other's changes of a field; only while they do."),
}  # fmt: skip
_MANAGED: tuple[str, ...] = tuple(state for state in DRIFT_STATES if state != "unmanaged")
_LASTS = frozenset({"drifted", "flapping"})


class DriftMetrics:
    """The series of drift as they stand after the last commit.

    Args:
        kinds: gives the kind of a type, by group and plural
        limit: how many series of one family and type are shown for single objects
        dropped: counts those that are not

    """

    def __init__(self, kinds: Callable[[str, str], str], limit: int, dropped: Counter) -> None:
        self._kinds = kinds
        self._lines = Lines(_TOTALS)
        self._objects = ObjectSeries(_OBJECTS, lambda _group, _kind, state: _rows(state), limit, dropped)
        self._durations = Histogram(
            DURATION, "How long objects were not as declared.", (*PLACE_LABELS[:2], "cause", "resolved_by"), _BUCKETS
        )
        self._managed: dict[tuple[str, ...], int] = {}
        self._existing: dict[tuple[str, ...], int] = {}

    def restore(self, totals: Mapping[Series, float]) -> None:
        """Take over the totals of a former run. What is no series of these families is left to others."""
        for series, value in self._lines.restore(totals):
            self._lines.put(series, value)
        self._durations.restore(totals)

    def load(
        self,
        tallies: Mapping[tuple[str, str, str, str], int],
        shown: Iterable[tuple[ObjectKey, str, State]],
    ) -> None:
        """Take over what the journal holds: counts by (group, kind, namespace, tally), and the objects to be shown."""
        for (group, kind, namespace, tally), count in tallies.items():
            self._count((group, kind, namespace), tally, count)
        self.feed(map(self._held, shown))

    def committed(self, batch: Batch) -> None:
        """Take in a batch that is in the journal now."""
        for (group, kind, namespace), grown in batch.counted.items():
            self.objects(group, kind, namespace, grown)
        for (keeper, group, resource, namespace, tally), grown in batch.tallied.items():
            if keeper == NAME:
                self._count((group, self._kinds(group, resource), namespace), tally, grown)
        for (keeper, key), state in batch.states.items():
            if keeper == NAME and ((state is not None and state.shown) or key in self._objects):
                self._objects.note(key, self._kinds(key.group, key.resource), state)
        self.count(batch.records)
        self.drop([(label_value(group), label_value(kind)) for group, kind in batch.removed])

    def count(self, records: Iterable[Record]) -> None:
        """Count episodes that have begun or ended; call it after their commit."""
        for record in records:
            if not isinstance(record, Transition) or not record.event.startswith("drift."):
                continue
            verdict = record.verdict
            place = tuple(map(label_value, (verdict.group, verdict.kind, verdict.namespace)))
            cause = "unknown" if verdict.cause is UNSET else verdict.cause
            self._hold(verdict.group, verdict.kind, verdict.namespace, cause)
            if record.event == "drift.closed" and record.resolved_by is not UNSET and record.duration is not UNSET:
                counted = (EPISODES, *place, cause, record.resolved_by)
                self._lines.add(counted, 1.0)
                self._lines.moved((counted,))
                self._durations.observe((verdict.group, verdict.kind, cause, record.resolved_by), record.duration)

    def objects(self, group: str, kind: str, namespace: str, delta: int) -> None:
        """Note that a type has more, or fewer, objects in a namespace."""
        place = tuple(map(label_value, (group, kind, namespace)))
        self._existing[place] = self._existing.get(place, 0) + delta
        self._show_unmanaged(place)

    @property
    def hungry(self) -> bool:
        """Something that was left out for want of room has room now; `feed` it."""
        return self._objects.hungry()

    def feed(self, shown: Iterable[tuple[ObjectKey, str, State]]) -> None:
        """Offer all objects that are to be shown by themselves."""
        for key, kind, state in shown:
            self._objects.note(key, kind, state)
        self._objects.fed()

    def unsaved(self) -> tuple[dict[Series, float], set[Series]]:
        """Give the totals that have moved since `saved` was called last, and the series that went."""
        moved, dropped = self._lines.unsaved()
        times, gone = self._durations.unsaved()
        return moved | times, dropped | gone

    def saved(self) -> None:
        """Note that what `unsaved` gives is in the journal."""
        self._lines.saved()
        self._durations.saved()

    def render(self, *, openmetrics: bool) -> bytes:
        """Give the families as text, in a stable order."""
        parts = (self._lines, self._objects, self._durations)
        return b"".join(part.render(openmetrics=openmetrics) for part in parts)

    def _held(self, shown: tuple[ObjectKey, str, State]) -> tuple[ObjectKey, str, State]:
        """Show the ends that an episode of a former run can have."""
        key, kind, state = shown
        episode = held(state).episode
        if episode is not None and episode.opened is not None:
            self._hold(key.group, kind, key.namespace, episode.cause)
        return shown

    def _hold(self, group: str, kind: str, namespace: str, cause: str) -> None:
        """Show all ends of an episode at 0, so that its end is a growth."""
        for by in RESOLVED_BY:
            series = (EPISODES, *map(label_value, (group, kind, namespace)), cause, by)
            if series not in self._lines:
                self._lines.put(series, 0.0)
            self._durations.hold((group, kind, cause, by))

    def _count(self, where: tuple[str, str, str], tally: str, grown: int) -> None:
        declarer, state, exists = tallied(tally)
        if state == "unmanaged":
            return
        place = tuple(map(label_value, where))
        series = {word: (STATES, *place, label_value(declarer), word) for word in _MANAGED}
        for one in series.values():
            if one not in self._lines:
                self._lines.put(one, 0.0)
        self._lines.add(series[state], grown)
        if not any(map(self._lines.value, series.values())):
            self._lines.drop(series.values())  # anybody may make up names
        if exists:
            self._managed[place] = self._managed.get(place, 0) + grown
            self._show_unmanaged(place)

    def _show_unmanaged(self, place: tuple[str, ...]) -> None:
        count = self._existing.get(place, 0) - self._managed.get(place, 0)
        series = (STATES, *place, "", "unmanaged")
        if self._existing.get(place) or series in self._lines:
            self._lines.put(series, float(max(0, count)))

    def drop(self, places: Collection[tuple[str, ...]]) -> None:
        """Show nothing of (group, kind, namespace) any more, or of (group, kind), but what is declared and missing."""
        self._durations.drop([place for place in places if len(place) == len(PLACE_LABELS) - 1])
        gone = [one for one in self._lines if one[1:4] in places or one[1:3] in places]
        self._lines.drop([one for one in gone if one[0] != STATES or one[-1] == "unmanaged"])
        for counts in (self._existing, self._managed):
            for place in [one for one in counts if one in places or one[:2] in places]:
                del counts[place]


def _rows(state: State | None) -> Iterator[Row]:
    """Say what is shown of one object."""
    if state is None or not state.shown:
        return
    what = held(state)
    found, episode = what.evaluation, what.episode
    if what.state in _LASTS and episode is not None:
        since = to_nanoseconds(episode.since) / 10**9  # two integers: else the last digits are made up
        yield SINCE, (), since
        yield INFO, (episode.cause, found.baseline, found.declarer), 1.0
        if found.findings:
            yield FIELDS, (), float(len(found.findings))
        if "missing" in found.flags:
            yield MISSING, (), since
    if found.additions:
        yield UNDECLARED, (), float(len(found.additions))
    if what.fights.active:
        yield FIGHT, (), 1.0
