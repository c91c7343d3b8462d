"""The exporter as the ServiceAccount that is shipped, with exactly the rights that are shipped, on a real API server.

For each way of giving rights: it follows what is enabled, and the server refuses it everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import Struct

from tests.deploy.asking import Account, Right, every_right
from tests.deploy.chart import NAME, Object, container, one, render
from tests.integration.exporting import Exporter
from tests.servers.identity import write_kubeconfig
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.launch import Cluster

pytestmark = pytest.mark.timeout(180)
PLACES = ("team-a", "team-b")
READ = ("list", "watch")
DATABASE, OTHER = ("db.example.com", "databases"), ("other.example.com", "gadgets")


# What every account may do: ask about itself, and read the bundles of certificates that are there for all.
EVERYBODY = {
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("certificates.k8s.io", "clustertrustbundles"),
}


class Mode(Struct, frozen=True):
    """A way of giving rights, and what follows from it.

    Args:
        name: of the release
        values: of the chart
        rights: what the account has, beside what every account has; `("verb", "group", "resource", "namespace")`
        follows: the types whose objects it sees in team-a; group and plural
        refused: the types that it tells that it may not read
        sees: the namespaces whose objects it tells of

    """

    name: str
    values: dict[str, Any]
    rights: frozenset[Right]
    follows: tuple[tuple[str, str], ...] = (DATABASE,)
    refused: tuple[str, ...] = ()
    sees: tuple[str, ...] = ("team-a", "team-b")


def everywhere(
    group: str, *resources: str, verbs: tuple[str, ...] = READ, namespaces: tuple[str, ...] = ()
) -> set[Right]:
    """Rights on resources: in the whole cluster, and so in each namespace, or in some namespaces alone."""
    places = namespaces or ("", *PLACES)
    return {Right(verb, group, each, place) for verb in verbs for each in resources for place in places}


DISCOVERY = everywhere("apiextensions.k8s.io", "customresourcedefinitions")
IDENTITY = {Right("get", "", "namespaces", "kube-system", "kube-system")}
# A rule for all resources of a group covers what belongs to them.
DATABASES = everywhere("db.example.com", "databases", "databases/status")
MODES = (
    Mode(
        "by-group",
        {"rbac": {"mode": "byGroup"}, "config": {"watch": {"include": ["db.example.com/*"]}}},
        frozenset(DISCOVERY | IDENTITY | DATABASES),
    ),
    Mode(
        "by-kind",
        {
            "rbac": {"mode": "byGroup"},
            "config": {"watch": {"include": ["db.example.com/Database", "v1/ConfigMap"], "labelSelector": "app=web"}},
        },
        frozenset(
            DISCOVERY
            | IDENTITY
            | everywhere("db.example.com", "databases", verbs=("get", *READ))
            | everywhere("", "configmaps", verbs=("get", *READ))
        ),
        follows=(DATABASE, ("", "configmaps")),
    ),
    Mode(
        "by-namespace",
        {
            "rbac": {"mode": "byGroup"},
            "config": {"watch": {"include": ["db.example.com/Database"], "namespaces": ["team-a"]}},
        },
        frozenset(DISCOVERY | IDENTITY | everywhere("db.example.com", "databases", namespaces=("team-a",))),
        sees=("team-a",),
    ),
    Mode(
        "aggregated",
        {"rbac": {"mode": "aggregated"}},
        frozenset(DISCOVERY | IDENTITY | everywhere("other.example.com", "gadgets", "gadgets/status")),
        follows=(OTHER,),
        refused=("Database",),
    ),
    Mode(
        "namespaced",
        {
            "rbac": {"mode": "namespaced"},
            "config": {"watch": {"include": ["db.example.com/*"], "namespaces": ["team-a"]}},
        },
        frozenset(everywhere("db.example.com", "databases", "databases/status", namespaces=("team-a",))),
        sees=("team-a",),
    ),
    Mode(
        "namespaced-identity",
        {
            "rbac": {"mode": "namespaced", "clusterIdentity": True},
            "config": {"watch": {"include": ["db.example.com/Database"], "namespaces": ["team-a"]}},
        },
        frozenset(IDENTITY | everywhere("db.example.com", "databases", namespaces=("team-a",))),
        sees=("team-a",),
    ),
)


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
    assert everybody == EVERYBODY
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
            put(furnished, example(group, resource, "team-a", mode.name))
            put(furnished, example(group, resource, "team-b", mode.name))
        kinds = {resource for _, resource in mode.follows}
        eventually(lambda: {f"{one['kind'].lower()}s" for one in told(exporter, mode)} >= kinds)
        namespaces = {one["namespace"] for one in told(exporter, mode)}
        assert namespaces == set(mode.sees)
        degraded = {
            dict(labels)["customresource_kind"]: value
            for (name, labels), value in exporter.metrics().items()
            if name == "customresource_exporter_watch_degraded"
        }
        assert {kind for kind, value in degraded.items() if value} == set(mode.refused)


def told(exporter: Exporter, mode: Mode) -> list[dict[str, Any]]:
    """What the exporter told of the objects of a mode."""
    return [one for one in exporter.changes() if one["name"] == mode.name]
