"""A composite on a real API server, its rollout in a real Jaeger: one trace, nested, with the times of what was done.

An operator of the test's own plays it, once, for two exporters: one is left alone, the other is killed meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter.sandbox.hands import reach
from exporter.timestamps import Timestamp, to_nanoseconds
from tests.integration.conftest import _need
from tests.integration.tracing import (
    LATE_SECONDS,
    SERVERS,
    differences,
    lanes,
    log_leads_to_traces,
    times_are_near,
    warnings,
)
from tests.rollout.composing import (
    COMPOSER,
    CONFIG,
    POLICY,
    TIMEOUT_SECONDS,
    TIMES,
    TOLD,
    USER,
    Deed,
    Operator,
    compose,
)
from tests.rollout.shapes import of_spans


if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.tracing import Lanes, Told
    from tests.servers.launch import Cluster

pytestmark = pytest.mark.timeout(180)  # the first of them waits for all that the exporters tell

NAMESPACE = "composed"


class Played(NamedTuple):
    """What was done, and what the two exporters told of it."""

    deeds: dict[str, Deed]
    steady: Told
    killed: Told


@pytest.fixture(scope="module")
def played(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The composite, made once."""
    _need(SERVERS)
    return asyncio.run(_play(cluster, tmp_path_factory.mktemp("composed")))


async def _play(cluster: Cluster, directory: Path) -> Played:
    async with reach(str(cluster.kubeconfig)) as hands:
        operator = Operator(hands, NAMESPACE)
        await operator.prepare()
        with lanes(cluster, directory, json.dumps(CONFIG)) as both:
            await _compose(operator, both)
            told = [await asyncio.to_thread(lane.tells, len(TIMES)) for lane in both]
    return Played(operator.deeds, *told)


async def _compose(operator: Operator, both: Lanes) -> None:
    """One of them is away while all begins, and again while all ends."""
    times = itertools.count()

    async def interlude() -> None:
        if next(times):
            await both.killed.kill()

    # Of what is there when it comes first an exporter tells nothing: killed any earlier, it would come first again.
    await operator.make("something", POLICY, name="of-which-nobody-says-a-word")
    await both.killed.sees(operator.deeds["something"].resource_version)
    await both.killed.kill()
    await compose(operator, interlude)
    await both.killed.up()


@pytest.fixture(params=["steady", "killed"])
def told(request: pytest.FixtureRequest, played: Played) -> Told:
    """What each of the two told."""
    one: Told = getattr(played, request.param)
    return one


def test_it_is_one_trace(told: Told) -> None:
    """The composite's rollout holds those of all that it is composed of, at any depth, and nothing else is told."""
    assert len(told.traces) == 1
    (spans,) = told.traces.values()
    (root,) = (span for span in spans if not span["parent_span_id"])
    assert of_spans(spans, root) == TOLD
    assert warnings(told) == []


def test_the_times_are_those_at_which_it_was_done(played: Played) -> None:
    """Each rollout goes from one deed to another, at the very moments at which the exporter saw them."""
    found = played.steady.rollouts()
    assert found.keys() == TIMES.keys()
    for what, (begun, ended) in TIMES.items():
        start, end = found[what]["start_micros"], found[what]["end_micros"]
        assert start == seen(played, begun), what
        assert end == (seen(played, ended) if ended else start + TIMEOUT_SECONDS * 1_000_000), what


def test_who_was_away_tells_times_that_are_near(played: Played) -> None:
    """What was seen late has the time that the object tells, in whole seconds, or that at which it was seen at last."""
    times_are_near(played.steady, played.killed)


def test_kills_change_nothing(played: Played) -> None:
    """Ids, names, parents, attributes and links of all spans are the same, whether the exporter was killed or not."""
    assert differences(played.steady, played.killed) == []


def test_each_trace_is_sent_once_and_whole(told: Told) -> None:
    """All that belongs to a trace comes in one request, and no span comes twice."""
    (request,) = (spans for spans in told.requests if spans)
    (trace,) = told.traces.values()
    assert sorted(span["span_id"] for span in request) == sorted(span["span_id"] for span in trace)


def test_what_failed_says_why(told: Told) -> None:
    """What failed has the reason of its condition, what came to no end in time says so, and the rest is no error."""
    errors = {
        what: (said.get("otel.status_code"), said.get("error.type"), said.get("otel.status_description"))
        for what, said in ((what, span["attributes"]) for what, span in told.rollouts().items())
    }
    assert {what: error for what, error in errors.items() if any(error)} == {
        "Database shop 1 failed": ("ERROR", "QuotaExceeded", "QuotaExceeded: no room"),
        "Queue shop 1 timed_out": ("ERROR", "timeout", "Waiting: for a broker"),
    }


def test_it_is_told_who_wanted_what(told: Told) -> None:
    """Each rollout has the writer of the change that began it and the fields that it changed; the next is linked."""
    found = told.rollouts()
    writers = {what: span["attributes"]["customresource.writer.name"] for what, span in found.items()}
    assert writers == dict.fromkeys(found, COMPOSER) | {"Stack shop 1 converged": USER}
    resized = found["Bucket shop 2 converged"]
    assert resized["attributes"]["customresource.change.fields"] == '["/spec/size"]'
    before = found["Bucket shop 1 superseded"]
    assert {"trace_id": before["trace_id"], "span_id": before["span_id"]} in resized["links"]


def test_log_records_lead_to_the_trace(told: Told) -> None:
    """Each change that belongs to a rollout has its ids, in the log as in the journal."""
    log_leads_to_traces(told)


def seen(played: Played, deed: str) -> int:
    """When the exporter that was left alone saw what was written, which was not before that; microseconds."""
    done = played.deeds[deed]
    observed = played.steady.observed(done.object["metadata"]["uid"], done.resource_version)
    moment = to_nanoseconds(Timestamp(observed))
    assert done.asked // 1000 <= moment // 1000 <= done.answered // 1000 + LATE_SECONDS * 1_000_000
    return moment // 1000
