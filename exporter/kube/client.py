"""The only place that opens a request to the API server.

Answers are raw bytes: no object is ever turned into the package's generated classes, which refuse what they do not
know. The package's ApiClient is not used either, since its TLS settings are fixed when it is made and client
certificates rotate; its Configuration says where the server is and who we are. Must never retry, but for the one
replay after a 401: how long to wait is for the caller to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import structlog

from exporter.errors import MAX_SERVER_TEXT, ApiError, ClusterError, NetworkError
from exporter.kube.answers import api_error, error_body, network
from exporter.kube.auth import AuthRefresher, load
from exporter.kube.proxy import environment_proxy
from exporter.ticks import next_tick


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from exporter.kube.credentials import Credentials

    Params = Mapping[str, str] | Iterable[tuple[str, str]]

log = structlog.get_logger()

_JSON = "application/json"
_UNAUTHORIZED = 401
_REDIRECT, _ERROR = 300, 400
_NO_IDENTITY = (403, 404)
_CONNECT_SECONDS = 10.0
# Bytes that may wait unread in one stream before the server is slowed down; twice this is held at most.
_READ_AHEAD = 256 * 1024


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
        with network(self._server):
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def rest(self) -> None:
        """Leave what arrives to the kernel until the next tick, so that it comes in fewer and larger pieces."""
        connection = self._response.connection
        transport = connection.transport if connection is not None else None
        if transport is None or transport.is_closing():
            return
        transport.pause_reading()
        try:
            await next_tick()
        finally:
            transport.resume_reading()


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
            with network(self.server):
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
            if error.status == _UNAUTHORIZED:
                msg = (
                    f"{self.server} does not accept our token or client certificate ({error}); log in again, or "
                    "choose another kubeconfig or user with --kubeconfig or --context"
                )
                raise ClusterError(msg) from error
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
                raise api_error(response.status, response.headers, await error_body(response))
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
        with network(credentials.server):
            return await self._session.get(
                credentials.server + path,
                params=list(params.items()) if isinstance(params, Mapping) else list(params),
                headers=headers,
                ssl=credentials.tls or True,
                server_hostname=credentials.server_name,
                proxy=credentials.proxy or environment_proxy(credentials.server),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=read_timeout),
            )
