"""How long to wait before trying again: one policy object for everyone who waits.

Pure: it neither sleeps nor draws random numbers. The caller passes the number of failures in a row and a random
number, so that a test can pass both.
"""

from __future__ import annotations

from msgspec import Struct


class Backoff(Struct, frozen=True, kw_only=True):
    """Exponential back-off with jitter.

    Args:
        first: seconds after the first failure
        factor: by what each further failure multiplies it
        cap: seconds it never exceeds before jitter
        jitter: the share of the delay that is added at most, at random: 1.0 gives d…2d (client-go's choice)

    """

    first: float = 0.8
    factor: float = 2.0
    cap: float = 30.0
    jitter: float = 1.0

    def delay(self, failures: int, draw: float, *, at_least: float = 0.0) -> float:
        """Tell how many seconds to wait.

        Args:
            failures: failures in a row so far; 0 means do not wait
            draw: a random number in [0, 1)
            at_least: seconds that the other side asked for (Retry-After); jitter comes on top, never below it

        """
        if failures <= 0:
            return at_least
        # The exponent is bounded so that a week of failures cannot overflow a float.
        delay = min(self.cap, self.first * self.factor ** min(failures - 1, 64))
        return max(delay * (1.0 + self.jitter * draw), at_least * (1.0 + 0.1 * self.jitter * draw))
