"""The outputs that the environment asks for: what is read of it once, and the consumers that follow from it.

Must never send anything: that is what a delivery does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from exporter.errors import UsageError
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
    from exporter.otlp.sender import Sender
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
        self._opened: dict[Signal, Sender] = {}

    async def check(self, config: Config) -> None:
        """See whether the consumers that a configuration leaves on can be made of the files as they are now.

        Raises:
            UsageError: one cannot be, as where a certificate is gone

        """
        for one in self._on(config):
            sender = await open_sender(one)
            await sender.close()
            self._opened[one.signal] = sender

    async def open(self, config: Config, cluster_uid: str, journal_id: str) -> list[Consumer]:
        """Make the consumers that a configuration leaves on.

        Where a certificate has gone bad since it was read, the one from before stays: nothing ends by that.

        Raises:
            UsageError: one cannot be, and never could

        """
        consumers: list[Consumer] = []
        try:
            for one in self._on(config):
                consumer = await self._consumer(one, config, cluster_uid, journal_id)
                consumers.append(consumer)
        except BaseException:  # those before the one that cannot be have connections of their own
            for consumer in consumers:
                await consumer.close()
            raise
        return consumers

    def _on(self, config: Config) -> list[Settings]:
        return [one for one in self._settings if one.signal == "logs" or config.rollout.enabled]

    async def _consumer(self, one: Settings, config: Config, cluster_uid: str, journal_id: str) -> Consumer:
        envelope = Envelope(
            one,
            journal_id=journal_id,
            cluster_uid=cluster_uid,
            cluster_name=config.cluster,
            detected=detect(self._environment),
        )
        sender = await self._sender(one)
        if one.signal not in self._told:
            self._told.add(one.signal)
            log.info(_DELIVERING[one.signal], endpoint=one.place)
        return OtlpTraces(envelope, sender) if one.signal == "traces" else OtlpLogs(envelope, sender)

    async def _sender(self, one: Settings) -> Sender:
        try:
            sender = await open_sender(one)
        except UsageError as error:
            if one.signal not in self._opened:
                raise
            log.warning("a certificate cannot be used, the one from before stays", error=str(error))
            sender = await self._opened[one.signal].again()
        self._opened[one.signal] = sender
        return sender


def wanted(environment: Mapping[str, str]) -> Outputs:
    """Read what outputs the environment asks for.

    Raises:
        UsageError: a variable says something that cannot be meant

    """
    return Outputs(environment, [found for signal in SIGNALS if (found := resolve(environment, signal)) is not None])
