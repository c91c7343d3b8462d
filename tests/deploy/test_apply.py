"""What is shipped is taken by a real API server, which refuses whatever field it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from tests.deploy.chart import CI, NAME, ROOT, Object, container, kinds, pod, render
from tests.servers.launch import Cluster, KubectlError
from tests.waiting import eventually


if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.timeout(120)]
NAMESPACES = ("monitoring", "team-a", "team-b", NAME)
OVERLAYS = sorted(path.parent for path in (ROOT / "deploy/kustomize").rglob("kustomization.yaml"))
PLAIN = sorted((ROOT / "deploy/manifests").glob("*.yaml"))
RESTRICTED = "pod-security.kubernetes.io/enforce"


@pytest.fixture(scope="module")
def ready(cluster: Cluster) -> Cluster:
    """The cluster with the Prometheus operator's types and the namespaces that the sets of values name."""
    cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "tests/deploy/crds/monitoring.yaml"))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all")
    for name in NAMESPACES:
        cluster.kubectl("create", "namespace", name)
        cluster.kubectl("label", "namespace", name, f"{RESTRICTED}=restricted")
    return cluster


def applied(cluster: Cluster, objects: list[Object]) -> str:
    """What kubectl says when the server takes them, strictly."""
    text = "\n---\n".join(msgspec.json.encode(each).decode() for each in objects)
    return cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=text)


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_the_chart(ready: Cluster, values: Path) -> None:
    """Every object of every shipped set of values is taken, each in a release of its own."""
    objects = render(values, release=values.stem)
    told = applied(ready, objects).splitlines()
    assert len(told) == len(objects)
    assert all(line.endswith("serverside-applied") for line in told)


def test_a_field_that_is_not_known(ready: Cluster) -> None:
    """The same way in refuses a misspelt field: that nothing was refused above means something."""
    objects = render(release="misspelt")
    container(objects)  # there is one
    for each in objects:
        if each["kind"] == "StatefulSet":
            each["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(KubectlError, match="readinesProbe"):
        applied(ready, objects)


@pytest.mark.parametrize("values", [None, {"otlp": {"endpoint": "http://c:4318", "tlsSecret": {"name": "t"}}}])
def test_the_pod_is_admitted_where_the_rules_are_strictest(ready: Cluster, values: dict[str, Any] | None) -> None:
    """A namespace that enforces the standard `restricted` takes the pod of the chart, and not one of root."""
    spec = pod(render(values))
    spec["volumes"] = [*spec["volumes"], {"name": "data", "emptyDir": {}}]
    one = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": NAME}, "spec": spec}
    try:
        applied(ready, [one])
    finally:
        ready.kubectl("delete", "pod", "p", f"--namespace={NAME}", "--ignore-not-found", "--now")
    root = {**one, "spec": {**spec, "securityContext": {"runAsUser": 0}}}
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        applied(ready, [root])


def test_an_upgrade_leaves_the_aggregated_rules_alone(ready: Cluster) -> None:
    """The rules that the server filled in stay when the release is applied again."""
    objects = render(release="again")
    applied(ready, objects)
    label = "customresource-exporter/aggregate-to-reader=true"
    ready.kubectl("create", "clusterrole", "read-again", "--verb=list,watch", "--resource=*.again.example.com")
    ready.kubectl("label", "clusterrole", "read-again", label)
    name = f"{NAME}-again-{NAME}"

    def groups() -> str:
        return ready.kubectl("get", "clusterrole", name, "-o", "jsonpath={.rules[*].apiGroups[*]}")

    eventually(lambda: "again.example.com" in groups())
    applied(ready, objects)
    assert "again.example.com" in groups()


@pytest.mark.parametrize("directory", OVERLAYS, ids=lambda path: path.name)
def test_kustomize(ready: Cluster, directory: Path) -> None:
    """What `kubectl kustomize` makes of each directory is taken, strictly."""
    text = ready.kubectl("kustomize", str(directory))
    ready.kubectl("apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-", stdin=text)


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_plain_manifests(ready: Cluster, path: Path) -> None:
    """Each plain manifest is taken as it is, strictly."""
    ready.kubectl("apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", str(path))


def bare(objects: list[Object]) -> list[Object]:
    """Objects in an order of their own, without what Helm and kustomize add for themselves."""
    for each in objects:
        labels = each["metadata"].get("labels") or {}
        for key in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            labels.pop(key, None)
    chosen = [each for each in objects if each["kind"] != "Namespace"]
    return sorted(
        chosen, key=lambda each: (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
    )


@pytest.mark.parametrize(
    ("directory", "values"),
    [
        ("base", "default"),
        ("overlays/namespaced", "namespaced"),
        ("overlays/with-otlp", "otlp"),
        ("overlays/with-prometheus-operator", "prometheus-operator"),
    ],
)
def test_kustomize_and_the_chart_are_one(ready: Cluster, directory: str, values: str) -> None:
    """An overlay makes the very objects that the chart makes with the values of that name."""
    text = ready.kubectl("kustomize", str(ROOT / "deploy/kustomize" / directory))
    chart = render(next(path for path in CI if path.stem == f"{values}-values"))
    dashboards = [each for each in chart if "grafana_dashboard" in each["metadata"]["labels"]]
    expected = bare([each for each in chart if each not in dashboards])
    made = bare([each for each in yaml.safe_load_all(text) if each])
    assert kinds(expected) == kinds(made)
    assert expected == made
