"""Sends ready requests over OTLP/gRPC, as the raw bytes they are.

It decides nothing: a status goes to `verdict.grpc`. It must never raise for what the network or the endpoint does.
`grpc` is imported when the first sender is opened: it costs 20 MiB and is not needed over HTTP.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from exporter import __version__
from exporter.errors import UsageError
from exporter.otlp import verdict
from exporter.otlp.tls import tls_context


if TYPE_CHECKING:
    from exporter.otlp.settings import Settings, Signal
    from exporter.verdicts import Verdict


METHODS: dict[Signal, str] = {
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
}
_STATUS_DETAILS = "grpc-status-details-bin"
_OPTIONS = (
    ("grpc.primary_user_agent", f"customresource-exporter/{__version__}"),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 4 * verdict.MAX_ANSWER),
    # We retry ourselves, over a new channel, which must not get the connection of the former one, or its waits.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
# So end calls that got no answer. The connection may be dead without a sign of it, while the channel would keep it.
_UNANSWERED = {"DEADLINE_EXCEEDED", "UNAVAILABLE"}


class GrpcSender:
    """One endpoint over gRPC. Make it with `open`, inside the event loop.

    Args:
        settings: where and how
        credentials: `grpc.ChannelCredentials`; None is no TLS

    """

    def __init__(self, settings: Settings, credentials: Any) -> None:  # noqa: ANN401 - grpc's annotations are incomplete
        self._settings = settings
        self._credentials = credentials
        self._channel = _channel(settings, credentials)
        self._metadata = tuple(
            (name, value.reveal.encode() if name.endswith("-bin") else value.reveal) for name, value in settings.headers
        )

    @classmethod
    async def open(cls, settings: Settings) -> GrpcSender:
        """Read the certificates and prepare to send; nothing is sent yet.

        Raises:
            UsageError: a certificate cannot be used

        """
        return cls(settings, await _credentials(settings))

    async def send(self, payload: bytes, count: int) -> Verdict:
        """Send a request of `count` records once, and judge the answer."""
        del count  # the endpoint tells what it rejected by itself
        import grpc  # noqa: PLC0415 - loaded by `open`

        hide = self._settings.hide
        # Without a serializer and a deserializer bytes go in and come out.
        export = self._channel.unary_unary(METHODS[self._settings.signal])
        try:
            answer = await export(payload, timeout=self._settings.timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            if code in _UNANSWERED:
                await self._renew()
            trailers = dict(error.trailing_metadata() or ())
            words = hide((error.details() or "").encode("utf-8", "replace")).decode()
            return verdict.grpc(code, words, trailers.get(_STATUS_DETAILS, b""), self._settings.signal)
        return verdict.accepted(hide(answer), signal=self._settings.signal)

    async def again(self) -> GrpcSender:
        """Make another one by the certificates that this one has."""
        return GrpcSender(self._settings, self._credentials)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _renew(self) -> None:
        """Begin anew: with a fresh connection, certificates that may be new on disk, and the name looked up again."""
        try:
            self._credentials = await _credentials(self._settings)
        except UsageError:
            return  # a file is being replaced right now; the next failure brings us here again
        former, self._channel = self._channel, _channel(self._settings, self._credentials)
        await former.close()


def _grpc() -> Any:  # noqa: ANN401 - as above
    """Import it; see the module's first lines."""
    # Else gRPC writes a line of its own for each handshake that fails, past our log.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc  # noqa: PLC0415 - see above

    return grpc


async def _credentials(settings: Settings) -> Any:  # noqa: ANN401 - as above
    """Read the certificates; None without TLS.

    Raises:
        UsageError: one cannot be used

    """
    if settings.insecure:
        return None
    await asyncio.to_thread(tls_context, settings)  # grpc itself would tell of a bad file only in its log
    files = (settings.certificate, settings.client_key, settings.client_certificate)
    try:
        contents = await asyncio.to_thread(lambda: [file.read_bytes() if file else None for file in files])
    except OSError as error:
        msg = f"a certificate of OTEL_EXPORTER_OTLP_* went away while it was read ({error.strerror}): put it back"
        raise UsageError(msg) from error
    return _grpc().ssl_channel_credentials(*contents)


def _channel(settings: Settings, credentials: Any) -> Any:  # noqa: ANN401 - as above
    """Make a channel; it connects with the first call."""
    grpc = _grpc()
    compression = grpc.Compression.Gzip if settings.gzip else grpc.Compression.NoCompression
    if credentials is None:
        return grpc.aio.insecure_channel(settings.endpoint, options=_OPTIONS, compression=compression)
    return grpc.aio.secure_channel(settings.endpoint, credentials, options=_OPTIONS, compression=compression)
