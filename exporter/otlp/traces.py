"""The consumer that sends rollouts as traces: each of them whole, when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.otlp.spans import request
from exporter.records import Rollout


if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.otlp.envelope import Envelope
    from exporter.otlp.sender import Sender
    from exporter.records import Record
    from exporter.verdicts import Verdict


class OtlpTraces:
    """Delivers rollouts to an OTLP endpoint. Its cursor belongs to its name, wherever the endpoint is."""

    name = "otlp-traces"

    def __init__(self, envelope: Envelope, sender: Sender) -> None:
        self._envelope = envelope
        self._sender = sender

    def matters(self, record: Record) -> bool:
        """Leave out everything but rollouts."""
        return isinstance(record, Rollout)

    async def send(self, records: Sequence[Record]) -> Verdict:
        """Encode and send a batch, once."""
        rollouts = [record for record in records if isinstance(record, Rollout)]
        return await self._sender.send(request(self._envelope, rollouts), len(rollouts))

    async def close(self) -> None:
        """Close the sender's connections."""
        await self._sender.close()
