"""A histogram whose totals go on: what is in which bucket, what is kept of it, and how it is written."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from exporter.metrics.histograms import Exemplar, Histogram
from tests.servers.launch import promtool


if TYPE_CHECKING:
    from collections.abc import Callable

parse_text: Callable[[str], Any] = text_string_to_metric_families
parse_openmetrics: Callable[[str], Any] = openmetrics_parser.text_string_to_metric_families
BOUNDS = (0.5, 10.0, 604800.0)
EXEMPLAR = Exemplar("0af7651916cd43dd8448eb211c80319c", 3.25, 1769860800.25)


def histogram() -> Histogram:
    """Make one with nothing in it."""
    return Histogram("lasted_seconds", "How long.", ("group", "kind", "how"), BOUNDS)


def buckets(one: Histogram, how: str = "well") -> dict[str, float]:
    """Give the cumulative counts by upper bound, as an OpenMetrics parser reads them, and the sum and the count."""
    found = {}
    for family in parse_openmetrics(one.render(openmetrics=True).decode() + "# EOF\n"):
        for sample in family.samples:
            if sample.labels["how"] == how:
                found[sample.labels.get("le", sample.name.removeprefix("lasted_seconds_"))] = sample.value
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, (1, 1, 1, 1)),
        (0.5, (1, 1, 1, 1)),
        (0.500001, (0, 1, 1, 1)),
        (604800.0, (0, 0, 1, 1)),
        (1e18, (0, 0, 0, 1)),
    ],
)
def test_an_observation_is_in_every_bucket_that_it_is_not_above(value: float, expected: tuple[float, ...]) -> None:
    """A bound belongs to its bucket, and the last one has no bound."""
    one = histogram()
    one.observe(("g", "k", "well"), value)

    assert buckets(one) == dict(
        zip(("0.5", "10.0", "604800.0", "+Inf", "sum", "count"), (*expected, value, 1), strict=True)
    )


@given(
    st.lists(st.tuples(st.sampled_from(("well", "badly", 'a"\\\n')), st.floats(0, 1e9)), max_size=20),
    st.integers(0, 20),
)
def test_it_goes_on_after_a_restart_at_any_moment(seen: list[tuple[str, float]], cut: int) -> None:
    """Saved, restored and counted on it is the one that was never interrupted."""
    whole, before, after = histogram(), histogram(), histogram()
    for how, value in seen:
        whole.observe(("g", "k", how), value)
    for how, value in seen[:cut]:
        before.observe(("g", "k", how), value)
    totals, dropped = before.unsaved()
    after.restore(totals)
    for how, value in seen[cut:]:
        after.observe(("g", "k", how), value)

    assert (after.render(openmetrics=True), dropped) == (whole.render(openmetrics=True), set())


@pytest.mark.parametrize(
    ("series", "value"),
    [
        ((), 1.0),
        (("lasted_seconds",), 1.0),
        (("lasted_seconds", "g", "k", "well"), 1.0),
        (("lasted_seconds", "g", "k", "well", "7"), 1.0),
        (("other_seconds", "g", "k", "well", "sum"), 1.0),
        (("lasted_seconds", "g", "k", "well", "sum"), math.nan),
        (("lasted_seconds", "g", "k", "well", "10"), math.inf),
    ],
)
def test_what_is_no_total_of_it_is_left_alone(series: tuple[str, ...], value: float) -> None:
    """Totals of others, of other buckets, and what is no number, change nothing."""
    one = histogram()
    one.restore({series: value})

    assert one.render(openmetrics=False) == histogram().render(openmetrics=False)


def test_a_place_that_goes_is_shown_no_longer_and_its_totals_go() -> None:
    """Also what was not saved yet; with a new observation it begins anew."""
    one = histogram()
    for labels in (("g", "k", "well"), ("g", "other", "well")):
        one.observe(labels, 1.0, EXEMPLAR)
    one.drop([("g", "k")])
    moved, dropped = one.unsaved()

    assert b'kind="k"' not in one.render(openmetrics=True)
    assert ({series[2] for series in moved}, {series[2] for series in dropped}) == ({"other"}, {"k"})
    one.observe(("g", "k", "well"), 1.0)
    moved, dropped = one.unsaved()
    assert moved["lasted_seconds", "g", "k", "well", "10"] == 1
    assert not dropped & moved.keys()


def test_an_exemplar_is_for_openmetrics() -> None:
    """It stands with its own bucket, and the older form of the page knows none."""
    one = histogram()
    one.observe(("g", "k", "well"), 0.1)
    one.observe(("g", "k", "well"), 3.25, EXEMPLAR)
    (family,) = parse_openmetrics(one.render(openmetrics=True).decode() + "# EOF\n")
    found = {sample.labels["le"]: sample.exemplar for sample in family.samples if sample.exemplar}

    assert list(found) == ["10.0"]
    assert (found["10.0"].labels, found["10.0"].value, float(found["10.0"].timestamp)) == (
        {"trace_id": EXEMPLAR.trace_id}, 3.25, 1769860800.25,
    )  # fmt: skip
    assert b"trace_id" not in one.render(openmetrics=False)


@pytest.mark.parametrize("how", ["well", 'a"b\\c\nd', "\ud800", "é" * 200, ""])
@pytest.mark.parametrize("exemplar", [None, EXEMPLAR])
async def test_strict_readers_read_it(how: str, exemplar: Exemplar | None) -> None:
    """Both forms, with any label, by the client's own parsers and by the real promtool."""
    one = histogram()
    one.observe(("g", "k", how), 3.25, exemplar)
    text = one.render(openmetrics=False)
    (old,) = parse_text(text.decode())
    (new,) = parse_openmetrics(one.render(openmetrics=True).decode() + "# EOF\n")

    assert (old.type, new.type) == ("histogram", "histogram")
    assert [sample.value for sample in old.samples] == [sample.value for sample in new.samples]
    verdict = await asyncio.to_thread(promtool, "check", "metrics", stdin=text)
    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, b"", b"")
