"""Every way in which kubectl writes, against the real API server: what the journal, /metrics and a Collector say of it.

What a command does not do is as much of a statement as what it does: each case lists all versions of its namespace.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.integration.conftest import _need
from tests.integration.exporting import Exporter
from tests.integration.widgets import Widgets, version
from tests.servers.launch import Cluster, Collector, KubectlError
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "kubectl.example.com"
# The texts that this annotation had and has are left out of what is compared.
LAST_APPLIED = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"
LAST_APPLIED_IS = ("replace", LAST_APPLIED)
CREATE = ("kubectl-create", "human", "Update", "")
CLIENT_SIDE = ("kubectl-client-side-apply", "human", "Update", "")
SERVER_SIDE = ("kubectl", "human", "Apply", "")
NOBODY = ("", "", "", "")
PATCH = ("kubectl-patch", "human", "Update", "")
SCALE = ("kubectl", "human", "Update", "scale")
REPLICAS = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


class Do(NamedTuple):
    """One call of kubectl; with a spec, its manifest goes to stdin."""

    command: str
    spec: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    refused: bool = False


class Seen(NamedTuple):
    """What is told of a version: fields as `op path old new`, writer as (name, class, operation, subresource)."""

    event: str
    change: str
    writer: tuple[str, str, str, str] = NOBODY
    fields: tuple[tuple[Any, ...], ...] = ()


class Watched(NamedTuple):
    """What all cases of this module share."""

    cluster: Cluster
    exporter: Exporter
    collector: Collector


def patch(body: dict[str, Any], *, flags: str = "", refused: bool = False) -> Do:
    """A merge patch of the one object."""
    return Do(f"patch widget one --type=merge {flags} -p {shlex.quote(json.dumps(body))}", refused=refused)


def modified(change: str, writer: tuple[str, str, str, str], *fields: tuple[Any, ...]) -> Seen:
    """A version of an object that was there before."""
    return Seen("modified", change, writer, fields)


RED = {"color": "red", "size": 1}
BLUE = {"color": "blue", "size": 1}
TO_BLUE = ("replace", "/spec/color", "red", "blue")
CREATED = Do("create -f -", RED)
BY_CREATE = Seen("added", "created", CREATE)
BY_CLIENT_SIDE = Seen("added", "created", CLIENT_SIDE)
BY_SERVER_SIDE = Seen("added", "created", SERVER_SIDE)
GONE = Seen("deleted", "deleted")
WAITING = {"finalizers": ["example.com/wait"]}
MARK = Do("label widget one marked=yes")
BY_MARK = modified("metadata", ("kubectl-label", "human", "Update", ""), ("add", "/metadata/labels/marked", "yes"))
# Four versions on the way from client-side to server-side apply: the apply, its own annotation moved to a manager
# of its own, the former manager's fields moved to the new one, and the apply again, which prunes.
TAKEN_OVER = [
    modified("metadata", SERVER_SIDE, LAST_APPLIED_IS),
    modified("ownership", ("kubectl-last-applied", "human", "Apply", "")),
    modified("ownership", SERVER_SIDE),
]

# What writes nothing comes first: the mark behind it shows that there was nothing before.
CASES: dict[str, tuple[list[Do], list[Seen]]] = {
    "apply-unchanged": ([Do("apply -f -", RED), Do("apply -f -", RED), MARK], [BY_CLIENT_SIDE, BY_MARK]),
    "patch-unchanged": ([CREATED, patch({"spec": {"size": 1}}), MARK], [BY_CREATE, BY_MARK]),
    "patch-refused": ([CREATED, patch({"spec": {"size": "large"}}, refused=True), MARK], [BY_CREATE, BY_MARK]),
    "dry-run": ([CREATED, Do("apply -f - --dry-run=server", BLUE), MARK], [BY_CREATE, BY_MARK]),
    "create": ([CREATED], [BY_CREATE]),
    "apply": (
        [Do("apply -f -", RED), Do("apply -f -", BLUE)],
        [BY_CLIENT_SIDE, modified("spec", CLIENT_SIDE, TO_BLUE, LAST_APPLIED_IS)],
    ),
    "apply-server-side": (
        [Do("apply --server-side -f -", RED), Do("apply --server-side -f -", BLUE)],
        [BY_SERVER_SIDE, modified("spec", SERVER_SIDE, TO_BLUE)],
    ),
    "take-over": (
        [Do("apply -f -", RED), Do("apply --server-side -f -", RED)],
        [BY_CLIENT_SIDE, *TAKEN_OVER, modified("ownership", NOBODY)],
    ),
    "take-over-and-prune": (
        [Do("apply -f -", RED), Do("apply --server-side -f -", {"color": "red"})],
        [BY_CLIENT_SIDE, *TAKEN_OVER, modified("spec", SERVER_SIDE, ("remove", "/spec/size", 1))],
    ),
    "edit": (
        [CREATED, Do("edit widget one")],
        [BY_CREATE, modified("spec", ("kubectl-edit", "human", "Update", ""), TO_BLUE)],
    ),
    "patch": (
        [CREATED, patch({"spec": {"color": "blue", "size": None}})],
        [BY_CREATE, modified("spec", PATCH, TO_BLUE, ("remove", "/spec/size", 1))],
    ),
    "patch-status": (
        [CREATED, patch({"status": {"phase": "Ready"}}, flags="--subresource=status")],
        [BY_CREATE, modified("status", (*PATCH[:3], "status"), ("add", "/status/phase", "Ready"))],
    ),
    # The server notes no owner of a field that it adds through this subresource: nobody can tell who it was.
    "scale-unowned": (
        [CREATED, Do("scale widget one --replicas=3")],
        [BY_CREATE, modified("spec", NOBODY, ("add", "/spec/replicas", 3))],
    ),
    "scale": (
        [
            Do("create -f -", RED | {"replicas": 2}),
            Do("scale widget one --replicas=3"),
            Do("scale widget one --replicas=4"),
        ],
        [
            BY_CREATE,
            modified("spec", SCALE, ("replace", "/spec/replicas", 2, 3)),
            modified("spec", SCALE, ("replace", "/spec/replicas", 3, 4)),
        ],
    ),
    "label": ([CREATED, MARK], [BY_CREATE, BY_MARK]),
    # What is taken away leaves no owner behind.
    "annotate": (
        [CREATED, Do("annotate widget one note=hello"), Do("annotate widget one note-")],
        [
            BY_CREATE,
            modified(
                "metadata", ("kubectl-annotate", "human", "Update", ""), ("add", "/metadata/annotations/note", "hello")
            ),
            modified("metadata", NOBODY, ("remove", "/metadata/annotations/note", "hello")),
        ],
    ),
    "replace": (
        [CREATED, Do("replace -f -", BLUE)],
        [BY_CREATE, modified("spec", ("kubectl-replace", "human", "Update", ""), TO_BLUE)],
    ),
    "replace-force": (
        [CREATED, Do("replace --force -f -", BLUE)],
        [BY_CREATE, GONE, Seen("added", "recreated", ("kubectl-replace", "human", "Update", ""))],
    ),
    "delete": ([CREATED, Do("delete widget one")], [BY_CREATE, GONE]),
    "delete-with-finalizer": (
        [
            Do("create -f -", RED, WAITING),
            Do("delete widget one --wait=false"),
            patch({"metadata": {"finalizers": None}}),
        ],
        [
            BY_CREATE,
            modified(
                "deleting",
                NOBODY,
                ("add", "/metadata/deletionGracePeriodSeconds", 0),
                ("add", "/metadata/deletionTimestamp", "<time>"),
            ),
            GONE,
        ],
    ),
}


@pytest.fixture(scope="module")
def watched(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The type, an exporter that follows nothing else, and a Collector that it delivers to."""
    _need(["collector"])
    directory = tmp_path_factory.mktemp("kubectl")
    widgets = Widgets(cluster, GROUP)
    widgets.install(version(size={"type": "integer"}) | {"subresources": {"status": {}, "scale": REPLICAS}})
    with Collector(directory / "collector") as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_endpoint}
        with Exporter(cluster.kubeconfig, directory / "data", config=widgets.config, env=env) as exporter:
            yield Watched(cluster, exporter, collector)


@pytest.mark.parametrize("case", CASES)
def test_what_kubectl_does_is_told_everywhere(watched: Watched, case: str) -> None:
    """A command's versions, and no others, are in the journal, in the counters and at the Collector."""
    commands, expected = CASES[case]
    namespace = f"kubectl-{case}"
    watched.cluster.kubectl("create", "namespace", namespace)
    for do in commands:
        run(watched.cluster, namespace, do)

    def changes() -> list[dict[str, Any]]:
        return watched.exporter.changes("--namespace", namespace)

    eventually(lambda: len(changes()) >= len(expected))
    told = changes()
    assert expected == [seen(change) for change in told]
    assert [change for change in told if change.get("gap")] == []
    assert len({change["id"] for change in told}) == len(told)
    exist = json.loads(watched.cluster.kubectl("get", f"widgets.{GROUP}", "-n", namespace, "-o", "json"))["items"]
    assert counted(told, len(exist)) == counters(watched.exporter, namespace)
    records = [attributes(change) for change in told]
    eventually(lambda: len(delivered(watched.collector, namespace)) >= len(records))
    assert records == delivered(watched.collector, namespace)


def run(cluster: Cluster, namespace: str, do: Do) -> None:
    """Call kubectl; one that must be refused is."""
    manifest = {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": "one", **(do.metadata or {})}}
    stdin = None if do.spec is None else json.dumps({**manifest, "spec": do.spec})
    # In full: another test's type in the same cluster may have this name too.
    command = ("-n", namespace, *shlex.split(do.command.replace("widget one", f"widgets.{GROUP} one")))
    if do.refused:
        with pytest.raises(KubectlError, match="Invalid"):
            cluster.kubectl(*command, stdin=stdin)
    else:
        cluster.kubectl(*command, stdin=stdin, env={"KUBE_EDITOR": "sed -i s/red/blue/"})


def seen(change: dict[str, Any]) -> Seen:
    """A line of `changes -o json` in the words of the table."""
    fields = []
    for field in change.get("fields", ()):
        sides = [field[side] for side in ("old", "new") if side in field]
        if field["path"] == LAST_APPLIED:
            sides = []
        elif field["path"] == "/metadata/deletionTimestamp":
            sides = ["<time>"]
        fields.append((field["op"], field["path"], *sides))
    writer = [change["writer"].get(name, "") for name in ("name", "class", "operation", "subresource")]
    return Seen(change["event"], change["change"], (writer[0], writer[1], writer[2], writer[3]), tuple(fields))


def counted(told: list[dict[str, Any]], objects: int) -> Counter[tuple[str, ...]]:
    """What /metrics must count by the lines of the journal."""
    expected: Counter[tuple[str, ...]] = Counter(
        ("changes_total", change["change"], change["event"]) for change in told
    )
    classes = (change["writer"].get("class", "unknown") for change in told if change["change"] == "spec")
    expected.update(("spec_changes_total", name) for name in classes)
    expected["objects",] = objects
    return +expected


def counters(exporter: Exporter, namespace: str) -> Counter[tuple[str, ...]]:
    """What /metrics counts in a namespace: the name, then the values of the labels that are not the place."""
    found: Counter[tuple[str, ...]] = Counter()
    for (name, labels), value in exporter.metrics().items():
        place = {"customresource_group": GROUP, "customresource_kind": "Widget", "namespace": namespace}
        family = name.removeprefix("customresource_")
        if place.items() <= labels and family in {"changes_total", "spec_changes_total", "objects"}:
            others = (text for _, text in sorted(labels - place.items()))
            found[family, *others] = int(value)
    return +found


def attributes(change: dict[str, Any]) -> dict[str, Any]:
    """What must arrive of a change, by its line in the journal."""
    writer = change["writer"]
    named = {
        **{f"customresource.{name}": change[name] for name in ("group", "version", "kind", "name", "uid", "event")},
        "customresource.change.type": change["change"],
        "customresource.change.id": change["id"],
        "customresource.resource_version": change["resource_version"],
        "customresource.generation": change["generation"],
        **{f"customresource.writer.{name}": text for name, text in writer.items()},
    }
    if "fields" in change:
        named["customresource.diff"] = change["fields"]
    return named


def delivered(collector: Collector, namespace: str) -> list[dict[str, Any]]:
    """What arrived of a namespace's changes, less what only the record has."""
    records = [one for one in collector.records() if one["resource"].get("k8s.namespace.name") == namespace]
    found = [dict(record["attributes"]) for record in records if "customresource.change.type" in record["attributes"]]
    for one in found:
        del one["log.record.uid"]
        if "customresource.diff" in one:
            one["customresource.diff"] = json.loads(one["customresource.diff"])
    return found
