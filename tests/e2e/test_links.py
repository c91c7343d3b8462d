"""From a log line and from a histogram to the trace of the rollout: what a link is made of is really there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.e2e.stack import NAME
from tests.waiting import eventually


if TYPE_CHECKING:
    from tests.e2e.stack import Stack

_WINDOW = 900


def _named_in_logs(stack: Stack) -> set[str]:
    """Give the traces that the log records of the issued Certificate name."""
    query = f'{{service_name="{NAME}"}} | customresource_name="shop" | trace_id!=""'
    now = time.time()
    return {stream["stream"]["trace_id"] for stream in stack.loki.query(query, now - _WINDOW, now + 60)}


def test_a_log_line_leads_to_its_trace(stack: Stack) -> None:
    """The traces that the records of an object name, one for each of its generations, are in Jaeger once they end."""
    eventually(lambda: len(_named_in_logs(stack)) >= 3)

    eventually(lambda: _named_in_logs(stack) <= stack.jaeger.traces(NAME).keys())


def test_an_exemplar_leads_to_its_trace(stack: Stack) -> None:
    """The exemplars on the duration of rollouts name traces that are in Jaeger."""
    now = time.time()
    found = eventually(
        lambda: stack.prometheus.exemplars("customresource_reconcile_duration_seconds_bucket", now - _WINDOW, now + 60),
        30,
    )
    named = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}

    assert named
    eventually(lambda: named <= stack.jaeger.traces(NAME).keys())
