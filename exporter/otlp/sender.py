"""What sends ready requests to one endpoint, over the protocol that its settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol


if TYPE_CHECKING:
    from exporter.otlp.settings import Settings
    from exporter.verdicts import Verdict


class Sender(Protocol):
    """Sends requests to one endpoint."""

    async def send(self, payload: bytes, count: int) -> Verdict:
        """Send a request of `count` records once."""

    async def again(self) -> Sender:
        """Make another one for the same, by the certificates that this one has, closed or not: no file is read."""

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
