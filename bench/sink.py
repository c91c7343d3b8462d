"""`python -m bench.sink HTTP-PORT GRPC-PORT`: an OTLP endpoint that takes everything, counts it and keeps nothing.

GET / says how many records it has had. Must cost as little as it can: it runs beside what is measured.
"""

from __future__ import annotations

import sys

import grpc
import uvloop
from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


_SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
_MAX_BYTES = 64 * 1024 * 1024


class Endpoint:
    """Both protocols, and the count of what came."""

    def __init__(self) -> None:
        self._records = 0

    def _count(self, body: bytes) -> None:
        request = ExportLogsServiceRequest.FromString(body)
        self._records += sum(
            len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs
        )

    async def http(self, request: web.Request) -> web.Response:
        """Take a request of OTLP/HTTP."""
        self._count(await request.read())
        return web.Response(content_type="application/x-protobuf")

    async def grpc(self, body: bytes, _context: object) -> bytes:
        """Take a request of OTLP/gRPC; without a serializer it comes as bytes."""
        self._count(body)
        return b""

    async def told(self, _: web.Request) -> web.Response:
        """Say how many records came."""
        return web.Response(text=str(self._records))


async def main(http_port: int, grpc_port: int) -> None:
    """Serve both protocols until the process is ended."""
    endpoint = Endpoint()
    application = web.Application(client_max_size=_MAX_BYTES)
    application.add_routes([web.post("/v1/logs", endpoint.http), web.get("/", endpoint.told)])
    export = grpc.unary_unary_rpc_method_handler(endpoint.grpc)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", _MAX_BYTES)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": export}),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
