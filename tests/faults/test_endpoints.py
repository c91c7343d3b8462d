"""An OTLP endpoint that fails in every way: nothing is lost, the journal and /metrics go on, the log stays short.

One exporter for each row of faults, all beside the same writers; a row plays one fault after another while they write.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from functools import partial
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.faults.arrivals import Arrivals, matters, uid
from tests.faults.endpoint import Answer, Endpoint, Record
from tests.faults.failing import (
    FULL_PLAYS,
    HTTP,
    NETWORK,
    PLAYS,
    TIMEOUT,
    UNAVAILABLE,
    Count,
    Play,
    counted,
    recover,
)
from tests.faults.stage import Scene, Stage, freshness, total
from tests.faults.trial import FULL
from tests.integration.exporting import Exporter
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.servers.launch import Cluster, Collector

pytestmark = pytest.mark.timeout(1800 if FULL else 300)

PER_SECOND = 60.0
# The SDK's exporters give up after 60 s at most, and the Collector's after 300 s unless told otherwise.
OUTAGE_SECONDS = 310.0


class Restart(NamedTuple):
    """Trouble that only a restart of the exporter ends, since a person had to change something, or since it crashed.

    Attributes:
        name: for the table
        play: which endpoint there is after the restart
        env: in place of the right environment, before the restart
        begin: makes the endpoint fail
        grows: what is counted meanwhile
        end: ends the first run
        tells: in the log of the first run

    """

    name: str
    play: Play
    env: dict[str, str]
    begin: Callable[[Endpoint], None]
    grows: Count
    end: Callable[[Exporter], None]
    tells: str

    def perform(self, stage: Stage, scene: Scene, record: Callable[[Row], None]) -> None:
        """See that it fails and that the log says how, end the exporter, and start one that goes on."""
        eventually(lambda: self.grows(scene.exporter, scene.endpoint) >= 1, 60)
        assert any(self.tells in line.get("message", "") for line in scene.exporter.lines())
        self.end(scene.exporter)
        assert scene.endpoint.taken == []
        recover(scene.endpoint)
        scene.endpoint.go_on()
        arrivals = Arrivals(stage.again(scene), scene.endpoint)
        arrivals.judge(f"endpoint: {self.name}", scene.play.protocol, record)


def asks_for_a_day(endpoint: Endpoint) -> None:
    """Ask to stay away for a day."""
    endpoint.rule = lambda _: Answer(429, words="quota", headers={"Retry-After": "86400"})


UNKNOWN_HOST = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://no-such-host.invalid:4318"}
ALL_RESTARTS = [
    Restart(
        "exporter killed while it hangs",
        Play("killed", HTTP),
        {},
        Endpoint.hang,
        TIMEOUT,
        Exporter.kill,
        "no answer",
    ),
    Restart(
        "429, Retry-After a day",
        Play("day", HTTP),
        {},
        asks_for_a_day,
        counted("failures", "http_429"),
        Exporter.stop,
        "asked to stay away for 86400 s, trying again after 900 s",
    ),
    Restart(
        "name cannot be resolved",
        Play("dns", HTTP),
        UNKNOWN_HOST,
        recover,
        NETWORK,
        Exporter.stop,
        "no-such-host.invalid",
    ),
    Restart(
        "name cannot be resolved",
        Play("grpc-dns", "grpc"),
        UNKNOWN_HOST,
        recover,
        UNAVAILABLE,
        Exporter.stop,
        "no-such-host.invalid",
    ),
]
RESTARTS = ALL_RESTARTS if FULL else ALL_RESTARTS[:1]


async def test_nothing_is_lost(cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]) -> None:
    """Whatever an endpoint does, all arrives once it is well; journal and /metrics go on, and the log stays short."""
    restarts = {restart.play.name: restart for restart in RESTARTS}
    plays = [*(FULL_PLAYS if FULL else PLAYS), *(restart.play for restart in RESTARTS)]
    envs = [restarts[play.name].env if play.name in restarts else {} for play in plays]
    with Stage(cluster, tmp_path, plays, envs) as stage:

        def act(scene: Scene) -> None:
            if restart := restarts.get(scene.play.name):
                restart.perform(stage, scene, record)
            else:
                scene.perform(record)

        for scene in stage.scenes[-len(restarts) :]:  # before anything is written
            restarts[scene.play.name].begin(scene.endpoint)
        async with freshness(stage.trial) as lags, stage.trial.writing(per_second=PER_SECOND):
            await stage.perform(act)
        for scene in stage.scenes[: -len(restarts)]:
            await asyncio.to_thread(scene.arrivals.judge, "endpoint: all of these", scene.play.name, record)
            await asyncio.to_thread(scene.end)
        await stage.trial.settle("endpoint: all of these", "the journal meanwhile", record)
    half, p99 = median(lags), quantiles(lags, n=100)[98]
    print(f"change → /metrics meanwhile: median {half:.3f} s, p99 {p99:.3f} s of {len(lags)}")  # noqa: T201
    assert half < 2.0  # far more than it is, and far less than the faults last, of which there is one at any moment


class Collected:
    """The records that a Collector has written and that came from one exporter, known by an attribute."""

    refused: frozenset[str] = frozenset()

    def __init__(self, collector: Collector, play: str) -> None:
        self._collector = collector
        self._play = play

    @property
    def taken(self) -> list[Record]:
        """Read what is in its file."""
        return [self._record(one) for one in self._collector.records() if one["resource"]["play"] == self._play]

    def _record(self, one: dict[str, Any]) -> Record:
        said = one["attributes"]
        thing = (said["customresource.kind"], one["resource"]["k8s.namespace.name"], said["customresource.name"])
        return Record(0.0, said["log.record.uid"], said["customresource.change.id"], thing)


async def test_the_collector_is_killed(
    cluster: Cluster, collector: Collector, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """A Collector that is killed and started again under load, more than once, ends up with everything."""
    plays = {Play("collector", HTTP): NETWORK, Play("collector-grpc", "grpc"): UNAVAILABLE}
    envs = [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_RESOURCE_ATTRIBUTES": f"play={play.name}"}
        for play, address in zip(plays, (collector.http_endpoint, collector.grpc_endpoint), strict=True)
    ]
    with Stage(cluster, tmp_path, [*plays], envs) as stage:

        def failures() -> list[float]:
            return [plays[scene.play](scene.exporter, scene.endpoint) for scene in stage.scenes]

        def crash() -> None:
            eventually(partial(has_more, collector, len(collector.records())), 60)
            before = failures()
            # It acknowledges what it writes a moment later, and that moment is not ours to judge.
            for scene in stage.scenes:
                scene.exporter.pause()
            eventually(partial(at_rest, collector, [-1, 0]))
            for _ in range(2):
                flush(collector)
            collector._server.kill()
            for scene in stage.scenes:
                scene.exporter.resume()
            eventually(lambda: all(now > then for now, then in zip(failures(), before, strict=True)), 60)
            collector.start()

        async with stage.trial.writing(per_second=PER_SECOND):
            for _ in range(5 if FULL else 1):
                await asyncio.to_thread(crash)
        for scene in stage.scenes:
            arrivals = Arrivals(scene.exporter, Collected(collector, scene.play.name))
            phase = scene.play.protocol
            await asyncio.to_thread(arrivals.judge, "endpoint: the Collector killed", phase, record, again=True)


def has_more(collector: Collector, than: int) -> bool:
    """Tell whether it has written more records than so many."""
    return len(collector.records()) > than


def at_rest(collector: Collector, written: list[int]) -> bool:
    """Tell whether it has written nothing since the last call."""
    written[:] = [written[1], len(collector.records())]
    return written[0] == written[1]


def flush(collector: Collector) -> None:
    """Return once all that it has acknowledged is in its file: a record of ours is, and it writes them in order."""
    name = uuid.uuid4().hex
    resource = {"attributes": [{"key": "play", "value": {"stringValue": name}}]}
    scope = {"logRecords": [{"body": {"stringValue": "here"}}]}
    logs = {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{collector.http_endpoint}/v1/logs", json.dumps(logs).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        assert answer.status == 200
    eventually(lambda: any(one["resource"]["play"] == name for one in collector.records()))


@pytest.mark.skipif(
    not FULL, reason="takes minutes: FAULTS=full runs it; tests/test_delivery.py has an hour in no time"
)
async def test_longer_than_others_wait(cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]) -> None:
    """After an outage in which other exporters give up all arrives, and what a small journal had to drop is counted."""
    plays = [Play("long", HTTP), Play("long-grpc", "grpc"), Play("small", HTTP, journal="1MiB")]
    with Stage(cluster, tmp_path, plays) as stage:
        small = stage.scenes[2]
        for scene in stage.scenes:
            scene.endpoint.down()
        async with stage.trial.writing(per_second=PER_SECOND):
            await asyncio.sleep(OUTAGE_SECONDS)
            for scene in stage.scenes:
                scene.endpoint.up()
        for scene in stage.scenes[:2]:
            name = f"endpoint: refuses connections for {OUTAGE_SECONDS:.0f} s"
            await asyncio.to_thread(scene.arrivals.judge, name, scene.play.protocol, record)
        changes = stage.trial.exporter.changes()
        await asyncio.to_thread(eventually, partial(has_delivered, small.exporter), 60)
        metrics = small.exporter.metrics()
    all_of_them = {uid(change) for change in changes if matters(change)}
    no_matter = len(changes) - len(all_of_them)
    taken = [one.uid for one in small.endpoint.taken]
    sent, dropped = total(metrics, "sent"), total(metrics, "dropped")
    assert len(taken) == len({*taken}) == sent
    assert {*taken} <= all_of_them
    assert dropped > 0
    # What the journal drops is counted as it lies there, with versions that would not have been sent.
    assert len(all_of_them) <= sent + dropped <= len(all_of_them) + no_matter


def has_delivered(exporter: Exporter) -> bool:
    """Tell whether nothing waits to be delivered."""
    name = "customresource_exporter_delivery_backlog_changes"
    return exporter.metrics()[name, frozenset({("consumer", "otlp-logs")})] == 0
