"""The exporter as the ServiceAccount that is shipped, with exactly the rights that are shipped, on a real API server.

For each way of giving rights: it follows what is enabled, and the server refuses it everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.deploy.asking import Account, Right, every_right
from tests.deploy.chart import NAME, Object, container, one, render
from tests.deploy.modes import DATABASE, EVERYBODY, IDENTITY, MODES, OTHER, PLACES, Mode
from tests.integration.exporting import Exporter
from tests.servers.identity import write_kubeconfig
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.launch import Cluster

pytestmark = pytest.mark.timeout(180)


def crd(group: str, kind: str) -> Object:
    """A type with a status and any content."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }  # fmt: skip
    spec = {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural}, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": spec,
    }


def put(cluster: Cluster, *objects: Object) -> None:
    """Apply objects as the administrator."""
    text = "\n---\n".join(msgspec.json.encode(each).decode() for each in objects)
    cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=text)


def example(group: str, resource: str, namespace: str, name: str) -> Object:
    """An object of one of the types."""
    kind = {"databases": "Database", "gadgets": "Gadget", "configmaps": "ConfigMap"}[resource]
    made: Object = {
        "apiVersion": f"{group}/v1" if group else "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
    }
    return made if kind == "ConfigMap" else {**made, "spec": {"size": 1}}


@pytest.fixture(scope="module")
def furnished(cluster: Cluster) -> Cluster:
    """The cluster with two types, two teams, all modes installed, and an account that has no rights."""
    put(cluster, crd("db.example.com", "Database"), crd("other.example.com", "Gadget"))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all")
    for name in (NAME, "team-a", "team-b"):
        cluster.kubectl("create", "namespace", name)
    cluster.kubectl("create", "serviceaccount", "nobody", f"--namespace={NAME}")
    for mode in MODES:
        put(cluster, *(each for each in render(mode.values, release=mode.name) if each["kind"] != "StatefulSet"))
    return cluster


@pytest.fixture(scope="module", params=MODES, ids=lambda mode: mode.name)
def mode(request: pytest.FixtureRequest, furnished: Cluster) -> Mode:
    """One way of giving rights, once the server grants what it is to grant."""
    chosen: Mode = request.param
    if chosen.name == "aggregated":
        # As the notes of the chart say it: whoever brings a type says that it may be read.
        furnished.kubectl("create", "clusterrole", "read-other", "--verb=list,watch", "--resource=*.other.example.com")
        furnished.kubectl("label", "clusterrole", "read-other", "customresource-exporter/aggregate-to-reader=true")
    asking = Account(furnished, NAME, account(chosen))
    eventually(lambda: all(asking.may(right) for right in chosen.rights))
    asking.close()
    return chosen


@pytest.fixture(scope="module")
def asked(furnished: Cluster) -> list[Right]:
    """Everything that can be asked for."""
    return [*every_right(furnished, PLACES), *IDENTITY, Right("get", "", "namespaces", "team-a", "team-a")]


@pytest.fixture(scope="module")
def given_to_all(furnished: Cluster, asked: list[Right]) -> set[Right]:
    """What an account has that nobody gave anything."""
    nobody = Account(furnished, NAME, "nobody")
    rights = nobody.rights(asked)
    nobody.close()
    return rights


@pytest.fixture
def reader(furnished: Cluster, mode: Mode) -> Iterator[Account]:
    """The account of the chart."""
    reading = Account(furnished, NAME, account(mode))
    yield reading
    reading.close()


def account(mode: Mode) -> str:
    """The name of the ServiceAccount of a release."""
    return str(one(render(mode.values, release=mode.name), "ServiceAccount")["metadata"]["name"])


def test_the_account_may_do_this_and_nothing_else(
    reader: Account, mode: Mode, asked: list[Right], given_to_all: set[Right]
) -> None:
    """Of every verb on every resource in every place, the server grants what the mode says, and refuses the rest."""
    assert len(asked) > 2500, "the server does not tell its resources"
    everybody = {(right.group, right.resource) for right in given_to_all}
    assert everybody <= EVERYBODY
    assert reader.rights(asked) - given_to_all == mode.rights


@pytest.mark.parametrize("namespace", ["team-a", "team-b", "kube-system", NAME])
def test_no_rule_has_another_verb(furnished: Cluster, reader: Account, namespace: str) -> None:
    """No rule that holds for the account in any namespace lets it do more than read, or name Secrets, or everything."""
    nobody = Account(furnished, NAME, "nobody")
    given_to_all = nobody.rules(namespace)
    nobody.close()
    for rule in (each for each in reader.rules(namespace) if each not in given_to_all):
        assert set(rule["verbs"]) <= {"get", "list", "watch"}
        assert "*" not in rule["apiGroups"]
        if "" in rule["apiGroups"]:
            assert not {"*", "secrets"} & set(rule["resources"])


def test_requests_are_refused(furnished: Cluster, reader: Account) -> None:
    """What the server says that it would refuse it does refuse: reading Secrets, and writing anything."""
    put(furnished, example(*DATABASE, "team-a", "kept"))
    path = "/apis/db.example.com/v1/namespaces/team-a/databases"
    for method, place, body in (
        ("GET", "/api/v1/secrets", None),
        ("GET", "/api/v1/namespaces/team-a/secrets", None),
        ("GET", f"/api/v1/namespaces/{NAME}/secrets/x", None),
        ("GET", "/api/v1/pods", None),
        ("GET", "/api/v1/nodes", None),
        ("DELETE", f"{path}/kept", None),
        ("DELETE", path, None),
        ("POST", path, example(*DATABASE, "team-a", "new")),
        ("PUT", f"{path}/kept", example(*DATABASE, "team-a", "kept")),
        ("POST", f"/api/v1/namespaces/{NAME}/serviceaccounts/default/token", {}),
        ("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd("new.example.com", "Thing")),
    ):
        status, answer = reader.ask(method, place, body)
        assert (method, place, 403) == (method, place, status), answer


def test_the_exporter_follows_what_is_enabled(furnished: Cluster, reader: Account, mode: Mode, tmp_path: Path) -> None:
    """As this account the exporter is ready, tells of changes where it may read, and names what it may not."""
    objects = render(mode.values, release=mode.name)
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", furnished.url, furnished.ca_file, {"token": reader.token})
    config = one(objects, "ConfigMap")["data"]["config.yaml"]
    assert f"--config={'/etc/customresource-exporter/config'}/config.yaml" in container(objects)["args"]
    with Exporter(kubeconfig, tmp_path / "data", config=config) as exporter:
        assert exporter.get("/readyz")[0] == 200
        for group, resource in mode.follows:
            put(furnished, *(example(group, resource, namespace, mode.name) for namespace in ("team-b", "team-a")))
        expected = {(resource, namespace) for _, resource in mode.follows for namespace in mode.sees}
        eventually(lambda: told(exporter, mode) >= expected)
        assert told(exporter, mode) == expected
        degraded = {
            dict(labels)["customresource_kind"]: value
            for (name, labels), value in exporter.metrics().items()
            if name == "customresource_exporter_watch_degraded"
        }
        assert {kind for kind, value in degraded.items() if value} == set(mode.refused)


def test_what_view_may_read(furnished: Cluster) -> None:
    """With `rbac.aggregateView` the account reads what `view` may, such as pods, but no Secret, and writes nothing."""
    objects = render({"rbac": {"aggregateView": True}}, release="viewing")
    put(furnished, *(each for each in objects if each["kind"] != "StatefulSet"))
    account = Account(furnished, NAME, one(objects, "ServiceAccount")["metadata"]["name"])
    eventually(lambda: account.may(Right("list", "", "pods")))
    for verb, resource in [("list", "secrets"), ("get", "secrets"), ("create", "pods"), ("get", "pods/exec")]:
        assert not account.may(Right(verb, "", resource, "team-a")), (verb, resource)
    account.close()


def test_an_upgrade_reaches_the_running_exporter(furnished: Cluster, tmp_path: Path) -> None:
    """With another include, rights and configuration change together, and the exporter takes both without a restart."""
    before = {"rbac": {"mode": "byGroup"}, "config": {"watch": {"include": ["db.example.com/*"]}}}
    after = {"rbac": {"mode": "byGroup"}, "config": {"watch": {"include": ["db.example.com/*", "other.example.com/*"]}}}
    objects = render(before, release="upgraded")
    put(furnished, *objects)
    account = Account(furnished, NAME, one(objects, "ServiceAccount")["metadata"]["name"])
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", furnished.url, furnished.ca_file, {"token": account.token})
    eventually(lambda: account.may(Right("watch", "db.example.com", "databases")))
    account.close()
    mount(objects, tmp_path / "config", "1")
    with Exporter(kubeconfig, tmp_path / "data", flags=[f"--config={tmp_path / 'config/config.yaml'}"]) as exporter:
        objects = render(after, release="upgraded")
        put(furnished, *objects)
        mount(objects, tmp_path / "config", "2")
        gadgets = frozenset({"customresource_group": OTHER[0], "customresource_kind": "Gadget"}.items())
        eventually(lambda: exporter.metrics().get(("customresource_exporter_watch_synced", gadgets)) == 1)
        put(furnished, example(*OTHER, "team-a", "upgraded"))
        eventually(lambda: exporter.changes("--kind=Gadget", "--name=upgraded"))


def mount(objects: list[Object], directory: Path, version: str) -> None:
    """Bring a ConfigMap into a directory as the kubelet does: a new directory, and one link that moves to it."""
    (directory / version).mkdir(parents=True)
    for name, text in one(objects, "ConfigMap")["data"].items():
        (directory / version / name).write_text(text, encoding="utf-8")
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    (directory / "..new").symlink_to(version)
    (directory / "..new").rename(directory / "..data")


def told(exporter: Exporter, mode: Mode) -> set[tuple[str, str]]:
    """The plural and namespace of each object of a mode that the exporter told of."""
    return {(f"{one['kind'].lower()}s", one["namespace"]) for one in exporter.changes(f"--name={mode.name}")}
