"""The test servers themselves: that they are real, keep what they are given, and go when they are told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.servers import build, process
from tests.servers.launch import Cluster, Collector, KubectlError
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from tests.integration.conftest import NewCluster

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.servers.example.com"},
    "spec": {
        "group": "servers.example.com",
        "names": {"kind": "Gadget", "plural": "gadgets"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}
GADGET = {
    "apiVersion": "servers.example.com/v1",
    "kind": "Gadget",
    "metadata": {"name": "first"},
    "spec": {"size": 1},
}


def config_map(name: str, owner: dict[str, Any] | None = None) -> str:
    """A manifest, owned where an owner is given."""
    metadata = {"name": name} | ({"ownerReferences": [owner]} if owner else {})
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def alive(pid: int) -> bool:
    """Whether the process exists and is not only waiting to be reaped."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_api_server_is_the_pinned_version(cluster: Cluster, compat: bool) -> None:
    """/version says what go.mod pins, so that clients that look at it behave as they would outside."""
    if os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("KUBEBUILDER_ASSETS brings a version of its own")
    programs = build.COMPAT_PROGRAMS if compat else build.PROGRAMS
    actual = json.loads(cluster.kubectl("get", "--raw", "/version"))["gitVersion"]
    assert f"v{programs['kube-apiserver'].module.version}" == actual


def test_a_custom_resource_has_a_status_of_its_own(cluster: Cluster) -> None:
    """A CRD and an object are created by kubectl, and a write of its status leaves the spec alone."""
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/gadgets.servers.example.com", "--timeout=30s")
    eventually(lambda: "gadgets" in cluster.kubectl("api-resources", "--api-group=servers.example.com", "-o", "name"))
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(GADGET))
    patch = json.dumps({"spec": {"size": 2}, "status": {"phase": "Ready"}})
    cluster.kubectl("patch", "gadget/first", "--subresource=status", "--type=merge", "-p", patch)
    stored = json.loads(cluster.kubectl("get", "gadget/first", "-o", "json"))
    assert (
        stored["spec"],
        stored["status"],
        stored["metadata"]["generation"],
    ) == ({"size": 1}, {"phase": "Ready"}, 1)


def test_a_namespace_goes_when_it_is_deleted(cluster: Cluster) -> None:
    """The controller manager finishes the deletion of a namespace and of what is in it."""
    cluster.kubectl("create", "namespace", "short-lived")
    cluster.kubectl("create", "-f", "-", "-n", "short-lived", stdin=config_map("inside"))
    cluster.kubectl("delete", "namespace", "short-lived", "--timeout=90s")
    assert cluster.kubectl("get", "namespace", "short-lived", "--ignore-not-found", "-o", "name") == ""


def test_what_is_owned_goes_with_its_owner(cluster: Cluster) -> None:
    """The controller manager collects an object whose owner is deleted."""
    owner = json.loads(cluster.kubectl("create", "-f", "-", "-o", "json", stdin=config_map("owner")))["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    cluster.kubectl("create", "-f", "-", stdin=config_map("owned", reference))
    cluster.kubectl("delete", "configmap/owner")
    eventually(lambda: cluster.kubectl("get", "configmap/owned", "--ignore-not-found") == "", timeout=90)


def test_another_identity_may_do_nothing_at_first(new_cluster: NewCluster) -> None:
    """A kubeconfig for somebody else, however it proves it, is that user in those groups, whom RBAC grants nothing."""
    cluster = new_cluster()
    groups = ["team-a", "team-b"]
    kubeconfigs = [
        cluster.kubeconfig_for("jane", groups, token=token, exec_plugin=plugin)
        for token in (False, True)
        for plugin in (False, True)
    ]
    answers = [cluster.kubectl("auth", "whoami", "-o", "json", kubeconfig=other) for other in kubeconfigs]
    users = [json.loads(answer)["status"]["userInfo"] for answer in answers]
    expected = [("jane", [*groups, "system:authenticated"])] * 4
    assert expected == [(user["username"], user["groups"]) for user in users]
    for other in kubeconfigs:
        with pytest.raises(KubectlError, match=r"Forbidden.*jane"):
            cluster.kubectl("get", "secrets", kubeconfig=other)


def test_two_clusters_know_nothing_of_each_other(new_cluster: NewCluster) -> None:
    """Two clusters run at once, and what is written to one is not in the other."""
    one, other = new_cluster(), new_cluster()
    one.kubectl("create", "namespace", "only-here")
    command = ("get", "namespace", "only-here", "--ignore-not-found", "-o", "name")
    assert (one.kubectl(*command), other.kubectl(*command)) == ("namespace/only-here\n", "")


def test_a_killed_api_server_comes_back_with_its_data(new_cluster: NewCluster) -> None:
    """After SIGKILL nobody answers; after the restart the same URL does, with what was stored before."""
    cluster = new_cluster()
    uid = cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    cluster.kill_apiserver()
    with pytest.raises(KubectlError, match="refused"):
        cluster.kubectl("get", "namespaces")
    cluster.restart_apiserver(["--goaway-chance=0.01"])
    assert uid == cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")


def test_stop_leaves_no_process(new_cluster: NewCluster) -> None:
    """Every process of a cluster is gone when `stop` returns, and the cluster can be started again."""
    cluster = new_cluster(controller_manager=True)
    pids = cluster.pids
    cluster.stop()
    assert ([alive(pid) for pid in pids], cluster.pids) == ([False] * 3, [])
    cluster.start()
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"


def test_two_runs_of_the_tests_are_given_no_port_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one of them was given is its own, though nobody listens there, until it ends."""
    program = (
        "import sys; from tests.servers.process import free_port; print(free_port(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        monkeypatch.setattr(process, "_PORTS", [port])
        with pytest.raises(process.StartError, match=f"no free loopback port in .{port}."):
            process.free_port()
        other.kill()
    assert process.free_port() == port


def test_servers_die_with_the_process_that_started_them(collector: Collector, tmp_path: Path) -> None:
    """A SIGKILL of the test process itself leaves no server behind."""
    collector.stop()
    program = (
        "import pathlib, sys, time; from tests.servers.launch import Collector;"
        "one = Collector(pathlib.Path(sys.argv[1])); one.start(); print(one.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "own"], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert alive(pid)
        owner.kill()
    eventually(lambda: not alive(pid))


def test_the_collector_hands_back_what_it_received(collector: Collector) -> None:
    """An OTLP request over HTTP comes back as flat values, over a restart too, until it is cleared."""
    now = time.time_ns()
    record = LogRecord(
        time_unix_nano=now,
        observed_time_unix_nano=now + 1,
        severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
        event_name="customresource.created",
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        body=AnyValue(string_value="Gadget first created"),
        attributes=[
            KeyValue(key="count", value=AnyValue(int_value=3)),
            KeyValue(key="gap", value=AnyValue(bool_value=False)),
            KeyValue(key="names", value=AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="a")]))),
        ],
    )
    resource = Resource(attributes=[KeyValue(key="k8s.namespace.name", value=AnyValue(string_value="team-a"))])
    message = ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=resource, scope_logs=[ScopeLogs(log_records=[record])])]
    )
    request = urllib.request.Request(  # noqa: S310 - our own Collector
        f"{collector.http_endpoint}/v1/logs",
        data=message.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass
    expected = [
        {
            "resource": {"k8s.namespace.name": "team-a"},
            "event_name": "customresource.created",
            "time_unix_nano": now,
            "observed_time_unix_nano": now + 1,
            "severity_number": 9,
            "body": "Gadget first created",
            "attributes": {"count": 3, "gap": False, "names": ["a"]},
            "trace_id": bytes(range(16)).hex(),
            "span_id": bytes(range(8)).hex(),
        }
    ]
    assert expected == eventually(collector.records)
    collector.restart()
    assert expected == collector.records()
    collector.clear()
    assert collector.records() == []


def test_promtool_judges_a_metrics_page(promtool: Callable[..., CompletedProcess[bytes]]) -> None:
    """A clean page passes; a counter that is not called `_total` is found."""
    good = b"# HELP things_total Things.\n# TYPE things_total counter\nthings_total 1\n"
    verdicts = [promtool("check", "metrics", stdin=page).returncode for page in (good, good.replace(b"_total", b""))]
    assert verdicts[0] == 0
    assert verdicts[1] != 0
