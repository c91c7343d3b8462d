"""What the other side made of a batch: the four answers that `delivery` knows.

Values only; each output translates its protocol into them.
"""

from __future__ import annotations

from msgspec import Struct


class Done(Struct, frozen=True):
    """The batch arrived; `rejected` changes of it were thrown away there (`message`) and are not sent again.

    `warning` is a reason, for a label, to doubt that the batch was kept.
    """

    rejected: int = 0
    message: str = ""
    warning: str = ""


class Retry(Struct, frozen=True):
    """The other side cannot take it now.

    `reason` is a word of a bounded set, for a label; `after` the seconds that the other side asks to wait; `slow`
    says that asking often does no good; `message` is for the log.
    """

    reason: str
    after: float | None = None
    slow: bool = False
    message: str = ""


class Poison(Struct, frozen=True):
    """The other side will never take this batch as it is. The first word of `reason` is of a bounded set."""

    reason: str


class Misconfigured(Struct, frozen=True):
    """A person has to change something, `message` says what; nothing is lost, and we try again slowly."""

    reason: str
    message: str


Verdict = Done | Retry | Poison | Misconfigured
