"""The consumer that sends changes as log records: the encoder and a sender under one name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from exporter.model import Change
from exporter.records import Transition


if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.otlp.encode import Encoder
    from exporter.otlp.settings import Settings
    from exporter.records import Record
    from exporter.verdicts import Verdict


class Sender(Protocol):
    """Sends requests to one endpoint."""

    async def send(self, payload: bytes, count: int) -> Verdict:
        """Send a request of `count` records once."""

    async def close(self) -> None:
        """Close connections."""


async def open_sender(settings: Settings) -> Sender:
    """Make the sender of the protocol that the settings name.

    Raises:
        UsageError: a certificate cannot be used

    """
    if settings.protocol == "grpc":
        from exporter.otlp.grpc import GrpcSender  # noqa: PLC0415 - grpc is large, and rarely needed

        return await GrpcSender.open(settings)
    from exporter.otlp.http import HttpSender  # noqa: PLC0415 - as above

    return await HttpSender.open(settings)


class OtlpLogs:
    """Delivers changes to an OTLP endpoint. Its cursor belongs to its name, wherever the endpoint is."""

    name = "otlp-logs"

    def __init__(self, encoder: Encoder, sender: Sender) -> None:
        self._encoder = encoder
        self._sender = sender

    def matters(self, record: Record) -> bool:
        """Leave out heartbeats and versions without a difference."""
        return record.matters if isinstance(record, Change) else isinstance(record, Transition)

    async def send(self, records: Sequence[Record]) -> Verdict:
        """Encode and send a batch, once."""
        return await self._sender.send(self._encoder.request(records), len(records))

    async def close(self) -> None:
        """Close the sender's connections."""
        await self._sender.close()
