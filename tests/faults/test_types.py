"""CRDs that change, go, come back or hang between, while objects of them and of other types are written."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.accounts import DEGRADED, gone, long, until
from tests.faults.table import Row
from tests.faults.trial import FULL, Trial
from tests.integration.exporting import Exporter
from tests.integration.load import compare
from tests.integration.widgets import OPEN, Widgets, eventually_told, states, told, total, version
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.load import Key
    from tests.servers.launch import Cluster

OBJECTS = 500 if FULL else 40


def of_first(key: Key) -> bool:
    """Tell whether an object is of the type that is removed; the other one stays."""
    return key.kind == "Soak0"


def remove(trial: Trial) -> None:
    """Remove the first CRD; returns when it is gone, with all its objects."""
    trial.load._kinds = ["Soak1"]
    trial.load._cluster.kubectl("delete", f"crd/soak0s.{trial.load.group}")


async def install_again(trial: Trial) -> None:
    """Install the first CRD again, with objects of the same names as before."""
    whole, others = trial.load._keys, trial.load.before
    trial.load._kinds = ["Soak0"]
    trial.load._keys = [key for key in others if of_first(key)]
    await asyncio.to_thread(trial.load.install)
    trial.load._keys = [*whole, *trial.load._keys]
    trial.load._kinds = ["Soak0", "Soak1"]


@long
@pytest.mark.parametrize("killed", [False, True])
async def test_a_crd_that_is_removed_with_many_objects_and_installed_again(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], killed: bool
) -> None:
    """Each object is told as deleted, once, and as created when it is made again; the other type loses nothing."""
    phase = "killed in the middle" if killed else "watching"
    with Trial(cluster, tmp_path, objects=OBJECTS) as trial:
        gone(trial.load, of_first)
        async with trial.writing(per_second=50):
            removing = asyncio.create_task(asyncio.to_thread(remove, trial))
            if killed:
                await until(lambda: trial.exporter.changes("--kind=Soak0"))
                trial.exporter.kill()
                await asyncio.to_thread(trial.exporter.start)
            await removing
        if killed:
            # Whether the rest is told by the watch or as a gap depends on how far the server was.
            deleted = [key for key in trial.load.before if of_first(key)]
            await until(lambda: len(trial.exporter.changes("--kind=Soak0")) >= len(deleted))
            found = compare(trial.load.truth, trial.exporter.changes(), complete=False)
            assert [found.lost, found.invented, found.duplicates, found.disordered] == [[], [], [], []]
            record(Row("types: CRD removed", phase, True, found.versions, 0, 0, 0, 0, coalesced=0, seconds=0.0))
            return
        await trial.settle("types: CRD removed", phase, record)
        await until(lambda: "type removed" in trial.exporter.log)
        await install_again(trial)
        await trial.settle("types: CRD installed again", phase, record)


@long
async def test_a_crd_that_is_replaced_while_nobody_watches(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """The new CRD has another uid: all objects of the old one are deleted, and those of the same names are new."""
    with Trial(cluster, tmp_path, objects=OBJECTS) as trial:
        trial.exporter.stop()
        gone(trial.load, of_first)
        remove(trial)
        await install_again(trial)
        trial.exporter.start()
        row = await trial.settle("types: CRD replaced", "stopped", record, history=False)
        assert row.lost == 0
        names = [one["change"] for one in trial.exporter.changes("--kind=Soak0", "--all")]
        assert {name: names.count(name) for name in names} == {"deleted": OBJECTS, "recreated": OBJECTS}


@long
@pytest.mark.parametrize("change", ["schema", "version"])
async def test_a_crd_that_is_changed_again_and_again_while_its_objects_are(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], change: str
) -> None:
    """Another schema loses nothing; where the server forgets the history with a version, the end is right."""
    with Trial(cluster, tmp_path) as trial:
        crd = json.loads(cluster.kubectl("get", f"crd/soak0s.{trial.load.group}", "-o", "json"))
        (only,) = crd["spec"]["versions"]
        async with trial.writing():
            for number in range(4):
                spec = json.loads(json.dumps(only))
                if change == "schema":
                    properties = {f"new{number}": {"type": "string", "default": "x"}}
                    spec["schema"]["openAPIV3Schema"]["properties"]["spec"] = {**OPEN, "properties": properties}
                    versions = [spec]
                else:
                    versions = [
                        {**spec, "storage": number % 2 == 1},
                        {**spec, "name": "v2", "storage": number % 2 == 0},
                    ]
                patch = json.dumps({"spec": {"versions": versions}})
                await asyncio.to_thread(
                    cluster.kubectl, "patch", f"crd/soak0s.{trial.load.group}", "--type=merge", "-p", patch
                )
                await asyncio.sleep(2)
        await trial.settle(f"types: {change} changed", "watching", record, history=change == "schema")


@pytest.mark.parametrize("stopped", [False, pytest.param(True, marks=long)])
def test_a_field_that_becomes_a_password_and_a_list_that_gets_keys(
    cluster: Cluster, tmp_path: Path, stopped: bool
) -> None:
    """The change of the schema alone is silent; from then on the value is nowhere, and the list is aligned by key."""
    widgets = Widgets(cluster, f"password-{stopped}.types.example.com".lower())
    entry = {"type": "object", "properties": {"port": {"type": "integer"}, "use": {"type": "string"}}}
    ports: dict[str, Any] = {"type": "array", "items": entry}
    keyed = ports | {
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"], "items": entry | {"required": ["port"]}
    }  # fmt: skip
    widgets.install(version(colour={"type": "string"}, ports=ports))
    widgets.create("a")
    entries = [{"port": number, "use": f"use {number}"} for number in (1, 2, 3)]
    widgets.patch("a", {"spec": {"colour": "plain-needle-one", "ports": entries}})
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        eventually(lambda: b"plain-needle-one" in states(exporter.data_dir).get("a", b""))
        if stopped:
            exporter.stop()
        widgets.install(version(colour={"type": "string", "format": "password"}, ports=keyed))
        if stopped:
            exporter.start()
        eventually(lambda: b"plain-needle-one" not in states(exporter.data_dir)["a"], 20)
        assert told(exporter) == []

        # One after the other: a server that ends the watch of a changed CRD may forget what is between.
        widgets.patch("a", {"spec": {"colour": "plain-needle-two"}})
        eventually_told(exporter, 1)
        widgets.patch("a", {"spec": {"ports": [{"port": 9, "use": "nine"}, *entries]}})

        assert eventually_told(exporter, 2) == [("spec", "a")] * 2
        secret, inserted = (change["fields"] for change in exporter.changes())
        assert secret == [{"path": "/spec/colour", "op": "replace", "old": "<redacted>", "new": "<redacted>"}]
        assert [(field["path"], field["op"]) for field in inserted] == [("/spec/ports/0", "add")]
        assert b"needle" not in states(exporter.data_dir)["a"]
    widgets.remove()


@long
def test_a_crd_that_hangs_while_it_is_removed(cluster: Cluster, tmp_path: Path) -> None:
    """An object with a finalizer keeps its CRD alive: it is told as being deleted, and as deleted only when it is."""
    widgets = Widgets(cluster, "terminating.types.example.com")
    widgets.install()
    widgets.create("free", "held")
    widgets.patch("held", {"metadata": {"finalizers": ["example.com/wait"]}})
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config) as exporter:
        cluster.kubectl("delete", f"crd/widgets.{widgets.group}", "--wait=false")

        assert sorted(eventually_told(exporter, 2, timeout=30)) == [("deleted", "free"), ("deleting", "held")]
        widgets.patch("held", {"spec": {"size": 2}})
        assert eventually_told(exporter, 3)[2:] == [("spec", "held")]
        assert total(exporter, DEGRADED) == 0

        exporter.stop()
        exporter.start()
        assert len(told(exporter)) == 3
        widgets.patch("held", {"metadata": {"finalizers": None}})

        eventually(lambda: told(exporter)[-1] == ("deleted", "held"))
        eventually(lambda: "type removed" in exporter.log)
        assert [change for change, _ in told(exporter)].count("deleted") == 2


@long
def test_a_crd_that_is_not_served_for_a_while(cluster: Cluster, tmp_path: Path) -> None:
    """What is not served is not gone: nothing is told, now or at a start, until it is served and changes again."""
    widgets = Widgets(cluster, "unserved.types.example.com")
    widgets.install()
    widgets.create("a", "b")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        widgets.install(version() | {"served": False})
        eventually(lambda: total(exporter, DEGRADED) == 1, 40)
        assert told(exporter) == []
        assert total(exporter, "customresource_objects") == 2
        widgets.install()
        eventually(lambda: total(exporter, DEGRADED) == 0, 120)
        widgets.resize("a", 2)
        assert eventually_told(exporter, 1) == [("spec", "a")]
        widgets.install(version() | {"served": False})
    with exporter:
        assert exporter.get("/readyz")[0] == 200
        assert len(told(exporter)) == 1
        widgets.install()
        eventually(lambda: total(exporter, "customresource_exporter_watch_synced") == 1, 60)
        widgets.resize("b", 2)
        assert eventually_told(exporter, 2)[1:] == [("spec", "b")]
    widgets.remove()
