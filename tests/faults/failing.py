"""The ways in which an OTLP endpoint fails, as values: how it begins, how one sees that it lasts, how it ends.

Must never judge: what arrives of all is for `arrivals`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import trustme
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from tests.faults.endpoint import Answer, Endpoint, Request, Rule
from tests.integration.exporting import Exporter
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Sequence

Count = Callable[[Exporter, Endpoint], float]
# Of a call that is given up: less than its time-out, and nobody waits for the rest of it.
_THINKING_SECONDS = 8.0


def counted(family: str, reason: str) -> Count:
    """Count what delivery counts under a reason."""
    labels = frozenset({"consumer": "otlp-logs", "reason": reason}.items())
    name = f"customresource_exporter_delivery_{family}_total"
    return lambda exporter, _: exporter.metrics().get((name, labels), 0.0)


def asked(_: Exporter, endpoint: Endpoint) -> float:
    """Count the requests that the endpoint has read."""
    return len(endpoint.requests)


def recover(endpoint: Endpoint) -> None:
    """Take everything from now on."""
    endpoint.rule = endpoint.take


class Fault(NamedTuple):
    """One way to fail.

    Attributes:
        name: for the table
        begin: makes the endpoint fail
        grows: what is counted while it fails
        times: by how much, until the endpoint recovers
        end: lets the endpoint recover
        tells: the reason that the log gives, once; empty for one that is no outage
        again: the exporter cannot know what has arrived, so some arrives twice

    """

    name: str
    begin: Callable[[Endpoint], None]
    grows: Count
    times: int = 2
    end: Callable[[Endpoint], None] = recover
    tells: str = ""
    again: bool = False


def ruled(name: str, rule: Callable[[Endpoint], Rule], grows: Count, times: int = 2, **more: Any) -> Fault:
    """Make a fault of a rule."""

    def begin(endpoint: Endpoint) -> None:
        endpoint.rule = rule(endpoint)

    return Fault(name, begin, grows, times, **more)


def refusal(status: int | str, name: str = "", times: int = 2, headers: dict[str, str | bytes] | None = None) -> Fault:
    """Make a fault that refuses every request with a status, and repeats the credentials in its words."""

    def rule(_: Endpoint) -> Rule:
        return lambda request: Answer(status, words=f"not {request.headers['x-api-key']}", headers=headers or {})

    reason = f"http_{status}" if isinstance(status, int) else f"grpc_{status.lower()}"
    return ruled(name or str(status), rule, counted("failures", reason), times, tells=reason)


def poison(status: int | str) -> Fault:
    """Make a fault that refuses every batch with one certain record in it, from the middle of the first one."""

    def rule(endpoint: Endpoint) -> Rule:
        bad: set[str] = set()

        def judge(request: Request) -> Answer:
            if not bad and len(request.records) >= 3:
                bad.add(request.records[len(request.records) // 2].uid)
                endpoint.refused.update(bad)
            poisoned = any(record.uid in bad for record in request.records)
            return Answer(status, words="no good") if poisoned else endpoint.take(request)

        return judge

    return ruled(f"{status}, one poison record in a batch", rule, counted("dropped", "poison"), 1)


def at_most(records: int, answer: Answer, grows: Count) -> Fault:
    """Make a fault that refuses every larger batch."""

    def rule(endpoint: Endpoint) -> Rule:
        return lambda request: answer if len(request.records) > records else endpoint.take(request)

    return ruled(f"{answer.status}, batch too large", rule, grows)


def partial_success(endpoint: Endpoint) -> Rule:
    """Reject the first record of one batch, take all else."""
    rejected: list[str] = []

    def judge(request: Request) -> Answer:
        new = not rejected
        if new:
            rejected.append(request.records[0].uid)
            endpoint.refused.update(rejected)
        told = ExportLogsPartialSuccess(rejected_log_records=int(new), error_message="too old")
        return endpoint.take(request)._replace(
            body=ExportLogsServiceResponse(partial_success=told).SerializeToString(),
            headers={"Content-Type": "application/x-protobuf"} if endpoint.protocol != "grpc" else {},
        )

    return judge


def remark(endpoint: Endpoint) -> Rule:
    """Take all with a remark and no number."""
    body = ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(error_message="you send much")
    ).SerializeToString()
    return lambda request: endpoint.take(request)._replace(body=body)


def taking(**more: Any) -> Callable[[Endpoint], Rule]:
    """Take all, but with something about the answer."""
    return lambda endpoint: lambda request: endpoint.take(request)._replace(**more)


def retry_info(seconds: int) -> dict[str, str | bytes]:
    """Make the trailer in which a server says how long to wait."""
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=seconds)))
    return {"grpc-status-details-bin": Status(code=8, details=[detail]).SerializeToString()}


def restarts(endpoint: Endpoint) -> None:
    """Think about every request for long, and be replaced meanwhile: GOAWAY in the middle of a call."""
    endpoint.rule = taking(seconds=_THINKING_SECONDS)(endpoint)
    before = len(endpoint.requests)
    for _ in range(2):
        eventually(partial(_asked_again, endpoint, before), 60)
        before = len(endpoint.requests)  # what is asked of the new server counts as soon as that is there
        endpoint.restart()


def _asked_again(endpoint: Endpoint, before: int) -> bool:
    return len(endpoint.requests) > before


def shows(name: str, certificate: Callable[[Endpoint], trustme.LeafCert]) -> Fault:
    """Make a fault of a certificate; connections with the right one are cut."""

    def begin(endpoint: Endpoint) -> None:
        endpoint.show(certificate(endpoint))

    return Fault(f"certificate {name}", begin, counted("failures", "tls"), 1, Endpoint.show, "tls", again=True)


HTTP = "http/protobuf"
NETWORK, TIMEOUT = counted("failures", "network"), counted("failures", "timeout")
UNAVAILABLE, DEADLINE = counted("failures", "grpc_unavailable"), counted("failures", "grpc_deadline_exceeded")

REFUSED = Fault("connection refused", Endpoint.down, NETWORK, 2, Endpoint.up, "network", again=True)
HANGS = Fault("accepts and hangs", Endpoint.hang, TIMEOUT, 1, Endpoint.go_on, "timeout", again=True)
CUT = ruled("answer cut in the middle", taking(cut=True), NETWORK, 1, again=True)
BUSY = refusal(503, "503, Retry-After 1 s", headers={"Retry-After": "1"})
SLOW = ruled("slow, 1 s a request", taking(seconds=1.0), asked, 3)
LARGE_HTTP = at_most(2, Answer(413, words="too large"), counted("failures", "http_413"))
PARTIAL = ruled("partial success, one rejected", partial_success, counted("dropped", "rejected"), 1)
REMARK = ruled("partial success without a number", remark, asked)
GARBAGE = ruled("200 with garbage", taking(body=b"\xff\xffgarbage"), counted("failures", "unreadable_answer"))
EXHAUSTED = refusal("RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED, RetryInfo 1 s", headers=retry_info(1))
LARGE_GRPC = at_most(
    2,
    Answer("RESOURCE_EXHAUSTED", words="grpc: received message larger than max"),
    counted("failures", "grpc_resource_exhausted"),
)
GRPC_REFUSED = Fault("connection refused", Endpoint.down, UNAVAILABLE, 2, Endpoint.up, "grpc_unavailable", again=True)
GRPC_HANGS = Fault(
    "accepts and hangs", Endpoint.hang, DEADLINE, 1, Endpoint.go_on, "grpc_deadline_exceeded", again=True
)
GRPC_CUT = ruled("connection cut in the middle", taking(cut=True), UNAVAILABLE, 1, again=True)
GOAWAY = Fault("GOAWAY in the middle", restarts, UNAVAILABLE, 0, tells="grpc_unavailable", again=True)
CERTIFICATES = [
    shows("expired", Endpoint.expired),
    shows("for another host", Endpoint.for_another_host),
    shows("of an unknown CA", lambda _: trustme.CA().issue_cert("127.0.0.1")),
]


class Play(NamedTuple):
    """Faults one after another, over one protocol, before an exporter whose journal may be that large."""

    name: str
    protocol: str
    faults: Sequence[Fault] = ()
    tls: bool = False
    journal: str = "1GiB"


PLAYS = [
    Play("http", HTTP, [REFUSED, LARGE_HTTP, poison(400)]),
    Play("http-person", HTTP, [refusal(403, times=1)]),
    Play("grpc", "grpc", [GRPC_HANGS, poison("INVALID_ARGUMENT"), GOAWAY]),
]
FULL_PLAYS = [
    Play("http", HTTP, [REFUSED, HANGS, CUT, SLOW, LARGE_HTTP, poison(400), PARTIAL, REMARK, GARBAGE]),
    Play(
        "http-busy",
        HTTP,
        [
            BUSY,
            refusal(429, "429, Retry-After 2 s", 1, {"Retry-After": "2"}),
            *map(refusal, (408, 500, 502)),
        ],
    ),
    Play("http-person", HTTP, [refusal(401, times=1), refusal(403, times=1)]),
    Play("http-place", HTTP, [refusal(404, times=1), refusal(302, "302", 1, {"Location": "https://elsewhere/"})]),
    Play("https", HTTP, CERTIFICATES, tls=True),
    Play("grpc", "grpc", [GRPC_REFUSED, GRPC_HANGS, GRPC_CUT, GOAWAY, SLOW, PARTIAL, REMARK]),
    Play("grpc-busy", "grpc", [EXHAUSTED, LARGE_GRPC, poison("INVALID_ARGUMENT"), refusal("DEADLINE_EXCEEDED")]),
    Play("grpc-again", "grpc", [refusal("UNAVAILABLE"), refusal("RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED")]),
    Play("grpc-person", "grpc", [refusal("UNAUTHENTICATED", times=1)]),
    Play("grpcs", "grpc", CERTIFICATES, tls=True),
]
