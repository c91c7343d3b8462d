"""How long a scope waits before it asks the API server again. Pure: it neither sleeps nor looks at a clock.

In an outage a scope asks at most twice a minute once two minutes have gone, and never sooner than it was told to
(Retry-After), but for what would be longer than `LONGEST_WAIT`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.backoff import Backoff


if TYPE_CHECKING:
    from collections.abc import Callable


# Well under the 75 s that a server's watch cache remembers, while that is still likely to help; then less often.
_SOON = Backoff(first=0.8, factor=2.0, cap=5.0, jitter=1.0)
_LATER = Backoff(first=0.8, factor=2.0, cap=30.0, jitter=1.0)
_REFUSED = Backoff(first=5.0, factor=2.0, cap=60.0, jitter=0.5)
_SOON_FAILURES = 8
# However long we are asked to stay away, after so many seconds we ask again: who says a year does not mean it.
LONGEST_WAIT = 600.0


class Patience:
    """The failures of one scope in a row.

    Args:
        draw: gives random numbers in [0, 1)

    Attributes:
        refused: why the server does not let us in, empty while it does

    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self.refused = ""
        self._draw = draw
        self._failures = 0
        # Lists since the last event. They do not count as success: who can list but not watch must not list for ever.
        self._lists = 0

    @property
    def tried(self) -> bool:
        """Whether anything has failed since the last success."""
        return self._failures > 0

    @property
    def persists(self) -> bool:
        """Whether so much has failed in a row that it is no hiccup: some fifteen seconds of tries."""
        return self._failures >= _SOON_FAILURES

    def healthy(self) -> None:
        """Note that a stream has brought us further."""
        self._failures = self._lists = 0

    def listed(self) -> None:
        """Note that a list is complete."""
        self._lists += 1

    def answered(self) -> None:
        """Note that the server is there, and the outage over: each second now costs versions that a list swallows."""
        self._failures = min(self._failures, self._lists)

    def failed(self, at_least: float = 0.0) -> float:
        """Count a failure, and tell how many seconds to wait.

        Args:
            at_least: seconds that the server asks for

        """
        self._failures += 1
        policy = _REFUSED if self.refused else _SOON if self._failures <= _SOON_FAILURES else _LATER
        return policy.delay(self._failures, self._draw(), at_least=min(at_least, LONGEST_WAIT))

    def passed_over(self) -> None:
        """Count a failure that nobody has to wait for."""
        self._failures += 1
