"""The chart, value by value: each feature on and off, rendered and linted by the real Helm."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import parse
from scripts.reference import commands
from tests.deploy.chart import CHART, CI, NAME, container, helm, kinds, one, pod, render, workload


if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("_helm")
ALWAYS = {"ServiceAccount", "ConfigMap", "Service", "ClusterRole", "ClusterRoleBinding", "StatefulSet"}


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_lint(values: Path) -> None:
    """`helm lint --strict` has nothing to say of any of the shipped sets of values."""
    answer = helm("lint", "--strict", str(CHART), values=values)
    assert answer.returncode == 0, answer.stdout
    assert "[WARNING]" not in answer.stdout


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_nothing_is_made_twice(values: Path) -> None:
    """Every object of a release has a name of its own, and the labels by which it is found."""
    objects = render(values)
    keys = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects]
    assert sorted(set(keys), key=str) == sorted(keys, key=str)
    for each in objects:
        if not each["metadata"]["name"].endswith(("-extra", "-text")):
            assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == NAME


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_the_exporter_takes_the_configuration(values: Path) -> None:
    """What the ConfigMap holds is a configuration that the exporter reads."""
    configs = [
        each for each in render(values) if each["kind"] == "ConfigMap" and "config.yaml" in (each.get("data") or {})
    ]
    (config,) = configs
    parse(config["data"]["config.yaml"].encode())


def test_the_default() -> None:
    """Without a value there is a StatefulSet, its configuration, its Service, and rights to discover types."""
    objects = render()
    assert kinds(objects) == ALWAYS
    assert workload(objects)["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert container(objects)["image"] == "customresource-exporter:0.1.0"


# What is set, and which kinds that adds or takes away.
SWITCHES: list[tuple[dict[str, Any], set[str], set[str]]] = [
    ({"monitor": {"enabled": True}}, {"ServiceMonitor"}, set()),
    ({"monitor": {"enabled": True, "kind": "PodMonitor"}}, {"PodMonitor"}, set()),
    ({"networkPolicy": {"enabled": True}}, {"NetworkPolicy"}, set()),
    ({"podDisruptionBudget": {"enabled": True}}, {"PodDisruptionBudget"}, set()),
    ({"persistence": {"enabled": False}}, {"Deployment"}, {"StatefulSet"}),
    ({"rbac": {"create": False}}, set(), {"ClusterRole", "ClusterRoleBinding"}),
    ({"serviceAccount": {"create": False}}, set(), {"ServiceAccount"}),
    ({"existingConfigMap": "mine"}, set(), {"ConfigMap"}),
    (
        {"rbac": {"mode": "namespaced"}, "config": {"watch": {"include": ["example.com/*"], "namespaces": ["a"]}}},
        {"Role", "RoleBinding"},
        {"ClusterRole", "ClusterRoleBinding"},
    ),
    ({"extraManifests": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}]}, {"Secret"}, set()),
]


@pytest.mark.parametrize(("values", "more", "fewer"), SWITCHES, ids=lambda value: str(value)[:60])
def test_what_a_switch_does(values: dict[str, Any], more: set[str], fewer: set[str]) -> None:
    """A feature makes the objects that it needs, and no others."""
    assert kinds(render(values)) == (ALWAYS | more) - fewer


@pytest.mark.parametrize("values", [None, *CI], ids=lambda path: path.stem if path else "none")
def test_secure_by_default(values: Path | None) -> None:
    """No value of ours gives root, a writable image, a capability or a way to more privileges away."""
    spec = pod(render(values))
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    exporter = next(each for each in spec["containers"] if each["name"] == "exporter")
    assert exporter["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_uid_that_the_cluster_chooses() -> None:
    """Numbers that are null are left to the cluster; the rest of the security context stays."""
    values = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    context = pod(render(values))["securityContext"]
    assert set(context) == {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"}


@pytest.mark.parametrize("mode", ["aggregated", "byGroup"])
def test_namespaces_bind_the_rights_to_objects(mode: str) -> None:
    """With namespaces selected, objects are read by RoleBindings there, and only types in the whole cluster."""
    watch = {"include": ["example.com/*"], "namespaces": ["a", "b"]}
    objects = render({"rbac": {"mode": mode}, "config": {"watch": watch}})
    bound = {
        (each["metadata"].get("namespace"), each["roleRef"]["name"])
        for each in objects
        if each["kind"].endswith("Binding")
    }
    assert bound == {(None, f"{NAME}-discovery"), ("a", NAME), ("b", NAME)}


def test_two_at_once_never_happen() -> None:
    """Without a StatefulSet the old pod goes before the new one comes: each would tell every change."""
    deployment = workload(render({"persistence": {"enabled": False}}))
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    volumes = {each["name"]: each for each in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["data"]["emptyDir"] == {"sizeLimit": "2Gi"}


def test_a_claim_that_is_there() -> None:
    """With `persistence.existingClaim` that claim is mounted, and none is made."""
    objects = render({"persistence": {"existingClaim": "old"}})
    assert "volumeClaimTemplates" not in workload(objects)["spec"]
    volumes = {each["name"]: each for each in pod(objects)["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "old"}


def test_a_change_of_the_configuration_reaches_the_pod() -> None:
    """The configuration is mounted as a directory, and makes no new pod unless that is asked for."""
    values = {"config": {"cluster": "a"}}
    objects = render(values)
    (mount,) = [each for each in container(objects)["volumeMounts"] if each["name"] == "config"]
    assert "subPath" not in mount
    assert f"--config={mount['mountPath']}/config.yaml" in container(objects)["args"]
    assert workload(objects)["spec"] == workload(render({"config": {"cluster": "b"}}))["spec"]
    restarting = [workload(render({"config": {"cluster": each}, "restartOnConfigChange": True})) for each in "ab"]
    assert restarting[0]["spec"]["template"]["metadata"] != restarting[1]["spec"]["template"]["metadata"]


def test_honor_labels() -> None:
    """Both monitors keep our label `namespace`, and select what the chart labels."""
    for kind, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        objects = render({"monitor": {"enabled": True, "kind": kind}})
        spec = one(objects, kind)["spec"]
        (endpoint,) = spec[endpoints]
        assert endpoint["honorLabels"] is True
        assert endpoint["port"] in {each["name"] for each in container(objects)["ports"]}
        labels = one(objects, "Service")["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_otlp() -> None:
    """The endpoint is a value, the headers come from a Secret and stand nowhere in the manifest."""
    objects = render(
        {
            "otlp": {
                "endpoint": "http://collector:4318", "traces": False, "protocol": "grpc",
                "headersSecret": {"name": "s", "key": "k"}, "tlsSecret": {"name": "t"},
            }
        }
    )  # fmt: skip
    env = {each["name"]: each.get("value", each.get("valueFrom")) for each in container(objects)["env"]}
    assert env == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_HEADERS": {"secretKeyRef": {"name": "s", "key": "k"}},
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/customresource-exporter/otlp/ca.crt",
    }
    assert "env" not in container(render())


def test_the_web_configuration() -> None:
    """TLS of the web address comes from a Secret, and the monitor then speaks it, and the probes where they may."""
    values: dict[str, Any] = {"web": {"config": {"secretName": "s", "tls": True}}, "monitor": {"enabled": True}}
    probes = [container(render(values))[name] for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    assert all(probe["tcpSocket"] == {"port": "metrics"} and "httpGet" not in probe for probe in probes)
    values["web"]["config"]["probes"] = "http"
    objects = render(values)
    exporter = container(objects)
    assert "--web.config.file=/etc/customresource-exporter/web/web-config.yaml" in exporter["args"]
    assert {exporter[probe]["httpGet"]["scheme"] for probe in ("livenessProbe", "readinessProbe", "startupProbe")} == {
        "HTTPS"
    }
    assert one(objects, "ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == "https"


def test_the_network_policy() -> None:
    """Only the web port is open, and OTLP's ports are where there is an endpoint."""

    def ports(values: dict[str, Any]) -> list[int]:
        spec = one(render({"networkPolicy": {"enabled": True}, **values}), "NetworkPolicy")["spec"]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert spec["ingress"] == [{"ports": [{"port": "metrics", "protocol": "TCP"}]}]
        return sorted({port["port"] for rule in spec["egress"] for port in rule["ports"]})

    assert ports({}) == [53, 443, 6443]
    assert ports({"otlp": {"endpoint": "http://collector:4318"}}) == [53, 443, 4317, 4318, 6443]


def test_a_probe_can_be_switched_off() -> None:
    """A probe that is null is not made."""
    assert "startupProbe" not in container(render({"startupProbe": None}))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "customresource-exporter:0.1.0"),
        ({"tag": "1.2"}, "customresource-exporter:1.2"),
        ({"registry": "r.example.com"}, "r.example.com/customresource-exporter:0.1.0"),
        ({"tag": "1.2", "digest": f"sha256:{'0' * 64}"}, f"customresource-exporter@sha256:{'0' * 64}"),
    ],
)
def test_the_image(image: dict[str, str], expected: str) -> None:
    """Registry, tag and digest say which image; the digest wins over the tag, and the global registry over ours."""
    assert container(render({"image": image}))["image"] == expected
    everywhere = container(render({"image": image, "global": {"imageRegistry": "g.example.com"}}))["image"]
    assert everywhere == f"g.example.com/{expected.removeprefix('r.example.com/')}"


def test_names() -> None:
    """A release of another name, in another namespace, has names of its own in the whole cluster."""
    mine, other = render(release="a", namespace="x"), render(release="a", namespace="y")
    names = [
        {each["metadata"]["name"] for each in objects if each["kind"].startswith("Cluster")}
        for objects in (mine, other)
    ]
    assert not names[0] & names[1]
    assert one(mine, "StatefulSet")["metadata"]["name"] == "a-customresource-exporter"
    long = one(render({"fullnameOverride": "n" * 70}), "StatefulSet")["metadata"]["name"]
    assert len(long) == 52


def test_the_package(tmp_path: Path) -> None:
    """What is packaged has the alerts, the dashboards and the schema, and not the values that only tests need."""
    answer = helm("package", str(CHART), f"--destination={tmp_path}")
    assert answer.returncode == 0, answer.stderr
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as packed:
        names = {name.removeprefix(f"{NAME}/") for name in packed.getnames()}
    assert {"values.schema.json", "files/rules.yaml", "README.md"} <= names
    assert {f"files/dashboards/{path.name}" for path in (CHART / "files/dashboards").iterdir()} <= names
    assert not any(name.startswith("ci/") for name in names)


def test_the_notes() -> None:
    """After an installation the reader is told what may be read, and how to give more."""
    template = (CHART / "templates/NOTES.txt").read_text(encoding="utf-8")
    answer = helm(
        "install", NAME, str(CHART), f"--namespace={NAME}", "--dry-run=client", "--kube-apiserver=https://127.0.0.1:1",
        values={"config": {"watch": {"include": ["cert-manager.io/Certificate", "v1/ConfigMap"]}}},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    notes = answer.stdout.partition("NOTES:")[2]
    assert "cert-manager.io: certificates" in notes
    assert "core: configmaps" in notes
    assert "kubectl label clusterrole read-cert-manager customresource-exporter/aggregate-to-reader=true" in notes
    assert "{{" in template
    assert "{{" not in notes


def test_only_the_flags_that_there_are() -> None:
    """Every flag that the chart gives is one of `run`."""
    known = set(commands()["run"]._option_string_actions)
    args = container(render(CHART / "ci/everything-values.yaml"))["args"]
    assert args[0] == "run"
    assert {flag.partition("=")[0] for flag in args[1:]} <= known
