"""The programs that people use against the emulated server: kubectl, the official Python client, the exporter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from kubernetes import client, config, dynamic, watch

from exporter.sandbox.crds import CRDS, DATABASE
from tests.integration.conftest import _need
from tests.integration.exporting import Exporter
from tests.servers import build
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)  # some start a dozen programs, one after the other
ORDERS = {
    "apiVersion": DATABASE.api_version,
    "kind": DATABASE.kind,
    "metadata": {"name": "orders", "namespace": "default"},
    "spec": {"engine": "pg", "replicas": 1},
}
_SECONDS = 30


class Served(NamedTuple):
    """A server in a process of its own."""

    kubeconfig: Path
    cache: Path

    def kubectl(self, *arguments: str, stdin: object = None) -> str:
        """What kubectl prints; `AssertionError` where it fails."""
        done = subprocess.run(
            [build.required("kubectl"), *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache)},
            input=None if stdin is None else json.dumps(stdin),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def orders(self) -> dict[str, Any]:
        """The one object, as kubectl reads it."""
        read: dict[str, Any] = json.loads(
            self.kubectl("get", "database", "orders", "-o", "json", "--show-managed-fields")
        )
        return read


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server with one type, which ends in order."""
    kubeconfig = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "exporter.sandbox", "--kubeconfig", str(kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("address: ")
        yield Served(kubeconfig, tmp_path / "cache")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_SECONDS)
    assert process.returncode == 0


@pytest.fixture
def typed(served: Served) -> Served:
    """The same with the type of a database in it."""
    with _api(served) as api:
        client.ApiextensionsV1Api(api).create_custom_resource_definition(CRDS[DATABASE])
    return served


def test_kubectl_installs_a_type_and_makes_objects(served: Served) -> None:
    """Apply of a CRD, then create, get as a table, as JSON, by name and over all namespaces, api-resources, explain."""
    _need(["kubectl"])
    served.kubectl("apply", "-f", "-", stdin=CRDS[DATABASE])
    served.kubectl("wait", "--for=condition=Established", f"crd/{DATABASE}", "--timeout=10s")
    assert "created" in served.kubectl("create", "-f", "-", stdin=ORDERS)
    table = [line.split() for line in served.kubectl("get", "databases").splitlines()]
    assert (table[0], table[1][0]) == (["NAME", "AGE"], "orders")
    assert served.orders()["spec"] == ORDERS["spec"]
    assert "orders" in served.kubectl("get", "databases", "-A")
    assert served.kubectl("get", "databases", "-o", "name").split() == ["database.db.example.com/orders"]
    assert "databases" in served.kubectl("api-resources", "--api-group=db.example.com")
    assert "replicas" in served.kubectl("explain", "database.spec")
    assert served.kubectl("version", "-o", "json")


def test_kubectl_applies_on_either_side(typed: Served) -> None:
    """Client-side with and without validation, and server-side, each says what it did and the object has it."""
    _need(["kubectl"])
    for flags, replicas, said in (
        (["--validate=false"], 1, "created"),
        ([], 2, "configured"),
        (["--validate=false"], 2, "unchanged"),
        (["--server-side", "--force-conflicts"], 3, "serverside-applied"),
    ):
        body = ORDERS | {"spec": {"engine": "pg", "replicas": replicas}}
        assert said in typed.kubectl("apply", *flags, "-f", "-", stdin=body)
        assert typed.orders()["spec"]["replicas"] == replicas


def test_kubectl_changes_and_deletes(typed: Served) -> None:
    """Patch of two sorts, label, annotate, edit, replace and delete do what they say, under kubectl's names."""
    _need(["kubectl"])
    typed.kubectl("create", "-f", "-", stdin=ORDERS)
    typed.kubectl("patch", "database", "orders", "--type=merge", "-p", '{"spec":{"replicas":2}}')
    typed.kubectl("patch", "database", "orders", "--type=json", "-p", '[{"op":"remove","path":"/spec/engine"}]')
    assert typed.orders()["spec"] == {"replicas": 2}
    typed.kubectl("label", "database", "orders", "team=a")
    typed.kubectl("annotate", "database", "orders", "note=b")
    assert "orders" in typed.kubectl("get", "database", "-l", "team=a", "-o", "name")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KUBE_EDITOR", "sed -i s/replicas:.2/replicas:\\ 5/")
        typed.kubectl("edit", "database", "orders")
    held = typed.orders()
    assert (held["spec"], held["metadata"]["labels"]) == ({"replicas": 5}, {"team": "a"})
    held["spec"] = {"engine": "other"}
    typed.kubectl("replace", "-f", "-", stdin=held)
    managers = {entry["manager"] for entry in typed.orders()["metadata"]["managedFields"]}
    assert {"kubectl-replace", "kubectl-label", "kubectl-annotate"} <= managers
    typed.kubectl("delete", "database", "orders")
    assert json.loads(typed.kubectl("get", "databases", "-o", "json"))["items"] == []


def test_kubectl_handles_core_types(served: Served) -> None:
    """Namespaces, ConfigMaps and Secrets are created, applied twice, edited and deleted."""
    _need(["kubectl"])
    served.kubectl("create", "namespace", "team")
    served.kubectl("create", "configmap", "one", "-n", "team", "--from-literal=a=b")
    served.kubectl("create", "secret", "generic", "keys", "-n", "team", "--from-literal=a=b")
    secret = json.loads(served.kubectl("get", "secret", "keys", "-n", "team", "-o", "json"))
    assert (secret["data"], secret["type"]) == ({"a": "Yg=="}, "Opaque")
    two = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two", "namespace": "team"}}
    for value in ("c", "d"):
        served.kubectl("apply", "-f", "-", stdin=two | {"data": {"a": value}})
    held = yaml.safe_load(served.kubectl("get", "configmap", "two", "-n", "team", "-o", "yaml"))
    assert held["data"] == {"a": "d"}
    served.kubectl("delete", "namespace", "team")
    assert "team" not in served.kubectl("get", "namespaces", "-o", "name")


def test_the_official_client_reads_and_writes(typed: Served) -> None:
    """CustomObjectsApi and the dynamic client find the type, write objects and see the same."""
    with _api(typed) as api:
        objects = client.CustomObjectsApi(api)
        names = (DATABASE.group, DATABASE.version, "default", DATABASE.resource)
        created = objects.create_namespaced_custom_object(*names, ORDERS)
        found = dynamic.DynamicClient(api, cache_file=str(typed.cache)).resources.get(
            api_version=DATABASE.api_version, kind=DATABASE.kind
        )
        read = found.get(name="orders", namespace="default")
        assert created["metadata"]["uid"] == read.metadata.uid
        found.patch(
            body={"spec": {"replicas": 4}}, name="orders", namespace="default",
            content_type="application/merge-patch+json",
        )  # fmt: skip
        found.server_side_apply(
            body=ORDERS, name="orders", namespace="default", field_manager="applier", force_conflicts=True
        )
        listed = objects.list_namespaced_custom_object(*names)
        assert [one["spec"]["replicas"] for one in listed["items"]] == [1]
        with pytest.raises(client.ApiException) as refused:
            objects.get_namespaced_custom_object(*names, "none")
        assert refused.value.status == 404
        assert {"default", "kube-system"} <= {one.metadata.name for one in client.CoreV1Api(api).list_namespace().items}
        found.delete(name="orders", namespace="default")
        assert objects.list_namespaced_custom_object(*names)["items"] == []


def test_the_official_client_watches(typed: Served) -> None:
    """Its watch and the dynamic client's, with initial events, see each version in order."""
    with _api(typed) as api:
        objects = client.CustomObjectsApi(api)
        names = (DATABASE.group, DATABASE.version, "default", DATABASE.resource)
        objects.create_namespaced_custom_object(*names, ORDERS)
        for replicas in (2, 3):
            body = {"spec": {"replicas": replicas}}
            objects.patch_namespaced_custom_object(*names, "orders", body)
        objects.delete_namespaced_custom_object(*names, "orders")
        begin = objects.list_namespaced_custom_object(*names)["metadata"]["resourceVersion"]
        objects.create_namespaced_custom_object(*names, ORDERS)
        seen = [
            (event["type"], event["object"]["spec"]["replicas"])
            for event in watch.Watch().stream(
                objects.list_namespaced_custom_object, *names, resource_version=begin, timeout_seconds=1
            )
        ]
        assert seen == [("ADDED", 1)]
        found = dynamic.DynamicClient(api, cache_file=str(typed.cache)).resources.get(
            api_version=DATABASE.api_version, kind=DATABASE.kind
        )
        events = found.watch(
            namespace="default", timeout=1, send_initial_events=True, resource_version_match="NotOlderThan",
            allow_watch_bookmarks=True,
        )  # fmt: skip
        assert [event["type"] for event in events][:2] == ["ADDED", "BOOKMARK"]


def test_the_exporter_follows(served: Served, tmp_path: Path) -> None:
    """It sees a type that is installed while it runs, goes on after a kill where it was, and loses nothing between."""
    with Exporter(served.kubeconfig, tmp_path / "data") as exporter, _api(served) as api:
        client.ApiextensionsV1Api(api).create_custom_resource_definition(CRDS[DATABASE])
        objects = client.CustomObjectsApi(api)
        names = (DATABASE.group, DATABASE.version, "default", DATABASE.resource)
        objects.create_namespaced_custom_object(*names, ORDERS)
        eventually(lambda: len(exporter.changes()) == 1)
        exporter.kill()
        for replicas in (2, 3, 4):
            objects.patch_namespaced_custom_object(*names, "orders", {"spec": {"replicas": replicas}})
        exporter.start()
        objects.delete_namespaced_custom_object(*names, "orders")
        eventually(lambda: len(exporter.changes()) == 5)
        changes = exporter.changes()
    assert [one["change"] for one in changes] == ["created", "spec", "spec", "spec", "deleted"]
    assert [[field["new"] for field in one["fields"]] for one in changes[1:4]] == [[2], [3], [4]]
    assert not any(one.get("gap") for one in changes)


@contextmanager
def _api(served: Served) -> Iterator[client.ApiClient]:
    """Reach the server with the official client."""
    settings = client.Configuration()
    config.load_kube_config(str(served.kubeconfig), client_configuration=settings)
    with client.ApiClient(settings) as api:
        yield api
