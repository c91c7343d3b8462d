"""The consumer that sends changes as log records: the encoder and a sender under one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import Change
from exporter.otlp.encode import request
from exporter.records import Transition


if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.otlp.envelope import Envelope
    from exporter.otlp.sender import Sender
    from exporter.records import Record
    from exporter.verdicts import Verdict


class OtlpLogs:
    """Delivers changes to an OTLP endpoint. Its cursor belongs to its name, wherever the endpoint is."""

    name = "otlp-logs"

    def __init__(self, envelope: Envelope, sender: Sender) -> None:
        self._envelope = envelope
        self._sender = sender

    def matters(self, record: Record) -> bool:
        """Leave out heartbeats and versions without a difference."""
        return record.matters if isinstance(record, Change) else isinstance(record, Transition)

    async def send(self, records: Sequence[Record]) -> Verdict:
        """Encode and send a batch, once."""
        rows = [record for record in records if isinstance(record, Change | Transition)]
        return await self._sender.send(request(self._envelope, rows), len(rows))

    async def close(self) -> None:
        """Close the sender's connections."""
        await self._sender.close()
