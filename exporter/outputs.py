"""The outputs that the environment asks for: what is read of it once, and the consumers that follow from it.

Must never send anything: that is what a delivery does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from exporter.otlp.envelope import Envelope
from exporter.otlp.logs import OtlpLogs
from exporter.otlp.resource import detect
from exporter.otlp.sender import open_sender
from exporter.otlp.settings import SIGNALS, resolve
from exporter.otlp.traces import OtlpTraces


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.config import Config
    from exporter.delivery import Consumer
    from exporter.otlp.settings import Settings, Signal


log = structlog.get_logger()

_DELIVERING: dict[Signal, str] = {"logs": "delivering log records", "traces": "delivering traces"}


class Outputs:
    """Makes the consumers.

    Args:
        environment: what it is read from
        settings: what it says

    """

    def __init__(self, environment: Mapping[str, str], settings: Sequence[Settings]) -> None:
        self._environment = environment
        self._settings = settings
        self._told: set[Signal] = set()

    async def open(self, config: Config, cluster_uid: str, journal_id: str = "") -> list[Consumer]:
        """Make the consumers that a configuration leaves on.

        Raises:
            UsageError: one cannot be, as where a certificate is gone

        """
        consumers: list[Consumer] = []
        for one in self._settings:
            if one.signal == "traces" and not config.rollout.enabled:
                continue
            envelope = Envelope(
                one,
                journal_id=journal_id,
                cluster_uid=cluster_uid,
                cluster_name=config.cluster,
                detected=detect(self._environment),
            )
            if one.signal not in self._told:
                self._told.add(one.signal)
                log.info(_DELIVERING[one.signal], endpoint=one.place)
            sender = await open_sender(one)
            consumers.append(OtlpTraces(envelope, sender) if one.signal == "traces" else OtlpLogs(envelope, sender))
        return consumers


def wanted(environment: Mapping[str, str]) -> Outputs:
    """Read what outputs the environment asks for.

    Raises:
        UsageError: a variable says something that cannot be meant

    """
    return Outputs(environment, [found for signal in SIGNALS if (found := resolve(environment, signal)) is not None])
