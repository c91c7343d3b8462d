"""Tests of `exporter.otlp.traces`: from the journal to an endpoint, over both protocols, and what its answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from exporter.changes.batch import Batch
from exporter.delivery import Delivery
from exporter.journal.store import Journal
from exporter.metrics.health import Health
from exporter.otlp import verdict
from exporter.otlp.envelope import Envelope
from exporter.otlp.sender import open_sender
from exporter.otlp.settings import Settings, resolve
from exporter.otlp.traces import OtlpTraces
from exporter.verdicts import Done, Misconfigured
from tests.otlp.made import made
from tests.otlp.test_http import endpoint
from tests.otlp.test_spans import rollout
from tests.otlp.test_verdict import NOW, PROTOBUF


if TYPE_CHECKING:
    from exporter.verdicts import Verdict

REJECTED = ExportTraceServiceResponse(
    partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="too many")
).SerializeToString()


def settings(address: str, **more: str) -> Settings:
    """Read the settings of traces."""
    found = resolve({"OTEL_EXPORTER_OTLP_ENDPOINT": address, **more}, "traces")
    assert found is not None
    return found


async def send(by: Settings, *records: Any) -> Verdict:
    """Send records once."""
    consumer = OtlpTraces(Envelope(by, journal_id="j", cluster_uid="c"), await open_sender(by))
    try:
        return await consumer.send(records)
    finally:
        await consumer.close()


@pytest.mark.parametrize(
    ("environ", "sent"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_LOGS_EXPORTER": "none"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
    ],
)
def test_traces_are_sent_where_the_environment_says_so(environ: dict[str, str], sent: bool) -> None:
    """Traces have variables of their own; what is said of logs alone is not meant for them."""
    assert sent == (resolve(environ, "traces") is not None)


def test_only_rollouts_are_traces() -> None:
    """Changes are left to the log records."""
    consumer = OtlpTraces(Envelope(settings("http://c"), journal_id="j", cluster_uid="c"), sender=None)  # type: ignore[arg-type]

    assert (consumer.matters(made()), consumer.matters(rollout())) == (False, True)


async def test_over_http() -> None:
    """A rollout arrives at /v1/traces, and what the endpoint rejected of it is heard."""
    got = []

    async def take(request: web.Request) -> web.Response:
        got.append((request.path, ExportTraceServiceRequest.FromString(await request.read())))
        return web.Response(body=REJECTED, content_type="application/x-protobuf")

    async with endpoint(take) as address:
        judged = await send(settings(address), rollout())

    ((path, request),) = got
    assert path == "/v1/traces"
    assert [span.name for span in request.resource_spans[0].scope_spans[0].spans] == ["reconcile Widget"]
    assert Done(2, "too many") == judged


async def test_over_grpc() -> None:
    """A rollout arrives at the TraceService, and what the endpoint rejected of it is heard."""
    got = []

    async def export(request: bytes, _: object) -> bytes:
        got.append(ExportTraceServiceRequest.FromString(request))
        return REJECTED

    method = grpc.unary_unary_rpc_method_handler(export)
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Export": method})])
    port = server.add_insecure_port("localhost:0")
    await server.start()
    try:
        judged = await send(settings(f"http://localhost:{port}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc"), rollout())
    finally:
        await server.stop(None)

    assert [one.name for one in got[0].resource_spans[0].scope_spans[0].spans] == ["reconcile Widget"]
    assert Done(2, "too many") == judged


async def test_from_the_journal_each_rollout_is_sent_once_in_order() -> None:
    """Rollouts stand among the changes in the journal; a consumer that starts again sends none of them twice."""
    names: list[str] = []

    async def take(request: web.Request) -> web.Response:
        read = ExportTraceServiceRequest.FromString(await request.read())
        names.extend(span.trace_id.hex()[0] for one in read.resource_spans for span in one.scope_spans[0].spans)
        return web.Response(content_type="application/x-protobuf")

    journal = Journal.open(None)
    journal.cursor(OtlpTraces.name)  # from here on
    async with endpoint(take) as address:
        for trace in ("1", "2"):
            journal.commit(Batch(changes=[made()], records=[rollout(trace=trace * 32)]))
            by = settings(address)
            consumer = OtlpTraces(Envelope(by, journal_id=journal.id, cluster_uid="c"), await open_sender(by))
            delivery = Delivery(journal, consumer, Health())
            delivery.stop()  # a run after this delivers what there is
            await delivery.run()
    journal.close()

    assert names == ["1", "2"]


def test_a_rejection_is_read_from_json_too() -> None:
    """An endpoint that answers in JSON says how many spans it rejected under their own name."""
    body = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too many"}}'
    kind = {"Content-Type": "application/json"}

    assert Done(2, "too many") == verdict.http(200, kind, body, NOW, "traces")
    assert Done(2, "too many") == verdict.http(200, PROTOBUF, REJECTED, NOW, "traces")


def test_the_remedy_names_the_signal() -> None:
    """What to do about a wrong path or a missing service is told for traces, not for logs."""
    judged = [verdict.http(404, {}, b"", NOW, "traces"), verdict.grpc("UNIMPLEMENTED", "", signal="traces")]

    for one, words in zip(judged, ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "takes no traces"], strict=True):
        assert isinstance(one, Misconfigured)
        assert words in one.message
