"""A release over its life, on a real API server: installed, upgraded, taken back, uninstalled by the real Helm."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.deploy.chart import CHART, NAME
from tests.servers import build
from tests.waiting import eventually


if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.launch import Cluster

pytestmark = pytest.mark.timeout(120)
RULES = "jsonpath={.rules[*].apiGroups[*]}"
CONFIG = r"jsonpath={.data.config\.yaml}"


class Release:
    """A release of the chart in a cluster."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        """Keep Helm's own files below a directory."""
        self._cluster = cluster
        self._env = os.environ | {f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")}

    def helm(self, *args: str, values: dict[str, Any] | None = None) -> str:
        """Run Helm in the release's namespace; it has to succeed."""
        command: list[str | Path] = [
            build.required("helm"),
            *args,
            f"--kubeconfig={self._cluster.kubeconfig}",
            f"--namespace={NAME}",
        ]
        if values is not None:
            command += ["--values=-"]
        answer = subprocess.run(
            command, input=msgspec.json.encode(values).decode(), env=self._env, capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def get(self, kind: str, name: str, output: str) -> str:
        """What the server has of an object."""
        return self._cluster.kubectl("get", kind, name, f"--namespace={NAME}", "-o", output)


def test_a_release_over_its_life(cluster: Cluster, tmp_path: Path) -> None:
    """Upgrade and rollback change what they should, leave what labels have given, and nothing is left at the end."""
    release = Release(cluster, tmp_path)
    first = {"config": {"watch": {"include": ["db.example.com/Database"]}}}
    second = {"config": {"watch": {"include": ["db.example.com/Database", "cert-manager.io/*"]}}, "replicas": 0}
    told = release.helm("install", NAME, str(CHART), "--create-namespace", values=first)
    assert "STATUS: deployed" in told
    assert "db.example.com: databases" in told
    cluster.kubectl("create", "clusterrole", "read-life", "--verb=list,watch", "--resource=*.life.example.com")
    label = "customresource-exporter/aggregate-to-reader=true"
    cluster.kubectl("label", "clusterrole", "read-life", label)

    def groups() -> set[str]:
        return set(release.get("clusterrole", NAME, RULES).split())

    eventually(lambda: groups() == {"db.example.com", "life.example.com"})

    release.helm("upgrade", NAME, str(CHART), values=second)
    eventually(lambda: groups() == {"db.example.com", "life.example.com", "cert-manager.io"})
    assert "cert-manager.io/*" in release.get("configmap", NAME, CONFIG)
    assert release.get("statefulset", NAME, "jsonpath={.spec.replicas}") == "0"

    release.helm("rollback", NAME)
    eventually(lambda: groups() == {"db.example.com", "life.example.com"})
    assert "cert-manager.io" not in release.get("configmap", NAME, CONFIG)
    assert release.get("statefulset", NAME, "jsonpath={.spec.replicas}") == "1"

    release.helm("uninstall", NAME)
    left = cluster.kubectl(
        "get", "clusterroles,clusterrolebindings,statefulsets,services,configmaps,serviceaccounts", "--all-namespaces",
        "-l", f"app.kubernetes.io/instance={NAME}", "-o", "name",
    )  # fmt: skip
    assert left == ""
