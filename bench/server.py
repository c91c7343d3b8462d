"""`python -m bench.server PORT CERTIFICATE KEY …`: an API server that says prepared things, fast, over TLS.

For what has to be measured from outside the exporter: memory, starts, many types. It answers what the exporter asks
and nothing else. POST /go lets the changes begin, POST /hold keeps them back from whoever lists next.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web

from bench import objects
from bench.scripted import CLUSTER, Script, answer, chunks, listed


if TYPE_CHECKING:
    from bench.objects import Sort


class ScriptedServer:
    """The routes.

    Args:
        script: what to say

    """

    def __init__(self, script: Script) -> None:
        self._first = {path: chunks(lines) for path, lines in script.first.items()}
        self._lists = {path: listed(lines) for path, lines in script.first.items()}
        self._then = {path: chunks(lines) for path, lines in script.then.items()}
        self._go = asyncio.Event()

    def application(self) -> web.Application:
        """Build them."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/healthz", self._alive),
                web.post("/go", self._begin),
                web.post("/hold", self._hold),
                web.get("/api/v1/namespaces/kube-system", self._identity),
                *(web.get(path, self._collection) for path in self._first),
            ]
        )
        return application

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _begin(self, _: web.Request) -> web.Response:
        self._go.set()
        return web.Response()

    async def _hold(self, _: web.Request) -> web.Response:
        self._go.clear()
        return web.Response()

    async def _identity(self, _: web.Request) -> web.Response:
        return web.json_response({"metadata": {"uid": CLUSTER}})

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            body = answer(self._lists[request.path], request.query)
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        if "sendInitialEvents" in request.query:
            for chunk in self._first[request.path]:
                await response.write(chunk)
            await self._go.wait()
            for chunk in self._then[request.path]:
                await response.write(chunk)
        # One that resumes has had everything: it is not killed before.
        await asyncio.Event().wait()
        return response


async def serve(port: int, trust: ssl.SSLContext, script: Script) -> None:
    """Serve until the process is ended."""
    runner = web.AppRunner(ScriptedServer(script).application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=trust, backlog=2048).start()
    await asyncio.Event().wait()


def main() -> None:
    """Make the script, then serve it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("--types", type=int, default=20)
    parser.add_argument("--objects", type=int, default=1_000)
    parser.add_argument("--changes", type=int, default=0)
    parser.add_argument("--people", action="store_true")
    options = parser.parse_args()
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(options.certificate, options.key)
    sort: Sort = "mix"
    first, then = objects.lines(
        sort, types=options.types, objects=options.objects, size=2 * objects.KIB, changes=options.changes,
        people=options.people,
    )  # fmt: skip
    uvloop.run(serve(options.port, trust, Script(options.types, first, then)))


if __name__ == "__main__":
    main()
