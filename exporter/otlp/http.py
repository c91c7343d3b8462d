"""Sends ready requests over OTLP/HTTP: one POST each, no redirects, connections kept warm.

It decides nothing: an answer goes to `verdict.http`. It must never raise for what the network or the endpoint does.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
from isal import igzip

from exporter import __version__
from exporter.errors import UsageError
from exporter.otlp import verdict
from exporter.otlp.tls import tls_context
from exporter.verdicts import Misconfigured, Retry


if TYPE_CHECKING:
    import ssl

    from exporter.otlp.settings import Settings
    from exporter.verdicts import Verdict


# Beyond this compressing takes longer than handing the bytes to a thread.
_OFF_THE_LOOP = 256 * 1024
_LEVEL = 1
_NOT_HTTP = (
    "what answers does not speak HTTP: for a gRPC endpoint (usually port 4317) set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, "
    "for TLS begin the endpoint with https://"
)
_IS_IT_UP = "is it up, and OTEL_EXPORTER_OTLP_ENDPOINT right?"
_NO_ANSWER = "closed the connection without an answer: if it expects TLS, begin the endpoint with https://"


class HttpSender:
    """One endpoint over HTTP. Make it with `open`, inside the event loop."""

    def __init__(self, settings: Settings, tls: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._tls = tls
        self._headers = {name: value.reveal for name, value in settings.headers}
        self._headers |= {
            "content-type": "application/x-protobuf",
            "user-agent": f"customresource-exporter/{__version__}",
        }
        if settings.gzip:
            self._headers["content-encoding"] = "gzip"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=4, ttl_dns_cache=30, keepalive_timeout=60.0),
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    @classmethod
    async def open(cls, settings: Settings) -> HttpSender:
        """Read the certificates and prepare to send; nothing is sent yet.

        Raises:
            UsageError: a certificate cannot be used

        """
        return cls(settings, None if settings.insecure else await asyncio.to_thread(tls_context, settings))

    async def send(self, payload: bytes, count: int) -> Verdict:
        """Send a request of `count` records once, and judge the answer.

        A connection that the other side closed while it was idle says nothing about its health, so the request is
        sent again at once, on a fresh one. The endpoint may get it twice; the records' ids tell.
        """
        del count  # an HTTP endpoint tells what it rejected by itself
        if self._settings.gzip:
            payload = await _compressed(payload)
        try:
            try:
                return await self._post(payload)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                return await self._post(payload)
        except (aiohttp.ClientError, OSError) as error:
            await self._renew_tls()
            return self._trouble(error)

    async def again(self) -> HttpSender:
        """Make another one by the certificates that this one has."""
        return HttpSender(self._settings, self._tls)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _post(self, payload: bytes) -> Verdict:
        async with self._session.post(
            self._settings.endpoint,
            data=payload,
            headers=self._headers,
            ssl=self._tls or True,
            proxy=self._settings.proxy.reveal if self._settings.proxy else None,
            allow_redirects=False,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) >= verdict.MAX_ANSWER:
                    response.close()
                    break
            headers = {name: self._hide(response.headers.get(name, "")) for name in verdict.HEADERS}
            return verdict.http(
                response.status, headers, self._settings.hide(bytes(body)), datetime.now(UTC), self._settings.signal
            )

    def _hide(self, text: str) -> str:
        return self._settings.hide(text.encode("utf-8", "replace")).decode()

    def _trouble(self, error: aiohttp.ClientError | OSError) -> Verdict:
        """Judge a request that got no answer."""
        settings = self._settings
        match error:
            case aiohttp.ClientSSLError():
                cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
                return Misconfigured("tls", f"{verdict.TLS_REMEDY} ({cause})")
            case aiohttp.ClientResponseError():
                return Misconfigured("not_http", f"{_NOT_HTTP} ({self._hide(error.message.partition(chr(10))[0])})")
            case TimeoutError():
                limit = f"within {settings.timeout:g} s (OTEL_EXPORTER_OTLP_TIMEOUT is in milliseconds)"
                return Retry("timeout", message=f"no answer from {settings.place} {limit}")
            case aiohttp.ServerDisconnectedError():
                happened = _NO_ANSWER
            case aiohttp.ClientConnectorError():
                happened = f"cannot be reached at {error.host}:{error.port} ({error.strerror}): {_IS_IT_UP}"
            case aiohttp.ClientPayloadError():
                happened = "broke off in the middle of its answer"
            case _:
                # Never the error's own words: they may hold the whole address, and a key in its query.
                happened = f"broke the connection ({type(error).__name__})"
        return Retry("network", message=f"{settings.place} {happened}")

    async def _renew_tls(self) -> None:
        """Read certificates from files again: they may have run out and been replaced."""
        settings = self._settings
        if self._tls and (settings.certificate or settings.client_certificate):
            try:
                self._tls = await asyncio.to_thread(tls_context, settings)
            except UsageError:
                return  # being replaced right now; the next failure brings us here again


async def _compressed(payload: bytes) -> bytes:
    if len(payload) > _OFF_THE_LOOP:
        return await asyncio.to_thread(_gzip, payload)
    return _gzip(payload)


def _gzip(payload: bytes) -> bytes:
    compressed: bytes = igzip.compress(payload, _LEVEL, mtime=0)
    return compressed
