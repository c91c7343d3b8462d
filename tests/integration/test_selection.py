"""What is followed, and what is not, on a real API server: rights, namespaces, globs, labels, metadata only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.exporting import Exporter
from tests.integration.widgets import Widgets, eventually_told, told, total
from tests.waiting import eventually


if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.launch import Cluster

DEGRADED = "customresource_exporter_watch_degraded"
SYNCED = "customresource_exporter_watch_synced"
INSTALLED = (
    "seen.rights",
    "forbidden.rights",
    "taken",
    "namespaces",
    "left.globs",
    "right.globs",
    "labels",
    "metadata",
)


@pytest.fixture(scope="module", autouse=True)
def installed(cluster: Cluster) -> None:
    """Install the types of all tests at once: a server takes seconds until it accepts a new type's first object."""
    for name in INSTALLED:
        Widgets(cluster, f"{name}.selection.example.com").install()


def allow(cluster: Cluster, user: str, *groups: str) -> None:
    """Let a user read CRDs, the identity of the cluster, and the objects of these groups; nothing else."""
    read = ["get", "list", "watch"]
    rules = [
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": read},
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
        *({"apiGroups": [group], "resources": ["*"], "verbs": read} for group in groups),
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": user},
        "rules": rules,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": user, "apiGroup": "rbac.authorization.k8s.io"},
    }
    items = {"apiVersion": "v1", "kind": "List", "items": [role, binding]}
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(items))


def may_watch(cluster: Cluster, user: str, widgets: Widgets) -> bool:
    """Whether the server lets a user watch a type by now: it takes a role in a moment after it was written."""
    resource = f"widgets.{widgets.group}"
    return cluster.kubectl("auth", "can-i", "watch", resource, "-A", f"--as={user}", check=False).startswith("yes")


def config_of(**watch: object) -> str:
    """Write a configuration that says only what is watched."""
    return json.dumps({"watch": watch})


def test_a_forbidden_type_degrades_alone_until_the_right_is_given(cluster: Cluster, tmp_path: Path) -> None:
    """Without a right one type waits, the others are followed, readiness stays; the right alone brings it back."""
    seen = Widgets(cluster, "seen.rights.selection.example.com")
    forbidden = Widgets(cluster, "forbidden.rights.selection.example.com")
    for widgets in (seen, forbidden):
        widgets.create("a", "b")
    allow(cluster, "reader", seen.group)
    eventually(lambda: may_watch(cluster, "reader", seen))
    config = config_of(include=["*.rights.selection.example.com/*"])

    with Exporter(cluster.kubeconfig_for("reader"), tmp_path / "data", config=config) as exporter:
        assert exporter.get("/readyz")[0] == 200
        assert total(exporter, DEGRADED, customresource_group=forbidden.group) == 1
        assert total(exporter, SYNCED, customresource_group=forbidden.group) == 0
        assert total(exporter, DEGRADED, customresource_group=seen.group) == 0
        seen.resize("a", 2)
        forbidden.resize("a", 2)
        assert eventually_told(exporter, 1) == [("spec", "a")]
        assert exporter.changes()[0]["group"] == seen.group

        allow(cluster, "reader", seen.group, forbidden.group)

        # Whoever is refused asks again after five seconds, then ten, then twenty, each up to half more.
        eventually(lambda: total(exporter, SYNCED, customresource_group=forbidden.group) == 1, 60)
        assert total(exporter, DEGRADED) == 0
        forbidden.resize("b", 2)
        assert eventually_told(exporter, 2)[1:] == [("spec", "b")]


def test_a_right_that_is_taken_away_deletes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """What may no longer be read still exists: nobody is told of a deletion, before a restart or after."""
    widgets = Widgets(cluster, "taken.selection.example.com")
    widgets.create("a")
    config = config_of(include=[f"{widgets.group}/*"])
    allow(cluster, "dismissed", widgets.group)
    eventually(lambda: may_watch(cluster, "dismissed", widgets))
    exporter = Exporter(cluster.kubeconfig_for("dismissed"), tmp_path / "data", config=config)
    with exporter:
        assert total(exporter, SYNCED) == 1

    allow(cluster, "dismissed")
    eventually(lambda: not may_watch(cluster, "dismissed", widgets))

    with exporter:
        assert exporter.get("/readyz")[0] == 200
        assert total(exporter, DEGRADED) == 1
        assert told(exporter) == []
        assert total(exporter, "customresource_objects") == 1


def test_only_the_namespaces_named_are_followed(cluster: Cluster, tmp_path: Path) -> None:
    """Changes elsewhere are not told; a namespace that is added begins in silence, one that is left ends so."""
    widgets = Widgets(cluster, "namespaces.selection.example.com")
    for namespace in ("sel-a", "sel-b"):
        cluster.kubectl("create", "namespace", namespace)
        widgets.create("x", namespace=namespace)
    include = [f"{widgets.group}/*"]
    only_a = Exporter(cluster.kubeconfig, tmp_path / "data", config=config_of(include=include, namespaces=["sel-a"]))
    with only_a as exporter:
        widgets.resize("x", 2, namespace="sel-b")
        widgets.resize("x", 2, namespace="sel-a")

        eventually_told(exporter, 1)
        assert [(change["change"], change["namespace"]) for change in exporter.changes()] == [("spec", "sel-a")]

    config = config_of(include=include, namespaces=["sel-b"])
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=config) as exporter:
        widgets.resize("x", 3, namespace="sel-a")
        widgets.resize("x", 3, namespace="sel-b")

        eventually_told(exporter, 2)
        assert [(one["change"], one["namespace"]) for one in exporter.changes()[1:]] == [("spec", "sel-b")]


def test_globs_choose_the_types_and_core_types_can_be_named(cluster: Cluster, tmp_path: Path) -> None:
    """An exclude takes out what an include lets in; a type of the core group is followed where it is named."""
    left, right = (Widgets(cluster, f"{name}.globs.selection.example.com") for name in ("left", "right"))
    for widgets in (left, right):
        widgets.create("a")
    include = ["*.globs.selection.example.com/*", "v1/ConfigMap"]
    config = config_of(include=include, exclude=["right.*/W*"], namespaces=["default"])
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=config) as exporter:
        right.resize("a", 2)
        cluster.kubectl("create", "configmap", "chosen", "--from-literal=key=1", "-n", "default")
        eventually_told(exporter, 1)
        left.resize("a", 2)

        assert eventually_told(exporter, 2) == [("created", "chosen"), ("spec", "a")]
        assert [change.get("group", "") for change in exporter.changes()] == ["", left.group]


def test_leaving_a_label_selection_is_no_deletion(cluster: Cluster, tmp_path: Path) -> None:
    """An object whose label goes is forgotten in silence; one that is deleted is told as that."""
    widgets = Widgets(cluster, "labels.selection.example.com")
    widgets.create("leaves", "dies", "moves", "dies-later", labels={"app": "web"})
    widgets.create("other")
    config = config_of(include=[f"{widgets.group}/*"], labelSelector="app=web")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=config)
    with exporter:
        assert total(exporter, "customresource_exporter_objects_forgotten_total") == 0
        widgets.patch("leaves", {"metadata": {"labels": {"app": "else"}}})
        widgets.delete("dies", "other")

        assert eventually_told(exporter, 1) == [("deleted", "dies")]
        assert total(exporter, "customresource_exporter_objects_forgotten_total") == 1
        assert total(exporter, "customresource_objects") == 2

    widgets.patch("moves", {"metadata": {"labels": {"app": "else"}}})
    widgets.delete("dies-later")

    with exporter:
        assert eventually_told(exporter, 2)[1:] == [("deleted", "dies-later")]
        eventually(lambda: total(exporter, "customresource_objects") == 0)
        assert total(exporter, "customresource_exporter_objects_forgotten_total") == 1


def test_metadata_only_shows_no_spec(cluster: Cluster, tmp_path: Path) -> None:
    """Of a type in this mode nothing but metadata is read: a label shows, a value of the spec is nowhere."""
    widgets = Widgets(cluster, "metadata.selection.example.com")
    widgets.create("a")
    glob = f"{widgets.group}/*"
    config = config_of(include=[glob], metadataOnly=[glob])
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=config) as exporter:
        widgets.patch("a", {"metadata": {"labels": {"app": "web"}}, "spec": {"text": "needle-in-the-spec"}})

        eventually_told(exporter, 1)
        (change,) = exporter.changes()
        assert [field["path"] for field in change["fields"]] == ["/metadata/labels/app"]
        assert "needle-in-the-spec" not in json.dumps(change)
