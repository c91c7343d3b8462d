"""The judgement on what an endpoint got: each change of the journal that matters, in its order, and nothing else.

Must never ask the exporter what an id is: it is computed here from what `changes` prints.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from tests.faults.table import Row
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from tests.faults.endpoint import Record
    from tests.integration.exporting import Exporter

_NAMES = {"created": "created", "recreated": "created", "deleted": "deleted"}


class Taker(Protocol):
    """What took records: an endpoint, or what a Collector wrote."""

    @property
    def taken(self) -> Sequence[Record]:
        """The records in the order in which they came, also those that came again."""

    @property
    def refused(self) -> AbstractSet[str]:
        """Ids of those that it will never take."""


def uid(change: dict[str, Any]) -> str:
    """Give the `log.record.uid` that the record of a change must have."""
    name = f"customresource.{_NAMES.get(change['change'], 'updated')}"
    return hashlib.sha256(f"{change['id']}\n{name}".encode()).hexdigest()[:32]


def matters(change: dict[str, Any]) -> bool:
    """Tell whether a change is one that is sent."""
    return change["change"] != "noop" and not change.get("heartbeat")


class Arrivals:
    """Judges one exporter's endpoint, fault by fault.

    Args:
        exporter: whose journal tells what must arrive
        taker: where it must arrive

    """

    def __init__(self, exporter: Exporter, taker: Taker) -> None:
        self._exporter = exporter
        self._taker = taker
        self._told = 0
        self._taken = 0

    def judge(
        self, fault: str, phase: str, record: Callable[[Row], None], *, again: bool = False, within: float = 60.0
    ) -> Row:
        """Wait until all that the journal holds now has arrived, and judge what came since the last time.

        Args:
            fault: for the table
            phase: for the table
            record: takes the row
            again: whether the exporter could not know that some had arrived, so that they come twice
            within: seconds for it

        """
        began = time.monotonic()
        taken = [*self._taker.taken]  # before the journal is read: all of these must be in it
        changes = [change for change in self._exporter.changes() if matters(change)]
        told = {uid(change): change for change in changes}

        def missing() -> set[str]:
            return told.keys() - {one.uid for one in [*self._taker.taken]} - self._taker.refused

        with suppress(AssertionError):  # what is missing is said below
            eventually(lambda: not missing(), within)
        seconds = time.monotonic() - began
        now = [*self._taker.taken]
        before = {one.uid for one in now[: self._taken]}
        since = [one.uid for one in now[self._taken :]]
        invented = {one.uid for one in taken} - told.keys()
        twice = len(since) - len({*since} - before)
        row = Row(
            fault, phase, True, len(changes) - self._told, len(missing()), len(invented), twice,
            len(_disordered(told, now)), 0, round(seconds, 2),
        )  # fmt: skip
        self._told, self._taken = len(changes), len(now)
        record(row)
        print(row)  # noqa: T201 - the figures of a fault
        assert row.versions > 0, "nothing was written meanwhile"
        assert [row.lost, row.invented, row.disordered] == [0, 0, 0]
        assert again or row.twice == 0
        return row


def _disordered(told: dict[str, dict[str, Any]], taken: Iterable[Record]) -> list[tuple[str, str, str]]:
    """Find the objects whose changes came, each for the first time, in another order than the journal's."""
    first = {one.uid: one.thing for one in taken if one.uid in told}  # a key keeps the place of its first time
    came = _by_object((thing, one) for one, thing in first.items())
    held = _by_object(
        ((change["kind"], change.get("namespace", ""), change["name"]), one)
        for one, change in told.items()
        if one in first
    )
    return [thing for thing in held if held[thing] != came.get(thing)]


def _by_object(ones: Iterable[tuple[tuple[str, str, str], str]]) -> dict[tuple[str, str, str], list[str]]:
    ordered = sorted(ones, key=lambda one: one[0])  # stable: within an object the order stays
    return {thing: [one for _, one in group] for thing, group in groupby(ordered, key=lambda one: one[0])}
