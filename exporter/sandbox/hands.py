"""The hands of everybody who acts in the scripted day: one HTTP request for each act, under that actor's own name.

The name is the `fieldManager` of the request, which is all that a server knows of who wrote a field; so several people
and operators can be played by one program. Must never be used by the exporter itself, which only reads.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from exporter.errors import ApiError, ClusterError
from exporter.kube.answers import api_error
from exporter.kube.auth import load


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.kube.auth import AuthRefresher
    from exporter.model import ResourceType

Object = dict[str, Any]

_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ERROR, _NOT_FOUND, _CREATED = 400, 404, 201
_BUSY = (429, 503)
_TRIES = 20
_PAUSE_SECONDS = 0.1
_ESTABLISHED_SECONDS = 30.0


class Hands:
    """Acts on one API server. Made by `reach`.

    Args:
        session: open
        server: its address, without a slash at the end
        auth: who we are, None for a server that does not ask

    """

    def __init__(self, session: aiohttp.ClientSession, server: str, auth: AuthRefresher | None) -> None:
        self._session = session
        self._server = server
        self._auth = auth

    async def has(self, path: str) -> bool:
        """Tell whether something is there; raises as `apply` does."""
        try:
            await self._send("GET", path, "")
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            return False
        return True

    async def has_type(self, resource_type: ResourceType) -> bool:
        """Tell whether a type is installed; raises as `apply` does."""
        return await self.has(f"{_CRDS}/{resource_type}")

    async def install(self, who: str, crd: Object, resource_type: ResourceType) -> None:
        """Install a CRD and wait until its objects are served.

        Raises:
            ClusterError: it is not served after half a minute, or as `apply` raises

        """
        path = f"{_CRDS}/{resource_type}"
        await self._send("PATCH", path, who, crd, _APPLY, force="true")
        deadline = time.monotonic() + _ESTABLISHED_SECONDS
        # A server may say Established a moment before it serves the objects.
        while not (await self._is_established(path) and await self.has(resource_type.path())):
            if time.monotonic() > deadline:
                msg = f"{resource_type} is still not served by {self._server} after {_ESTABLISHED_SECONDS:g} s"
                raise ClusterError(msg)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def make_namespace(self, who: str, name: str) -> None:
        """Make a namespace if it is not there; raises as `apply` does."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self._send("PATCH", f"/api/v1/namespaces/{name}", who, body, _APPLY, force="true")

    async def apply(self, who: str, path: str, body: Object) -> tuple[Object, bool]:
        """Apply a declaration, server-side and by force, as GitOps does.

        Returns:
            the object as it is now, and whether it is new

        Raises:
            ApiError: the server refused
            ClusterError: it did not answer, or the credentials cannot be loaded

        """
        status, answer = await self._send("PATCH", path, who, body, _APPLY, force="true")
        return answer, status == _CREATED

    async def create(self, who: str, collection: str, body: Object) -> Object:
        """Create an object, which must not be there yet; raises as `apply` does."""
        return (await self._send("POST", collection, who, body))[1]

    async def edit(self, who: str, path: str, patch: Object) -> Object:
        """Merge something into an object, as most of kubectl does; raises as `apply` does."""
        return (await self._send("PATCH", path, who, patch, _MERGE))[1]

    async def reconcile(self, who: str, path: str, status_of: Callable[[Object], Object]) -> Object:
        """Read an object and replace its status, again from the reading where somebody wrote in between.

        Args:
            who: the operator
            path: of the object
            status_of: makes the status of the object as it was read

        """
        for _ in range(_TRIES):
            _, obj = await self._send("GET", path, "")
            try:
                return (await self._send("PUT", f"{path}/status", who, obj | {"status": status_of(obj)}))[1]
            except ApiError as error:
                if error.reason != "Conflict":
                    raise
        msg = f"{path} is written by others all the time: {who} never got to its status"
        raise ClusterError(msg)

    async def delete(self, path: str) -> Object:
        """Delete an object; gives the object if it has to wait for a finalizer, else what the server says."""
        return (await self._send("DELETE", path, ""))[1]

    async def _is_established(self, path: str) -> bool:
        _, crd = await self._send("GET", path, "")
        conditions = (crd.get("status") or {}).get("conditions") or []  # null at first
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

    async def _send(
        self, method: str, path: str, who: str, body: Object | None = None, media: str = _JSON, **query: str
    ) -> tuple[int, Object]:
        """Send one request, again while the server is busy or a patch met another write."""
        params = query | ({"fieldManager": who} if who else {})
        data = None if body is None else json.dumps(body).encode()
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._send_once(method, path, params, data, media)
            except ApiError as error:
                again = error.status in _BUSY or (method == "PATCH" and error.reason == "Conflict")
                if not (again and tries_left):
                    raise
                await asyncio.sleep(error.retry_after or _PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")

    async def _send_once(
        self, method: str, path: str, params: dict[str, str], data: bytes | None, media: str
    ) -> tuple[int, Object]:
        headers = {"Accept": _JSON, "Content-Type": media, "User-Agent": "customresource-exporter-day"}
        tls: Any = True
        if self._auth is not None:
            credentials = await self._auth.fresh()
            headers |= await credentials.headers()
            tls = credentials.tls or True
        try:
            async with self._session.request(
                method, self._server + path, params=params, data=data, headers=headers, ssl=tls
            ) as response:
                answer = await response.read()
                if response.status >= _ERROR:
                    raise api_error(response.status, response.headers, answer)
                return response.status, json.loads(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            msg = f"{self._server} did not answer as an API server does: {str(error) or type(error).__name__}"
            raise ClusterError(msg) from error


@asynccontextmanager
async def reach(kubeconfig: str | None = None, *, address: str = "") -> AsyncIterator[Hands]:
    """Reach an API server.

    Args:
        kubeconfig: path of the file with the way to it (None as `exporter.kube.auth.load` takes it)
        address: its address instead, for a server that asks nobody who they are

    Raises:
        ClusterError: the credentials cannot be loaded

    """
    auth = None if address else await load(kubeconfig)
    server = auth.credentials.server if auth is not None else address.rstrip("/")
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            yield Hands(session, server, auth)
    finally:
        if auth is not None:
            await auth.close()
