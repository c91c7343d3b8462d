"""Series as lines of a page, each written when a page is asked for after it moved, and which totals are not saved yet.

What the families mean is decided by who uses this. Must never hold a text that could spoil a page.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.changes.batch import Series

PLACE_LABELS = ("customresource_group", "customresource_kind", "namespace")
MAX_LABEL_BYTES = 128
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT = 2.0**53  # above, a float no longer holds every whole number


class Family(Struct, frozen=True):
    """What is said of all series of one name.

    Args:
        type: counter, gauge, info or histogram
        help: what they mean
        labels: their names

    """

    type: str
    help: str
    labels: tuple[str, ...]

    def header(self, name: str, *, openmetrics: bool) -> bytes:
        """Write the heading."""
        # OpenMetrics names a counter and an info without the suffix that its samples carry.
        shown = name.removesuffix("_total").removesuffix("_info") if openmetrics else name
        kind = self.type if openmetrics or self.type != "info" else "gauge"
        return f"# HELP {shown} {self.help}\n# TYPE {shown} {kind}\n".encode()


def label_value(text: str) -> str:
    """Make any text a label value that cannot harm a page: valid UTF-8, at most 128 bytes of it.

    Two hostile texts may become one value; they are then one series, since two equal ones would spoil the page.
    """
    if text.isascii() and len(text) <= MAX_LABEL_BYTES:
        return text
    return _LONE_SURROGATE.sub("\ufffd", text).encode()[:MAX_LABEL_BYTES].decode(errors="ignore")


class Line:
    """One series with its value, at first 0.

    Args:
        series: it
        labels: their names

    """

    __slots__ = ("_labels", "_prefix", "_series", "_text", "value")

    def __init__(self, series: Series, labels: tuple[str, ...]) -> None:
        self._series = series
        self._labels = labels
        self._prefix = self._text = b""
        self.value = 0.0

    def set(self, value: float) -> None:
        """Give it a value."""
        self.value = value
        self._text = b""

    @property
    def text(self) -> bytes:
        """The line. Most series move many times between two pages, and some come and go: they are not written then."""
        if not self._text:
            if not self._prefix:
                family, *values = self._series
                pairs = zip(self._labels, values, strict=True)
                shown = ",".join(f'{name}="{escape(value)}"' for name, value in pairs)
                self._prefix = f"{family}{{{shown}}} ".encode()
            self._text = self._prefix + number(self.value).encode() + b"\n"
        return self._text


def number(value: float) -> str:
    """Write a value; whole numbers without a point."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < _EXACT else repr(value)


def escape(value: str) -> str:
    """Write the value of a label, without its quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class Lines:
    """The series of some families, in a stable order.

    Args:
        families: by name, in the order of the page

    """

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families
        self._lines: dict[str, dict[Series, Line]] = {name: {} for name in families}
        self._order: dict[str, list[Series]] = {name: [] for name in families}
        self._unsorted: set[str] = set()
        self._pages: dict[bool, bytes] = {}
        self._moved: set[Series] = set()
        self._dropped: set[Series] = set()

    def __contains__(self, series: Series) -> bool:
        """Tell whether there is such a series."""
        return series in self._lines[series[0]]

    def __iter__(self) -> Iterator[Series]:
        """Go through all series."""
        return iter([series for lines in self._lines.values() for series in lines])

    def restore(self, totals: Mapping[Series, float]) -> Iterator[tuple[Series, float]]:
        """Give those of the totals of a former run that are series of these families, cleaned."""
        for series, value in totals.items():
            family = self._families.get(series[0]) if series else None
            if family is not None and len(series) == 1 + len(family.labels) and math.isfinite(value):
                yield (series[0], *map(label_value, series[1:])), float(value)

    def value(self, series: Series) -> float:
        """Give the value of a series."""
        return self._lines[series[0]][series].value

    def put(self, series: Series, value: float) -> None:
        """Give a series a value; it is made if need be."""
        line = self._lines[series[0]].get(series) or self.make(series)
        if line.value != value:
            line.set(value)
            self._pages.clear()

    def add(self, series: Series, growth: float) -> None:
        """Let a series grow; it is made if need be."""
        line = self._lines[series[0]].get(series) or self.make(series)
        line.set(line.value + growth)
        self._pages.clear()

    def make(self, series: Series) -> Line:
        """Make a series, at 0."""
        family = series[0]
        line = self._lines[family][series] = Line(series, self._families[family].labels)
        self._unsorted.add(family)
        self._pages.clear()
        return line

    def drop(self, gone: Iterable[Series]) -> None:
        """Show series no longer."""
        gone = [series for series in gone if series in self]
        for series in gone:
            del self._lines[series[0]][series]
            self._unsorted.add(series[0])
        if gone:
            self._pages.clear()
        self._moved.difference_update(gone)
        self._dropped.update(gone)

    # -- totals that the journal keeps ------------------------------------------------------------------------

    def moved(self, series: Iterable[Series]) -> None:
        """Note that series have values which the journal has not got."""
        self._moved.update(series)

    def unsaved(self) -> tuple[dict[Series, float], set[Series]]:
        """Give the totals that have moved since `saved` was called last, and the series that went."""
        return {series: self.value(series) for series in self._moved}, self._dropped - self._moved

    def saved(self) -> None:
        """Note that what `unsaved` gives is in the journal."""
        self._moved.clear()
        self._dropped.clear()

    # -- the page ---------------------------------------------------------------------------------------------

    def render(self, *, openmetrics: bool) -> bytes:
        """Give the families as text (0.0.4, or OpenMetrics without its end mark), in a stable order."""
        page = self._pages.get(openmetrics)
        if page is None:
            page = self._pages[openmetrics] = b"".join(self._parts(openmetrics=openmetrics))
        return page

    def _parts(self, *, openmetrics: bool) -> Iterator[bytes]:
        for name, family in self._families.items():
            lines = self._lines[name]
            if name in self._unsorted:
                self._order[name] = sorted(lines)
                self._unsorted.discard(name)
            yield family.header(name, openmetrics=openmetrics)
            for series in self._order[name]:
                yield lines[series].text
