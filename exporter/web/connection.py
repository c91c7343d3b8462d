"""One connection: what arrives on it that is no request is answered in one sentence, counted, and shown to nobody.

aiohttp writes what it cannot read into the answer and into the log, with whatever password stands in it, and a line for
each attempt. Must never let a byte of what was sent into either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

# Longer than the five minutes after which Prometheus closes a connection by itself: no scrape is to meet our closing.
IDLE_SECONDS = 330.0


class Connection(web.RequestHandler):
    """Reads requests, and has them answered.

    Args:
        server: whose connection it is
        malformed: makes the answer to what is no request, and counts it
        loop: it lives in
        idle: seconds until a connection is closed that has not brought a whole request

    """

    __slots__ = ("_malformed",)

    def __init__(
        self, server: web.Server, malformed: Callable[[], web.Response], *, loop: AbstractEventLoop, idle: float
    ) -> None:
        # Nobody reads what a request may carry, so that it is not unpacked either.
        super().__init__(server, loop=loop, keepalive_timeout=idle, access_log=None, auto_decompress=False)  # type: ignore[arg-type]
        self._malformed = malformed

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer where a request could not be read, or its handler failed."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        response = self._malformed()
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ANN401 - as the standard module takes them
        """Log a bug of ours; what arrived broken behind a request is none."""
        if not isinstance(kw.get("exc_info"), HttpProcessingError | web.RequestPayloadError):
            super().log_exception(*args, **kw)
