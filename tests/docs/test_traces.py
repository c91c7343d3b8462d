"""The page on traces: every attribute with its type, the variables, and the fields of `rollouts -o json`."""

from __future__ import annotations

import re

import msgspec
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from exporter.model import Writer
from exporter.otlp.settings import resolve
from exporter.otlp.spans import OBSERVED, spans
from exporter.records import Link, Rollout, Stage
from tests.docs.pages import code, first_column, page, rows, section
from tests.docs.test_logs import LOGS, Asked
from tests.otlp.test_spans import END, START, rollout, stage


TRACES = "docs/reference/traces.md"
CLI = "docs/reference/cli.md"
WRITER = Writer(name="kubectl-edit", class_="human", source="managed_fields", user="jane")
FULL = rollout(
    ordinal=1, settled=True, left_out=1, gap=True, truncated=True, writer=WRITER, result="timed_out",
    condition="Ready", status="False", reason="Pending", message="no issuer",
    stages=(Stage(span="c" * 16, status="4", started=START, ended=END), stage(open=True)),
    links=(Link("1" * 32, "2" * 16, "previous"),),
)  # fmt: skip
TYPES = {"string_value": "text", "int_value": "integer", "bool_value": "boolean", "array_value": "list of texts"}


def sent() -> list[Span]:
    """The spans of a rollout that has every attribute."""
    return [Span.FromString(span) for _, span in spans(FULL)]


def test_the_rollout_has_all_attributes() -> None:
    """The rollout that these tests encode has every attribute that the encoder knows, so none is missing."""
    known = set(re.findall(r'(?:_attribute|Attribute)\((?:4, )?"([^"]+)"\)', page("exporter/otlp/spans.py")))
    in_links = {one.key for span in sent() for link in span.links for one in link.attributes}
    assert known == {one.key for span in sent() for one in span.attributes} | in_links


def test_every_attribute_has_its_row() -> None:
    """The page has a row for every attribute of a span with its type, and for no other."""
    told = {code(cells[0])[0]: cells[1] for cells in rows(section(page(TRACES), "### Attributes"))}
    assert {one.key: TYPES[str(one.value.WhichOneof("value"))] for span in sent() for one in span.attributes} == told


def test_the_span_that_has_a_name_of_its_own_is_told() -> None:
    """The page names the span that is no condition."""
    assert f"`{OBSERVED}`" in page(TRACES)


def test_the_variables_are_those_of_logs() -> None:
    """For traces the same variables are looked at as for logs, under the signal's name."""
    looked_at = {}
    for signal in ("logs", "traces"):
        environ = Asked({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
        resolve(environ, signal)
        looked_at[signal] = environ.names
    text = section(page(LOGS), "## Environment variables")

    assert {name.replace("LOGS", "TRACES") for name in looked_at["logs"]} == looked_at["traces"]
    assert looked_at["logs"] <= {name for cells in rows(text) for cell in cells[:2] for name in code(cell)}


def test_every_field_of_a_rollout_has_its_row() -> None:
    """The page of the command lists the fields of a rollout, of a stage and of a link, and no others."""
    text = section(page(CLI), "## `rollouts`").partition("`-o json`")[2]
    rollout_part, _, stage_part = text.partition("Each of `stages`")

    assert {field.encode_name for field in msgspec.structs.fields(Rollout)} == set(first_column(rollout_part))
    assert {field.encode_name for field in msgspec.structs.fields(Stage)} == set(first_column(stage_part))
