"""A CRD of a test's own on a real cluster, objects of it, and what the exporter told of them.

One group for each test, so that tests can share a cluster: the exporter is told to follow that group alone.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.servers.launch import KubectlError
from tests.waiting import eventually


if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.exporting import Exporter
    from tests.servers.launch import Cluster

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
CHANGES = "customresource_changes_total"
LISTS = "customresource_exporter_lists_total"
_NOT_YET = ("no matches for kind", "the server could not find the requested resource")
Told = tuple[str, str]


def version(name: str = "v1", *, storage: bool = True, **spec: Any) -> dict[str, Any]:
    """Describe one version of a CRD; `spec` are properties of the spec, beside which any other is allowed."""
    properties = {"spec": {**OPEN, "properties": spec}, "status": OPEN}
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }


@dataclass(frozen=True)
class Widgets:
    """The type `Widget` of a group, in a cluster."""

    cluster: Cluster
    group: str

    @property
    def config(self) -> str:
        """A configuration that follows nothing else."""
        return json.dumps({"watch": {"include": [f"{self.group}/*"]}})

    def install(self, *versions: dict[str, Any]) -> None:
        """Make or change the CRD; returns when it can be used."""
        names = {"kind": "Widget", "plural": "widgets", "singular": "widget"}
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"widgets.{self.group}"},
            "spec": {
                "group": self.group,
                "names": names,
                "scope": "Namespaced",
                "versions": list(versions or (version(),)),
            },
        }
        self.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(crd))
        self.cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/widgets.{self.group}")

    def remove(self) -> None:
        """Remove the CRD, and its objects with it."""
        self.cluster.kubectl("delete", "crd", f"widgets.{self.group}", "--timeout=60s")

    def create(self, *names: str, namespace: str = "default", labels: dict[str, str] | None = None) -> None:
        """Make objects of size 1; of a CRD that is new, as soon as the server takes them."""
        items = [
            {
                "apiVersion": f"{self.group}/v1",
                "kind": "Widget",
                "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
                "spec": {"size": 1},
            }
            for name in names
        ]
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

        def created() -> bool:
            try:
                self.cluster.kubectl("create", "-f", "-", stdin=manifest)
            except KubectlError as error:
                # A server says Established a moment before it tells kubectl of the type, or serves it.
                if not any(words in str(error) for words in _NOT_YET):
                    raise
                return False
            return True

        eventually(created)

    def resize(self, name: str, size: int, *, namespace: str = "default") -> None:
        """Change the spec of an object."""
        self.patch(name, {"spec": {"size": size}}, namespace=namespace)

    def patch(self, name: str, patch: dict[str, Any], *, namespace: str = "default") -> None:
        """Merge something into an object."""
        self.cluster.kubectl(
            "patch", f"widgets.{self.group}", name, "-n", namespace, "--type=merge", "-p", json.dumps(patch)
        )

    def delete(self, *names: str, namespace: str = "default") -> None:
        """Delete objects."""
        self.cluster.kubectl("delete", f"widgets.{self.group}", *names, "-n", namespace)


def told(exporter: Exporter, *flags: str) -> list[Told]:
    """What the exporter told, as (change, name), in its order."""
    return [(change["change"], change["name"]) for change in exporter.changes(*flags)]


def eventually_told(exporter: Exporter, count: int, *, timeout: float = 30.0) -> list[Told]:
    """What the exporter told once there are so many changes."""
    return eventually(lambda: (all_ := told(exporter)) and len(all_) >= count and all_, timeout) or []


def total(exporter: Exporter, name: str, **labels: str) -> float:
    """The sum of the samples of a metric that carry these labels."""
    wanted = set(labels.items())
    return sum(value for (one, held), value in exporter.metrics().items() if one == name and wanted <= held)


def series(exporter: Exporter, group: str) -> list[str]:
    """The names of all series of a group's types."""
    return sorted(name for name, labels in exporter.metrics() if ("customresource_group", group) in labels)


def states(data_dir: Path) -> dict[str, bytes]:
    """The last-seen states in a journal, decompressed, by the names of the objects."""
    with closing(sqlite3.connect(f"file:{data_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
        return {name: zlib.decompress(state) for name, state in journal.execute("SELECT name, state FROM objects")}
