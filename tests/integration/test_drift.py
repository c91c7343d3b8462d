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
# The families of what holds now. What has been may be counted too, where the machine is so slow that it has settled.
_HOLDING = tuple(
    f"customresource_{name}"
    for name in ("drift_state_objects", "drift_since", "drift_info", "drift_fields", "undeclared_fields")
)
# Once nothing happens any more.
_SETTLED_SECONDS = SETTLE_SECONDS + 40.0
# Nobody's objects are looked at beside the others; the recordings have all rows of them.
LIVE = [case for case in CASES if case.declarer != "nobody" or case.row in ("declared", "human-applies-over")]
EVERY = pytest.mark.parametrize("case", [case for case in LIVE if case in DECIDED], ids=lambda case: case.namespace)
Verdicts = dict[str, dict[str, Any]]


class Told(NamedTuple):
    """What was told when all was over.

    Attributes:
        watched: verdicts by namespace, of the exporter that watched
        metrics: of the same
        again: verdicts of the same after it was killed and started again
        first_sight: verdicts of one that saw nothing before
        changes: all that the one that watched told of
        admits: the API server changes what it admits, where the rows ask for it

    """

    watched: Verdicts
    metrics: Samples
    again: Verdicts
    first_sight: Verdicts
    changes: list[dict[str, Any]]
    admits: bool


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


@pytest.fixture(autouse=True)
def _is_played(request: pytest.FixtureRequest, told: Told) -> None:
    """Skip what this API server cannot do."""
    if not told.admits and pump.ADMITTED in request.node.name:
        pytest.skip("this API server changes nothing on admission without a webhook")


def _play(cluster: Cluster, directory: Path) -> Told:
    admits = playing.install_admission(cluster)
    cases = [case for case in LIVE if admits or pump.ADMITTED not in case.namespace]

    async def play() -> None:
        async with reach(cluster.kubeconfig) as wire:
            await playing.play(cluster, wire, directory, cases)

    exporter = Exporter(cluster.kubeconfig, directory / "watched", config=CONFIG)
    with exporter:
        asyncio.run(play())
        watched = _settled(exporter, cases, expected)
        metrics, changes = exporter.metrics(), exporter.changes()
        exporter.kill()
        exporter.start()
        again = _settled(exporter, cases, expected)
    with Exporter(cluster.kubeconfig, directory / "first-sight", config=CONFIG) as newcomer:
        first_sight = _settled(newcomer, cases, expected_at_first_sight)
    return Told(watched, metrics, again, first_sight, changes, admits)


def _settled(exporter: Exporter, cases: list[Case], wanted: Callable[[Case], Expected]) -> Verdicts:
    """The verdicts by namespace, once none is pending. Of what nobody declares there is none."""
    here = {case.namespace for case in cases if wanted(case).state not in ("gone", "unmanaged")}

    def settled() -> Verdicts | None:
        verdicts = {one["namespace"]: one for one in exporter.drift()}
        return verdicts if here <= verdicts.keys() and not _pending(verdicts) else None

    return eventually(settled, _SETTLED_SECONDS) or {}


def kept(verdict: Expected) -> Expected:
    """Of what nobody declares nothing need be said, as of what is not there."""
    return GONE if verdict.state == "unmanaged" else verdict


def _of(verdicts: Verdicts, case: Case) -> dict[str, Any]:
    return verdicts.get(case.namespace, {})


def _pending(verdicts: Verdicts) -> bool:
    return any(one["state"] == "pending" for one in verdicts.values())


@EVERY
def test_the_verdict_is_the_truth(told: Told, case: Case) -> None:
    """State, declarer, baseline, cause, findings and their writers, additions and flags are what they have to be."""
    assert kept(expected(case)) == kept(said(_of(told.watched, case)))


@EVERY
def test_a_newcomer_tells_what_can_still_be_known(told: Told, case: Case) -> None:
    """Who sees the object for the first time tells what the object itself still shows, and invents nothing."""
    assert kept(expected_at_first_sight(case)) == kept(said(_of(told.first_sight, case)))


def test_a_verdict_survives_a_kill(told: Told) -> None:
    """After SIGKILL every verdict is the same, with the same since."""
    assert told.watched == told.again


@EVERY
def test_since_is_when_it_was_written_or_else_when_it_was_seen(told: Told, case: Case) -> None:
    """Since is the time that the entry of the first who wrote has, or the moment in which a version was seen."""
    verdict = _of(told.watched, case)
    changes = [change for change in told.changes if change["namespace"] == case.namespace]
    match expected(case).since:
        case "managed_fields":
            writers = {found.writer for found in expected(case).fields}
            # Of those whom the server has forgotten the journal knows the name.
            names = {"kubectl-patch"} if writers == {"ancient-changes"} else writers
            times = [change["happened"] for change in changes if change["writer"].get("name") in names]
            assert verdict["since"] in times if verdict["state"] == "flapping" else verdict["since"] == min(times)
        case "observed":
            assert verdict["since"] in [change["observed"] for change in changes]
        case _:
            assert "since" not in verdict


@EVERY
def test_the_metrics_say_the_same(told: Told, case: Case) -> None:
    """The state, and while it lasts the cause, the time and the numbers of fields, are in /metrics."""
    verdict = expected(case)
    place = {"customresource_group": pump.GROUP, "customresource_kind": pump.KIND, "namespace": case.namespace}
    found = {
        name.removeprefix("customresource_"): (dict(labels - place.items()), round(value, 3))
        for (name, labels), value in told.metrics.items()
        if place.items() <= labels and value and name.startswith(_HOLDING)
    }
    one = {"name": pump.NAME}
    wanted: dict[str, tuple[dict[str, str], float]] = {}
    if verdict.state != "gone":
        wanted["drift_state_objects"] = ({"declarer": verdict.declarer, "state": verdict.state}, 1)
    if verdict.state in ("drifted", "flapping"):
        labels = {"cause": verdict.cause, "baseline": verdict.baseline, "declarer": verdict.declarer}
        wanted["drift_info"] = (one | labels, 1)
        wanted["drift_since_timestamp_seconds"] = (one, _seconds(_of(told.watched, case)["since"]))
        wanted["drift_fields"] = (one, len(_of(told.watched, case)["fields"]))
    if verdict.additions:
        wanted["undeclared_fields"] = (one, len(verdict.additions))
    assert wanted == found


def _seconds(text: str) -> float:
    return round(datetime.fromisoformat(text).timestamp(), 3)
