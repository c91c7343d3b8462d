"""Which word says what a version changed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporter.changes.classify import classify, is_heartbeat, take_apart
from exporter.changes.move import Move
from exporter.changes.version import Version
from exporter.model import ChangeType, FieldChange, Op
from tests.changes.objects import entry, widget


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (widget(1), widget(2), "noop"),
        (
            widget(1, meta={"managedFields": [entry("a", "spec.x")]}),
            widget(2, meta={"managedFields": [entry("b", "spec.x")]}),
            "ownership",
        ),
        (widget(1, status={"a": 1}), widget(2, status={"a": 2}), "status"),
        (widget(1), widget(2, status={}), "status"),
        (widget(1), widget(2, meta={"labels": {"a": "b"}}, status={"a": 1}), "metadata"),
        (widget(1, meta={"finalizers": ["x"]}), widget(2), "metadata"),
        (widget(1, meta={"ownerReferences": []}), widget(2, meta={"ownerReferences": [{"uid": "u"}]}), "metadata"),
        (widget(1, spec={"a": 1}), widget(2, spec={"a": 1, "b": 2}), "schema"),
        (widget(1, spec={"a": 1}), widget(2, generation=2, spec={"a": 2}, meta={"labels": {"a": "b"}}), "spec"),
        (widget(1, generation=None, data={"a": 1}), widget(2, generation=None, data={"a": 2}), "spec"),
        (widget(1), widget(2, generation=2), "spec"),
        (widget(1, rules=[1]), widget(2, generation=2, rules=[2]), "spec"),
        (
            widget(1, spec={"a": 1}),
            widget(2, generation=2, spec={"a": 2}, meta={"deletionTimestamp": "2026-03-01T10:00:00Z"}),
            "deleting",
        ),
        (
            widget(1, meta={"deletionTimestamp": "2026-03-01T10:00:00Z", "finalizers": ["x"]}),
            widget(2, meta={"deletionTimestamp": "2026-03-01T10:00:00Z"}),
            "metadata",
        ),
    ],
)
def test_the_first_rule_that_applies_gives_the_word(old: dict[str, Any], new: dict[str, Any], word: ChangeType) -> None:
    """The word is decided in a fixed order, from deletion over content to nothing at all."""
    was, now = (Version(msgspec.json.encode(obj)) for obj in (old, new))
    move = Move(was, now)
    assert classify(move, take_apart(move)) == word


def field(path: str, old: Any, new: Any, op: Op = "replace") -> FieldChange:
    """Make a field that moved."""
    return FieldChange(path, op, old, new)


@pytest.mark.parametrize(
    "moved",
    [
        field("/status/phase", "Pending", "Ready"),
        field("/status/readyReplicas", 1, 2),
        field("/status/failedCount", 1, 2),
        field("/status/count", 1, 2),
        field("/status/observedGeneration", 1, 2),
        field("/status/syncCount", 2, 1),
        field("/status/lastSeen", "2026-03-01T10:00:00Z", None),
        FieldChange("/status/lastSeen", "add", new="2026-03-01T10:00:00Z"),
        field("/status/retryCount", True, 2),
    ],
)
def test_what_says_more_than_that_time_went_by_is_no_heartbeat(moved: FieldChange) -> None:
    """States, numbers of things, counters that fall and times that come or go are worth telling."""
    assert not is_heartbeat([moved])


@pytest.mark.parametrize(
    "moved",
    [
        field("/status/lastSeen", "2026-03-01T10:00:00Z", "2026-03-01T10:00:05Z"),
        field("/status/conditions/0/lastHeartbeatTime", "2026-03-01T10:00:00Z", "2026-03-01T10:00:05.5Z"),
        field("/status/syncCount", 1, 2),
        field("/status/retries", 7, 8),
        field("/status/reconcile_total", 7, 8),
    ],
)
def test_times_and_counts_of_deeds_are_a_heartbeat(moved: FieldChange) -> None:
    """A status of which only timestamps and counts of a controller's deeds moved says nothing."""
    assert is_heartbeat([moved, moved])
