"""Keeps the journal within its bounds, the totals saved and the gauges true.

Must never end the program: what the journal cannot do now is tried again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from exporter.errors import JournalError
from exporter.journal.damage import remedy


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.changes.batch import Series
    from exporter.changes.redact import Redactor
    from exporter.config import JournalLimits
    from exporter.journal.store import Journal
    from exporter.metrics.families import Families
    from exporter.metrics.health import Health


_EVERY_SECONDS = 5.0
# When no more changes than this are left, there is nothing to gain from throwing them away.
_FEW = 2_000


class Upkeep:
    """The loop that tidies.

    Args:
        journal: to keep tidy
        bounds: its age
        metrics: whose totals are saved, and which are fed where there is room again
        redactor: whose count is shown
        health: the exporter's own metrics
        outputs: names of those that are on: what an output that is off never gets is no loss
        hits: gives how often each rule of drift covered a finding, by its reason

    """

    def __init__(
        self,
        journal: Journal,
        bounds: JournalLimits,
        metrics: Families,
        redactor: Redactor,
        health: Health,
        outputs: frozenset[str],
        hits: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._journal = journal
        self._bounds = bounds
        self._metrics = metrics
        self._redactor = redactor
        self._redactions = 0
        self._health = health
        self._outputs = outputs
        self._hits = hits
        self._counted: dict[str, int] = {}
        self._saved, _ = journal.totals()

    async def run(self) -> None:
        """Work until cancelled, or until the journal's files are damaged."""
        care = self._journal.care
        while True:
            try:
                pause = 0.0 if await self._tidy() else _EVERY_SECONDS
            except (sqlite3.Error, JournalError) as error:
                if care.notice(error):
                    await asyncio.Event().wait()  # whoever waits for damage ends this
                pause = _EVERY_SECONDS
                care.begins(
                    "upkeep", "the journal cannot be tidied, trying again", error=str(error), remedy=remedy(error)
                )
            else:
                care.ends("upkeep", "the journal can be tidied again")
            with suppress(TimeoutError):
                await asyncio.wait_for(care.pressed.wait(), pause)
            care.pressed.clear()

    def save_totals(self) -> None:
        """Write the totals that have moved.

        Raises:
            sqlite3.Error: then they are counted again from the changes

        """
        totals, dropped = self._metrics.unsaved()
        if totals or dropped:  # else there was no change either
            self._journal.save_totals(totals, dropped)
            self._saved.update(totals)
            for series in dropped:
                self._saved.pop(series, None)
            self._metrics.saved()

    def totals(self) -> dict[Series, float]:
        """Give all totals as they are now, those that the journal has not got included."""
        moved, dropped = self._metrics.unsaved()
        return {series: value for series, value in {**self._saved, **moved}.items() if series not in dropped}

    def count(self) -> None:
        """Count what others have counted for themselves since the last time."""
        self._health.redactions.inc(self._redactor.count - self._redactions)
        self._redactions = self._redactor.count
        hits = self._hits()
        for rule, count in hits.items():
            self._health.drift_rule_hits.labels(rule).inc(count - self._counted.get(rule, 0))
        self._counted = dict(hits)

    async def _tidy(self) -> bool:
        """Tidy once; tell whether there is more to evict."""
        care, most = self._journal.care, self._journal.limits.evict_at
        if care.swollen():
            await care.shrink()
        try:
            # The totals first: what is evicted cannot be counted again.
            self.save_totals()
        except sqlite3.Error:
            self._evict()  # a full journal has no room for them
            raise
        evicted = self._evict()
        sizes = self._journal.sizes()
        self._health.journal_bytes.set(sizes.files)
        self._health.journal_wal_bytes.set(sizes.wal)
        self._health.journal_changes.set(sizes.changes)
        self.count()
        self._metrics.expire(time.time())
        for keeper, part in self._metrics.of_objects.items():
            if part.hungry:
                part.feed(self._journal.states.shown(keeper))
        self._tell_crowded(crowded=sizes.changes < _FEW and (sizes.used > most or care.full), used=sizes.used)
        await care.look()
        return bool(evicted) and not care.full

    def _evict(self) -> int:
        """Throw away what has to go; where a commit does not fit, a little more than that."""
        evicted = self._journal.evict(self._bounds.retention_ns, 0 if self._journal.care.full else None)
        for consumer, count in evicted.undelivered.items():
            if consumer in self._outputs:
                self._health.delivery_dropped.labels(consumer, "retention").inc(count)
        return evicted.changes

    def _tell_crowded(self, *, crowded: bool, used: int) -> None:
        """Say so where there is no room for the history."""
        if crowded:
            self._journal.care.begins(
                "crowded",
                "the last-seen state of the objects leaves no room for their changes: "
                "raise journal.size, or select fewer types",
                bytes=used,
                size=self._journal.limits.size,
            )
        else:
            self._journal.care.ends("crowded", "there is room for changes again")
