"""Tests of `exporter.otlp.http` against real servers on this machine."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
import trustme
from aiohttp import web
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from exporter.errors import UsageError
from exporter.otlp.http import HttpSender
from exporter.otlp.sender import open_sender
from exporter.otlp.settings import resolve
from exporter.verdicts import Done, Misconfigured, Poison, Retry


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from exporter.verdicts import Verdict

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LARGE = bytes(range(256)) * 2048


@asynccontextmanager
async def endpoint(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve a handler for every path; gives the address."""
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if tls else 'http'}://localhost:{port}"
    finally:
        await runner.cleanup()


async def sent(address: str, **variables: str) -> list[Verdict]:
    """Send once."""
    return await sent_often(address, b"payload", 1, **variables)


async def sent_often(address: str, payload: bytes, times: int, **variables: str) -> list[Verdict]:
    """Send a payload some times over one sender."""
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()}
    settings = resolve({"OTEL_EXPORTER_OTLP_ENDPOINT": address} | named)
    assert settings is not None
    sender = await open_sender(settings)
    assert isinstance(sender, HttpSender)
    try:
        return [await sender.send(payload, 1) for _ in range(times)]
    finally:
        await sender.close()


def answering(status: int, body: bytes = b"", **headers: str) -> Handler:
    """Make a handler that always answers the same."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, body=body, headers=headers)

    return answer


async def test_nobody_there() -> None:
    """A refused connection is tried again."""
    (judged,) = await sent("http://localhost:1")

    assert isinstance(judged, Retry)
    assert judged.reason == "network"
    assert "http://localhost:1/v1/logs" in judged.message


async def test_no_answer_in_time() -> None:
    """An endpoint that does not answer is given up after the timeout, and the unit of it is told."""
    forever = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await forever.wait()
        return web.Response()

    async with endpoint(hang) as address:
        (judged,) = await sent(address, TIMEOUT="50")
        forever.set()

    assert isinstance(judged, Retry)
    assert judged.reason == "timeout"
    assert "0.05 s" in judged.message
    assert "milliseconds" in judged.message


async def test_redirect_is_not_followed() -> None:
    """A redirect is not followed: credentials would go to wherever it points."""
    asked = []

    async def redirect(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with endpoint(redirect) as address:
        (judged,) = await sent(address)

    assert isinstance(judged, Misconfigured)
    assert asked == ["/v1/logs"]


async def test_grpc_port() -> None:
    """A gRPC port answers no HTTP, and the log says which variable to set."""
    server = grpc.aio.server()
    port = server.add_insecure_port("localhost:0")
    await server.start()
    (judged,) = await sent(f"http://localhost:{port}")
    await server.stop(None)

    assert isinstance(judged, Misconfigured)
    assert judged.reason == "not_http"
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in judged.message


async def test_untrusted_certificate(tmp_path: Path) -> None:
    """A certificate of an unknown CA needs a person; with the CA named it is trusted."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with endpoint(answering(200), tls) as address:
        (untrusted,) = await sent(address)
        (trusted,) = await sent(address, CERTIFICATE=str(tmp_path / "ca.pem"))

    assert isinstance(untrusted, Misconfigured)
    assert untrusted.reason == "tls"
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in untrusted.message
    assert Done() == trusted


async def test_client_certificate_is_read_again(tmp_path: Path) -> None:
    """One that was replaced on disk is used after the next failure, and by a sender that is made of this one."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def place(issuer: trustme.CA) -> None:
        certificate = issuer.issue_cert("client")
        certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))

    place(trustme.CA())
    async with endpoint(answering(200), tls) as address:
        settings = resolve(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": address,
                "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem"),
                "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tmp_path / "key.pem"),
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(tmp_path / "cert.pem"),
            }
        )
        assert settings is not None
        sender = await HttpSender.open(settings)
        refused = await sender.send(b"", 1)
        place(authority)
        await sender.send(b"", 1)
        accepted = await sender.send(b"", 1)
        await sender.close()
        (tmp_path / "cert.pem").unlink()
        another = await sender.again()
        accepted_again = await another.send(b"", 1)
        await another.close()

    assert isinstance(refused, Retry | Misconfigured)
    assert (accepted, accepted_again) == (Done(), Done())


@pytest.mark.parametrize("variable", ["CERTIFICATE", "CLIENT_CERTIFICATE"])
async def test_unusable_certificate(tmp_path: Path, variable: str) -> None:
    """A certificate that is not there or is none ends the program with the variable's name."""
    (tmp_path / "no.pem").write_text("no certificate")
    for file in ("no.pem", "absent.pem"):
        variables = {variable: str(tmp_path / file)}
        if variable == "CLIENT_CERTIFICATE":
            variables["CLIENT_KEY"] = str(tmp_path / file)
        with pytest.raises(UsageError, match=f"OTEL_EXPORTER_OTLP_{variable}="):
            await sent("https://localhost:1", **variables)


async def test_endless_answer_is_cut() -> None:
    """An answer without end does not fill the memory, nor hold up delivery."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    async with endpoint(endless) as address:
        (judged,) = await sent(address)

    assert Retry("http_503", message="x" * 256) == judged


async def test_idle_connection_that_was_closed() -> None:
    """A connection that was closed behind our back costs no failure."""
    first = True

    async def closing(request: web.Request) -> web.Response:
        nonlocal first
        await request.read()
        if first:
            first = False
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    async with endpoint(closing) as address:
        (judged,) = await sent(address)

    assert Done() == judged
    assert not first


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (400, {}, Poison("http_400 (no)")),
        (429, {"Retry-After": "7"}, Retry("http_429", 7.0, message="no")),
    ],
)
async def test_answer_is_judged(status: int, headers: dict[str, str], expected: Verdict) -> None:
    """What an endpoint answers reaches the table of verdicts."""
    async with endpoint(answering(status, b"no", **headers)) as address:
        assert [expected] == await sent(address)


async def test_partial_success() -> None:
    """What an endpoint rejected of a batch is known."""
    partial = ExportLogsPartialSuccess(rejected_log_records=2, error_message="old")
    body = ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    async with endpoint(answering(200, body, **{"Content-Type": "application/x-protobuf"})) as address:
        assert [Done(2, "old")] == await sent(address)


@pytest.mark.parametrize("status", [302, 400, 401, 503])
async def test_credentials_are_not_repeated(status: int) -> None:
    """An endpoint that repeats the credentials it refuses brings them neither into the log nor to a dead letter."""

    async def repeat(request: web.Request) -> web.Response:
        said = request.headers["Authorization"]
        body = Status(message=f"no such token: {said}").SerializeToString()
        return web.Response(
            status=status,
            body=body,
            headers={"Content-Type": "application/x-protobuf", "Location": f"/login/{said.split()[1]}"},
        )

    async with endpoint(repeat) as address:
        (judged,) = await sent(address, HEADERS="authorization=Bearer%20hunter2hunter2,x-scope-orgid=1")

    assert "login/" in repr(judged) if status == 302 else "no such token: " in repr(judged)
    assert "hunter2" not in repr(judged)


async def test_answer_that_breaks_off() -> None:
    """An answer that is cut in the middle is tried again, and the address is told without what is secret in it."""

    async def cut(request: web.Request) -> web.StreamResponse:
        half = web.StreamResponse(headers={"Content-Length": "1000"})
        await half.prepare(request)
        await half.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return half

    async with endpoint(cut) as address:
        (judged,) = await sent(f"{address}", LOGS_ENDPOINT=f"{address}/logs?key=hunter2")

    assert Retry("network", message=f"{address}/logs broke off in the middle of its answer") == judged


async def test_name_that_cannot_be_resolved() -> None:
    """A name that nobody knows is tried again, and the log says which name, and where it stands."""
    (judged,) = await sent("http://no-such-host.invalid:4318")

    assert isinstance(judged, Retry)
    assert judged.reason == "network"
    assert "no-such-host.invalid:4318" in judged.message
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in judged.message


@pytest.mark.parametrize("payload", [b"small", LARGE])
@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_request(payload: bytes, compression: str) -> None:
    """The payload arrives as it is, with the headers, over one connection that is kept."""
    bodies, headers, connections = [], [], set()

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.read())  # aiohttp has decompressed it
        headers.append({name.lower(): value for name, value in request.headers.items()})
        connections.add(request.transport)
        return web.Response()

    async with endpoint(keep) as address:
        judged = await sent_often(address, payload, 3, COMPRESSION=compression, HEADERS="X-Key=secret")

    assert [Done()] * 3 == judged
    assert [payload] * 3 == bodies
    assert len(connections) == 1
    assert headers[0]["content-type"] == "application/x-protobuf"
    assert headers[0]["x-key"] == "secret"
    assert ("gzip" if compression == "gzip" else None) == headers[0].get("content-encoding")
