"""The web server: /metrics, /healthz, /readyz and a landing page.

Must never make a request wait for anything outside the process, and never let one slow reader hold up another.
"""

from __future__ import annotations

import errno
import html
import os
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from msgspec import Struct

from exporter import __version__
from exporter.errors import ListenError, UsageError


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from exporter.metrics.exposition import Exposition


_FLAG = "--web.listen-address"
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65_535
_NAMED = 20  # types that /readyz names
# What is still being read when the program ends is broken off: a slow scraper must not keep it alive.
_SHUTDOWN_SECONDS = 1.0
_HEADERS = {
    "Server": "customresource-exporter",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Address(Struct, frozen=True):
    """Where the server listens; as text, what to put behind `http://`."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as a browser on this machine takes it."""
        host = "localhost" if self.host in {"", "::", "0.0.0.0"} else self.host  # noqa: S104 - compared, not bound
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@asynccontextmanager
async def serve(listen_address: str, exposition: Exposition, ready: Callable[[], list[str]]) -> AsyncIterator[Address]:
    """Serve until the block is left; gives the address that was bound.

    Args:
        listen_address: `host:port`; without a host every interface, with port 0 a free port
        exposition: makes the page for /metrics
        ready: names the types that are not yet synced

    Raises:
        UsageError: the address is none
        ListenError: it cannot be bound

    """
    bound = _bind(listen_address)
    runner = web.AppRunner(
        _application(exposition, ready),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    try:
        await runner.setup()
        await web.SockSite(runner, bound).start()
        host, port = bound.getsockname()[:2]
        yield Address(host, port)
    finally:
        await runner.cleanup()
        bound.close()


def _application(exposition: Exposition, ready: Callable[[], list[str]]) -> web.Application:
    async def metrics(request: web.Request) -> web.Response:
        page = await exposition.scrape(
            ",".join(request.headers.getall("Accept", [])), ",".join(request.headers.getall("Accept-Encoding", []))
        )
        headers = {"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
        if page.encoding:
            headers["Content-Encoding"] = page.encoding
        return web.Response(body=page.body, headers=headers)

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        waiting = ready()
        if not waiting:
            return web.Response(text="ready\n")
        lines = waiting[:_NAMED]
        if len(waiting) > _NAMED:
            lines.append(f"and {len(waiting) - _NAMED} more")
        body = "".join(f"{line}\n" for line in lines).encode(errors="replace")
        return web.Response(status=503, body=body, content_type="text/plain", charset="utf-8")

    async def landing(_: web.Request) -> web.Response:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
        return web.Response(text=_LANDING, content_type="text/html", headers=policy)

    async def mark(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)

    application = web.Application()
    application.on_response_prepare.append(mark)
    routes: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
        "/": landing,
        "/metrics": metrics,
        "/healthz": healthz,
        "/readyz": readyz,
    }
    for path, handler in routes.items():
        application.router.add_get(path, handler)
    return application


def _bind(listen_address: str) -> socket.socket:
    wrong = f"{listen_address!r} is no address to listen on: write {_FLAG} host:port, such as :9838 or [::1]:9838"
    found = _ADDRESS.fullmatch(listen_address)
    if not found or int(found["port"]) > _MAX_PORT:
        raise UsageError(wrong)
    host, port = found["v6"] or found["host"] or "", int(found["port"])
    try:
        return _bind_host(host, port) if host else _bind_all(port)
    except OSError as error:
        msg = f"cannot listen on {listen_address}: {_reason(error, port)}"
        raise ListenError(msg) from error
    except UnicodeError as error:  # a name that DNS has no form for, such as one with an empty label
        raise UsageError(wrong) from error


def _bind_all(port: int) -> socket.socket:
    """Bind every interface, IPv6 and IPv4 by one socket; IPv4 alone where the kernel has no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                raise
    return socket.create_server(("", port))


def _bind_host(host: str, port: int) -> socket.socket:
    family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(place[:2], family=family)


def _reason(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another program has the port; stop it, or choose another with {_FLAG} :{port % _MAX_PORT + 1}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"not permitted; choose a port above 1023 with {_FLAG} :9838"
    if isinstance(error, socket.gaierror):
        return f"the host is not known here; write an address of this machine, or {_FLAG} :{port} for every one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"no interface here has that address; write {_FLAG} :{port} for every one"
    text = os.strerror(error.errno) if error.errno else str(error)
    return f"{text}; choose another address with {_FLAG} host:port"


_LINKS = {
    "/metrics": "what Prometheus scrapes, as classic text or OpenMetrics",
    "/readyz": "whether every selected type has been read",
    "/healthz": "whether the program runs",
}
_LANDING = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>customresource-exporter</title>
<style>
:root {{ color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #dfe4ea; --page: #f6f8fa; --card: #fff;
  --accent: #1f5fc4; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6ebf1; --soft: #98a4b3; --line: #2d3642; --page: #12161c;
  --card: #1a2029; --accent: #7fb0ff; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; padding: 12vh 1.25rem 3rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }}
main {{ max-width: 38rem; margin: 0 auto; }}
h1 {{ margin: 0; font-size: 1.6rem; letter-spacing: -.01em; }}
h1 span {{ margin-left: .5rem; font-size: .9rem; font-weight: 400; color: var(--soft);
  font-variant-numeric: tabular-nums; }}
p {{ margin: .4rem 0 1.75rem; color: var(--soft); }}
ul {{ margin: 0; padding: 0; list-style: none; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; overflow: hidden; }}
li + li {{ border-top: 1px solid var(--line); }}
a {{ display: block; padding: .85rem 1.1rem; color: inherit; text-decoration: none; }}
a:hover, a:focus-visible {{ background: color-mix(in srgb, var(--accent) 9%, transparent); outline: none; }}
a b {{ color: var(--accent); font: 600 1rem/1.5 ui-monospace, monospace; }}
a small {{ display: block; color: var(--soft); font-size: .9rem; }}
</style>
</head>
<body>
<main>
<h1>customresource-exporter <span>{html.escape(__version__)}</span></h1>
<p>Follows every custom resource of a Kubernetes cluster: what changed, which field, who did it.</p>
<ul>
{"".join(f'<li><a href="{path}"><b>{path}</b><small>{text}</small></a></li>' for path, text in _LINKS.items())}
</ul>
</main>
</body>
</html>
"""
