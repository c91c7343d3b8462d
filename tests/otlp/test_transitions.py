"""Tests of `exporter.otlp.transitions`: read back with the generated classes, whatever is in a transition."""

from __future__ import annotations

import hashlib
import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.model import Writer
from exporter.otlp.line import MAX_LINE
from exporter.otlp.transitions import MAX_FINDINGS, transition
from exporter.records import DriftEvent, Finding, Transition, Verdict
from exporter.timestamps import Timestamp, to_nanoseconds
from tests.otlp.test_encode import plain


AT = Timestamp("2026-11-23T12:00:01.500000Z")
SINCE = Timestamp("2026-11-23T11:00:00.000000Z")
FINDING = Finding(
    path="/spec/replicas", finding="changed", declared=2, live=5, at=SINCE,
    writer=Writer(name="kubectl-edit", class_="human", source="managed_fields"),
)  # fmt: skip
VERDICT = Verdict(
    group="example.com", kind="Widget", namespace="team-a", name="web", uid="u-1", state="drifted", since=SINCE,
    since_source="managed_fields", cause="human", baseline="last_applied", confidence="high", declarer="argocd",
    fields=(FINDING,), flags=("additions", "lagging"),
)  # fmt: skip
OPENED = Transition(id="t" * 32, event="drift.opened", observed=AT, verdict=VERDICT, change="c" * 32)
CLOSED = replace(OPENED, event="drift.closed", resolved_by="declarer", duration=12.3456)
FIGHT = replace(OPENED, event="fight.opened", path="/spec/replicas", managers=("argocd", "hpa"))


def read(record: Transition) -> tuple[LogRecord, dict[str, Any]]:
    """Encode and read back."""
    back = LogRecord()
    back.ParseFromString(transition(record))
    return back, plain(back.attributes)


def test_what_is_not_known_is_left_out() -> None:
    """No attribute is empty: of an object that is missing, of which nobody knows anything."""
    verdict = Verdict(kind="Widget", name="web", state="drifted")
    _, attributes = read(Transition(id="t", event="drift.changed", observed=AT, verdict=verdict))

    assert attributes == {
        "customresource.kind": "Widget",
        "customresource.name": "web",
        "customresource.drift.transition": "drift.changed",
        "customresource.drift.state": "drifted",
        "log.record.uid": hashlib.sha256(b"t\ncustomresource.drift.changed").hexdigest()[:32],
    }


def test_an_opening_has_everything_that_the_verdict_says() -> None:
    """Each under its name; both times are when it was noticed; and it is a warning."""
    back, attributes = read(OPENED)

    assert (back.time_unix_nano, back.observed_time_unix_nano) == (to_nanoseconds(AT),) * 2
    assert (back.event_name, back.severity_number) == ("customresource.drift.opened", 13)
    assert back.body.string_value == "Drift opened: Widget team-a/web /spec/replicas 2 → 5 by kubectl-edit"
    assert json.loads(attributes.pop("customresource.drift.fields")) == [
        {
            "path": "/spec/replicas", "finding": "changed", "declared": 2, "live": 5, "at": SINCE,
            "writer": {"name": "kubectl-edit", "class": "human", "source": "managed_fields"},
        }
    ]  # fmt: skip
    assert attributes == {
        "customresource.group": "example.com",
        "customresource.kind": "Widget",
        "customresource.name": "web",
        "customresource.uid": "u-1",
        "customresource.change.id": "c" * 32,
        "customresource.drift.transition": "drift.opened",
        "customresource.drift.state": "drifted",
        "customresource.drift.since": SINCE,
        "customresource.drift.since_source": "managed_fields",
        "customresource.drift.cause": "human",
        "customresource.drift.baseline": "last_applied",
        "customresource.drift.confidence": "high",
        "customresource.drift.declarer": "argocd",
        "customresource.drift.flags": ["additions", "lagging"],
        "log.record.uid": hashlib.sha256(b"t" * 32 + b"\ncustomresource.drift.opened").hexdigest()[:32],
    }


def test_an_end_says_who_and_how_long() -> None:
    """And is no warning."""
    back, attributes = read(CLOSED)

    assert (back.severity_number, attributes["customresource.drift.resolved_by"]) == (9, "declarer")
    assert attributes["customresource.drift.duration"] == "12.346"
    assert back.body.string_value.startswith("Drift closed: Widget team-a/web after 12 s, by declarer; was /spec")


def test_a_fight_says_over_what_and_who() -> None:
    """The field, and both sides of it."""
    back, attributes = read(FIGHT)

    assert attributes["customresource.drift.path"] == "/spec/replicas"
    assert attributes["customresource.drift.managers"] == ["argocd", "hpa"]
    assert (back.event_name, back.severity_number) == ("customresource.fight.opened", 13)
    assert back.body.string_value == "Fight opened: Widget team-a/web /spec/replicas between argocd, hpa"


def test_one_transition_is_one_record_however_often_it_is_sent() -> None:
    """The id of a record follows from that of the transition and its word, and nothing else."""
    uids = {read(replace(OPENED, event=event))[1]["log.record.uid"] for event in get_args(DriftEvent)}

    assert len(uids) == len(get_args(DriftEvent))
    assert read(OPENED)[1] == read(OPENED)[1]


@pytest.mark.parametrize(("size", "whole"), [(100, 4), (MAX_FINDINGS // 3, 2), (MAX_FINDINGS, 0)])
def test_findings_are_cut_by_whole_ones(size: int, whole: int) -> None:
    """What does not fit is left out from the end, and said to be."""
    findings = tuple(Finding(path=f"/{number}", finding="changed", live="x" * size) for number in range(4))
    _, attributes = read(replace(OPENED, verdict=replace(VERDICT, fields=findings)))
    text = attributes["customresource.drift.fields"]

    assert ([one["path"] for one in json.loads(text)], len(text) <= MAX_FINDINGS) == (
        [f"/{number}" for number in range(whole)], True,
    )  # fmt: skip
    assert attributes.get("customresource.drift.fields.truncated", False) is (whole < 4)


def test_a_value_that_is_no_text_is_left_out() -> None:
    """Half a surrogate pair costs its finding, and says so; the names around it are made readable."""
    findings = (FINDING, replace(FINDING, live="\ud800"))
    _, attributes = read(replace(OPENED, verdict=replace(VERDICT, name="\ud800", fields=findings)))

    assert len(json.loads(attributes["customresource.drift.fields"])) == 1
    assert (attributes["customresource.drift.fields.truncated"], attributes["customresource.name"]) == (True, "?")


_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_FINDINGS = st.builds(
    Finding,
    path=_TEXT,
    finding=st.sampled_from(("changed", "missing", "extra_in_list")),
    declared=_JSON,
    live=_JSON,
    writer=st.builds(Writer, name=_TEXT, source=st.just("managed_fields")),
    rule=_TEXT,
)


@given(
    words=st.lists(_TEXT, min_size=7, max_size=7),
    findings=st.lists(_FINDINGS, max_size=3),
    event=st.sampled_from(get_args(DriftEvent)),
)
@settings(deadline=None)
def test_any_transition_is_a_record_of_one_printable_line(
    words: list[str], findings: list[Finding], event: DriftEvent
) -> None:
    """Whatever anybody calls anything: it is encoded, read back by protobuf, and its body is one line."""
    group, kind, namespace, name, declarer, path, manager = words
    verdict = Verdict(
        group=group, kind=kind, namespace=namespace, name=name, declarer=declarer, state="drifted", reason=path,
        fields=tuple(findings),
    )  # fmt: skip
    back, attributes = read(
        replace(OPENED, verdict=verdict, event=event, path=path, managers=(manager,), resolved_by="human", duration=0.5)
    )

    assert back.body.string_value.isprintable()
    assert len(back.body.string_value) <= MAX_LINE
    assert attributes["customresource.drift.transition"] == event
    if findings:
        assert isinstance(json.loads(attributes["customresource.drift.fields"]), list)
