"""The histogram that takes in many observations at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from exporter.metrics.lags import Lags


BUCKETS = (0.1, 0.25, 1.0, 1800.0)


@given(
    seen=st.lists(st.tuples(st.sampled_from((0.0, 0.125, 0.25, 0.5, 1800.0, 4000.0)), st.integers(0, 5)), max_size=5)
)
def test_it_is_shown_as_if_each_had_been_taken_in_by_itself(seen: list[tuple[float, int]]) -> None:
    """The page is that of the client library's own histogram, but for its `_created` series, which no page has."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    lags = Lags("lag_seconds", "A lag.", BUCKETS, ours)
    usual = Histogram("lag_seconds", "A lag.", buckets=BUCKETS, registry=theirs)
    for seconds, times in seen:
        lags.observe(seconds, times)
        for _ in range(times):
            usual.observe(seconds)

    expected = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
    assert generate_latest(ours).splitlines() == expected
