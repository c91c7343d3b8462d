"""What the server's answers, and its silences, mean: each an error with a sentence and, where there is one, a remedy.

Translates what aiohttp raises and what a Status object says. It neither asks nor waits.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from exporter.errors import MAX_SERVER_TEXT, ApiError, ExpiredError, NetworkError, Trouble


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_GONE = 410
_MAX_ERROR_BODY = 64 * 1024


@contextmanager
def network(server: str) -> Iterator[None]:
    """Turn the trouble of the network into a `NetworkError` with a sentence."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        trouble, sentence = _explain(server, error)
        raise NetworkError(trouble, sentence) from error


# What happened, how it is called, and a sentence with the remedy. The first that fits counts: aiohttp derives most of
# its errors from each other.
_TROUBLES: tuple[tuple[tuple[type[BaseException], ...], Trouble, str], ...] = (
    (
        (ssl.CertificateError, aiohttp.ClientConnectorCertificateError),
        "tls",
        "the certificate of {server} is not trusted ({cause}): check certificate-authority and tls-server-name",
    ),
    (
        (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError),
        "proxy",
        "the proxy on the way to the API server {server} refuses ({cause}): check proxy-url and HTTPS_PROXY",
    ),
    (
        (aiohttp.ClientConnectorDNSError,),
        "dns",
        "the name of the API server {server} cannot be resolved ({cause}): check the address and the DNS",
    ),
    (
        (aiohttp.ClientSSLError, ssl.SSLError),
        "tls",
        "no TLS connection with the API server {server} ({cause}): check the port, https:// and the client certificate",
    ),
    (
        (TimeoutError,),
        "timeout",
        "no answer from the API server {server} in time: is it up, and does a firewall let us through?",
    ),
    (
        (aiohttp.ClientConnectorError,),
        "refused",
        "cannot connect to the API server {server} ({cause}): is it up, and is the address right?",
    ),
    (
        (Exception,),
        "broken",
        "the connection with the API server {server} broke ({cause}): if that goes on, look at its log",
    ),
)


def _explain(server: str, error: Exception) -> tuple[Trouble, str]:
    origin: object = getattr(error, "certificate_error", error)
    if isinstance(error, aiohttp.ClientResponseError):
        origin = f"{error.status} {error.message}"  # its own text holds the URL, and with it a proxy's password
    cause = str(getattr(origin, "verify_message", "") or getattr(origin, "strerror", "") or origin)
    for kinds, trouble, sentence in _TROUBLES:
        if isinstance(error, kinds):
            return trouble, sentence.format(server=server, cause=cause[:MAX_SERVER_TEXT] or type(error).__name__)
    raise error  # the last row fits all


async def error_body(response: aiohttp.ClientResponse) -> bytes:
    """Read what explains an error, but not without end; the status says enough where the rest does not come."""
    body = b""
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _MAX_ERROR_BODY:
                break
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    return body[:_MAX_ERROR_BODY]


def api_error(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Make an error of an answer: its status, and the Status object in its body if there is one.

    Args:
        status: of HTTP
        headers: for Retry-After
        body: the Status as JSON, or anything that a proxy may have sent

    """
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        answer = {"message": " ".join(body[: 4 * MAX_SERVER_TEXT].decode("utf-8", "replace").split())}
    details = answer.get("details")
    details = details if isinstance(details, dict) else {}
    causes = details.get("causes")
    reasons = tuple(
        str(cause.get("reason", ""))
        for cause in (causes if isinstance(causes, list) else ())
        if isinstance(cause, dict)
    )
    seconds = details.get("retryAfterSeconds")
    retry_after = _retry_after(headers.get("Retry-After"))
    if retry_after is None and isinstance(seconds, int) and seconds > 0:
        retry_after = float(seconds)
    kind = ExpiredError if status == _GONE else ApiError
    reason, message = str(answer.get("reason") or ""), str(answer.get("message") or "")
    return kind(status, reason, message, retry_after=retry_after, causes=reasons)


def _retry_after(header: str | None) -> float | None:
    """Read the header Retry-After (RFC 9110, section 10.2.3): seconds, or a date."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
