"""What an endpoint's answer means for a batch: the one place that decides.

Pure. Two tables, one for HTTP and one for gRPC, because one word means different things in the two: a gRPC
RESOURCE_EXHAUSTED is a full queue or a message too large. What is not a batch's own fault is never given up.

Source: OTLP specification 1.x, "OTLP/HTTP Response" and "Failures" of OTLP/gRPC. On purpose beyond it: a 500 is
retried (Loki, Mimir and gateways send it when they are busy), and so is what the specification calls permanent but
cannot be the batch's fault (401, 403, 404, UNIMPLEMENTED …), slowly and with the remedy in the log.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from exporter.errors import MAX_SERVER_TEXT
from exporter.verdicts import Done, Misconfigured, Poison, Retry


if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.otlp.settings import Signal
    from exporter.verdicts import Verdict


# What answers for each signal, and where it says how much was rejected.
_ANSWERS: dict[Signal, tuple[type[ExportLogsServiceResponse | ExportTraceServiceResponse], str]] = {
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
}
MAX_ANSWER = 64 * 1024
HEADERS = ("Content-Type", "Location", "Retry-After")
# However long we are asked to stay away, after a quarter of an hour we ask again: what waits costs disk, which has an
# end, and one request in that time is no load.
_LONGEST_WAIT = 900.0
_UNREADABLE = "unreadable_answer"
# The borders of the classes of RFC 9110 §15, and the members that are not treated as the rest of their class.
_OK, _MULTIPLE_CHOICES, _BAD_REQUEST, _SERVER_ERROR = 200, 300, 400, 500
_USUAL = {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}
_POISON = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_PAGES = (b"<!doctype html", b"<html")
_TOO_LARGE = ("larger than max", "exceeds maximum size", "message too large")

_HTTP_REMEDIES = {
    401: "the credentials are missing or refused: check OTEL_EXPORTER_OTLP_HEADERS",
    403: "the credentials do not allow sending: check OTEL_EXPORTER_OTLP_HEADERS and the rights behind them",
    404: "there is no OTLP at this path: OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/{signal} appended, "
    "OTEL_EXPORTER_OTLP_{SIGNAL}_ENDPOINT is used as it is",
    405: "something other than OTLP answers here: check OTEL_EXPORTER_OTLP_ENDPOINT",
    407: "the proxy wants credentials: check HTTPS_PROXY",
    415: "the endpoint does not take protobuf: check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL",
}
_HTTP_REMEDY = "check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS"

TLS_REMEDY = (
    "no TLS connection: check that the endpoint expects TLS, and OTEL_EXPORTER_OTLP_CERTIFICATE, "
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
)
_NOT_GRPC = (
    "what answers does not speak gRPC: for an HTTP endpoint (usually port 4318) set "
    "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
)
# What gRPC calls UNAVAILABLE, though it will not get better by itself: a mark in its words → reason and remedy.
_GRPC_LASTING = {
    "certificate_verify_failed": ("tls", TLS_REMEDY),
    "hostname verification": ("tls", TLS_REMEDY),
    "wrong_version_number": ("tls", TLS_REMEDY),
    "security handshaker": ("tls", TLS_REMEDY),
    "http1.x server": ("not_grpc", _NOT_GRPC),
}

_GRPC_REMEDIES = {
    "UNAUTHENTICATED": _HTTP_REMEDIES[401],
    "PERMISSION_DENIED": _HTTP_REMEDIES[403],
    "UNIMPLEMENTED": "the endpoint takes no {signal} over gRPC, or not with this compression: check "
    "OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL and OTEL_EXPORTER_OTLP_COMPRESSION",
}


def http(status: int, headers: Mapping[str, str], body: bytes, now: datetime, signal: Signal = "logs") -> Verdict:
    """Judge an HTTP answer.

    Args:
        status: of the answer
        headers: of the answer; those in `HEADERS` are looked up
        body: of the answer; the first `MAX_ANSWER` bytes are enough
        now: with a time zone, for a Retry-After that is a date
        signal: what was sent

    """
    reason = f"http_{status}"
    kind = headers.get("Content-Type", "").lower()
    if _OK <= status < _MULTIPLE_CHOICES:
        if body.lstrip()[:16].lower().startswith(_PAGES):
            return Misconfigured("web_page", f"a web page answers, which is no OTLP endpoint: {_HTTP_REMEDY}")
        # An endpoint that only queues may answer 202 in any words; but a 200 is to be an answer of OTLP.
        unreadable = _UNREADABLE if status == HTTPStatus.OK else ""
        warning = "" if status in _USUAL else reason
        return accepted(body, json="json" in kind, warning=warning, unreadable=unreadable, signal=signal)
    if _MULTIPLE_CHOICES <= status < _BAD_REQUEST:
        place = headers.get("Location", "").partition("?")[0]
        return Misconfigured(reason, f"the endpoint redirects to {_printable(place)}: set the endpoint to that")
    words = _words(body, kind)
    if status in _POISON:
        return Poison(_with(reason, words))
    if status in _BUSY or not _BAD_REQUEST <= status < _SERVER_ERROR:
        return _later(reason, _retry_after(headers.get("Retry-After", ""), now), words)
    return Misconfigured(reason, _with(_for(signal, _HTTP_REMEDIES.get(status, _HTTP_REMEDY)), words))


def grpc(code: str, details: str, status: bytes = b"", signal: Signal = "logs") -> Verdict:
    """Judge a call that failed.

    Args:
        code: name of the status code, as `UNAVAILABLE`
        details: the server's words
        status: the trailer `grpc-status-details-bin`, where a server says how long to wait
        signal: what was sent

    """
    reason = f"grpc_{code.lower()}"
    words = details.lower()
    details = _printable(details)
    if code == "INVALID_ARGUMENT":
        return Poison(_with(reason, details))
    if code == "RESOURCE_EXHAUSTED" and any(mark in words for mark in _TOO_LARGE):
        return Poison(_with(reason, details))
    if remedy := _GRPC_REMEDIES.get(code):
        return Misconfigured(reason, _with(_for(signal, remedy), details))
    if code == "UNAVAILABLE":
        for mark, (lasting, remedy) in _GRPC_LASTING.items():
            if mark in words:
                return Misconfigured(lasting, _with(remedy, details))
    return _later(reason, _retry_info(status), details)


def _later(reason: str, asked: float | None, words: str) -> Retry:
    """Try again when we are asked to, or when we have waited long enough, and say so."""
    if asked is None or asked <= _LONGEST_WAIT:
        return Retry(reason, asked, message=words)
    told = f"asked to stay away for {asked:.0f} s, trying again after {_LONGEST_WAIT:.0f} s"
    return Retry(reason, _LONGEST_WAIT, message=_with(told, words))


def _for(signal: Signal, remedy: str) -> str:
    """Name the signal in a remedy that depends on it."""
    return remedy.replace("{signal}", signal).replace("{SIGNAL}", signal.upper())


def accepted(
    body: bytes, *, json: bool = False, warning: str = "", unreadable: str = _UNREADABLE, signal: Signal = "logs"
) -> Done:
    """Read an ExportLogsServiceResponse, or that of traces: some records may have been rejected, for good.

    Args:
        body: of the answer; one that cannot be read says nothing against the records
        json: it is JSON, as some endpoints answer whatever they are asked
        warning: a reason for doubt
        unreadable: the reason for doubt where the body cannot be read, and there is no other
        signal: what was sent

    """
    answers, count = _ANSWERS[signal]
    answer = answers()
    try:
        if json:
            json_format.Parse(body or b"{}", answer, ignore_unknown_fields=True)
        else:
            answer.ParseFromString(body)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError):
        return Done(warning=warning or unreadable)
    partial = answer.partial_success
    return Done(max(0, getattr(partial, count)), _printable(partial.error_message), warning)


def _with(remedy: str, words: str) -> str:
    return f"{remedy} ({words})" if words else remedy


def _words(body: bytes, kind: str) -> str:
    """Find what the server says in an answer that tells of an error: a google.rpc.Status, or text."""
    if "protobuf" in kind:
        status = Status()
        try:
            status.ParseFromString(body)
        except DecodeError:
            return ""
        text = status.message
    else:
        text = body[: 4 * MAX_SERVER_TEXT].decode("utf-8", "replace")
    return _printable(text)


def _printable(text: str) -> str:
    """Cut a server's text, and take out what could play tricks on a terminal."""
    text = " ".join(text[: 4 * MAX_SERVER_TEXT].split())[:MAX_SERVER_TEXT]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _retry_after(header: str, now: datetime) -> float | None:
    """Read Retry-After (RFC 9110 §10.2.3): seconds, or a date."""
    header = header.strip()
    if header.isdecimal():
        return float(header[:20])
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    if at.tzinfo is None:  # "-0000": UTC, of an unknown place
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def _retry_info(trailer: bytes) -> float | None:
    """Find google.rpc.RetryInfo in a google.rpc.Status."""
    status = Status()
    try:
        status.ParseFromString(trailer)
        for detail in status.details:
            info = RetryInfo()
            if detail.Unpack(info):
                return max(0.0, float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9))
    except DecodeError:
        pass
    return None
