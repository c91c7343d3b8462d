"""The only place that opens a request to the API server.

Answers are raw bytes: no object is ever turned into the package's generated classes, which refuse what they do not
know. The package's ApiClient is not used either, since its TLS settings are fixed when it is made and client
certificates rotate; its Configuration says where the server is and who we are. Must never retry, but for the one
replay after a 401: how long to wait is for the caller to say.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import urllib.request
from collections.abc import Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog

from exporter.errors import MAX_SERVER_TEXT, ApiError, ClusterError, ExpiredError
from exporter.kube.auth import AuthRefresher, load


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from exporter.kube.auth import Credentials

    Params = Mapping[str, str] | Iterable[tuple[str, str]]

Trouble = Literal["refused", "dns", "tls", "timeout", "proxy", "broken", "redirect", "answer"]

log = structlog.get_logger()

_JSON = "application/json"
_UNAUTHORIZED, _GONE = 401, 410
_REDIRECT, _ERROR = 300, 400
_NO_IDENTITY = (403, 404)
_CONNECT_SECONDS = 10.0
_MAX_ERROR_BODY = 64 * 1024
# Bytes that may wait unread in one stream before the server is slowed down; twice this is held at most.
_READ_AHEAD = 256 * 1024


class NetworkError(ClusterError):
    """The server did not answer, or not as an API server does.

    Args:
        trouble: what kind of trouble it was
        message: the sentence

    """

    def __init__(self, trouble: Trouble, message: str) -> None:
        """Keep the kind."""
        self.trouble: Trouble = trouble
        super().__init__(message)


class Stream:
    """An open answer whose body is still to be read.

    Args:
        server: the server's address, for the sentences
        response: of aiohttp

    """

    __slots__ = ("_response", "_server")

    def __init__(self, server: str, response: aiohttp.ClientResponse) -> None:
        self._server = server
        self._response = response

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers; names in any case."""
        return self._response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it arrives; a chunk may end anywhere.

        Raises:
            NetworkError: the connection broke, or was silent for longer than the read timeout

        """
        with _network(self._server):
            async for chunk in self._response.content.iter_any():
                yield chunk


class Api:
    """A way to one API server. Use it as `async with Api.connect(auth) as api`.

    Args:
        auth: who we are

    """

    def __init__(self, auth: AuthRefresher) -> None:
        self._auth = auth
        self._session = aiohttp.ClientSession(
            # No limit: each watch holds a connection, and the default would let the 101st wait for ever.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_AHEAD,
            # With trust_env aiohttp would look for passwords in ~/.netrc at each request; see `_proxy`.
            trust_env=False,
        )

    @classmethod
    @asynccontextmanager
    async def connect(cls, auth: AuthRefresher | str | None = None, context: str | None = None) -> AsyncIterator[Api]:
        """Keep a session open; nothing is asked of the server yet.

        Args:
            auth: loaded credentials, or what `auth.load` takes as the kubeconfig to load them from
            context: name of a context, where they are still to be loaded

        Raises:
            ClusterError: the credentials cannot be loaded

        """
        api = cls(auth if isinstance(auth, AuthRefresher) else await load(auth, context))
        try:
            yield api
        finally:
            await api.close()

    async def close(self) -> None:
        """Close all connections, and end a credential plugin that still runs."""
        await self._auth.close()
        await self._session.close()

    @property
    def server(self) -> str:
        """The server's address."""
        return self._auth.credentials.server

    async def get(
        self,
        path: str,
        params: Params = (),
        *,
        accept: str = _JSON,
        gzip: bool = False,
        timeout: float = 60.0,  # noqa: ASYNC109 - of the socket, not of the call
    ) -> bytes:
        """Read a whole answer.

        Args:
            path: below the server's address
            params: of the query
            accept: media type
            gzip: let the server compress it on the way
            timeout: seconds without a byte

        Raises:
            ApiError: the server answered with an error status
            ExpiredError: with 410
            ClusterError: it did not answer, or the credentials cannot be loaded

        """
        async with self._open(path, params, accept, "gzip" if gzip else "identity", timeout) as response:
            with _network(self.server):
                return await response.read()

    async def get_json(
        self,
        path: str,
        params: Params = (),
        *,
        accept: str = _JSON,
        gzip: bool = False,
        timeout: float = 60.0,  # noqa: ASYNC109 - of the socket, not of the call
    ) -> dict[str, Any]:
        """Read a whole answer as a JSON object; see `get`."""
        body = await self.get(path, params, accept=accept, gzip=gzip, timeout=timeout)
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = f"{self.server}{path} did not answer with a JSON object: is this the address of an API server?"
            raise NetworkError("answer", msg) from error

    @asynccontextmanager
    async def stream(
        self, path: str, params: Params = (), *, accept: str = _JSON, read_timeout: float = 90.0
    ) -> AsyncIterator[Stream]:
        """Open a request and give its answer while it arrives.

        Always without compression: a server of 1.37 compresses the initial part of a watch as one gzip member for
        each flush, of which many decoders read only the first.

        Args:
            path: below the server's address
            params: of the query
            accept: media type
            read_timeout: seconds without a byte

        Raises:
            ApiError: the server answered with an error status
            ExpiredError: with 410
            ClusterError: it did not answer, or the credentials cannot be loaded

        """
        async with self._open(path, params, accept, "identity", read_timeout) as response:
            yield Stream(self.server, response)

    def chunks(self, stream: Stream) -> AsyncIterator[bytes]:
        """Give the body of a stream as it arrives; the same as `stream.chunks()`."""
        return stream.chunks()

    async def version(self) -> str:
        """Give the server's version, such as `v1.37.2`; raises as `get` does."""
        return str((await self.get_json("/version")).get("gitVersion", ""))

    async def cluster_uid(self) -> str:
        """Give the cluster's identity: the uid of its namespace kube-system.

        Without the right to read that it is `server:` and a hash of the server's address and CA, which is another one
        under another address or after the CA was renewed; the log says so. Raises as `get` does.
        """
        try:
            namespace = await self.get_json("/api/v1/namespaces/kube-system")
        except ApiError as error:
            if error.status not in _NO_IDENTITY:
                raise
            credentials = self._auth.credentials
            digest = hashlib.sha256(credentials.server.encode() + b"\n" + credentials.authority).hexdigest()
            log.warning(
                "cluster identity unknown, address and CA stand in; allow `get` on the namespace kube-system",
                error=str(error),
            )
            return f"server:{digest}"
        uid = str((namespace.get("metadata") or {}).get("uid") or "")
        if not uid:
            msg = f"the namespace kube-system of {self.server} has no uid: is this the address of an API server?"
            raise NetworkError("answer", msg)
        return uid

    @asynccontextmanager
    async def _open(
        self, path: str, params: Params, accept: str, encoding: str, read_timeout: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send the request, a second time after a 401, and give the answer unless it is an error."""
        used = await self._auth.fresh()
        response = await self._send(used, path, params, accept, encoding, read_timeout)
        try:
            if response.status == _UNAUTHORIZED:
                response.close()
                await self._auth.force_refresh(used)
                response = await self._send(self._auth.credentials, path, params, accept, encoding, read_timeout)
            if response.status >= _ERROR:
                raise api_error(response.status, response.headers, await _error_body(response))
            if response.status >= _REDIRECT:
                place = response.headers.get("Location", "nowhere")[:MAX_SERVER_TEXT]
                msg = f"{self.server} sends us on to {place}: is this an API server's address, not a login page's?"
                raise NetworkError("redirect", msg)
            yield response
        finally:
            response.close()

    async def _send(
        self, credentials: Credentials, path: str, params: Params, accept: str, encoding: str, read_timeout: float
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "Accept-Encoding": encoding, "User-Agent": "customresource-exporter"}
        headers |= await credentials.headers()
        with _network(credentials.server):
            return await self._session.get(
                credentials.server + path,
                params=list(params.items()) if isinstance(params, Mapping) else list(params),
                headers=headers,
                ssl=credentials.tls or True,
                server_hostname=credentials.server_name,
                proxy=credentials.proxy or _environment_proxy(credentials.server),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=read_timeout),
            )


@contextmanager
def _network(server: str) -> Iterator[None]:
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


def _environment_proxy(server: str) -> str | None:
    """Give the proxy that HTTPS_PROXY and NO_PROXY name for a server, as Go programs understand them."""
    address = urlsplit(server)
    proxies = urllib.request.getproxies()
    proxy, host = proxies.get(address.scheme), address.hostname or ""
    if not proxy or urllib.request.proxy_bypass(f"{host}:{address.port}" if address.port else host, proxies):
        return None
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return proxy
    return None if ip.is_loopback or any(_holds(net.strip(), ip) for net in proxies.get("no", "").split(",")) else proxy


def _holds(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
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
