"""A scripted OTLP endpoint, over HTTP or gRPC, that remembers every record it took.

    with Endpoint("grpc") as endpoint:
        …  # give endpoint.env to an exporter
        endpoint.rule = lambda request: Answer("UNAVAILABLE")

It runs in a thread with an event loop of its own; a command has taken effect when it returns. A request is judged by
the rule of the moment, with the records in it known; what a rule raises ends the test. Must never know what the
exporter holds: what is missing is for the judge to find.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import grpc
from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.faults.front import Front
from tests.faults.loops import end_all


if TYPE_CHECKING:
    from pathlib import Path

    import trustme

_SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
_COMMAND_SECONDS = 30.0
# By number: a name has two addresses, and gRPC tells only of the trouble with one of them.
_HOST = "127.0.0.1"
_OLD = timedelta(days=2)
# Far beyond what any batch has: nobody but a rule is to refuse one for its size.
_MAX_REQUEST = 64 * 1024 * 1024

Asker = Callable[[bytes, Mapping[str, str]], Awaitable["Answer"]]
Stop = Callable[[], Coroutine[Any, Any, None]]


class Record(NamedTuple):
    """One log record: its id, and which change of which object it tells; `at` is when the request came."""

    at: float
    uid: str
    change: str
    thing: tuple[str, str, str]


class Request(NamedTuple):
    """One request: when it came (monotonic seconds), its headers in lower case, the records in it."""

    at: float
    headers: Mapping[str, str]
    records: list[Record]


class Answer(NamedTuple):
    """What an endpoint answers.

    Attributes:
        status: an HTTP status, or the name of a gRPC status
        body: of an HTTP answer, or of a gRPC answer that is OK
        words: what the endpoint says of a refusal; the body of an HTTP answer that has no other
        headers: of an HTTP answer; trailers of a gRPC answer
        takes: whether it takes the records
        seconds: it thinks so long before that
        cut: reset the connection amid the answer

    """

    status: int | str
    body: bytes = b""
    words: str = ""
    headers: Mapping[str, str | bytes] = {}
    takes: bool = False
    seconds: float = 0.0
    cut: bool = False


Rule = Callable[[Request], Answer]


class Endpoint:
    """An endpoint of one protocol; `with` starts it.

    Attributes:
        protocol: `http/protobuf` or `grpc`
        env: for an exporter that is to send here
        rule: judges requests; at first all is taken
        requests: those that were read to their end, whatever came of them
        taken: the records that it took, in their order
        refused: ids of records that it will never take, whatever the rule says; rules put them there
        front: what clients connect to

    """

    def __init__(self, protocol: str, *, authority: trustme.CA | None = None, directory: Path | None = None) -> None:
        """Prepare.

        Args:
            protocol: `http/protobuf` or `grpc`
            authority: speak TLS, with a certificate of it
            directory: for the certificate of the authority

        """
        self.protocol = protocol
        self.rule: Rule = self.take
        self.requests: list[Request] = []
        self.taken: list[Record] = []
        self.refused: set[str] = set()
        self.front = Front()
        self._authority = authority
        self._certificate = authority.issue_cert(_HOST) if authority else None
        self._stop_server: Stop = _nothing
        self._failed: list[BaseException] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        scheme = "https" if authority else "http"
        self.env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://{_HOST}:{self.front.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        if authority is not None and directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            authority.cert_pem.write_to_path(str(directory / "ca.pem"))
            self.env["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(directory / "ca.pem")

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._do(self._start())
        self._do(self.front.up())
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """End; what went wrong in a rule is raised."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._failed and kind is None:
            raise self._failed[0]

    def take(self, request: Request) -> Answer:  # noqa: ARG002 - a rule
        """Take all that comes."""
        return Answer(200 if self.protocol != "grpc" else "OK", takes=True)

    def down(self) -> None:
        """Refuse connections, and reset those that are open."""
        self._do(self.front.down())

    def up(self) -> None:
        """Accept connections again."""
        self._do(self.front.up())

    def hang(self) -> None:
        """Accept connections and say nothing; those that are open now will never say anything again."""
        self._do(_calling(self.front.hang))

    def go_on(self) -> None:
        """Answer over new connections."""
        self._do(_calling(self.front.go_on))

    def restart(self) -> None:
        """Replace the server: one of gRPC says GOAWAY first, and gives up the calls that it is in."""
        self._do(self._restart())

    def show(self, certificate: trustme.LeafCert | None = None) -> None:
        """Show another certificate, on new connections; without one, show the right one again."""
        assert self._authority is not None
        self._certificate = certificate or self._authority.issue_cert(_HOST)
        self._do(self._restart())

    def expired(self) -> trustme.LeafCert:
        """A certificate of the right authority that ran out yesterday."""
        assert self._authority is not None
        now = datetime.now(UTC)
        return self._authority.issue_cert(_HOST, not_before=now - _OLD, not_after=now - _OLD / 2)

    def for_another_host(self) -> trustme.LeafCert:
        """A certificate of the right authority that names another host."""
        assert self._authority is not None
        return self._authority.issue_cert("elsewhere.example.com")

    # -- inside the thread ------------------------------------------------------------------------------------

    def _do(self, command: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(command, self._loop).result(_COMMAND_SECONDS)

    async def _start(self) -> None:
        serve = _serve_grpc if self.protocol == "grpc" else _serve_http
        self.front.target, self._stop_server = await serve(self._asked, self._certificate)

    async def _end(self) -> None:
        await self.front.close()
        await self._stop_server()
        await end_all()

    async def _restart(self) -> None:
        stop = self._stop_server
        await self._start()
        await stop()

    async def _asked(self, payload: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            request = Request(time.monotonic(), headers, list(_records(payload)))
            self.requests.append(request)
            answer = self.rule(request)
        except BaseException as error:
            self._failed.append(error)
            raise
        await asyncio.sleep(answer.seconds)
        if answer.takes:
            self.taken.extend(record for record in request.records if record.uid not in self.refused)
        if answer.cut and self.protocol == "grpc":
            self.front.cut()
        return answer


def _records(payload: bytes) -> list[Record]:
    """Read a request."""
    at = time.monotonic()
    found = []
    for resource_logs in ExportLogsServiceRequest.FromString(payload).resource_logs:
        namespace = {one.key: one.value.string_value for one in resource_logs.resource.attributes}.get(
            "k8s.namespace.name", ""
        )
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                said = {one.key: one.value.string_value for one in record.attributes}
                thing = (said["customresource.kind"], namespace, said["customresource.name"])
                found.append(Record(at, said["log.record.uid"], said["customresource.change.id"], thing))
    return found


async def _serve_http(ask: Asker, certificate: trustme.LeafCert | None) -> tuple[int, Stop]:
    """Serve OTLP/HTTP on some port; give the port, and what ends it."""

    async def post(request: web.Request) -> web.StreamResponse:
        payload = await request.read()
        answer = await ask(payload, {name.lower(): value for name, value in request.headers.items()})
        assert isinstance(answer.status, int)
        headers = {name: str(value) for name, value in answer.headers.items()}
        body = answer.body or answer.words.encode()
        if not answer.cut:
            return web.Response(status=answer.status, body=body, headers=headers)
        half = web.StreamResponse(status=answer.status, headers=headers | {"Content-Length": "1000"})
        await half.prepare(request)
        await half.write(b"\n")
        assert request.transport is not None
        request.transport.close()
        return half

    app = web.Application(client_max_size=_MAX_REQUEST)
    app.router.add_post("/v1/logs", post)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(tls)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    return int(runner.addresses[0][1]), runner.cleanup


async def _serve_grpc(ask: Asker, certificate: trustme.LeafCert | None) -> tuple[int, Stop]:
    """Serve OTLP/gRPC on some port; give the port, and what ends it."""

    async def export(payload: bytes, context: Any) -> bytes:
        headers = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        answer = await ask(payload, headers)
        if answer.status != "OK":
            await context.abort(grpc.StatusCode[answer.status], answer.words, tuple(answer.headers.items()))
        return answer.body

    server = grpc.aio.server(options=(("grpc.max_receive_message_length", _MAX_REQUEST), ("grpc.so_reuseport", 0)))
    methods = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
    if certificate is not None:
        pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def stop() -> None:
        with suppress(asyncio.CancelledError):
            await server.stop(None)

    return port, stop


async def _nothing() -> None:
    """Stop what was never started."""


async def _calling(function: Callable[[], None]) -> None:
    """Call a function in the event loop that this runs in."""
    function()
