"""A real operator under the exporter's eyes: cert-manager issues and re-issues while the exporter is killed.

The truth is a watch of the same objects in this test: plain HTTP and JSON without a gap, nothing shared with the
exporter. FAULTS=full is 200 certificates and 20 kills.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.faults.issuing import AUDIT, REASONS, Seen, Team, connected, writers
from tests.faults.table import Row
from tests.faults.trial import FULL
from tests.integration.conftest import _need
from tests.integration.exporting import Exporter
from tests.integration.load import compare
from tests.integration.test_soak import counters
from tests.servers.launch import CertManager
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import NewCluster


class Size(NamedTuple):
    """How much of it."""

    certificates: int
    kills: int
    seconds: float


SIZE = Size(200, 20, 300.0) if FULL else Size(10, 3, 30.0)
pytestmark = pytest.mark.timeout(max(600.0, 10 * SIZE.seconds))

CONFIG = 'watch: {include: ["cert-manager.io/*", "acme.cert-manager.io/*"]}'


async def test_the_journal_is_what_an_operator_did(
    new_cluster: NewCluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """Every version that cert-manager writes is told once, in order and by its name, over kills at any moment."""
    _need(["cert-manager"])
    audit = tmp_path / "audit.log"
    (tmp_path / "policy.json").write_text(json.dumps(AUDIT))
    args = [f"--audit-policy-file={tmp_path / 'policy.json'}", f"--audit-log-path={audit}"]
    cluster = await asyncio.to_thread(new_cluster, controller_manager=True, apiserver_args=args)
    operator = CertManager(cluster, tmp_path / "operator")
    await asyncio.to_thread(operator.install)
    cluster.stop()
    cluster.start()  # else the garbage collector would find the new types only after half a minute
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=CONFIG) as exporter:
        async with connected(cluster) as session:
            seen = Seen(session)
            async with seen.watching():
                with operator:  # what it has not written by the end it never writes
                    await play(Team(session, seen, SIZE.certificates), exporter)
                seconds = await asyncio.to_thread(catch_up, exporter, seen)
        judge(exporter, seen, seconds, record)
        judge_writers(exporter.changes("--all"), writers(audit))


async def play(team: Team, exporter: Exporter) -> None:
    """Issue and issue again for as long as the exporter is killed, at least once for each reason."""
    killing = asyncio.create_task(asyncio.to_thread(kill_often, exporter, random.Random(11)))  # noqa: S311 - moments
    await team.begin()
    for turn in itertools.count():
        if killing.done() and turn >= REASONS:
            break
        await team.again(turn)
    await killing
    await team.end()


def kill_often(exporter: Exporter, draw: random.Random) -> None:
    """Kill it at any moment, every second time once more while it starts."""
    for number in range(SIZE.kills):
        time.sleep(draw.uniform(0.2, 1.2))  # it works meanwhile
        exporter.kill()
        if number % 2:
            exporter.start(until="started")
            exporter.kill()
        exporter.start()


def catch_up(exporter: Exporter, seen: Seen) -> float:
    """Wait until the exporter has counted as many versions as were seen; how many seconds it took."""
    began = time.monotonic()
    with suppress(AssertionError):  # what is missing is said by the judgement, by name
        eventually(lambda: seen.count == sum(counters(exporter).values()), SIZE.seconds)
    return time.monotonic() - began


def judge(exporter: Exporter, seen: Seen, seconds: float, record: Callable[[Row], None]) -> None:
    """Hold journal and counters against what was seen."""
    told = [{"namespace": ""} | change for change in exporter.changes("--all")]
    # A deletion's number is compared apart: the shared comparison is for writers, whom the server does not tell it.
    truth = {
        key: [one._replace(resource_version="") if one.event == "deleted" else one for one in versions]
        for key, versions in seen.versions.items()
    }
    compared = compare(truth, told)
    row = Row(
        "SIGKILL, beside cert-manager", "watching", True, seen.count, len(compared.lost), len(compared.invented),
        len(compared.duplicates), len(compared.disordered), 0, round(seconds, 2), SIZE.kills,
    )  # fmt: skip
    record(row)
    print(row, dict(Counter((change["kind"], change["change"]) for change in told)))  # noqa: T201 - figures
    assert compared.wrong == []
    deleted = [(change["uid"], change["resource_version"]) for change in told if change["event"] == "deleted"]
    assert sorted(seen.deletions()) == sorted(deleted)
    assert counters(exporter) == Counter(
        (change["kind"], change["namespace"], change["event"], change["change"]) for change in told
    )


def judge_writers(told: list[dict[str, Any]], asked: dict[tuple[str, str], set[str]]) -> None:
    """Hold who is said to have written each version against who asked for it."""
    verdicts: Counter[str] = Counter()
    wrong = []
    for change in told:
        if change["event"] == "deleted":
            continue
        truth, writer = asked[change["uid"], change["resource_version"]], change["writer"]
        if "name" not in writer:
            among = not truth.isdisjoint(writer.get("candidates", ()))
            verdicts["unresolved, true among candidates" if among else f"unresolved, {truth} not in {writer}"] += 1
        elif writer["name"] in truth:
            verdicts["right"] += 1
        else:
            wrong.append((change["kind"], truth, writer, change["fields"]))
    print(dict(verdicts), f"{len(wrong)} wrong")  # noqa: T201 - figures
    assert wrong == []
    assert verdicts["right"] > len(told) // 2
