"""The real programs that the tests of deploy/ need, and a cluster for each module; what is missing is a named skip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import CONTROL_PLANE, _discard, _need, compat
from tests.servers import launch


if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compat"]


@pytest.fixture(scope="session")
def _helm() -> None:
    """The real Helm."""
    _need(["helm"])


@pytest.fixture(scope="session")
def _kubectl() -> None:
    """The real kubectl, which has kustomize in it."""
    _need(["kubectl"])


@pytest.fixture(scope="module")
def cluster(compat: bool, _helm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[launch.Cluster]:
    """A cluster for the tests of one module, with the controllers that aggregate ClusterRoles."""
    _need(CONTROL_PLANE, compat=compat)
    shared = launch.Cluster(tmp_path_factory.mktemp("deploy"), controller_manager=True, compat=compat)
    try:
        shared.start()
        yield shared
    finally:
        _discard(shared)
