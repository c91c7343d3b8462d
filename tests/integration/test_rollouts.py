"""What a real operator does with a real API server, in a real Jaeger: cert-manager's rollouts, one trace each.

It issues certificates for two exporters: one is left alone, the other is killed meanwhile. The truth is a watch of the
test's own.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from exporter.timestamps import Timestamp, to_nanoseconds
from tests.contract.wire import reach
from tests.integration.conftest import _need
from tests.integration.tracing import (
    LATE_SECONDS,
    SERVERS,
    differences,
    lanes,
    log_leads_to_traces,
    named,
    times_are_near,
    warnings,
)
from tests.integration.truth import Truth, Version, transitions, watching
from tests.rollout.shapes import is_rollout
from tests.servers.launch import CertManager


if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.wire import Wire
    from tests.integration.tracing import Lanes, Told
    from tests.servers.launch import Cluster

pytestmark = pytest.mark.timeout(240)  # the first of them waits for all that the exporters tell

NAMESPACE = "issued"
WE = "the-platform-team"
TIMEOUT_SECONDS = 20
CONFIG = {
    "watch": {"include": ["cert-manager.io/*"]},
    "rollout": {"settle": "1s", "timeout": f"{TIMEOUT_SECONDS}s"},
}
_LASTS_SECONDS = 1 + 1 + LATE_SECONDS  # what `settle` says, and what times of whole seconds leave open
_GROUP = "/apis/cert-manager.io/v1"
CERTIFICATES = f"{_GROUP}/namespaces/{NAMESPACE}/certificates"
REQUESTS = f"{_GROUP}/namespaces/{NAMESPACE}/certificaterequests"
ISSUERS = f"{_GROUP}/clusterissuers"

TOLD = {
    "ClusterIssuer late 1 converged",
    "Certificate web 1 converged",
    "Certificate renamed 1 converged",
    "Certificate renamed 2 converged",
    "Certificate lost 1 converged",
    "Certificate lost 1+1 converged",
    "Certificate waiting 1 converged",
    "Certificate hopeless 1 timed_out",
}


class Played(NamedTuple):
    """What the watch saw, and what the two exporters told of it."""

    truth: Truth
    steady: Told
    killed: Told


@pytest.fixture(scope="module")
def played(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Everything, done once."""
    _need((*SERVERS, "cert-manager"))
    directory = tmp_path_factory.mktemp("issued")
    with CertManager(cluster, directory / "operator"):
        return asyncio.run(_play(cluster, directory))


async def _play(cluster: Cluster, directory: Path) -> Played:
    paths = (CERTIFICATES, REQUESTS, ISSUERS)
    async with reach(cluster.kubeconfig) as wire, AsyncExitStack() as watch:
        truth = await watch.enter_async_context(watching(wire, paths))
        await wire.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        # From these an exporter that comes first learns how the types report.
        await _issuer(wire, "self")
        await _certificate(wire, "older")
        await truth.comes(lambda: _ready(truth, "older", 1))
        with lanes(cluster, directory, json.dumps(CONFIG)) as both:
            await _issue(wire, truth, both)
            await watch.aclose()
            told = [await asyncio.to_thread(lane.tells, 2 * len(TOLD) - 1) for lane in both]
    return Played(truth, *told)


async def _issue(wire: Wire, truth: Truth, both: Lanes) -> None:
    """One of them is killed when all has just begun, and once more when all begins again."""
    labelled = await wire.merge(f"{CERTIFICATES}/older", {"metadata": {"labels": {"seen": "yes"}}})
    await both.killed.sees(labelled.version)
    first = ("web", "renamed", "lost")
    for name, issuer in {**dict.fromkeys(first, "self"), "waiting": "late", "hopeless": "nowhere"}.items():
        await _certificate(wire, name, issuer)
    await both.killed.kill()
    # What is lost before it has lasted was never there; and what is seen late has times of whole seconds.
    await truth.comes(lambda: all(_ready(truth, name, 1, lasts=_LASTS_SECONDS) for name in first))
    await both.killed.up()
    await wire.merge(f"{CERTIFICATES}/renamed", {"spec": {"dnsNames": ["other.example.com"]}}, who=WE)
    await wire.delete(f"/api/v1/namespaces/{NAMESPACE}/secrets/lost")
    await _issuer(wire, "late")
    await both.killed.kill()
    await truth.comes(
        lambda: _ready(truth, "renamed", 2) and _ready(truth, "lost", 1, 2) and _ready(truth, "waiting", 1)
    )
    await both.killed.up()


async def _issuer(wire: Wire, name: str) -> None:
    body = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": name}}
    answer = await wire.post(ISSUERS, body | {"spec": {"selfSigned": {}}}, who=WE)
    assert answer.status == 201, answer


async def _certificate(wire: Wire, name: str, issuer: str = "self") -> None:
    spec = {
        "secretName": name,
        "dnsNames": [f"{name}.example.com"],
        "issuerRef": {"name": issuer, "kind": "ClusterIssuer"},
        "privateKey": {"algorithm": "ECDSA"},
    }
    body = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": name}, "spec": spec}
    answer = await wire.post(CERTIFICATES, body, who=WE)
    assert answer.status == 201, answer


def _ready(truth: Truth, name: str, generation: int, revision: int | None = None, lasts: float = 0) -> bool:
    """Whether a certificate is ready with what is wanted, the so-many-th one that was issued for it, for so long."""
    versions = truth.versions("Certificate", name)
    if not versions or not _is_ready(versions[-1], generation, revision or generation):
        return False
    return time.time_ns() - versions[-1].seen >= lasts * 1e9


def _is_ready(version: Version, generation: int, revision: int) -> bool:
    ready = version.conditions.get("Ready", {})
    said = (ready.get("status"), ready.get("observedGeneration"), version.status("Issuing") == "True")
    return said == ("True", generation, False) and version.body["status"].get("revision", 0) >= revision


@pytest.fixture(params=["steady", "killed"])
def told(request: pytest.FixtureRequest, played: Played) -> Told:
    """What each of the two told."""
    one: Told = getattr(played, request.param)
    return one


def test_each_rollout_is_one_trace(told: Told) -> None:
    """A creation, a change, a lost Secret, an issuer that comes late or never: a trace each, and no other."""
    roots = [[span for span in spans if not span["parent_span_id"]] for spans in told.traces.values()]
    assert sorted(named(root) for (root,) in roots) == sorted(TOLD)
    assert warnings(told) == []


def test_the_request_is_below_its_certificate(told: Told) -> None:
    """The CertificateRequest that a certificate makes is a span below it, in its trace, and ends as it does."""
    for spans in told.traces.values():
        rollouts = {span["span_id"]: span for span in spans if is_rollout(span)}
        kinds = {span["name"]: rollouts.get(span["parent_span_id"], {}).get("name") for span in rollouts.values()}
        if "reconcile Certificate" in kinds:
            assert kinds == {
                "reconcile Certificate": None,
                "reconcile CertificateRequest": "reconcile Certificate",
            }
            assert len(rollouts) == 2
            assert len({span["attributes"]["customresource.rollout.result"] for span in rollouts.values()}) == 1


def test_spans_are_what_a_watch_saw(played: Played) -> None:
    """Each rollout goes from one version to another, each stage ends with the version in which the condition moved."""
    moments = played.steady
    for what, span in moments.rollouts().items():
        versions = _course(played.truth, what)
        uid = span["attributes"]["customresource.uid"]
        assert span["start_micros"] == _seen(moments, uid, versions[0]), what
        if what.endswith("converged"):
            assert span["end_micros"] == _seen(moments, uid, versions[-1]), what
        expected = [
            (type_, before, after, since[:19], _seen(moments, uid, version))
            for version, type_, before, after, since in transitions(versions)
        ]
        assert sorted(expected) == sorted(moments.transitions(span)), what


def _course(truth: Truth, what: str) -> list[Version]:
    """The versions of an object from the one with which its rollout began to the one with which it ended."""
    kind, name, number, _ = what.split()
    generation, _, lost = number.partition("+")

    def done(version: Version, revision: int) -> bool:
        if kind == "Certificate":
            return _is_ready(version, int(generation), revision)
        return version.status("Ready") == "True"

    versions = iter(truth.versions(kind, name))
    course = [next(one for one in versions if one.body["metadata"]["generation"] == int(generation))]
    if lost:  # it was done before
        next(one for one in versions if done(one, 1))
        course = [next(one for one in versions if one.status("Ready") == "False")]
    for version in versions:
        course.append(version)
        if done(version, int(generation) + int(lost or 0)):
            break
    return course


def _seen(told: Told, uid: str, version: Version) -> int:
    """When the exporter saw a version, which was when the watch saw it; microseconds."""
    moment = to_nanoseconds(Timestamp(told.observed(uid, version.resource_version)))
    assert abs(moment - version.seen) / 1e9 < LATE_SECONDS
    return moment // 1000


def test_who_was_away_tells_times_that_are_near(played: Played) -> None:
    """What was seen late has the time that the object tells, in whole seconds, or that at which it was seen at last."""
    times_are_near(played.steady, played.killed)


def test_kills_change_nothing(played: Played) -> None:
    """Ids, names, parents, attributes and links of all spans are the same, whether the exporter was killed or not."""
    assert differences(played.steady, played.killed) == []


def test_each_trace_is_sent_once_and_whole(told: Told) -> None:
    """All that belongs to a trace comes in one request, and no span comes twice."""
    sent = [span for request in told.requests for span in request]
    assert sorted(span["span_id"] for span in sent) == sorted(
        span["span_id"] for spans in told.traces.values() for span in spans
    )
    for trace in told.traces:
        assert sum(any(span["trace_id"] == trace for span in request) for request in told.requests) == 1


def test_log_records_lead_to_the_trace(told: Told) -> None:
    """Each change that belongs to a rollout has its ids, in the log as in the journal."""
    log_leads_to_traces(told)


def test_it_is_told_who_wanted_what(told: Told) -> None:
    """A change has its writer and the fields that it changed, and leads to the rollout before; a loss has no writer."""
    found = told.rollouts()
    renamed = found["Certificate renamed 2 converged"]["attributes"]
    names = ("rollout.opened", "writer.name", "change.fields")
    assert [renamed[f"customresource.{name}"] for name in names] == ["spec", WE, '["/spec/dnsNames/0"]']
    before = found["Certificate renamed 1 converged"]
    link = {"trace_id": before["trace_id"], "span_id": before["span_id"]}
    assert found["Certificate renamed 2 converged"]["links"] == [link]
    lost = found["Certificate lost 1+1 converged"]["attributes"]
    assert (lost["customresource.rollout.opened"], lost.get("customresource.writer.name")) == ("readiness", None)


def test_an_issuer_that_comes_late_is_waited_for(played: Played) -> None:
    """A condition that is False is no end: the rollout goes on until there is an issuer, and then converges."""
    found = played.steady.rollouts()
    waiting, issuer = found["Certificate waiting 1 converged"], found["ClusterIssuer late 1 converged"]
    # Two types are read each by itself: the issuer is seconds younger than who waits, and may be seen after its end.
    assert waiting["start_micros"] < issuer["start_micros"] < waiting["end_micros"] + LATE_SECONDS * 1_000_000
    assert "error.type" not in waiting["attributes"]


def test_an_issuer_that_never_comes_is_the_reason(told: Told) -> None:
    """A certificate is given up when its time is up, its request with it at the latest; each says what kept it."""
    found = told.rollouts()
    certificate = found["Certificate hopeless 1 timed_out"]
    (request,) = (span for span in found.values() if span["parent_span_id"] == certificate["span_id"])
    assert certificate["end_micros"] - certificate["start_micros"] == TIMEOUT_SECONDS * 1_000_000
    # Of two types either may be seen first, if by milliseconds, and comes first to its own time.
    own_time = request["start_micros"] + TIMEOUT_SECONDS * 1_000_000
    assert request["end_micros"] == min(certificate["end_micros"], own_time)
    for span in (certificate, request):
        said: dict[str, Any] = span["attributes"]
        assert (said["error.type"], said["otel.status_code"]) == ("timeout", "ERROR")
        assert (said["customresource.condition.type"], said["customresource.condition.status"]) == ("Ready", "False")
    assert request["attributes"]["customresource.condition.reason"] == "Pending"
    assert "nowhere" in request["attributes"]["otel.status_description"]
