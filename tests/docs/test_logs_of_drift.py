"""The part of the page on log records that is about drift: its attributes, with their types, and its event names."""

from __future__ import annotations

from typing import get_args

from msgspec.structs import replace
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.otlp.transitions import MAX_FINDINGS, transition
from exporter.records import DriftEvent, Finding
from tests.docs.pages import code, page, rows, section
from tests.docs.test_logs import LOGS
from tests.otlp.test_transitions import CLOSED, VERDICT


# Everything at once, which never happens.
LARGE = Finding(path="/spec/text", finding="changed", live="x" * MAX_FINDINGS)
WHOLE = replace(
    CLOSED, path="/spec/replicas", managers=("a", "b"), verdict=replace(VERDICT, fields=(*VERDICT.fields, LARGE))
)
TYPES = {"string_value": "text", "bool_value": "boolean", "array_value": "list of texts"}


def logged(record: bytes) -> LogRecord:
    """Read a record."""
    back = LogRecord()
    back.ParseFromString(record)
    return back


def told() -> list[list[str]]:
    """The rows of the tables in that part."""
    return list(rows(section(page(LOGS), "## A record of drift").partition("\n### ")[0]))


def test_every_attribute_has_its_row_with_its_type() -> None:
    """And there is none for what no record has."""
    sent = {one.key: TYPES[str(one.value.WhichOneof("value"))] for one in logged(transition(WHOLE)).attributes}
    page_says: dict[str, str] = {}
    for names, kinds in ((code(cells[0]), cells[1].split(", ")) for cells in told()):
        if kinds[0] in TYPES.values():
            page_says.update(zip(names, kinds if len(kinds) > 1 else kinds * len(names), strict=True))
    assert sent == page_says


def test_every_event_has_its_row_with_its_severity() -> None:
    """Each name, and how urgent it is."""
    sent = {}
    for event in get_args(DriftEvent):
        record = logged(transition(replace(CLOSED, event=event)))
        sent[record.event_name] = record.severity_number
    page_says = {code(cells[0])[0]: int(cells[2].split()[0]) for cells in told() if code(cells[0])[0] in sent}
    assert sent == page_says
