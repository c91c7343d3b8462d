"""Kubeconfigs as minikube, kind and the tools of EKS, GKE and AKS write them: the exporter gets in with each.

Only the clouds are not real: a small program under the plugin's name answers as that plugin does, and a real API server
judges the token.
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import page
from tests.integration.conftest import CONTROL_PLANE, _need
from tests.integration.exporting import Exporter
from tests.servers import launch


if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(180)  # the first waits for real servers
BETA = "client.authentication.k8s.io/v1beta1"
# What each tool writes for a user, but for names of the reader's own.
PLUGINS: dict[str, dict[str, Any]] = {
    "EKS": {
        "apiVersion": BETA,
        "args": ["--region", "eu-central-1", "eks", "get-token", "--cluster-name", "shop", "--output", "json"],
        "command": "aws",
        "env": [{"name": "AWS_PROFILE", "value": "shop"}],
    },
    "GKE": {
        "apiVersion": BETA,
        "args": None,
        "command": "gke-gcloud-auth-plugin",
        "env": None,
        "installHint": "Install gke-gcloud-auth-plugin",
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": True,
    },
    "AKS": {
        "apiVersion": BETA,
        "args": ["get-token", "--login", "azurecli", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630"],
        "command": "kubelogin",
        "env": None,
        "installHint": "kubelogin is not installed",
        "provideClusterInfo": False,
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, compat: bool) -> Iterator[launch.Cluster]:
    """An API server that knows a token of an administrator's."""
    _need(CONTROL_PLANE, compat=compat)
    directory = tmp_path_factory.mktemp("cluster")
    real = launch.Cluster(directory, compat=compat)
    real.kubeconfig_for("jane", ["system:masters"], token=True)
    with real:
        yield real
    shutil.rmtree(directory / "etcd", ignore_errors=True)


def user_of(kubeconfig: Path) -> dict[str, Any]:
    """The user of a kubeconfig that has one."""
    (entry,) = json.loads(kubeconfig.read_text(encoding="utf-8"))["users"]
    user: dict[str, Any] = entry["user"]
    return user


def kubeconfig(path: Path, context: str, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    """A kubeconfig that has other contexts as well, the current one among them."""
    elsewhere = {"server": "https://127.0.0.1:1"}
    path.write_text(
        json.dumps({
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "current-context": "elsewhere",
            "clusters": [{"name": context, "cluster": cluster}, {"name": "elsewhere", "cluster": elsewhere}],
            "users": [{"name": context, "user": user}],
            "contexts": [
                {"name": context, "context": {"cluster": context, "user": context, "namespace": "default"}},
                {"name": "elsewhere", "context": {"cluster": "elsewhere", "user": context}},
            ],
        }),
        encoding="utf-8",
    )  # fmt: skip
    return path


def plugin(directory: Path, token: str, name: str) -> None:
    """A program that hands out a token, as a plugin of that name does, and fails where it would have to ask."""
    status = {"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}
    answer = json.dumps({"kind": "ExecCredential", "apiVersion": BETA, "spec": {}, "status": status})
    program = directory / name
    program.write_text(f"#!/bin/sh\n[ -t 0 ] && exit 1\ncat <<'END'\n{answer}\nEND\n", encoding="utf-8")
    program.chmod(0o755)


@pytest.mark.parametrize("provider", PLUGINS)
def test_a_managed_cluster(cluster: launch.Cluster, tmp_path: Path, provider: str) -> None:
    """With the plugin that the page names on PATH, the kubeconfig that the provider's tool writes is enough."""
    user = PLUGINS[provider]
    (row,) = [line for line in page("docs/how-to/connect.md").splitlines() if line.startswith(f"| {provider}")]
    assert f"`{user['command']}`" in row
    token = (cluster.directory / "identity/tokens.csv").read_text(encoding="ascii").partition(",")[0]
    plugin(tmp_path, token, user["command"])
    authority = base64.b64encode(cluster.ca_file.read_bytes()).decode()
    config = kubeconfig(
        tmp_path / "config",
        "shop",
        {"server": cluster.url, "certificate-authority-data": authority},
        {"exec": user},
    )
    path = f"{tmp_path}:/usr/bin:/bin"

    with Exporter(config, tmp_path / "data", env={"PATH": path}, flags=["--context=shop"]) as exporter:
        assert exporter.get("/readyz")[0] == 200


@pytest.mark.parametrize("context", ["minikube", "kind-kind"])
def test_a_cluster_of_ones_own(cluster: launch.Cluster, tmp_path: Path, context: str) -> None:
    """Certificates are files, beside minikube's own notes, or in the kubeconfig itself, as kind has them."""
    user = user_of(cluster.kubeconfig)
    files = {"certificate-authority": str(cluster.ca_file), **user}
    if context == "minikube":
        notes = {"extensions": [{"name": "cluster_info", "extension": {"provider": "minikube.sigs.k8s.io"}}]}
        where = {"server": cluster.url, "certificate-authority": files.pop("certificate-authority"), **notes}
        who = files
    else:
        data = {f"{name}-data": base64.b64encode(Path(path).read_bytes()).decode() for name, path in files.items()}
        where = {"server": cluster.url, "certificate-authority-data": data.pop("certificate-authority-data")}
        who = data
    config = kubeconfig(tmp_path / "config", context, where, who)
    assert f"--context {context}" in page("docs/how-to/connect.md")

    with Exporter(config, tmp_path / "data", flags=[f"--context={context}"]) as exporter:
        assert exporter.get("/readyz")[0] == 200


def test_a_plugin_that_is_missing(cluster: launch.Cluster, tmp_path: Path) -> None:
    """Without the plugin on PATH the start ends with one sentence that names it."""
    config = kubeconfig(
        tmp_path / "config", "shop", {"server": cluster.url, "insecure-skip-tls-verify": True}, {"exec": PLUGINS["GKE"]}
    )
    with pytest.raises(launch.StartError) as failed:
        Exporter(config, tmp_path / "data", env={"PATH": "/nowhere"}, flags=["--context=shop"]).start()
    assert "the credential plugin 'gke-gcloud-auth-plugin' cannot be started" in str(failed.value)
