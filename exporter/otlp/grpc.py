"""Sends ready requests over OTLP/gRPC, as the raw bytes they are.

It decides nothing: a status goes to `verdict.grpc`. It must never raise for what the network or the endpoint does.
`grpc` is imported when the first sender is opened: it costs 20 MiB and is not needed over HTTP.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from exporter import __version__
from exporter.otlp import verdict
from exporter.otlp.tls import tls_context


if TYPE_CHECKING:
    from exporter.otlp.settings import Settings
    from exporter.verdicts import Verdict


METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_STATUS_DETAILS = "grpc-status-details-bin"
_OPTIONS = (
    ("grpc.primary_user_agent", f"customresource-exporter/{__version__}"),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 4 * verdict.MAX_ANSWER),
    # We retry ourselves, and must not wait for the channel's own back-off, which goes up to two minutes.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


class GrpcSender:
    """One endpoint over gRPC. Make it with `open`, inside the event loop.

    Args:
        channel: a `grpc.aio.Channel`
        settings: for headers and timeout

    """

    def __init__(self, channel: Any, settings: Settings) -> None:  # noqa: ANN401 - grpc's annotations are incomplete
        self._channel = channel
        # Without a serializer and a deserializer bytes go in and come out.
        self._export = channel.unary_unary(METHOD)
        self._metadata = tuple(
            (name, value.reveal.encode() if name.endswith("-bin") else value.reveal) for name, value in settings.headers
        )
        self._timeout = settings.timeout

    @classmethod
    async def open(cls, settings: Settings) -> GrpcSender:
        """Read the certificates and prepare to send; nothing is sent yet.

        Raises:
            UsageError: a certificate cannot be used

        """
        import grpc  # noqa: PLC0415 - see above

        compression = grpc.Compression.Gzip if settings.gzip else grpc.Compression.NoCompression
        if settings.insecure:
            channel = grpc.aio.insecure_channel(settings.endpoint, options=_OPTIONS, compression=compression)
        else:
            await asyncio.to_thread(tls_context, settings)  # grpc itself would tell of a bad file only in its log
            files = (settings.certificate, settings.client_key, settings.client_certificate)
            contents = await asyncio.to_thread(lambda: [file.read_bytes() if file else None for file in files])
            credentials = grpc.ssl_channel_credentials(*contents)
            channel = grpc.aio.secure_channel(settings.endpoint, credentials, options=_OPTIONS, compression=compression)
        return cls(channel, settings)

    async def send(self, payload: bytes, count: int) -> Verdict:
        """Send a request of `count` records once, and judge the answer."""
        del count  # the endpoint tells what it rejected by itself
        import grpc  # noqa: PLC0415 - loaded by `open`

        try:
            answer = await self._export(payload, timeout=self._timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            return verdict.grpc(error.code().name, error.details() or "", trailers.get(_STATUS_DETAILS, b""))
        return verdict.accepted(answer)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
