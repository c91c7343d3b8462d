"""Who may see a page: asked for every request, before anything else, by the configuration in force at that moment.

In this order: how many requests there may be, over which connection it came, whose certificate was shown, who the user
is. Every path is behind it, those that do not exist as well. Must never let somebody in because something failed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal
from weakref import WeakSet

from aiohttp import web

from exporter.web.config import REQUIRES, WebConfig
from exporter.web.tls import names_of
from exporter.web.users import BusyError, Doorkeeper


if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from prometheus_client import Counter

    from exporter.web.source import Loaded

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Refusal = Literal["rate", "connection", "certificate", "credentials", "busy", "malformed"]
REFUSALS: dict[Refusal, tuple[int, str]] = {
    "rate": (429, "too many requests: rate_limit"),
    "connection": (403, "who may connect has changed since this connection was opened: connect again"),
    "certificate": (403, "the client certificate has none of the names in client_allowed_sans"),
    "credentials": (401, "unauthorized"),
    "busy": (503, "too many passwords are being checked: try again"),
    "malformed": (400, "this is no request that can be read"),
}
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="customresource-exporter", charset="UTF-8"'}


class Bucket:
    """Tokens, of which each request takes one.

    Args:
        interval: seconds until one comes back
        burst: how many there are at most
        clock: seconds, of any origin

    """

    def __init__(self, interval: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock()

    def take(self) -> bool:
        """Take a token; tell whether there was one."""
        if not self._interval:
            return True
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) / self._interval)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Door:
    """Lets requests in, or not.

    Attributes:
        config: in force
        context: what new connections are encrypted by; None is plain HTTP
        failed: counts handshakes that failed, by reason

    Args:
        refused: counts who was not let in, by reason
        failed: counts those who did not come as far

    """

    def __init__(self, refused: Counter, failed: Counter) -> None:
        self.config = WebConfig()
        self.context: ssl.SSLContext | None = None
        self._refused = refused
        self.failed = failed
        self._clients: tuple[str, bytes] = ("", b"")
        self._connections: WeakSet[ssl.SSLContext] = WeakSet()
        self._bucket = Bucket(0.0, 1)
        self._doorkeeper = Doorkeeper()

    def change(self, loaded: Loaded) -> None:
        """Put another configuration into force, for requests on open connections as well."""
        config, context, material = loaded.config, loaded.context, loaded.material
        tls = config.tls
        clients = (tls.client_auth, material.client_ca) if tls is not None and material is not None else ("", b"")
        if clients != self._clients:
            # Who was let in by another authority, or by none, is not let in by this one.
            self._connections.clear()
            self._clients = clients
        if context is not None:
            self._connections.add(context)
        if config.rate != self.config.rate:
            self._bucket = Bucket(config.rate.interval, config.rate.burst)
        self.config, self.context = config, context

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, if it may be."""
        refusal = await self._refusal(request)
        return await handler(request) if refusal is None else self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> web.Response:
        """Count a request that is not answered, and make what is said instead."""
        self._refused.labels(refusal).inc()
        status, text = REFUSALS[refusal]
        response = web.Response(status=status, text=f"{text}\n")
        if refusal == "credentials":
            response.headers.update(_CHALLENGE)
        if refusal in ("connection", "certificate"):
            response.force_close()
        return response

    async def _refusal(self, request: web.Request) -> Refusal | None:
        """Say why a request is not answered; None where it is."""
        if not self._bucket.take():
            return "rate"
        return self._refused_client(request) or await self._refused_user(request)

    def _refused_client(self, request: web.Request) -> Refusal | None:
        tls = self.config.tls
        if tls is None:
            return None
        shown = request.get_extra_info("peercert") or {}
        known = request.get_extra_info("sslcontext") in self._connections
        if not known or (tls.client_auth == REQUIRES and not shown):
            return "connection"
        allowed = tls.client_allowed_sans
        return "certificate" if allowed and names_of(shown).isdisjoint(allowed) else None

    async def _refused_user(self, request: web.Request) -> Refusal | None:
        users = self.config.users
        if not users:
            return None
        try:
            admitted = await self._doorkeeper.admits(users, request.headers.get("Authorization", ""))
        except BusyError:
            return "busy"
        return None if admitted else "credentials"
