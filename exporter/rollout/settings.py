"""How rollouts are followed: the section `rollout` of the configuration, as values.

Times are nanoseconds. Nothing here reads a file or knows how one is written.
"""

from __future__ import annotations

from msgspec import Struct

from exporter.rollout.rules import Rules
from exporter.rollout.ties import ANNOTATIONS
from exporter.rollout.values import Limits


_DEFAULT = Limits()


class RolloutSettings(Struct, frozen=True, kw_only=True):
    """How rollouts are followed.

    Args:
        enabled: they are followed at all
        timeout_ns: how long one may take, where no rule says otherwise
        settle_ns: for so long an object has to stay ready before it counts as done
        traceparent: annotations that name the trace which asked for a change
        rules: how types say that they are ready, before the shipped rules

    """

    enabled: bool = True
    timeout_ns: int = _DEFAULT.timeout
    settle_ns: int = _DEFAULT.settle
    traceparent: tuple[str, ...] = ANNOTATIONS
    rules: tuple[Rules, ...] = ()

    @property
    def limits(self) -> Limits:
        """How long things may take."""
        return Limits(timeout=self.timeout_ns, settle=self.settle_ns)
