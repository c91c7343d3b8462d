"""Rows of one trial that goes through several phases: a judgement is about the whole trial, a row about one phase."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.table import Row


class Rows:
    """Records what each phase of one trial added; the judgement of a trial is about all of it so far."""

    def __init__(self, record: Callable[[Row], None]) -> None:
        """Begin with nothing."""
        self._record = record
        self._before = [0] * 6

    def __call__(self, row: Row) -> None:
        """Record a row less what is in those before; an exporter that was started again counts anew."""
        now = list(row[3:9])
        less = [value - old if value >= old else value for value, old in zip(now, self._before, strict=True)]
        versions, lost, invented, twice, disordered, coalesced = less
        self._record(
            row._replace(
                versions=versions, lost=lost, invented=invented, twice=twice, disordered=disordered, coalesced=coalesced
            )
        )
        self._before = now
