"""Exporters beside the same writers, each with an OTLP endpoint of its own that fails as its play says.

Must never let a play pass whose exporter lost a record, talked too much, or showed its credentials.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

import trustme

from tests.faults.arrivals import Arrivals, matters
from tests.faults.endpoint import Endpoint
from tests.faults.trial import Trial
from tests.integration.exporting import Exporter
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.faults.failing import Fault, Play
    from tests.faults.table import Row
    from tests.integration.exporting import Samples
    from tests.servers.launch import Cluster

SECRET = "s3cr3t-of-the-tenant"
ENV = {
    "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={SECRET},x-scope-orgid=1",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "10000",  # a busy machine is no endpoint that hangs
}


class Scene(NamedTuple):
    """One play on its stage."""

    play: Play
    exporter: Exporter
    endpoint: Endpoint
    arrivals: Arrivals

    def perform(self, record: Callable[[Row], None]) -> None:
        """Play every fault to its end: what the journal held by then must have arrived."""
        for fault in self.play.faults:
            before = fault.grows(self.exporter, self.endpoint)
            fault.begin(self.endpoint)
            eventually(partial(self._failed, fault, before), 60)
            fault.end(self.endpoint)
            self.arrivals.judge(f"endpoint: {fault.name}", self.play.protocol, record, again=fault.again)

    def _failed(self, fault: Fault, before: float) -> bool:
        return fault.grows(self.exporter, self.endpoint) >= before + fault.times

    def _counted(self) -> float:
        metrics = self.exporter.metrics()
        return total(metrics, "sent") + total(metrics, "dropped")

    def end(self) -> None:
        """Judge the rest, the counters, the log, and what must be nowhere."""
        # The endpoint has a batch a moment before the exporter has its answer, and counts it.
        eventually(lambda: self._counted() == sum(map(matters, self.exporter.changes())))
        assert total(self.exporter.metrics(), "dropped") == len(self.endpoint.refused)
        lines = [line for line in self.exporter.lines() if line.get("consumer") == "otlp-logs"]
        told = Counter(line["reason"] for line in lines if line["event"].startswith("delivery ") and "reason" in line)
        assert told.keys() >= {fault.tells for fault in self.play.faults if fault.tells}
        assert max(told.values(), default=0) <= 1, lines
        assert len(lines) <= 3 * len(self.play.faults), lines
        foreign = [line for line in self.exporter.log.splitlines() if not line.startswith("{")]
        assert foreign == [], "somebody writes past the log"
        assert no_secret(self.exporter)


def total(metrics: Samples, family: str) -> float:
    """Add up what delivery counts in a family."""
    return sum(
        value for (name, _), value in metrics.items() if name == f"customresource_exporter_delivery_{family}_total"
    )


def no_secret(exporter: Exporter) -> bool:
    """Tell whether the credentials are neither in the log, nor on /metrics, nor in any file of the exporter."""
    places = [exporter.log.encode(), exporter.get("/metrics")[1].encode()]
    places += [file.read_bytes() for file in exporter.data_dir.iterdir()]
    return not any(SECRET.encode() in place for place in places)


class Stage:
    """Writers on a cluster, and exporters that each have an endpoint of their own.

    Args:
        cluster: real
        directory: for all files
        plays: what is to be played; the exporter of the first is the trial's
        envs: for each exporter, in place of what leads to its endpoint

    """

    def __init__(
        self, cluster: Cluster, directory: Path, plays: list[Play], envs: list[dict[str, str]] | None = None
    ) -> None:
        self._cluster = cluster
        self._directory = directory
        self._plays = plays
        self._envs = envs or [{} for _ in plays]
        self._stack = ExitStack()
        self.scenes: list[Scene] = []

    def __enter__(self) -> Self:
        """Start everything."""
        with self._stack:
            endpoints = [self._endpoint(play) for play in self._plays]
            wrong = [endpoint.env | env for endpoint, env in zip(endpoints, self._envs, strict=True)]
            self.trial = self._stack.enter_context(
                Trial(self._cluster, self._directory / self._plays[0].name, env=ENV | wrong[0])
            )
            exporters = [self.trial.exporter]
            exporters += [
                self._exporter(play, self._directory / play.name / "data", env)
                for play, env in zip(self._plays[1:], wrong[1:], strict=True)
            ]
            with ThreadPoolExecutor() as threads:
                for started in threads.map(Exporter.start, exporters[1:]):
                    self._stack.push(started)
            self.scenes = [
                Scene(*parts, Arrivals(*parts[1:])) for parts in zip(self._plays, exporters, endpoints, strict=True)
            ]
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *about: object) -> None:
        """Stop everything."""
        self._stack.__exit__(*about)  # type: ignore[arg-type]

    async def perform(self, act: Callable[[Scene], None]) -> None:
        """Do something on every scene at once, in a thread for each."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(len(self.scenes)) as threads:
            await asyncio.gather(*(loop.run_in_executor(threads, act, scene) for scene in self.scenes))

    def again(self, scene: Scene) -> Exporter:
        """Start an exporter that goes on with the data of one that ended, with all that it needs to know."""
        exporter = self._exporter(scene.play, scene.exporter.data_dir, scene.endpoint.env)
        return self._stack.enter_context(exporter)

    def _exporter(self, play: Play, data_dir: Path, env: dict[str, str]) -> Exporter:
        config = {"watch": {"include": [f"{self.trial.load.group}/*"]}, "journal": {"size": play.journal}}
        return Exporter(self._cluster.kubeconfig, data_dir, config=json.dumps(config), env=ENV | env)

    def _endpoint(self, play: Play) -> Endpoint:
        authority = trustme.CA() if play.tls else None
        endpoint = Endpoint(play.protocol, authority=authority, directory=self._directory / play.name / "ca")
        return self._stack.enter_context(endpoint)


@asynccontextmanager
async def freshness(trial: Trial) -> AsyncIterator[list[float]]:
    """Measure meanwhile how many seconds after the API server's answer each version is counted on /metrics."""
    lags: list[float] = []
    waiting: deque[float] = deque()
    assigned = done = 0

    async def note() -> None:
        nonlocal assigned
        while True:
            now = sum(map(len, trial.load.truth.values()))
            waiting.extend([time.monotonic()] * (now - assigned))
            assigned = now
            await asyncio.sleep(0.005)

    async def look() -> None:
        nonlocal done
        while True:
            page = (await asyncio.to_thread(trial.exporter.get, "/metrics"))[1]
            told = sum(map(float, re.findall(r"^customresource_changes_total{.*} (\S+)$", page, re.MULTILINE)))
            while done < told and waiting:
                lags.append(time.monotonic() - waiting.popleft())
                done += 1
            await asyncio.sleep(0.03)

    tasks = [asyncio.create_task(note()), asyncio.create_task(look())]
    try:
        yield lags
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
