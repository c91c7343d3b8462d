"""Tests of `exporter.otlp.logs`: from the journal to an endpoint and back through its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from exporter.changes.batch import Batch
from exporter.delivery import Delivery
from exporter.journal.store import Journal
from exporter.metrics.health import Health
from exporter.otlp.envelope import Envelope
from exporter.otlp.grpc import GrpcSender
from exporter.otlp.http import HttpSender
from exporter.otlp.logs import OtlpLogs
from exporter.otlp.sender import open_sender
from exporter.otlp.settings import resolve
from tests.otlp.made import made


if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Endpoint:
    """An endpoint that refuses a request with a record of the name `bad`, and the first request of all."""

    def __init__(self) -> None:
        self.address = ""
        self.names: list[str] = []
        self.requests = 0

    async def export(self, request: web.Request) -> web.Response:
        """Take a request or refuse it."""
        self.requests += 1
        read = ExportLogsServiceRequest()
        read.ParseFromString(await request.read())
        records = [one for logs in read.resource_logs for scope in logs.scope_logs for one in scope.log_records]
        names = [
            attribute.value.string_value
            for record in records
            for attribute in record.attributes
            if attribute.key == "customresource.name"
        ]
        if self.requests == 1:
            return web.Response(status=503, headers={"Retry-After": "1"})
        if "bad" in names:
            return web.Response(status=400, text="too old")
        self.names += names
        return web.Response(content_type="application/x-protobuf")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """Serve an endpoint."""
    served = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/logs", served.export)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0).start()
    served.address = f"http://localhost:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


async def test_from_journal_to_endpoint(endpoint: Endpoint) -> None:
    """Through a refusal and a bad record all others arrive, and a restart sends nothing again."""
    journal = Journal.open(None)
    settings = resolve({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.address, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})
    assert settings is not None
    journal.cursor(OtlpLogs.name)  # from here on

    async def run_once() -> None:
        consumer = OtlpLogs(Envelope(settings, journal_id=journal.id, cluster_uid="c"), await open_sender(settings))
        delivery = Delivery(journal, consumer, Health())
        delivery.stop()  # a run after this delivers what there is, or fails once
        await delivery.run()

    names = ("a", "b", "beat", "bad", "c")
    journal.commit(Batch(changes=[made(name=name, heartbeat=name == "beat") for name in names]))
    await run_once()
    assert not endpoint.names
    await run_once()
    journal.commit(Batch(changes=[made(name="d")]))
    await run_once()
    journal.close()

    assert endpoint.names == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("protocol", "kind"), [("grpc", GrpcSender), ("http/protobuf", HttpSender)])
async def test_protocol(protocol: str, kind: type[Any]) -> None:
    """The protocol decides on the sender."""
    settings = resolve({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert settings is not None
    sender = await open_sender(settings)
    await sender.close()

    assert isinstance(sender, kind)
