"""Tests of `exporter.otlp.verdict`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from exporter.otlp import verdict
from exporter.verdicts import Done, Misconfigured, Poison, Retry, Verdict


NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
PROTOBUF = {"Content-Type": "application/x-protobuf"}
REJECTED = ExportLogsServiceResponse(
    partial_success=ExportLogsPartialSuccess(rejected_log_records=3, error_message="too\nold")
).SerializeToString()


def retry_info(seconds: int, nanos: int = 0) -> bytes:
    """Make the trailer in which a server says how long to wait."""
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
    trailer: bytes = Status(code=8, details=[detail]).SerializeToString()
    return trailer


@pytest.mark.parametrize(
    "status", [301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 406, 407, 411, 415, 418, 422, 451]
)
def test_http_needs_a_person(status: int) -> None:
    """A redirect, and a refusal that is not the batch's fault, is kept and needs a person."""
    judged = verdict.http(status, {"Location": "https://else?key=hunter2"}, b"go away", NOW)

    assert isinstance(judged, Misconfigured)
    assert f"http_{status}" == judged.reason
    assert "hunter2" not in judged.message


@pytest.mark.parametrize("status", [400, 413])
def test_http_poison(status: int) -> None:
    """Only 400 and 413 speak against the batch."""
    assert Poison(f"http_{status} (no good)") == verdict.http(status, {}, b"no good", NOW)


@pytest.mark.parametrize("status", [100, 408, 429, 500, 501, 502, 503, 504, 507, 520, 599, 999])
def test_http_retry(status: int) -> None:
    """Whatever may pass is tried again."""
    assert Retry(f"http_{status}", message="later") == verdict.http(status, {}, b"later", NOW)


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><html>", b"\n <html><body>Log in</body>"])
def test_http_web_page(body: bytes) -> None:
    """A web page is no success, whatever its status says."""
    judged = verdict.http(200, {"Content-Type": "text/html"}, body, NOW)

    assert isinstance(judged, Misconfigured)
    assert judged.reason == "web_page"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("soon", None),
        ("-1", None),
        ("\N{SUPERSCRIPT TWO}", None),
        ("1.5", None),
        ("0", 0.0),
        ("30", 30.0),
        (" 7 ", 7.0),
        ("900", 900.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    """Retry-After is seconds or a date, and nonsense is ignored."""
    assert Retry("http_503", seconds) == verdict.http(503, {"Retry-After": header}, b"", NOW)


@pytest.mark.parametrize("header", ["901", "86400", "9" * 400, "Tue, 24 Nov 2026 12:00:00 GMT"])
def test_long_retry_after(header: str) -> None:
    """No wait is longer than a quarter of an hour, whatever is asked for, and the log says what was asked."""
    judged = verdict.http(429, {"Retry-After": header}, b"quota", NOW)

    assert isinstance(judged, Retry)
    assert judged.after == 900.0
    assert re.fullmatch(r"asked to stay away for \d+ s, trying again after 900 s \(quota\)", judged.message)


def test_words_of_a_server() -> None:
    """A server's words are read from its Status, on one line, cut, without control characters."""
    body = Status(message="bad \x1b[31mrecord\n" + "x" * 1000).SerializeToString()
    judged = verdict.http(400, PROTOBUF, body, NOW)

    assert Poison("http_400 (bad \N{REPLACEMENT CHARACTER}[31mrecord " + "x" * 240 + ")") == judged


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"no protobuf at all", b""])
def test_http_answer_that_cannot_be_read(body: bytes) -> None:
    """An answer that cannot be read says nothing against the records, but it leaves a doubt."""
    assert Done(warning="unreadable_answer" if body else "") == verdict.http(200, {}, body, NOW)
    assert isinstance(verdict.http(400, PROTOBUF, body, NOW), Poison)


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, PROTOBUF, b"", Done()),
        (202, {}, b"accepted", Done()),
        (204, {}, b"", Done()),
        (260, {}, b"blocked", Done(warning="http_260")),
        (201, {}, b"", Done(warning="http_201")),
        (200, PROTOBUF, REJECTED, Done(3, "too old")),
        (
            200,
            {"Content-Type": "application/json; charset=utf-8"},
            b'{"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "no"}, "more": 1}',
            Done(2, "no"),
        ),
        (200, {"Content-Type": "application/json"}, b"{", Done(warning="unreadable_answer")),
        (202, {"Content-Type": "application/json"}, b"{", Done()),
        (200, {"Content-Type": "application/json"}, b"", Done()),
    ],
)
def test_http_success(status: int, headers: dict[str, str], body: bytes, expected: Verdict) -> None:
    """A success is parsed for what was rejected, and an unusual one leaves a doubt."""
    assert expected == verdict.http(status, headers, body, NOW)


@pytest.mark.parametrize(
    ("code", "details", "reason"),
    [
        ("UNAUTHENTICATED", "", "grpc_unauthenticated"),
        ("PERMISSION_DENIED", "", "grpc_permission_denied"),
        ("UNIMPLEMENTED", "", "grpc_unimplemented"),
        ("UNAVAILABLE", "Tls handshake failed: CERTIFICATE_VERIFY_FAILED", "tls"),
        ("UNAVAILABLE", "UNAUTHENTICATED: Hostname Verification Check failed.", "tls"),
        ("UNAVAILABLE", "SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER", "tls"),
        ("UNAVAILABLE", "(Trying to connect an http1.x server (HTTP status 400))", "not_grpc"),
    ],
)
def test_grpc_needs_a_person(code: str, details: str, reason: str) -> None:
    """What will not get better by itself is kept and needs a person."""
    judged = verdict.grpc(code, details)

    assert isinstance(judged, Misconfigured)
    assert reason == judged.reason


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("INVALID_ARGUMENT", "no"),
        ("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5000000 vs. 4194304)"),
        ("RESOURCE_EXHAUSTED", "grpc: received message after decompression larger than max (1 vs. 0)"),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4194304: 5000000"),
    ],
)
def test_grpc_poison(code: str, details: str) -> None:
    """Only a malformed and a too large request speak against the batch."""
    assert Poison(f"grpc_{code.lower()} ({details})") == verdict.grpc(code, details, retry_info(5))


@pytest.mark.parametrize(
    "code",
    [
        "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
    ],
)  # fmt: skip
def test_grpc_retry(code: str) -> None:
    """All else is tried again, after as long as the server asks."""
    reason = f"grpc_{code.lower()}"

    assert Retry(reason, message="busy") == verdict.grpc(code, "busy")
    assert Retry(reason, 1.5) == verdict.grpc(code, "", retry_info(1, 500_000_000))
    told = "asked to stay away for 86400 s, trying again after 900 s"
    assert Retry(reason, 900.0, message=told) == verdict.grpc(code, "", retry_info(86_400))


@given(
    status=st.integers(0, 999),
    headers=st.dictionaries(st.sampled_from(["Content-Type", "Location", "Retry-After"]), st.text()),
    body=st.binary(),
)
def test_http_never_fails(status: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever comes back, there is a verdict."""
    assert isinstance(verdict.http(status, headers, body, NOW), Verdict)


@given(code=st.sampled_from(["UNAVAILABLE", "RESOURCE_EXHAUSTED", "UNKNOWN"]), details=st.text(), status=st.binary())
def test_grpc_never_fails(code: str, details: str, status: bytes) -> None:
    """Whatever comes back, there is a verdict."""
    assert isinstance(verdict.grpc(code, details, status), Verdict)
