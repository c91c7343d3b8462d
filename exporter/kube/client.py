"""The only place that opens a request to the API server.

Answers are raw bytes: no object is ever turned into the package's generated classes, which refuse what they do not
know. Credentials are loaded again before they run out, and once more when the server says 401.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import structlog

from exporter.errors import ApiError, ClusterError, ExpiredError
from exporter.kube import auth


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from exporter.kube.auth import Credentials

log = structlog.get_logger()

_JSON = "application/json"
_UNAUTHORIZED = 401
_GONE = 410
_ERROR = 400


class Api:
    """A way to one API server. Use it as `async with Api.connect(…) as api`.

    Args:
        credentials: to begin with
        reload: loads them again

    """

    def __init__(self, credentials: Credentials, reload: Callable[[], Coroutine[Any, Any, Credentials]]) -> None:
        self._credentials = credentials
        self._reload = reload
        self._reloading = asyncio.Lock()
        # No limit: each watch holds a connection, and the default would let the 101st wait for ever.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
            auto_decompress=True,
            skip_auto_headers=("User-Agent",),
        )

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: str | None = None, context: str | None = None) -> AsyncIterator[Api]:
        """Load credentials and keep a session open; see `auth.load` for the arguments and errors."""

        async def reload() -> Credentials:
            return await auth.load(kubeconfig, context)

        api = cls(await reload(), reload)
        try:
            yield api
        finally:
            await api.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    @property
    def server(self) -> str:
        """The server's address."""
        return self._credentials.server

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, accept: str = _JSON, read_timeout: float = 60.0
    ) -> bytes:
        """Read a whole answer, compressed on the way if the server likes.

        Args:
            path: below the server's address
            params: of the query
            accept: media type
            read_timeout: seconds without a byte

        Raises:
            ApiError: the server answered with an error status
            ClusterError: it did not answer

        """
        async with self.stream(path, params, accept=accept, encoding="gzip", read_timeout=read_timeout) as response:
            with _network(self.server):
                return await response.read()

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Read a whole answer as a JSON object; see `get`."""
        answer = msgspec.json.decode(await self.get(path, params))
        return answer if isinstance(answer, dict) else {}

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        accept: str = _JSON,
        encoding: str = "identity",
        read_timeout: float = 90.0,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a request and give the response, whose body is still to be read.

        Watches ask for `identity`: a server of 1.37 compresses their initial part as one gzip member for each flush,
        of which many decoders read only the first.

        Raises:
            ApiError: the server answered with an error status
            ClusterError: it did not answer

        """
        if time.monotonic() >= self._credentials.reload_at:
            await self._renew(self._credentials)
        used = self._credentials
        response = await self._open(used, path, params, accept, encoding, read_timeout)
        if response.status == _UNAUTHORIZED:
            response.close()
            await self._renew(used)
            response = await self._open(self._credentials, path, params, accept, encoding, read_timeout)
        try:
            if response.status >= _ERROR:
                with _network(self.server):
                    raise api_error(response.status, response.headers, await response.read())
            yield response
        finally:
            response.close()

    async def chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Give the body of a streamed response as it arrives."""
        with _network(self.server):
            async for chunk in response.content.iter_any():
                yield chunk

    async def cluster_uid(self) -> str:
        """Give the cluster's identity: the uid of its namespace kube-system.

        Without the right to read that, the server's address stands in; then the same cluster under another address
        is another one to us.
        """
        try:
            namespace = await self.get_json("/api/v1/namespaces/kube-system")
            return str(namespace["metadata"]["uid"])
        except (ApiError, KeyError) as error:
            log.warning("cluster identity unknown, using the server's address", error=str(error))
            return "server-" + hashlib.sha256(self.server.encode()).hexdigest()[:32]

    async def _renew(self, used: Credentials) -> None:
        """Load the credentials again, unless somebody else just did."""
        async with self._reloading:
            if self._credentials is used:
                self._credentials = await self._reload()

    async def _open(
        self,
        credentials: Credentials,
        path: str,
        params: Mapping[str, str] | None,
        accept: str,
        encoding: str,
        read_timeout: float,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "Accept-Encoding": encoding, "User-Agent": "customresource-exporter"}
        if credentials.authorization:
            headers["Authorization"] = credentials.authorization
        with _network(credentials.server):
            return await self._session.get(
                credentials.server + path,
                params=params,
                headers=headers,
                ssl=credentials.tls or False,
                server_hostname=credentials.server_name,
                proxy=credentials.proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=read_timeout),
            )


class _network:  # noqa: N801 - used as a statement
    """Turns the trouble of the network into a `ClusterError` with a sentence."""

    def __init__(self, server: str) -> None:
        self._server = server

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Translate."""
        if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
            cause = getattr(error, "certificate_error", error)
            msg = f"the certificate of {self._server} is not trusted ({cause}): check the CA in the kubeconfig"
        elif isinstance(error, aiohttp.ClientConnectorError):
            msg = f"cannot reach the API server {self._server}: {error.os_error.strerror or error}; is it up?"
        elif isinstance(error, TimeoutError):
            msg = f"no answer from the API server {self._server} in time; is the network up?"
        elif isinstance(error, aiohttp.ClientError | OSError):
            msg = f"the connection to the API server {self._server} broke: {str(error) or type(error).__name__}"
        else:
            return
        raise ClusterError(msg) from error


def api_error(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Make an error of an answer: its status, and the Status object in its body if there is one."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        answer = {"message": body[:512].decode("utf-8", "replace")}
    details = answer.get("details")
    details = details if isinstance(details, dict) else {}
    causes = tuple(str(cause.get("reason", "")) for cause in details.get("causes") or () if isinstance(cause, dict))
    retry_after = _retry_after(headers.get("Retry-After"))
    if retry_after is None and isinstance(details.get("retryAfterSeconds"), int):
        retry_after = float(details["retryAfterSeconds"])
    kind = ExpiredError if status == _GONE else ApiError
    return kind(
        status, str(answer.get("reason", "")), str(answer.get("message", "")), retry_after=retry_after, causes=causes
    )


def _retry_after(header: str | None) -> float | None:
    """Read the header Retry-After (RFC 9110 §10.2.3): seconds, or a date."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
