"""Tests of `exporter.otlp.grpc` against a real gRPC server on this machine."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from exporter.errors import UsageError
from exporter.otlp.grpc import GrpcSender
from exporter.otlp.sender import open_sender
from exporter.otlp.settings import resolve
from exporter.verdicts import Done, Misconfigured, Poison, Retry
from tests.faults.front import Front


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from exporter.verdicts import Verdict

    Export = Callable[[bytes, Any], Awaitable[bytes]]

SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"


@asynccontextmanager
async def endpoint(export: Export, credentials: Any = None, service: str = SERVICE) -> AsyncIterator[str]:
    """Serve the one method, raw bytes in and out; gives the address."""
    server = grpc.aio.server()
    methods = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    if credentials:
        port = server.add_secure_port("localhost:0", credentials)
    else:
        port = server.add_insecure_port("localhost:0")
    await server.start()
    try:
        yield f"{'https' if credentials else 'http'}://localhost:{port}"
    finally:
        await server.stop(None)


async def opened(address: str, **variables: str) -> GrpcSender:
    """Make a sender."""
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in ({"PROTOCOL": "grpc"} | variables).items()}
    settings = resolve({"OTEL_EXPORTER_OTLP_ENDPOINT": address} | named)
    assert settings is not None
    sender = await open_sender(settings)
    assert isinstance(sender, GrpcSender)
    return sender


async def sent(address: str, payload: bytes = b"payload", **variables: str) -> Verdict:
    """Send a payload over a sender of its own."""
    sender = await opened(address, **variables)
    try:
        return await sender.send(payload, 1)
    finally:
        await sender.close()


async def accept(_payload: bytes, _context: Any) -> bytes:
    """Take everything."""
    return b""


async def test_nobody_there() -> None:
    """A refused connection is tried again."""
    judged = await sent("http://localhost:1")

    assert isinstance(judged, Retry)
    assert judged.reason == "grpc_unavailable"


async def test_no_answer_in_time() -> None:
    """An endpoint that does not answer is given up after the timeout."""

    async def hang(_payload: bytes, _context: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with endpoint(hang) as address:
        judged = await sent(address, TIMEOUT="100")

    assert isinstance(judged, Retry)
    assert judged.reason == "grpc_deadline_exceeded"


async def test_another_service() -> None:
    """An endpoint that does not know logs needs a person."""
    async with endpoint(accept, service="another.Service") as address:
        judged = await sent(address)

    assert isinstance(judged, Misconfigured)
    assert judged.reason == "grpc_unimplemented"


async def test_too_large() -> None:
    """A message that the server finds too large is the batch's fault."""
    async with endpoint(accept) as address:
        judged = await sent(address, b"x" * 5_000_000)

    assert isinstance(judged, Poison)
    assert judged.reason.startswith("grpc_resource_exhausted ")


async def test_status_is_judged() -> None:
    """A status and how long to wait reach the table of verdicts."""
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=9)))
    trailer = ("grpc-status-details-bin", Status(code=8, details=[detail]).SerializeToString())

    async def refuse(_payload: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue full", (trailer,))
        return b""

    async with endpoint(refuse) as address:
        assert Retry("grpc_resource_exhausted", 9.0, message="queue full") == await sent(address)


async def test_tls(tmp_path: Path) -> None:
    """A certificate of an unknown CA needs a person; with the CA named it is trusted."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with endpoint(accept, grpc.ssl_server_credentials([pair])) as address:
        untrusted = await sent(address)
        trusted = await sent(address, CERTIFICATE=str(tmp_path / "ca.pem"))

    assert isinstance(untrusted, Misconfigured)
    assert untrusted.reason == "tls"
    assert Done() == trusted


async def test_unusable_certificate(tmp_path: Path) -> None:
    """A certificate that is none ends the program with the variable's name."""
    (tmp_path / "no.pem").write_text("no certificate")
    with pytest.raises(UsageError, match="OTEL_EXPORTER_OTLP_CERTIFICATE="):
        await sent("https://localhost:1", CERTIFICATE=str(tmp_path / "no.pem"))


async def test_another_host(tmp_path: Path) -> None:
    """A certificate that names another host needs a person."""
    authority = trustme.CA()
    certificate = authority.issue_cert("elsewhere.example.com")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with endpoint(accept, grpc.ssl_server_credentials([pair])) as address:
        judged = await sent(address.replace("localhost", "127.0.0.1"), CERTIFICATE=str(tmp_path / "ca.pem"))

    assert isinstance(judged, Misconfigured)
    assert judged.reason == "tls"


async def test_certificate_is_read_again(tmp_path: Path) -> None:
    """A CA that was replaced on disk is trusted from the next failure on, and by a sender that is made of this one."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with endpoint(accept, grpc.ssl_server_credentials([pair])) as address:
        sender = await opened(address.replace("localhost", "127.0.0.1"), CERTIFICATE=str(tmp_path / "ca.pem"))
        refused = await sender.send(b"", 1)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        await sender.send(b"", 1)
        accepted = await sender.send(b"", 1)
        await sender.close()
        (tmp_path / "ca.pem").unlink()
        another = await sender.again()
        accepted_again = await another.send(b"", 1)
        await another.close()

    assert isinstance(refused, Misconfigured)
    assert (accepted, accepted_again) == (Done(), Done())


async def test_silent_connection() -> None:
    """A connection that fell silent, as behind a load balancer whose server died, is not used for ever."""
    front = Front()
    async with endpoint(accept) as address:
        front.target = int(address.rpartition(":")[2])
        await front.up()
        sender = await opened(f"http://127.0.0.1:{front.port}", TIMEOUT="200")

        async def until_done() -> None:
            """On a busy machine a connection may take longer to make than silence is to last."""
            async with asyncio.timeout(20):
                while await sender.send(b"", 1) != Done():
                    pass

        await until_done()
        front.hang()
        silent = await sender.send(b"", 1)
        front.go_on()
        await until_done()
        await sender.close()
        await front.close()

    assert isinstance(silent, Retry)
    assert silent.reason == "grpc_deadline_exceeded"


async def test_credentials_are_not_repeated() -> None:
    """An endpoint that repeats the credentials it refuses does not bring them into our log."""

    async def refuse(_payload: bytes, context: Any) -> bytes:
        said = dict(context.invocation_metadata())["authorization"]
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"no such token: {said}")
        return b""

    async with endpoint(refuse) as address:
        judged = await sent(address, HEADERS="authorization=Bearer%20hunter2hunter2")

    assert isinstance(judged, Misconfigured)
    assert "no such token: " in judged.message
    assert "hunter2" not in judged.message


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_request(compression: str) -> None:
    """The payload arrives as it is, with the headers, and what was rejected comes back."""
    got = []
    partial = ExportLogsPartialSuccess(rejected_log_records=2, error_message="old")

    async def keep(payload: bytes, context: Any) -> bytes:
        metadata = dict(context.invocation_metadata())
        got.append((payload, metadata["x-key"], metadata["x-raw-bin"]))
        return ExportLogsServiceResponse(partial_success=partial).SerializeToString()

    async with endpoint(keep) as address:
        judged = await sent(address, b"p" * 1000, COMPRESSION=compression, HEADERS="X-Key=secret,x-raw-bin=raw")

    assert Done(2, "old") == judged
    assert got == [(b"p" * 1000, "secret", b"raw")]
