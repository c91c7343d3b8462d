"""What happens where an API server has lost its history, is another one, or asks for a new identity.

The tests of this file share a cluster whose API server they restart; none of them stops it for good.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import CONTROL_PLANE, _discard, _need
from tests.integration.exporting import PROGRAM, Exporter
from tests.integration.widgets import CHANGES, LISTS, Widgets, eventually_told, told, total
from tests.servers.launch import Cluster
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def prepared(compat: bool, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster that does not run yet."""
    _need(CONTROL_PLANE, compat=compat)
    return Cluster(tmp_path_factory.mktemp("own-cluster"), compat=compat)


@pytest.fixture(scope="module")
def rotating(prepared: Cluster) -> list[Path]:
    """Two identities that a plugin hands out, made before the API server starts, which reads its tokens only then."""
    user, groups = "rotating", ["system:masters"]
    return [prepared.kubeconfig_for(user, groups, token=True, exec_plugin=True) for _ in range(2)]


@pytest.fixture(scope="module")
def own(prepared: Cluster, rotating: list[Path]) -> Iterator[Cluster]:
    """A cluster whose API server may be restarted, with the types of all tests in it."""
    assert len(rotating) == 2
    try:
        prepared.start()
        for name in ("lost", "token"):
            Widgets(prepared, f"{name}.history.example.com").install()
        yield prepared
    finally:
        _discard(prepared)


def test_a_journal_of_another_cluster_is_refused(cluster: Cluster, own: Cluster, tmp_path: Path) -> None:
    """A data directory that was begun with one cluster cannot be used with another; what is in it stays."""
    widgets = Widgets(own, "other.history.example.com")
    with Exporter(own.kubeconfig, tmp_path / "data", config=widgets.config):
        pass
    uid, other = (
        one.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}") for one in (own, cluster)
    )

    command = [str(PROGRAM), "run", f"--kubeconfig={cluster.kubeconfig}", f"--data-dir={tmp_path / 'data'}"]
    answer = subprocess.run(
        [*command, "--web.listen-address=127.0.0.1:0"], capture_output=True, text=True, timeout=60, check=False
    )

    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == (
        f"customresource-exporter: the journal {tmp_path / 'data' / 'journal.db'} holds the changes of another cluster "
        f"({uid}, this one is {other}): give --data-dir a directory of its own for each cluster"
    )


def test_a_history_that_was_lost_gives_the_net_changes_as_a_gap(own: Cluster, tmp_path: Path) -> None:
    """After a restart of both sides the server answers 410: one list tells what is other than before, and no more."""
    widgets = Widgets(own, "lost.history.example.com")
    widgets.create("a", "b", "c", "same")
    exporter = Exporter(own.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        widgets.resize("a", 2)
        before = eventually_told(exporter, 1)

    widgets.resize("a", 3)
    widgets.resize("a", 4)
    widgets.delete("b", "c")
    widgets.create("c", "new")
    own.restart_apiserver()

    with exporter:
        net = [("created", "new"), ("deleted", "b"), ("deleted", "c"), ("recreated", "c"), ("spec", "a")]
        assert sorted(eventually_told(exporter, 6)[1:]) == net
        changes = exporter.changes()
        assert [change.get("gap", False) for change in changes] == [False, *[True] * 5]
        (size,) = next(change["fields"] for change in changes[1:] if change["change"] == "spec")
        assert (size["path"], size["old"], size["new"]) == ("/spec/size", 2, 4)
        assert total(exporter, LISTS, reason="expired") == 1
        assert total(exporter, LISTS) == 1
        assert total(exporter, "customresource_exporter_gaps_total") == 1
        assert total(exporter, "customresource_exporter_versions_coalesced_total") == 1
        assert total(exporter, CHANGES) == 6
    with exporter:
        assert told(exporter)[:1] == before
        assert len(told(exporter)) == 6
        assert total(exporter, LISTS) == 0


def test_a_token_that_rotates_is_asked_for_again(own: Cluster, rotating: list[Path], tmp_path: Path) -> None:
    """When the server no longer knows a plugin's token, the plugin is asked again and the watch goes on by itself."""
    widgets = Widgets(own, "token.history.example.com")
    widgets.create("a")
    credential, renewed = (place.with_suffix(".credential.json") for place in rotating)
    tokens = own.directory / "identity" / "tokens.csv"
    with Exporter(rotating[0], tmp_path / "data", config=widgets.config, flags=["--log.level=debug"]) as exporter:
        widgets.resize("a", 2)
        assert eventually_told(exporter, 1) == [("spec", "a")]

        credential.write_bytes(renewed.read_bytes())
        lines = tokens.read_text(encoding="utf-8").splitlines(keepends=True)
        tokens.write_text(lines[-1], encoding="utf-8")
        own.restart_apiserver()
        widgets.resize("a", 3)

        assert eventually_told(exporter, 2)[1:] == [("spec", "a")]
        assert exporter.get("/readyz")[0] == 200
        eventually(lambda: total(exporter, "customresource_exporter_watch_degraded") == 0)
        assert [line.split(",")[0] for line in lines if line.split(",")[0] in exporter.log] == []
