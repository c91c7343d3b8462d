"""Namespaces with thousands of objects that are deleted, and come back, while the exporter works and is killed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.faults.accounts import gone, long, until
from tests.faults.trial import FULL, Trial
from tests.integration import load


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.servers.launch import Cluster

pytestmark = pytest.mark.timeout(1200 if FULL else 300)
# In the namespace that is deleted, of two types together.
OBJECTS = 3_000 if FULL else 150


@pytest.fixture
def namespaces(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Two namespaces of this test alone, in which the trial has its objects: the first may be deleted."""
    names = (f"goes-{abs(hash(request.node.name))}", f"stays-{abs(hash(request.node.name))}")
    monkeypatch.setattr(load, "NAMESPACES", names)
    return names


@pytest.mark.parametrize("killed", [pytest.param(False, marks=long), True])
async def test_every_deletion_of_a_namespace_is_told_once(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], namespaces: tuple[str, str], killed: bool
) -> None:
    """All that a namespace held is told as deleted, each object once, also where the exporter is killed meanwhile."""
    goes, stays = namespaces
    with Trial(cluster, tmp_path, objects=OBJECTS) as trial:
        gone(trial.load, lambda key: key.namespace == goes)
        async with trial.writing(per_second=50):
            deleting = asyncio.create_task(asyncio.to_thread(cluster.kubectl, "delete", "namespace", goes))
            if killed:
                await until(lambda: len(trial.exporter.changes("--change=deleted", f"--namespace={goes}")) > 10)
                trial.exporter.kill()
                await asyncio.to_thread(trial.exporter.start)
            await deleting
        phase = "killed in the middle" if killed else "watching"
        row = await trial.settle("types: namespace of many objects deleted", phase, record)
        assert row.versions >= OBJECTS
        told = await asyncio.to_thread(trial.exporter.changes, "--change=deleted", f"--namespace={goes}")
        assert len(told) == OBJECTS
        cluster.kubectl("delete", "namespace", stays, "--wait=false")


@long
async def test_a_namespace_that_is_selected_goes_and_comes_back(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], namespaces: tuple[str, str]
) -> None:
    """A namespace that is followed by its name may go: it is waited for, and all of it is told when it is back."""
    goes, _ = namespaces
    trial = Trial(cluster, tmp_path, config={"watch": {"namespaces": [goes]}})
    trial.load._keys = [key for key in trial.load._keys if key.namespace == goes]
    with trial:
        everything = trial.load._keys
        gone(trial.load, lambda _: True)
        await asyncio.to_thread(cluster.kubectl, "delete", "namespace", goes)
        await trial.settle("types: selected namespace deleted", "watching", record)
        trial.load._keys = everything
        cluster.kubectl("create", "namespace", goes)
        async with trial.writing():
            await asyncio.sleep(2)
        await trial.settle("types: selected namespace came back", "watching", record)

        trial.exporter.stop()
        gone(trial.load, lambda _: True)
        await asyncio.to_thread(cluster.kubectl, "delete", "namespace", goes)
        trial.load._keys = everything
        cluster.kubectl("create", "namespace", goes)
        async with trial.writing(seed=2):
            await asyncio.sleep(1)
        trial.exporter.start()
        await trial.settle("types: selected namespace went and came back", "stopped", record)
