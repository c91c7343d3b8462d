"""Drift, as the exporter tells it of a real API server: every row of the truth by every declarer, played live.

What is to be said of each is in `tests/drift/truth/expected.py`; here it is asked of the program, by its command and by
/metrics: while it watches, after it was killed, and by one that sees all for the first time when it is over.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.contract.wire import reach
from tests.drift.truth import playing, pump
from tests.drift.truth.expected import DECIDED, GONE, expected, expected_at_first_sight, said
from tests.drift.truth.playing import CASES
from tests.integration.conftest import CONTROL_PLANE, _discard, _need
from tests.integration.exporting import Exporter
from tests.servers.launch import Cluster
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.drift.truth.expected import Expected
    from tests.drift.truth.playing import Case
    from tests.integration.exporting import Samples

pytestmark = pytest.mark.timeout(600)

# Longer than the longest row takes, so that what was put right within it never was drift.
SETTLE_SECONDS = 20
CONFIG = json.dumps(
    {"watch": {"include": [f"{pump.GROUP}/*"]}, "drift": {"settle": f"{SETTLE_SECONDS}s", "clear": "1s"}}
)
# Once nothing happens any more.
_SETTLED_SECONDS = SETTLE_SECONDS + 40.0
Verdicts = dict[str, dict[str, Any]]


class Told(NamedTuple):
    """What was told when all was over.

    Attributes:
        watched: verdicts by namespace, of the exporter that watched
        metrics: of the same
        again: verdicts of the same after it was killed and started again
        first_sight: verdicts of one that saw nothing before
        live: the objects by namespace

    """

    watched: Verdicts
    metrics: Samples
    again: Verdicts
    first_sight: Verdicts
    live: dict[str, Any]


@pytest.fixture(scope="module")
def told(compat: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """All rows by all declarers, on a cluster of its own."""
    _need([*CONTROL_PLANE, "helm"], compat=compat)
    directory = tmp_path_factory.mktemp("drift")
    cluster = Cluster(directory / "cluster", compat=compat)
    try:
        cluster.start()
        playing.install(cluster)
        yield _play(cluster, directory)
    finally:
        _discard(cluster)


def _play(cluster: Cluster, directory: Path) -> Told:
    async def play() -> None:
        async with reach(cluster.kubeconfig) as wire:
            await playing.play(cluster, wire, directory, CASES)

    exporter = Exporter(cluster.kubeconfig, directory / "watched", config=CONFIG)
    with exporter:
        asyncio.run(play())
        watched = _settled(exporter, expected)
        metrics = exporter.metrics()
        exporter.kill()
        exporter.start()
        again = _settled(exporter, expected)
    with Exporter(cluster.kubeconfig, directory / "first-sight", config=CONFIG) as newcomer:
        first_sight = _settled(newcomer, expected_at_first_sight)
    items = json.loads(cluster.kubectl("get", "--raw", playing.PUMPS))["items"]
    return Told(watched, metrics, again, first_sight, {one["metadata"]["namespace"]: one for one in items})


def _settled(exporter: Exporter, wanted: Callable[[Case], Expected]) -> Verdicts:
    """The verdicts by namespace, once none is pending. Of what nobody declares there is none."""
    here = {case.namespace for case in CASES if wanted(case).state not in ("gone", "unmanaged")}

    def settled() -> Verdicts | None:
        verdicts = {one["namespace"]: one for one in exporter.drift()}
        return verdicts if here <= verdicts.keys() and not _pending(verdicts) else None

    return eventually(settled, _SETTLED_SECONDS) or {}


def kept(verdict: Expected) -> Expected:
    """Of what nobody declares nothing need be said, as of what is not there."""
    return GONE if verdict.state == "unmanaged" else verdict


def _pending(verdicts: Verdicts) -> bool:
    return any(one["state"] == "pending" for one in verdicts.values())


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: case.namespace)
def test_the_verdict_is_the_truth(told: Told, case: Case) -> None:
    """State, declarer, baseline, cause, findings and their writers, additions and flags are what they have to be."""
    assert kept(expected(case)) == kept(said(told.watched.get(case.namespace)))


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: case.namespace)
def test_a_newcomer_tells_what_can_still_be_known(told: Told, case: Case) -> None:
    """Who sees the object for the first time tells what the object itself still shows, and invents nothing."""
    assert kept(expected_at_first_sight(case)) == kept(said(told.first_sight.get(case.namespace)))


def test_a_verdict_survives_a_kill(told: Told) -> None:
    """After SIGKILL every verdict is the same, with the same since."""
    assert told.watched == told.again


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: case.namespace)
def test_since_is_when_the_writer_wrote(told: Told, case: Case) -> None:
    """Where a writer's entry tells, since is its time; else it is when the change was seen, after the last write."""
    verdict = told.watched.get(case.namespace, {})
    entries = told.live.get(case.namespace, {"metadata": {"managedFields": []}})["metadata"]["managedFields"]
    writers = {one["writer"]["name"] for one in verdict.get("fields", ()) if "writer" in one}
    times = {_seconds(one["time"]) for one in entries if one["manager"] in writers and "time" in one}
    match expected(case).since:
        case "managed_fields":
            # Who writes again, or lost the entry to others, has a later time; what began before goes on.
            later = verdict["state"] == "flapping" or case.row == "human-is-crowded-out"
            assert _seconds(verdict["since"]) == min(times) or (later and _seconds(verdict["since"]) < min(times))
        case "observed":
            assert _seconds(verdict["since"]) >= max(_seconds(one["time"]) for one in entries if "time" in one)
        case _:
            assert "since" not in verdict


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: case.namespace)
def test_the_metrics_say_the_same(told: Told, case: Case) -> None:
    """The state, and while it lasts the cause, the time and the numbers of fields, are in /metrics."""
    verdict = expected(case)
    place = {"customresource_group": pump.GROUP, "customresource_kind": pump.KIND, "namespace": case.namespace}
    found = {
        name.removeprefix("customresource_"): (dict(labels - place.items()), value)
        for (name, labels), value in told.metrics.items()
        if place.items() <= labels and value and name.startswith(("customresource_drift", "customresource_undeclared"))
    }
    one = {"name": pump.NAME}
    wanted: dict[str, tuple[dict[str, str], float]] = {}
    if verdict.state not in ("gone", "unmanaged"):
        wanted["drift_state_objects"] = ({"declarer": verdict.declarer, "state": verdict.state}, 1)
    if verdict.state in ("drifted", "flapping"):
        labels = {"cause": verdict.cause, "baseline": verdict.baseline, "declarer": verdict.declarer}
        since = _seconds(told.watched[case.namespace]["since"])
        wanted["drift_info"] = (one | labels, 1)
        wanted["drift_since_timestamp_seconds"] = (one, since)
        wanted["drift_fields"] = (one, len(told.watched[case.namespace]["fields"]))
    if verdict.additions:
        wanted["undeclared_fields"] = (one, len(verdict.additions))
    assert wanted == found


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
