"""kube-state-metrics on the same objects, with ten families for each: what people run today to see custom resources."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

from bench.objects import GROUP, kind
from bench.programs import Program
from tests.servers import build
from tests.servers.process import free_port


if TYPE_CHECKING:
    from pathlib import Path

NAME = "kube-state-metrics"


def gauge(name: str, *path: str) -> dict[str, Any]:
    """Configure a family of numbers."""
    return {"name": name, "help": name, "each": {"type": "Gauge", "gauge": {"path": list(path), "nilIsZero": True}}}


def info(name: str, *path: str, **labels: list[str]) -> dict[str, Any]:
    """Configure a family of labels."""
    each = {"path": list(path), "labelsFromPath": labels}
    return {"name": name, "help": name, "each": {"type": "Info", "info": each}}


_PHASES = {"path": ["status", "phase"], "labelName": "phase", "list": ["Ready", "Progressing", "Failed"]}
_FAMILIES = [
    info("labels", "metadata", "labels", app=["app"], team=["team"]),
    gauge("created", "metadata", "creationTimestamp"),
    gauge("generation", "metadata", "generation"),
    gauge("deleted", "metadata", "deletionTimestamp"),
    gauge("replicas", "spec", "replicas"),
    info("settings", "spec", first=["setting00"], second=["setting01"]),
    info("more_settings", "spec", first=["setting02"], second=["setting03"]),
    gauge("step", "status", "step"),
    {"name": "phase", "help": "phase", "each": {"type": "StateSet", "stateSet": _PHASES}},
    info("message", "status", message=["message"]),
]


def config(types: int) -> dict[str, Any]:
    """Configure what is made of each object: ten families, of which a change of spec or status moves some."""
    labels = {"name": ["metadata", "name"], "namespace": ["metadata", "namespace"]}
    resources = [
        {
            "groupVersionKind": {"group": GROUP, "version": "v1", "kind": kind(number)},
            "labelsFromPath": labels,
            "metrics": _FAMILIES,
        }
        for number in range(types)
    ]
    return {"kind": "CustomResourceStateMetrics", "spec": {"resources": resources}}


class KubeStateMetrics(Program):
    """It, as a process; it has to be built already.

    Args:
        kubeconfig: the way to the server
        folder: for its configuration and its log
        types: so many

    """

    def __init__(self, kubeconfig: Path, folder: Path, types: int) -> None:
        file = folder / f"{NAME}.json"  # which is YAML as well
        file.write_text(json.dumps(config(types)), encoding="utf-8")
        port, telemetry = free_port(), free_port()
        command: list[str | Path] = [
            build.required(NAME), f"--kubeconfig={kubeconfig}", f"--custom-resource-state-config-file={file}",
            "--custom-resource-state-only=true", "--host=127.0.0.1", f"--port={port}",
            "--telemetry-host=127.0.0.1", f"--telemetry-port={telemetry}",
        ]  # fmt: skip
        self._url = f"http://127.0.0.1:{port}"
        super().__init__(NAME, folder, command, f"{self._url}/healthz")

    def follows(self, objects: int) -> bool:
        """Tell whether it shows every family of so many objects."""
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=10) as answer:  # noqa: S310 - our own server
            page = answer.read()
        names = [f"kube_customresource_{metric['name']}" for metric in _FAMILIES]
        return all(page.count(f"\n{name}{{".encode()) >= objects for name in names)
