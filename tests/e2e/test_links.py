"""From a log line and from a histogram to the trace of the rollout: what a link is made of is really there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.e2e.stack import SERVICE
from tests.waiting import eventually


if TYPE_CHECKING:
    from tests.e2e.stack import Stack

_WINDOW = 900


def _rollout_lines(stack: Stack) -> list[dict[str, Any]]:
    """Give the structured metadata of each log record that belongs to a rollout of a Certificate that was told."""
    query = f'{{service_name="{SERVICE}"}} | customresource_kind="Certificate" | trace_id!=""'
    now = time.time()
    return [stream["stream"] for stream in stack.loki.query(query, now - _WINDOW, now + 60)]


def test_a_log_line_leads_to_its_trace(stack: Stack) -> None:
    """The trace id on the log records of the issued Certificate's rollouts is that of traces in Jaeger."""
    traces = eventually(lambda: stack.jaeger.traces(SERVICE), 30)
    lines = eventually(lambda: [one for one in _rollout_lines(stack) if one.get("customresource_name") == "shop"], 30)
    ended = {line["trace_id"] for line in lines if line.get("customresource_rollout_result")}

    assert ended
    assert ended <= traces.keys()


def test_an_exemplar_leads_to_its_trace(stack: Stack) -> None:
    """The exemplars on the duration of rollouts name traces that are in Jaeger."""
    now = time.time()
    found = eventually(
        lambda: stack.prometheus.exemplars("customresource_reconcile_duration_seconds_bucket", now - _WINDOW, now + 60),
        30,
    )
    named = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}

    assert named
    assert named <= eventually(lambda: stack.jaeger.traces(SERVICE), 30).keys()
