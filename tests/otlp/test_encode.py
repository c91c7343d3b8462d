"""Tests of `exporter.otlp.encode`: everything is read back with the generated classes of opentelemetry-proto."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter import __version__
from exporter.model import FieldChange, Writer
from exporter.otlp.encode import MAX_DIFF, record
from exporter.otlp.encode import request as encode_request
from exporter.otlp.envelope import Envelope
from exporter.otlp.settings import resolve
from exporter.timestamps import Timestamp, to_nanoseconds
from tests.otlp.made import made


if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    from exporter.model import Change

OBSERVED = made().observed


def value(one: AnyValue) -> Any:
    """Take a value out of its wrapping."""
    kind = one.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return [value(item) for item in one.array_value.values]
    return getattr(one, kind)


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Turn attributes into a dictionary, each of them once."""
    listed = [(attribute.key, value(attribute.value)) for attribute in attributes]
    assert len(listed) == len(dict(listed))
    return dict(listed)


def read(change: Change) -> tuple[LogRecord, dict[str, Any]]:
    """Encode and read back."""
    back = LogRecord()
    back.ParseFromString(record(change))
    return back, plain(back.attributes)


def envelope(attributes: str = "", cluster_name: str = "") -> Envelope:
    """Make an envelope with some attributes of the user."""
    found = resolve({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_RESOURCE_ATTRIBUTES": attributes})
    assert found is not None
    return Envelope(found, journal_id="j-1", cluster_uid="c-1", cluster_name=cluster_name)


def request(changes: Iterable[Change], by: Envelope | None = None) -> ExportLogsServiceRequest:
    """Encode a batch and read it back."""
    back = ExportLogsServiceRequest()
    back.ParseFromString(encode_request(by or envelope(), changes))
    return back


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({"change": "noop"}, False),
        ({"change": "status", "heartbeat": True}, False),
        ({"change": "status"}, True),
        ({"change": "ownership"}, True),
        ({"change": "deleted", "event": "deleted"}, True),
    ],
)
def test_matters(parts: dict[str, Any], wanted: bool) -> None:
    """Heartbeats and versions without a difference are no records."""
    assert wanted == made(**parts).matters


@pytest.mark.parametrize(
    "happened",
    ["2026-11-23T11:30:01.499999Z", "2020-01-01T00:00:00.000000Z", "2026-11-23T12:05:01.500001Z"],
)
def test_does_not_claim_a_time_that_is_refused(happened: str) -> None:
    """More than 30 minutes before it was seen, or well after, the time is an attribute only."""
    back, attributes = read(made(happened=Timestamp(happened)))

    assert to_nanoseconds(OBSERVED) == back.time_unix_nano
    assert happened == attributes["customresource.happened"]


@pytest.mark.parametrize("happened", ["2026-11-23T11:30:01.500000Z", "2026-11-23T12:00:00.000000Z", OBSERVED])
def test_time(happened: str) -> None:
    """The time of a record is when the change happened."""
    back, attributes = read(made(happened=Timestamp(happened)))

    assert to_nanoseconds(Timestamp(happened)) == back.time_unix_nano
    assert to_nanoseconds(OBSERVED) == back.observed_time_unix_nano
    assert "customresource.happened" not in attributes


def test_absent_is_left_out() -> None:
    """What a change does not know is no attribute, not an empty one."""
    bare = made(
        change="created",
        event="added",
        group="",
        fields=(),
        generation=UNSET,
        resource_version="",
        writer=Writer(source="unresolved"),
    )
    _, attributes = read(bare)
    expected = {
        "customresource.version": "v1",
        "customresource.kind": "Widget",
        "customresource.event": "added",
        "customresource.change.type": "created",
        "customresource.name": "web",
        "customresource.uid": "u-1",
        "customresource.change.id": "c" * 32,
        "customresource.writer.source": "unresolved",
        "log.record.uid": hashlib.sha256(b"c" * 32 + b"\ncustomresource.created").hexdigest()[:32],
    }

    assert expected == attributes


def test_record() -> None:
    """Everything that is known is in the record, under its name."""
    writer = Writer(
        name="kubectl-edit",
        class_="human",
        source="managed_fields",
        operation="Update",
        subresource="scale",
        user="jo",
        candidates=("a", "b"),
    )
    back, attributes = read(made(writer=writer, gap=True))
    expected = {
        "customresource.group": "example.com",
        "customresource.version": "v1",
        "customresource.kind": "Widget",
        "customresource.event": "modified",
        "customresource.change.type": "spec",
        "customresource.name": "web",
        "customresource.uid": "u-1",
        "customresource.resource_version": "17",
        "customresource.generation": 4,
        "customresource.change.id": "c" * 32,
        "customresource.writer.name": "kubectl-edit",
        "customresource.writer.class": "human",
        "customresource.writer.source": "managed_fields",
        "customresource.writer.operation": "Update",
        "customresource.writer.subresource": "scale",
        "customresource.writer.candidates": ["a", "b"],
        "user.name": "jo",
        "customresource.gap": True,
        "customresource.diff": '[{"path":"/spec/replicas","op":"replace","old":2,"new":3},'
        '{"path":"/spec/x","op":"add","new":null}]',
        "log.record.uid": hashlib.sha256(b"c" * 32 + b"\ncustomresource.updated").hexdigest()[:32],
    }

    assert expected == attributes
    assert (back.severity_number, back.severity_text, back.event_name) == (9, "", "customresource.updated")
    assert back.body.string_value == "Widget team-a/web spec changed by kubectl-edit: /spec/replicas 2 → 3 (+1 more)"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("created", "created"),
        ("recreated", "created"),
        ("deleted", "deleted"),
        ("deleting", "updated"),
        ("spec", "updated"),
        ("schema", "updated"),
        ("metadata", "updated"),
        ("status", "updated"),
        ("ownership", "updated"),
    ],
)
def test_event_name(change: str, name: str) -> None:
    """The event's name is one of three."""
    back, _ = read(made(change=change))

    assert f"customresource.{name}" == back.event_name


def test_diff_drops_whole_fields() -> None:
    """A diff that is too long loses fields from its end, never a part of one, and says so."""
    fields = tuple(FieldChange(f"/spec/f{number}", "replace", "o" * 1000, "n" * 1000) for number in range(100))
    _, attributes = read(made(fields=fields))
    diff = json.loads(attributes["customresource.diff"])

    assert [field.path for field in fields[: len(diff)]] == [field["path"] for field in diff]
    assert MAX_DIFF - 2100 < len(attributes["customresource.diff"]) <= MAX_DIFF
    assert attributes["customresource.diff.truncated"] is True


def test_diff_of_one_huge_field() -> None:
    """A first field that does not fit leaves an empty diff that says so."""
    _, attributes = read(made(fields=(FieldChange("/spec/a", "replace", "é" * MAX_DIFF, 1),)))

    assert (attributes["customresource.diff"], attributes["customresource.diff.truncated"]) == ("[]", True)


def test_diff_cut_before() -> None:
    """Fields that were cut before they came here are told as cut."""
    _, attributes = read(made(truncated=True))

    assert attributes["customresource.diff.truncated"] is True


def test_resources() -> None:
    """Each namespace has a resource of its own, and what has no namespace one without."""
    back = request([made(), made(namespace="", name="all"), made(name="db"), made(namespace="team-b")])
    found = [
        (plain(one.resource.attributes).get("k8s.namespace.name"), len(one.scope_logs[0].log_records))
        for one in back.resource_logs
    ]
    (scope,) = {(one.scope.name, one.scope.version) for logs in back.resource_logs for one in logs.scope_logs}

    assert found == [("team-a", 2), (None, 1), ("team-b", 1)]
    assert ("customresource-exporter", __version__) == scope


def test_resource_attributes() -> None:
    """The user's attributes win for the service, ours for what is said of cluster and namespace."""
    users = "service.name=mine,service.instance.id=i-1,team=a,"
    users += "k8s.namespace.name=monitoring,k8s.cluster.uid=x,k8s.cluster.name=y"
    back = request([made()], envelope(users, "prod"))
    expected = {
        "service.name": "mine",
        "service.version": __version__,
        "service.instance.id": "i-1",
        "k8s.namespace.name": "team-a",
        "k8s.cluster.uid": "c-1",
        "k8s.cluster.name": "prod",
        "team": "a",
    }

    assert expected == plain(back.resource_logs[0].resource.attributes)


def test_cluster_scoped_objects_are_in_no_namespace() -> None:
    """A namespace that the user names, as operators do with the exporter's own, is not that of the objects."""
    back = request([made(namespace="")], envelope("k8s.namespace.name=monitoring"))

    assert "k8s.namespace.name" not in plain(back.resource_logs[0].resource.attributes)


def test_resource_by_default() -> None:
    """Without a word from the user the journal's id is the instance, and the cluster has no name."""
    back = request([made(namespace="")])
    expected = {
        "service.name": "customresource-exporter",
        "service.version": __version__,
        "service.instance.id": "j-1",
        "k8s.cluster.uid": "c-1",
    }

    assert expected == plain(back.resource_logs[0].resource.attributes)


def test_a_change_of_a_rollout_has_its_trace() -> None:
    """Where a change belongs to a rollout, its record names the trace and the span, as sampled; else it names none."""
    alone, _ = read(made())
    back, _ = read(made(trace="a" * 32, span="b" * 16))

    assert (alone.trace_id, alone.span_id, alone.flags) == (b"", b"", 0)
    assert (back.trace_id.hex(), back.span_id.hex(), back.flags) == ("a" * 32, "b" * 16, 1)


def test_many_namespaces() -> None:
    """Namespaces that come and go are not remembered for ever."""
    by = envelope()
    for number in range(5000):
        by.request([(f"n{number}", b"")])

    assert len(by._resources) < 4097


TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff\n\0\u2028"))  # with halves of surrogate pairs
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.lists(
    st.builds(FieldChange, TEXT, st.sampled_from(["add", "remove", "replace"]), JSON, JSON), max_size=8
).map(tuple)


@settings(max_examples=400, deadline=None)
@given(fields=FIELDS, name=TEXT, manager=TEXT, generation=st.integers(-(2**63), 2**63 - 1), times=st.integers(1, 400))
def test_never_fails(fields: tuple[FieldChange, ...], name: str, manager: str, generation: int, times: int) -> None:
    """Whatever is in an object, it is encoded, within the cap, and can be read back."""
    writer = Writer(name=manager, source="managed_fields", candidates=(name,))
    change = made(fields=fields * times, name=name, namespace=name, generation=generation, writer=writer)
    (logs,) = request([change]).resource_logs
    (back,) = logs.scope_logs[0].log_records
    attributes = plain(back.attributes)
    diff = attributes.get("customresource.diff", "[]")

    assert len(diff.encode()) <= MAX_DIFF
    assert generation == attributes["customresource.generation"]
    assert ("customresource.diff.truncated" in attributes) == (len(json.loads(diff)) < len(fields) * times)
    assert back.body.string_value.isprintable()


def test_numbers_that_json_has_not() -> None:
    """Infinity becomes null, and deep nesting leaves the field out."""
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    _, attributes = read(made(fields=(FieldChange("/a", "add", new=math.inf), FieldChange("/b", "add", new=deep))))

    assert attributes["customresource.diff"] == '[{"path":"/a","op":"add","new":null}]'
