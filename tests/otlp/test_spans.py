"""Tests of `exporter.otlp.spans`: everything is read back with the generated classes of opentelemetry-proto."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from exporter.model import UNRESOLVED, Writer
from exporter.otlp.envelope import Envelope
from exporter.otlp.settings import Settings
from exporter.otlp.spans import request, spans
from exporter.records import ROLLOUT_RESULTS, Link, Rollout, RolloutResult, Stage
from exporter.timestamps import Timestamp, to_nanoseconds
from tests.otlp.test_encode import plain


TRACE, ROOT = "a" * 32, "b" * 16
START, END = Timestamp("2026-11-23T12:00:00.500000Z"), Timestamp("2026-11-23T12:00:09.000000Z")


def stage(**parts: Any) -> Stage:
    """Make a stage: Ready came from False to True."""
    usual: dict[str, Any] = {
        "span": "c" * 16, "condition": "Ready", "before": "False", "status": "True", "reason": "Issued",
        "message": "up to date", "started": Timestamp("2026-11-23T12:00:02.000000Z"), "ended": END,
        "transition": Timestamp("2026-11-23T12:00:08.000000Z"),
    }  # fmt: skip
    return Stage(**(usual | parts))


def rollout(**parts: Any) -> Rollout:
    """Make a rollout of Widget team-a/web that converged, with some parts as given."""
    usual: dict[str, Any] = {
        "id": "d" * 32, "observed": END, "trace": TRACE, "span": ROOT, "group": "example.com", "version": "v1",
        "kind": "Widget", "namespace": "team-a", "name": "web", "uid": "u-1", "generation": 4, "opened": "spec",
        "started": START, "ended": END, "result": "converged", "change": "e" * 32,
        "writer": Writer(name="kubectl-edit", class_="human", source="managed_fields"),
        "fields": ("/spec/a", "/spec/b"),
    }  # fmt: skip
    return Rollout(**(usual | parts))


def read(one: Rollout) -> list[Span]:
    """Encode, and read back."""
    return [Span.FromString(span) for _, span in spans(one)]


@pytest.mark.parametrize("result", ["converged", "superseded", "deleted"])
def test_what_is_no_error_has_no_status(result: RolloutResult) -> None:
    """Success leaves the status unset, and so does what nobody did wrong, even where a condition does not hold."""
    root, open_ = read(rollout(result=result, reason="Creating", stages=(stage(open=True, status="False"),)))

    for span in (root, open_):
        assert not span.HasField("status")
        assert "error.type" not in plain(span.attributes)


@pytest.mark.parametrize(
    ("parts", "type_", "message"),
    [
        ({"result": "timed_out"}, "timeout", ""),
        ({"result": "timed_out", "reason": "Pending", "message": "no issuer"}, "timeout", "Pending: no issuer"),
        ({"result": "failed"}, "failed", ""),
        ({"result": "failed", "reason": "InvalidSpec"}, "InvalidSpec", "InvalidSpec"),
        ({"result": "failed", "message": "no"}, "failed", "no"),
    ],
)  # fmt: skip
def test_an_error_has_its_type_and_its_reason(parts: dict[str, Any], type_: str, message: str) -> None:
    """A rollout that failed or timed out is an error, with a word to group by and the reason for people."""
    (root,) = read(rollout(**parts))

    assert (root.status.code, root.status.message) == (Status.STATUS_CODE_ERROR, message)
    assert type_ == plain(root.attributes)["error.type"]


def test_the_stage_that_did_not_end_well_is_an_error_too() -> None:
    """Of a rollout that timed out the stage that it waited in is marked, the ones before are not."""
    stages = (stage(), stage(span="f" * 16, open=True, status="False", reason="Pending", message="no issuer"))
    _, done, waiting = read(rollout(result="timed_out", stages=stages))

    assert not done.HasField("status")
    assert (waiting.status.code, waiting.status.message) == (Status.STATUS_CODE_ERROR, "Pending: no issuer")


def test_the_root_span() -> None:
    """The span of a rollout has its ids, a name that is the same for all of a kind, the times, and who did what."""
    (root,) = read(rollout())

    assert (root.trace_id.hex(), root.span_id.hex(), root.parent_span_id) == (TRACE, ROOT, b"")
    assert (root.name, root.kind, root.flags) == ("reconcile Widget", Span.SPAN_KIND_INTERNAL, 0x101)
    assert (to_nanoseconds(START), to_nanoseconds(END)) == (root.start_time_unix_nano, root.end_time_unix_nano)
    assert plain(root.attributes) == {
        "customresource.group": "example.com",
        "customresource.version": "v1",
        "customresource.kind": "Widget",
        "customresource.name": "web",
        "customresource.uid": "u-1",
        "customresource.generation": 4,
        "customresource.rollout.opened": "spec",
        "customresource.rollout.result": "converged",
        "customresource.change.id": "e" * 32,
        "customresource.change.fields": ["/spec/a", "/spec/b"],
        "customresource.writer.name": "kubectl-edit",
        "customresource.writer.class": "human",
        "customresource.writer.source": "managed_fields",
    }


def test_what_is_rarely_there() -> None:
    """What holds only of some rollouts is an attribute of those."""
    more = {
        "ordinal": 2, "settled": True, "left_out": 3, "gap": True, "truncated": True, "condition": "Ready",
        "status": "False", "reason": "Broken", "message": "it is", "writer": UNRESOLVED,
    }  # fmt: skip
    (root,) = read(rollout(result="failed", **more))

    assert {
        "customresource.rollout.ordinal": 2,
        "customresource.rollout.settled": True,
        "customresource.rollout.stages_left_out": 3,
        "customresource.gap": True,
        "customresource.change.fields_truncated": True,
        "customresource.condition.type": "Ready",
        "customresource.condition.status": "False",
        "customresource.condition.reason": "Broken",
        "customresource.condition.message": "it is",
        "customresource.writer.source": "unresolved",
    }.items() <= plain(root.attributes).items()


def test_a_stage_is_a_span_below_the_rollout() -> None:
    """A stage of a condition has the condition's name, its own times, and from what to what it went."""
    _, span = read(rollout(stages=(stage(),)))

    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (TRACE, "c" * 16, ROOT)
    assert span.name == "Ready"
    assert (to_nanoseconds(stage().started), to_nanoseconds(END)) == (
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )
    assert plain(span.attributes) == {
        "customresource.condition.type": "Ready",
        "customresource.condition.status": "True",
        "customresource.condition.previous_status": "False",
        "customresource.condition.reason": "Issued",
        "customresource.condition.message": "up to date",
        "customresource.condition.last_transition_time": "2026-11-23T12:00:08.000000Z",
    }


def test_the_stage_until_the_controller_looked() -> None:
    """The time until the controller had seen the generation is a span of its own."""
    seen = Stage(span="c" * 16, status="4", started=START, ended=END)
    _, span = read(rollout(stages=(seen,)))

    assert (span.name, plain(span.attributes)) == ("observed generation", {"customresource.generation": 4})


def test_links() -> None:
    """What else a rollout has to do with are links that say what they are."""
    links = (Link("1" * 32, "2" * 16, "previous"), Link("3" * 32, "4" * 16, "upstream"))
    (root,) = read(rollout(links=links))

    assert [
        (one.trace_id.hex(), one.span_id.hex(), plain(one.attributes)["customresource.link"]) for one in root.links
    ] == [("1" * 32, "2" * 16, "previous"), ("3" * 32, "4" * 16, "upstream")]


def test_rollouts_that_it_holds_are_spans_below_it_in_the_resource_of_their_namespace() -> None:
    """Owned objects are in the same trace, each below its owner, each with its own namespace."""
    leaf = rollout(span="2" * 16, parent="1" * 16, namespace="", kind="Leaf")
    part = rollout(span="1" * 16, parent=ROOT, namespace="team-b", kind="Part", children=(leaf,), stages=(stage(),))
    settings = Settings(protocol="http/protobuf", endpoint="http://localhost", insecure=True)
    envelope = Envelope(settings, journal_id="j-1", cluster_uid="c-1")
    back = ExportTraceServiceRequest.FromString(request(envelope, [rollout(children=(part,))]))

    found = {
        (plain(one.resource.attributes).get("k8s.namespace.name", ""), span.name): span.parent_span_id.hex()
        for one in back.resource_spans
        for span in one.scope_spans[0].spans
    }
    assert found == {
        ("team-a", "reconcile Widget"): "",
        ("team-b", "reconcile Part"): ROOT,
        ("team-b", "Ready"): "1" * 16,
        ("", "reconcile Leaf"): "1" * 16,
    }
    assert {TRACE} == {span.trace_id.hex() for one in back.resource_spans for span in one.scope_spans[0].spans}
    assert back.resource_spans[0].scope_spans[0].scope.name == "customresource-exporter"


texts = st.text(max_size=40) | st.just("\ud800 half a pair") | st.just("x" * 5000)


@given(
    st.builds(
        rollout,
        kind=texts, name=texts, namespace=texts, reason=texts, message=texts,
        fields=st.lists(texts, max_size=3).map(tuple),
        started=st.sampled_from(["0001-01-01T00:00:00.000000Z", START, END, "9999-12-31T23:59:59.000000Z"]),
        generation=st.integers(0, 2**63 - 1), ordinal=st.integers(0, 2**40), result=st.sampled_from(ROLLOUT_RESULTS),
        stages=st.lists(st.builds(stage, condition=texts, message=texts, open=st.booleans()), max_size=3).map(tuple),
    )
)  # fmt: skip
def test_whatever_a_rollout_holds_it_is_encoded(one: Rollout) -> None:
    """No text, time or number keeps a rollout from being sent, and no span ends before it began."""
    back = read(one)

    assert 1 + len(one.stages) == len(back)
    assert all(0 < len(span.span_id) == 8 and span.start_time_unix_nano <= span.end_time_unix_nano for span in back)
