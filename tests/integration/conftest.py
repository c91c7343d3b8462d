"""Fixtures of the real servers. A server that is missing is a named skip, and under CI=true a failure.

Must never build a server (`make servers` does), so that no test takes minutes without a word.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from subprocess import run
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.servers import build, launch


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from subprocess import CompletedProcess

HERE = Path(__file__).parent
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


class NewCluster(Protocol):
    """Starts one more cluster; the test's end stops it."""

    def __call__(self, *, controller_manager: bool = False, apiserver_args: Sequence[str] = ()) -> launch.Cluster:
        """Start it with these options, as `launch.Cluster` takes them."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, so that `-m 'not integration'` works under --strict-markers."""
    config.addinivalue_line("markers", "integration: runs against real servers (make servers builds them)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this directory."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def compat() -> bool:
    """Whether TEST_KUBERNETES asks for the oldest supported Kubernetes instead of the newest."""
    versions = {
        programs["kube-apiserver"].module.version.rpartition(".")[0]: compat
        for compat, programs in ((False, build.PROGRAMS), (True, build.COMPAT_PROGRAMS))
    }
    wanted = os.environ.get("TEST_KUBERNETES") or next(iter(versions))
    if wanted not in versions:
        pytest.fail(f"TEST_KUBERNETES={wanted}: set it to {' or '.join(versions)}", pytrace=False)
    return versions[wanted]


def _need(names: Sequence[str], *, compat: bool = False) -> None:
    """Skip, or under CI fail, where a program is missing."""
    for name in names:
        try:
            build.required(name, compat=compat)
        except launch.BuildError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))


def _discard(cluster: launch.Cluster) -> None:
    """Stop it, and give back the disk: etcd sets 64 MB aside at once, and pytest keeps directories of earlier runs."""
    cluster.stop()
    shutil.rmtree(cluster.directory / "etcd", ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(compat: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[launch.Cluster]:
    """The cluster that all tests share, with controller manager: take names that no other test takes."""
    _need(CONTROL_PLANE, compat=compat)
    shared = launch.Cluster(tmp_path_factory.mktemp("cluster"), controller_manager=True, compat=compat)
    try:
        shared.start()
        yield shared
    finally:
        _discard(shared)


@pytest.fixture
def new_cluster(compat: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewCluster]:
    """A factory of clusters for one test alone, for what a shared one would suffer from."""
    _need(CONTROL_PLANE, compat=compat)
    started: list[launch.Cluster] = []

    def start(*, controller_manager: bool = False, apiserver_args: Sequence[str] = ()) -> launch.Cluster:
        one_more = launch.Cluster(
            tmp_path_factory.mktemp("new-cluster"),
            controller_manager=controller_manager,
            apiserver_args=apiserver_args,
            compat=compat,
        )
        started.append(one_more)
        one_more.start()
        return one_more

    try:
        yield start
    finally:
        for one in started:
            _discard(one)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[launch.Collector]:
    """An OpenTelemetry Collector that has received nothing yet."""
    _need(["collector"])
    with launch.Collector(tmp_path / "collector") as running:
        yield running


@pytest.fixture
def promtool() -> Callable[..., CompletedProcess[bytes]]:
    """The real promtool as a function: `promtool("check", "metrics", stdin=page)`."""
    _need(["promtool"])
    return launch.promtool


@pytest.fixture(scope="session")
def kubectl_reads(compat: bool) -> Callable[[str], CompletedProcess[str]]:
    """What the real kubectl makes of a file, without a server: it prints each object as JSON, with a mark on it."""
    _need(["kubectl"], compat=compat)
    kubectl = build.required("kubectl", compat=compat)
    command = [str(kubectl), "annotate", "--local", "-f", "-", "-o", "json", "read=by"]

    def read(text: str) -> CompletedProcess[str]:
        return run(command, input=text, capture_output=True, text=True, timeout=30, check=False)

    return read
