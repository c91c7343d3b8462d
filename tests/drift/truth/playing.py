"""Plays rows by declarers on a real API server, many at once, each in a namespace of its own."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.drift.truth import pump
from tests.drift.truth.declarers import DECLARERS
from tests.drift.truth.rows import ONLY, ROWS
from tests.drift.truth.scene import Scene, done
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.contract.wire import Wire
    from tests.servers.launch import Cluster

# All of them.
PUMPS = f"/apis/{pump.API_VERSION}/pumps"
_AT_ONCE = 12
# What every write moves, and what records who declared what.
_BOOKKEEPING = ("managedFields", "resourceVersion", "generation")


class Case(NamedTuple):
    """One declarer and one row."""

    declarer: str
    row: str

    @property
    def namespace(self) -> str:
        """Where it is played."""
        return f"{self.declarer}-{self.row}"


CASES = tuple(Case(declarer, row) for declarer in DECLARERS for row in ROWS if declarer in ONLY.get(row, DECLARERS))


def install(cluster: Cluster) -> None:
    """Install the type; returns when it can be used, which is a moment after the API server says so."""
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(pump.CRD))
    name = f"crd/{pump.CRD['metadata']['name']}"
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", name)
    eventually(lambda: cluster.kubectl("get", "--raw", PUMPS, check=False).startswith("{"))


def install_admission(cluster: Cluster) -> bool:
    """Have the API server change what it admits, where the rows say so; gives whether it can, without a webhook."""
    if "mutatingadmissionpolicies" not in cluster.kubectl("api-resources", "-o", "name"):
        return False
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(pump.ADMISSION))
    trial = f"a{pump.ADMITTED}trial"
    cluster.kubectl("create", "namespace", trial)
    dry_run = ("create", "-n", trial, "--dry-run=server", "-o", "jsonpath={.spec.note}", "-f", "-")
    eventually(lambda: cluster.kubectl(*dry_run, stdin=json.dumps(pump.declared()), check=False) == "admitted")
    return True


async def play(
    cluster: Cluster,
    wire: Wire,
    directory: Path,
    cases: Iterable[Case],
    told: Callable[[Scene, Case], Any] | None = None,
) -> None:
    """Play all these.

    Args:
        cluster: a real one, with the type installed
        wire: to it
        directory: for what declarers keep in files
        cases: each once
        told: awaited after each

    """
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(case: Case) -> None:
        async with room:
            namespace = {"metadata": {"name": case.namespace}}
            done(await wire.post("/api/v1/namespaces", namespace))
            declarer = DECLARERS[case.declarer]
            scene = Scene(cluster, wire, case.namespace, declarer, directory / case.namespace)
            await scene.declare()
            await ROWS[case.row](scene)
            if told is not None:
                await told(scene, case)

    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(one(case))


async def moved(scene: Scene) -> list[str] | None:
    """What would change if the object were declared once more, by the API server's own answer; None if it is gone."""
    if (await scene.wire.get(scene.path)).status == 404:
        return None
    foreseen = await scene.declarer.foresee(scene)
    return sorted(_differences(_content(await scene.live()), _content(foreseen)))


def _content(whole: pump.Object) -> pump.Object:
    metadata = {name: value for name, value in whole["metadata"].items() if name not in _BOOKKEEPING}
    metadata["annotations"] = {
        name: text for name, text in metadata.get("annotations", {}).items() if name != pump.LAST_APPLIED
    }
    return {"metadata": metadata, "spec": whole.get("spec", {})}


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """The paths at which two objects differ; a list is one value."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield path
        return
    for name in old.keys() | new.keys():
        yield from _differences(old.get(name), new.get(name), f"{path}/{name.replace('~', '~0').replace('/', '~1')}")
