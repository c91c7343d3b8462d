"""How drift begins and ends on a real API server: told once each, over restarts, with who ended it, and by directories.

The rows of `test_drift.py` end in a state; here it is the way there, with times to settle that are short.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.contract.wire import reach
from tests.drift.truth import playing, pump
from tests.drift.truth.declarers import DECLARERS
from tests.drift.truth.rows import OPERATOR, human_changes_field, human_edits_field, replace
from tests.drift.truth.scene import Scene, done
from tests.integration.conftest import _need
from tests.integration.exporting import PROGRAM, Exporter
from tests.integration.widgets import total
from tests.servers.launch import Collector
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.servers.launch import Cluster

pytestmark = pytest.mark.timeout(180)

_SECONDS = 60.0
_EPISODES = "customresource_drift_episodes_total"


def config(**drift: Any) -> str:
    """Follow the pumps, and settle soon."""
    return json.dumps({"watch": {"include": [f"{pump.GROUP}/*"]}, "drift": {"settle": "1s", "clear": "1s", **drift}})


class Watched(NamedTuple):
    """An exporter that follows the pumps, and where its records go."""

    cluster: Cluster
    exporter: Exporter
    collector: Collector | None = None

    def verdict(self, namespace: str, name: str = pump.NAME) -> dict[str, Any]:
        """What is said of a pump now; empty where nothing is."""
        verdicts = self.exporter.drift("--namespace", namespace, f"pump/{name}")
        return verdicts[0] if verdicts else {}

    async def comes_to(self, namespace: str, state: str, *paths: str, name: str = pump.NAME) -> dict[str, Any]:
        """Wait for a state with findings at these paths."""

        def so() -> dict[str, Any] | None:
            verdict = self.verdict(namespace, name)
            found = sorted(one["path"] for one in verdict.get("fields", ()))
            return verdict if (verdict.get("state"), found) == (state, sorted(paths)) else None

        return await asyncio.to_thread(eventually, so, _SECONDS) or {}

    async def tells(self, namespace: str, count: int) -> list[dict[str, Any]]:
        """Wait for so many records of episodes of a namespace; their attributes without the prefix, in their order.

        What is killed between a request and its answer sends the same record once more, by the same uid.
        """

        def told() -> list[dict[str, Any]] | None:
            found = {
                one["attributes"]["log.record.uid"]: {
                    name.removeprefix("customresource.drift."): text for name, text in one["attributes"].items()
                }
                for one in (self.collector.records() if self.collector else ())
                if one["resource"].get("k8s.namespace.name") == namespace
                and one["event_name"].startswith("customresource.drift.")
            }
            return list(found.values()) if len(found) >= count else None

        return await asyncio.to_thread(eventually, told, _SECONDS) or []


@pytest.fixture(scope="module")
def watched(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An exporter on the cluster that all share; its tests take a namespace each."""
    _need(["helm", "collector"])
    playing.install(cluster)
    directory = tmp_path_factory.mktemp("episodes")
    with Collector(directory / "collector") as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_endpoint}
        with Exporter(cluster.kubeconfig, directory / "exporter", config=config(), env=environment) as exporter:
            yield Watched(cluster, exporter, collector)


@asynccontextmanager
async def declared(cluster: Cluster, directory: Path, declarer: str, namespace: str) -> AsyncIterator[Scene]:
    """A pump that somebody has declared, in a new namespace."""
    async with reach(cluster.kubeconfig) as wire:
        done(await wire.post("/api/v1/namespaces", {"metadata": {"name": namespace}}))
        scene = Scene(cluster, wire, namespace, DECLARERS[declarer], directory / namespace)
        await scene.declare()
        yield scene


async def _declare(scene: Scene) -> None:
    await scene.declare()


async def _person(scene: Scene) -> None:
    await scene.patch(replace("/spec/size", 3))


async def _controller(scene: Scene) -> None:
    await scene.merge({"spec": {"size": 3}}, OPERATOR)


async def _delete(scene: Scene) -> None:
    await scene.kubectl("delete", "pump", pump.NAME)


class End(NamedTuple):
    """How an episode ends."""

    declarer: str
    act: Callable[[Scene], Awaitable[None]]
    resolved_by: str


ENDS = (
    End("terraform", _person, "human"),
    End("terraform", _controller, "controller"),
    End("terraform", _delete, "deleted"),
    End("kubectl", _declare, "declarer"),
    End("argocd", _declare, "declarer"),
    End("flux-kustomize", _declare, "declarer"),
    End("helm", _declare, "declarer"),
)


async def test_an_edit_is_told_once_and_so_is_its_end(watched: Watched, tmp_path: Path) -> None:
    """An edit opens an episode; whoever puts it right closes it, and is named; both are counted and delivered."""
    async with asyncio.TaskGroup() as group:
        for end in ENDS:
            group.create_task(_lives(watched, tmp_path, end))


async def _lives(watched: Watched, directory: Path, end: End) -> None:
    namespace = f"episode-{end.declarer}-{end.resolved_by}"
    async with declared(watched.cluster, directory, end.declarer, namespace) as scene:
        await watched.comes_to(namespace, "in_sync")
        await human_changes_field(scene)
        drifted = await watched.comes_to(namespace, "drifted", "/spec/size")
        await scene.next_second()
        await end.act(scene)
        told = await watched.tells(namespace, 2)
    keys = ("transition", "cause", "since", "resolved_by")
    episode = ("human", drifted["since"])
    expected = [("drift.opened", *episode, None), ("drift.closed", *episode, end.resolved_by)]
    assert expected == [tuple(one.get(key) for key in keys) for one in told]
    assert float(told[1]["duration"]) > 0
    ended = {"namespace": namespace, "cause": "human", "resolved_by": end.resolved_by}
    assert total(watched.exporter, _EPISODES, **ended) == 1
    assert watched.verdict(namespace).get("state", "in_sync") == "in_sync"


async def test_what_was_put_right_while_the_exporter_was_away_ends_then(watched: Watched, tmp_path: Path) -> None:
    """An episode goes on over SIGKILL with the same since, and ends with what happened in between."""
    async with declared(watched.cluster, tmp_path, "terraform", "episode-away") as scene:
        await human_changes_field(scene)
        before = await watched.comes_to("episode-away", "drifted", "/spec/size")
        watched.exporter.kill()
        watched.exporter.start()
        assert before == await watched.comes_to("episode-away", "drifted", "/spec/size")
        watched.exporter.kill()
        await scene.next_second()
        await scene.declare()
        watched.exporter.start()
        await watched.comes_to("episode-away", "in_sync")
        opened, closed = await watched.tells("episode-away", 2)
    assert [one["transition"] for one in (opened, closed)] == ["drift.opened", "drift.closed"]
    assert (closed["since"], closed["resolved_by"]) == (before["since"], "declarer")


async def test_an_edit_that_nobody_watched_has_the_time_of_its_writer(watched: Watched, tmp_path: Path) -> None:
    """What a person edits while the exporter is away is told at its return, since when it was written."""
    async with declared(watched.cluster, tmp_path, "terraform", "episode-unseen") as scene:
        await watched.comes_to("episode-unseen", "in_sync")
        watched.exporter.kill()
        await human_changes_field(scene)
        written = next(
            entry["time"] for entry in (await scene.live())["metadata"]["managedFields"]
            if entry["manager"] == "kubectl-patch"
        )  # fmt: skip
        await scene.next_second()
        watched.exporter.start()
        verdict = await watched.comes_to("episode-unseen", "drifted", "/spec/size")
    assert (written.removesuffix("Z"), "managed_fields") == (
        verdict["since"].partition(".")[0].removesuffix("Z"),
        verdict["since_source"],
    )


async def test_a_new_default_of_the_type_is_no_drift(watched: Watched, tmp_path: Path) -> None:
    """A default that the type gains shows in every object, at the same resourceVersion: nothing is told of it."""
    crd = json.loads(json.dumps(pump.CRD))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["note"]["default"] = "none"
    namespaces = [f"default-{declarer}" for declarer in ("kubectl", "terraform")]
    async with (
        declared(watched.cluster, tmp_path, "kubectl", namespaces[0]) as one,
        declared(watched.cluster, tmp_path, "terraform", namespaces[1]) as other,
    ):
        try:
            watched.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(crd))
            await asyncio.to_thread(eventually, lambda: "note" in json.loads(_get(one))["spec"], _SECONDS)
            for scene in (one, other):
                # By then all is seen anew; and what is found is this alone.
                await human_edits_field(scene)
                verdict = await watched.comes_to(scene.namespace, "drifted", "/spec/color")
                assert ("additions" in verdict, verdict.get("flags")) == (False, None)
        finally:
            playing.install(watched.cluster)


def _get(scene: Scene) -> str:
    return scene.cluster.kubectl("-n", scene.namespace, "get", "pump", pump.NAME, "-o", "json")


async def test_scripts_and_people_are_told_what_is_wrong(watched: Watched, tmp_path: Path) -> None:
    """`drift --fail` ends with 1 where something has drifted, and `drift KIND/NAME` shows the field and its writer."""

    def run(*flags: str) -> subprocess.CompletedProcess[str]:
        data = f"--data-dir={watched.exporter.data_dir}"
        command: list[str | Path] = [PROGRAM, "drift", data, "--namespace", "drift-told", *flags]
        return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)

    async with declared(watched.cluster, tmp_path, "argocd", "drift-told") as scene:
        await watched.comes_to("drift-told", "in_sync")
        assert run("--fail").returncode == 0
        await human_changes_field(scene)
        await watched.comes_to("drift-told", "drifted", "/spec/size")
    assert (run().returncode, run("--fail").returncode) == (0, 1)
    shown = run(f"pump/{pump.NAME}").stdout
    for word in ("drifted", "argocd", "/spec/size", "3", "5", "kubectl-patch"):
        assert word in shown


async def test_a_directory_tells_what_is_missing_stale_and_nobodys(cluster: Cluster, tmp_path: Path) -> None:
    """Manifests in a directory come before all else, and a link that is moved to others at once counts at once."""
    playing.install(cluster)
    namespace = "declared-by-directory"

    def revision(number: int, *manifests: dict[str, Any]) -> None:
        directory = tmp_path / f"revision-{number}"
        directory.mkdir()
        for manifest in manifests:
            (directory / f"{manifest['metadata']['name']}.yaml").write_text(json.dumps(manifest))
        link = tmp_path / "link"
        link.symlink_to(directory)
        link.rename(tmp_path / "current")

    other = {**pump.declared(), "metadata": {"name": "other"}}
    revision(1, pump.declared(), other)
    directory = {"path": str(tmp_path / "current"), "namespace": namespace, "exclusive": True}
    exporter = Exporter(cluster.kubeconfig, tmp_path / "exporter", config=config(declared=[directory]))
    async with declared(cluster, tmp_path, "kubectl-server-side", namespace) as scene:
        with exporter:
            watched = Watched(cluster, exporter)
            # Who sees the object before the manifests are read takes it as kubectl declared it, for a moment.
            await asyncio.to_thread(
                eventually, lambda: watched.verdict(namespace).get("baseline") == "directory", _SECONDS
            )
            await watched.comes_to(namespace, "in_sync")
            missing = await watched.comes_to(namespace, "drifted", "", name="other")
            assert (missing["fields"][0]["finding"], missing["flags"]) == ("missing", ["missing"])
            await human_changes_field(scene)
            await watched.comes_to(namespace, "drifted", "/spec/size")
            revision(2, pump.declared(size=5, color=None))
            stale = await watched.comes_to(namespace, "drifted", "/spec/color")
            (found,) = stale["fields"]
            assert (found["finding"], found["writer"]["name"]) == ("stale_owned", "kubectl")
            await asyncio.to_thread(eventually, lambda: not watched.verdict(namespace, "other"), _SECONDS)
            await scene.declare(pump.declared(size=5, color=None))
            await watched.comes_to(namespace, "in_sync")
            stray = {**pump.declared(), "metadata": {"name": "stray"}}
            await scene.kubectl("create", "-f", "-", stdin=stray)
            await asyncio.to_thread(
                eventually, lambda: watched.verdict(namespace, "stray").get("flags") == ["orphan"], _SECONDS
            )
