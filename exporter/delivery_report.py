"""What is told of a delivery: its metrics, and a log line when its state changes.

Nothing here decides anything. It must never log each attempt or each change: an outage of a day is two lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.metrics.health import Health

log = structlog.get_logger()

# A remark about one kind of trouble is not repeated for this long, nanoseconds.
_SELDOM = 300_000_000_000
# Of trouble that comes and goes, what was told a moment ago is told again only when it lasts this long, nanoseconds.
_LASTS = 60_000_000_000
# Why changes are given up.
_DROPS = ("rejected", "poison", "retention", "reset")


class Report:
    """Counts and logs for one consumer.

    Args:
        consumer: its name
        health: to count in
        clock: nanoseconds since the Unix epoch

    """

    def __init__(self, consumer: str, health: Health, clock: Callable[[], int]) -> None:
        self._consumer = consumer
        self._clock = clock
        self._dropped = health.delivery_dropped
        for reason in _DROPS:  # so that the first is a growth
            self._dropped.labels(consumer, reason)
        self._failed = health.delivery_failures
        self._sent = health.delivery_sent.labels(consumer)
        self._backlog = health.delivery_backlog.labels(consumer)
        self._oldest: int | None = None
        health.delivery_oldest.labels(consumer).set_function(self._age)
        self._state = ""
        self._state_since = 0
        self._failing_since = 0
        self._told: set[str] = set()  # the states of this outage that were logged
        self._remarked: dict[str, int] = {}

    def backlog(self, changes: int, *oldest: int | None) -> None:
        """Show what is waiting.

        Args:
            changes: behind the cursor
            oldest: when the first of them was seen, nanoseconds since the epoch; None for none; left out: as before

        """
        self._backlog.set(changes)
        if oldest:
            self._oldest = oldest[0]

    def failed(self, reason: str) -> None:
        """Count a request that failed, by the first word of the reason."""
        self._failed.labels(self._consumer, reason.partition(" ")[0]).inc()

    def failing(self, reason: str, message: str, *, lasting: bool) -> None:
        """Log that it fails, once for each reason; never each attempt, and never each blink of a bad line.

        Args:
            reason: the label
            message: what happened or what to do
            lasting: it will not get better by itself

        """
        now = self._clock()
        state = f"lasting {reason}" if lasting else f"failing {reason}"
        if not self._state:
            self._failing_since = now
        if state != self._state:
            self._state, self._state_since = state, now
        if state in self._told or not (self._is_news(state) or now - self._state_since >= _LASTS):
            return
        self._told.add(state)
        self._remarked[state] = now
        event = "delivery needs attention, changes are kept" if lasting else "delivery fails, trying again"
        log.warning(event, consumer=self._consumer, reason=reason, message=message)

    def done(self, changes: int, rejected: int, message: str, warning: str) -> None:
        """Count a batch that arrived, and what the other side threw away of it."""
        rejected = min(rejected, changes)
        self._sent.inc(changes - rejected)
        if rejected:
            self._dropped.labels(self._consumer, "rejected").inc(rejected)
        if rejected or message:
            self._remark("partial", "the endpoint took a batch with reserve", rejected=rejected, message=message)
        if warning:
            self.failed(warning)
            self._remark(warning, "the endpoint may not have kept what it accepted", reason=warning)
        if self._told:
            seconds = (self._clock() - self._failing_since) / 1e9
            log.info("delivery works again", consumer=self._consumer, after_seconds=round(seconds, 3))
        self._state = ""
        self._told.clear()

    def buried(self, reason: str) -> None:
        """Count a change that was refused for good."""
        self._dropped.labels(self._consumer, "poison").inc()
        self._remark("poison", "a change was refused for good and put aside", reason=reason)

    def bug(self, error: Exception) -> None:
        """Log an error that should not exist, with its traceback."""
        self._remark(type(error).__name__, "delivery failed in a way that should not happen", exc_info=error)

    def stopped(self, changes: int) -> None:
        """Log what was left when the program stopped."""
        if changes:
            log.info("delivery stopped, the rest stays in the journal", consumer=self._consumer, changes=changes)

    def _age(self) -> float:
        """Give the seconds since the oldest undelivered change was seen; runs whenever the gauge is read."""
        return 0.0 if self._oldest is None else max(0.0, (self._clock() - self._oldest) / 1e9)

    def _remark(self, about: str, event: str, **facts: Any) -> None:  # noqa: ANN401 - whatever structlog takes
        if self._is_news(about):
            self._remarked[about] = self._clock()
            log.warning(event, consumer=self._consumer, **facts)

    def _is_news(self, about: str) -> bool:
        now = self._clock()
        return now - self._remarked.get(about, now - _SELDOM) >= _SELDOM
