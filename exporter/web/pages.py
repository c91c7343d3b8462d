"""The pages: /metrics, /healthz, /readyz, a landing page, and `POST /-/reload` where that is wanted.

Must never make a request wait for anything outside the process, but for a reload, and never let one slow reader hold up
another.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from aiohttp import web

from exporter import __version__
from exporter.errors import ExporterError


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.metrics.exposition import Exposition
    from exporter.web.door import Door, Handler

    Reload = Callable[[], Awaitable[None]]


_NAMED = 20  # types that /readyz names
_HEADERS = {
    "Server": "customresource-exporter",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def application(
    exposition: Exposition, ready: Callable[[], list[str]], door: Door, reload: Reload | None
) -> web.Application:
    """Make what answers requests; see `exporter.web.server.serve`."""

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
        return _readiness(ready())

    async def landing(_: web.Request) -> web.Response:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
        return web.Response(text=_LANDING, content_type="text/html", headers=policy)

    async def mark(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        response.headers.update(door.config.http.headers)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await door.answer(request, handler)

    application = web.Application(middlewares=[guard])
    application.on_response_prepare.append(mark)
    routes: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
        "/": landing,
        "/metrics": metrics,
        "/healthz": healthz,
        "/readyz": readyz,
    }
    for path, handler in routes.items():
        application.router.add_get(path, handler)
    for method in ("POST", "PUT"):
        application.router.add_route(method, "/-/reload", _reloader(reload))
    return application


def _readiness(waiting: list[str]) -> web.Response:
    if not waiting:
        return web.Response(text="ready\n")
    lines = waiting[:_NAMED]
    if len(waiting) > _NAMED:
        lines.append(f"and {len(waiting) - _NAMED} more")
    body = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    return web.Response(status=503, body=body, content_type="text/plain", charset="utf-8")


def _reloader(reload: Reload | None) -> Handler:
    async def read_again(_: web.Request) -> web.StreamResponse:
        if reload is None:
            return web.Response(status=403, text="not enabled: start with --web.enable-lifecycle\n")
        try:
            await reload()
        except ExporterError as error:
            return web.Response(status=500, text=f"{error}\n")
        return web.Response(text="read again\n")

    return read_again


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
