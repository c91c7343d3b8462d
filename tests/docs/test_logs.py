"""The page on log records: attributes, event names, variables, and what each answer of an endpoint leads to."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import get_args

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from exporter.model import Change, ChangeType, FieldChange, Writer
from exporter.otlp import verdict
from exporter.otlp.encode import MAX_DIFF, request
from exporter.otlp.envelope import Envelope
from exporter.otlp.resource import detect
from exporter.otlp.settings import Settings, resolve
from exporter.timestamps import Timestamp
from tests.docs.pages import PAGES, code, first_column, page, rows, section


LOGS = "docs/reference/logs.md"

CHANGE = Change(
    id="c" * 32,
    observed=Timestamp("2026-11-23T12:00:01.500000Z"),
    happened=Timestamp("2026-11-23T10:00:00.000000Z"),  # too early to be the timestamp of a record
    event="modified",
    change="spec",
    group="example.com",
    version="v1",
    kind="Widget",
    namespace="team-a",
    name="web",
    uid="u-1",
    resource_version="17",
    generation=4,
    fields=(FieldChange("/spec/text", "replace", "", "x" * MAX_DIFF),),
    truncated=True,
    writer=Writer(
        name="kubectl-edit",
        class_="human",
        source="managed_fields",
        operation="Update",
        subresource="scale",
        user="jane",
        candidates=("a", "b"),
    ),
    heartbeat=True,
    gap=True,
)


def decoded(*changes: Change) -> ExportLogsServiceRequest:
    """What an endpoint gets."""
    settings = Settings(protocol="http/protobuf", endpoint="http://localhost", insecure=True)
    envelope = Envelope(settings, journal_id="j-1", cluster_uid="c-1", cluster_name="prod")
    return ExportLogsServiceRequest.FromString(request(envelope, changes))


def record_attributes() -> dict[str, str]:
    """The attributes of a record that has all of them, each with its type as the table names it."""
    types = {"string_value": "text", "int_value": "integer", "bool_value": "boolean", "array_value": "list of texts"}
    (log,) = decoded(CHANGE).resource_logs[0].scope_logs[0].log_records
    return {one.key: types[str(one.value.WhichOneof("value"))] for one in log.attributes}


def test_the_record_has_all_attributes() -> None:
    """The change these tests encode has every attribute that the encoder knows, so none is missing from the table."""
    source = page("exporter/otlp/encode.py")
    assert set(re.findall(r'_attribute\("([^"]+)"\)', source)) == set(record_attributes())


def test_every_attribute_has_its_row() -> None:
    """The page has a row for every attribute with its type, and for no other."""
    told = {code(cells[0])[0]: cells[1] for cells in rows(section(page(LOGS), "### Attributes"))}
    assert record_attributes() == told


def test_every_resource_attribute_has_its_row() -> None:
    """The page has a row for every attribute of the resource, and for no other."""
    actual = [one.key for one in decoded(CHANGE).resource_logs[0].resource.attributes]
    assert sorted(actual) == sorted(first_column(section(page(LOGS), "### Resource attributes")))


def test_every_event_name_is_told() -> None:
    """The page names the event names that the words for changes lead to, and no others."""
    sent = decoded(*(msgspec.structs.replace(CHANGE, change=word) for word in get_args(ChangeType)))
    actual = {log.event_name for log in sent.resource_logs[0].scope_logs[0].log_records}
    text = page(LOGS).partition("### Attributes")[0]
    assert actual == set(re.findall(r"`(customresource\.[a-z]+)`", text))


class Asked(dict[str, str]):
    """An environment that remembers which variables it was asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        """Begin with nothing asked."""
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)


def test_every_variable_has_its_row() -> None:
    """The page lists the OTEL_* variables that are looked at, and no others."""
    looked_at = set()
    for protocol in ("http/protobuf", "grpc"):
        environ = Asked({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
        resolve(environ)
        detect(environ)
        looked_at |= environ.names
    text = section(page(LOGS), "## Environment variables")
    assert looked_at == {name for cells in rows(text) for cell in cells[:2] for name in code(cell)}


def test_the_variables_that_are_set_in_examples_work() -> None:
    """Every OTEL_* variable that a page sets is one in the table, with a value that the program takes."""
    text = section(page(LOGS), "## Environment variables")
    known = {name for cells in rows(text) for cell in cells[:2] for name in code(cell)}
    known |= {name.replace("LOGS", "TRACES") for name in known}
    found = 0
    for path in PAGES:
        given = re.findall(r'\b(OTEL_[A-Z_]+)="?([^\s"`…]+)', path.read_text(encoding="utf-8"))
        assert {name for name, _ in given} <= known, path
        found += len(given)
        resolve({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", **dict(given)})
    assert found


def test_the_verdicts_over_http_are_as_told() -> None:
    """Each status in the table gets the verdict beside it."""
    for cells in rows(section(page(LOGS), "### Answers over http")):
        for status in code(" ".join(cells[:1])):
            judged = verdict.http(int(status), {}, b"", datetime.now(UTC))
            assert cells[1] == type(judged).__name__.lower(), status


def test_the_verdicts_over_grpc_are_as_told() -> None:
    """Each code in the table gets the verdict beside it; in a row with a condition, with words that meet it."""
    words = {"speaks of the size": "message larger than max", "because of TLS": "CERTIFICATE_VERIFY_FAILED"}
    told = set()
    for cells in rows(section(page(LOGS), "### Answers over grpc")):
        details = next((text for mark, text in words.items() if mark in cells[0]), "")
        for name in code(cells[0]):
            told.add(name)
            assert cells[1] == type(verdict.grpc(name, details)).__name__.lower(), name
    codes = {
        "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    }  # fmt: skip
    assert codes == told
