"""Series of single objects, shown only while something lasts, and never more than so many of a family and type.

What does not fit is counted, and shown as soon as there is room again: who holds the states is asked for it then. An
object may change many times between two pages: which series it has is worked out when somebody asks for them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from exporter.metrics.series import PLACE_LABELS, Family, Lines, label_value


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Counter

    from exporter.changes.batch import Series
    from exporter.model import ObjectKey
    from exporter.records import State

    # Of one object: family, the values of its further labels, value.
    Row = tuple[str, tuple[str, ...], float]

OBJECT_LABELS = (*PLACE_LABELS, "name")
# So many objects that have changed are remembered before their series are worked out unasked.
_NOTED = 1024


def object_family(kind: str, text: str, *labels: str) -> Family:
    """Make a family of single objects, with further labels."""
    return Family(kind, text, (*OBJECT_LABELS, *labels))


@lru_cache(maxsize=2048)
def _place(key: ObjectKey, kind: str) -> tuple[str, ...]:
    return tuple(map(label_value, (key.group, kind, key.namespace, key.name)))


class ObjectSeries:
    """The series of some families of single objects.

    Args:
        families: by name
        rows: gives what is shown of an object, by its group, its kind and what is kept of it
        limit: how many series of one family and type are shown
        dropped: counts what is not, by family

    """

    def __init__(
        self,
        families: Mapping[str, Family],
        rows: Callable[[str, str, State | None], Iterable[Row]],
        limit: int,
        dropped: Counter,
    ) -> None:
        self._lines = Lines(families)
        self._rows = rows
        self._noted: dict[ObjectKey, tuple[str, State | None]] = {}
        self._limit = limit
        self._dropped = dropped
        for family in families:  # so that the first is a growth
            dropped.labels(family)
        self._shown: dict[ObjectKey, tuple[Series, ...]] = {}
        self._holders: dict[Series, int] = {}  # long names may become equal
        self._counts: dict[tuple[str, str, str], int] = {}
        self._full: set[tuple[str, str, str]] = set()

    def note(self, key: ObjectKey, kind: str, state: State | None) -> None:
        """Take in what is kept of an object now."""
        self._noted[key] = (kind, state)
        if len(self._noted) >= _NOTED:
            self._settle()

    def render(self, *, openmetrics: bool) -> bytes:
        """Give the families as text, in a stable order."""
        self._settle()
        return self._lines.render(openmetrics=openmetrics)

    def _settle(self) -> None:
        noted, self._noted = self._noted, {}
        for key, (kind, state) in noted.items():
            self._show(key, kind, self._rows(key.group, kind, state))

    def _show(self, key: ObjectKey, kind: str, rows: Iterable[Row]) -> None:
        """Show the series of an object as they are now, none where there are no rows."""
        before = self._shown.get(key, ())
        place = _place(key, kind)
        now = {(family, *place, *map(label_value, labels)): value for family, labels, value in rows}
        if before == tuple(now):  # mostly nothing but values has moved
            for series, value in now.items():
                self._lines.put(series, value)
            return
        self._shown.pop(key, None)
        self._leave([series for series in before if series not in now])
        shown = []
        for series, value in now.items():
            if series in self._lines or self._has_room(series):
                self._lines.put(series, value)
                shown.append(series)
                if series not in before:
                    self._holders[series] = self._holders.get(series, 0) + 1
        if shown:
            self._shown[key] = tuple(shown)

    def hungry(self) -> bool:
        """Tell whether something that was left out has room now; `fed` takes it back."""
        if self._full:
            self._settle()
        return any(self._counts.get(sort, 0) < self._limit for sort in self._full)

    def fed(self) -> None:
        """Note that everything was offered again."""
        self._settle()
        self._full = {sort for sort in self._full if self._counts.get(sort, 0) >= self._limit}

    def __contains__(self, key: ObjectKey) -> bool:
        """Tell whether anything of an object is shown, or may be."""
        return key in self._shown or key in self._noted

    def _leave(self, series: Iterable[Series]) -> None:
        """Take in that an object has these series no longer."""
        gone = []
        for one in series:
            self._holders[one] -= 1
            if not self._holders[one]:
                del self._holders[one]
                self._counts[one[0], one[1], one[2]] -= 1
                gone.append(one)
        self._lines.drop(gone)
        self._lines.saved()  # which nobody does here

    def _has_room(self, series: Series) -> bool:
        sort = (series[0], series[1], series[2])
        count = self._counts.get(sort, 0)
        if count >= self._limit:
            self._full.add(sort)
            self._dropped.labels(series[0]).inc()
            return False
        self._counts[sort] = count + 1
        return True
