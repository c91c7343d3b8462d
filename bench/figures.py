"""What the benchmarks found: values, written as JSON and read back. The page and the tables are made of them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Sequence

Unit = Literal["/s", "µs", "s", "MiB", "ms/s", "bytes"]
# Of these more is better; of all else less.
_MORE: frozenset[Unit] = frozenset({"/s"})


class Value(Struct, frozen=True):
    """The median of some rounds, and how far they lay apart."""

    median: float
    low: float
    high: float
    rounds: int
    unit: Unit

    @property
    def spread(self) -> float:
        """From the lowest to the highest, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


class Figure(Struct, frozen=True, kw_only=True):
    """One line of a table.

    Args:
        what: was measured
        value: of ours
        beside: what the other one had in the same run, None where there is none
        ratio: of ours to the other, the median over the rounds; above 1 is more, whatever that means for the unit
        goal: what the value is to reach, None where it is only told
        goal_ratio: what the ratio is to reach

    """

    what: str
    value: Value
    beside: Value | None = None
    ratio: float | None = None
    goal: float | None = None
    goal_ratio: float | None = None

    @property
    def met(self) -> bool | None:
        """Tell whether the goal is met, None where there is none."""
        more = self.value.unit in _MORE
        if self.goal is not None:
            return self.value.median >= self.goal if more else self.value.median <= self.goal
        if self.goal_ratio is not None and self.ratio is not None:
            return self.ratio >= self.goal_ratio if more else self.ratio <= self.goal_ratio
        return None


class Hot(Struct, frozen=True):
    """A function and its share of the time, without what it calls."""

    name: str
    share: float


class Profile(Struct, frozen=True):
    """Where the time goes: of which case, and its hottest functions."""

    what: str
    functions: list[Hot]


class Case(Struct, frozen=True, kw_only=True):
    """One table.

    Args:
        name: see `bench.texts`
        beside: who the other one is, empty where there is none
        figures: its lines
        profiles: where the time goes, for goals that are not met
        date: of the day
        revision: of the sources
        seconds: that it took in all

    """

    name: str
    beside: str = ""
    figures: list[Figure]
    profiles: list[Profile] = []
    date: str = ""
    revision: str = ""
    seconds: float = 0.0


class Results(Struct, frozen=True, kw_only=True):
    """All cases, measured on one machine, not always on one day."""

    machine: dict[str, str]
    cases: list[Case]


def value(runs: Sequence[float], unit: Unit) -> Value:
    """Sum up what some rounds gave."""
    return Value(round(statistics.median(runs), 2), min(runs), max(runs), len(runs), unit)


def compared(
    what: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: Unit,
    *,
    goal: float | None = None,
    goal_ratio: float | None = None,
) -> Figure:
    """Hold ours against theirs, round by round: each pair was measured side by side."""
    ratio = round(statistics.median(one / other for one, other in zip(ours, theirs, strict=True)), 2)
    return Figure(
        what=what, value=value(ours, unit), beside=value(theirs, unit), ratio=ratio, goal=goal, goal_ratio=goal_ratio
    )


def alone(what: str, runs: Sequence[float], unit: Unit, *, goal: float | None = None) -> Figure:
    """Sum up what has nothing to be held against."""
    return Figure(what=what, value=value(runs, unit), goal=goal)
