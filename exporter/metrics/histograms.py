"""A histogram whose totals the journal keeps, so that it goes on after a restart, with exemplars in OpenMetrics.

Buckets are cumulative where they are shown and single where they are kept: each observation moves one of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

from msgspec import Struct

from exporter.metrics.series import Family, escape, label_value, number


if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from exporter.changes.batch import Series

_SUM = "sum"


class Exemplar(Struct, frozen=True):
    """One observation that stands for others: where to look, what it was, and when (seconds since 1970)."""

    trace_id: str
    value: float
    at: float


class Histogram:
    """One family.

    Args:
        name: of it
        text: what it means
        labels: names of the labels beside `le`
        buckets: upper bounds, rising, without infinity

    """

    def __init__(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> None:
        self._name = name
        self._family = Family("histogram", text, labels)
        self._bounds = (*buckets, math.inf)
        self._names = tuple(number(bound) if bound != math.inf else "+Inf" for bound in self._bounds)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._exemplars: dict[tuple[tuple[str, ...], int], Exemplar] = {}
        self._moved: set[Series] = set()
        self._dropped: set[Series] = set()

    def hold(self, labels: tuple[str, ...]) -> list[int]:
        """Show the series of some labels, at 0 before the first observation; give its buckets."""
        return self._hold(tuple(map(label_value, labels)))

    def _hold(self, labels: tuple[str, ...]) -> list[int]:
        held = self._counts.get(labels)
        if held is None:
            held = self._counts[labels] = [0] * len(self._bounds)
            self._sums[labels] = 0.0
        return held

    def observe(self, labels: tuple[str, ...], value: float, exemplar: Exemplar | None = None) -> None:
        """Take in an observation."""
        labels = tuple(map(label_value, labels))
        place = bisect_left(self._bounds, value)
        self._hold(labels)[place] += 1
        self._sums[labels] += value
        self._moved.update(((self._name, *labels, self._names[place]), (self._name, *labels, _SUM)))
        if exemplar is not None:
            self._exemplars[labels, place] = exemplar

    def restore(self, totals: Mapping[Series, float]) -> None:
        """Take over the totals of a former run. What is no series of this family is left to others."""
        for series, value in totals.items():
            if series and series[0] == self._name and len(series) == len(self._family.labels) + 2:
                _, *labels, which = series
                if not math.isfinite(value):
                    continue
                if which == _SUM:
                    self.hold(tuple(labels))
                    self._sums[tuple(labels)] = value
                elif which in self._names:
                    self.hold(tuple(labels))[self._names.index(which)] = int(value)

    def drop(self, places: Collection[tuple[str, ...]]) -> None:
        """Show series no longer whose first labels are one of these."""
        for labels in [one for one in self._counts if any(one[: len(place)] == place for place in places)]:
            del self._counts[labels], self._sums[labels]
            self._dropped.update((self._name, *labels, which) for which in (*self._names, _SUM))
            for exemplar in [one for one in self._exemplars if one[0] == labels]:
                del self._exemplars[exemplar]
        self._moved -= self._dropped

    def unsaved(self) -> tuple[dict[Series, float], set[Series]]:
        """Give the totals that have moved since `saved` was called last, and the series that went."""
        moved = {}
        for series in self._moved:
            _, *labels, which = series
            place = tuple(labels)
            moved[series] = self._sums[place] if which == _SUM else self._counts[place][self._names.index(which)]
        return moved, self._dropped - self._moved

    def saved(self) -> None:
        """Note that what `unsaved` gives is in the journal."""
        self._moved.clear()
        self._dropped.clear()

    def render(self, *, openmetrics: bool) -> bytes:
        """Give the family as text."""
        lines = [self._family.header(self._name, openmetrics=openmetrics).decode()]
        for labels in sorted(self._counts):
            lines += self._lines(labels, openmetrics=openmetrics)
        return "".join(lines).encode()

    def _lines(self, labels: tuple[str, ...], *, openmetrics: bool) -> Iterator[str]:
        pairs = [f'{name}="{escape(value)}"' for name, value in zip(self._family.labels, labels, strict=True)]
        total = 0
        for place, (bound, count) in enumerate(zip(self._names, self._counts[labels], strict=True)):
            total += count
            shown = f"{float(bound)}" if openmetrics and bound != "+Inf" else bound
            exemplar = self._exemplars.get((labels, place)) if openmetrics else None
            told = _told(exemplar) if exemplar is not None else ""
            bucket = ",".join((*pairs, f'le="{shown}"'))
            yield f"{self._name}_bucket{{{bucket}}} {total}{told}\n"
        own = ",".join(pairs)
        yield f"{self._name}_sum{{{own}}} {number(self._sums[labels])}\n"
        yield f"{self._name}_count{{{own}}} {total}\n"


def _told(exemplar: Exemplar) -> str:
    return f' # {{trace_id="{exemplar.trace_id}"}} {number(exemplar.value)} {exemplar.at:.3f}'
