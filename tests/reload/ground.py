"""An emulated API server as a process of its own, and the plainest way to write to it from a test that waits.

Must never share anything with the exporter: what it notes of its writes is the truth that a journal is held against.
"""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from tests.servers.process import Server


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.exporting import Exporter

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_MERGE = "application/merge-patch+json"


class Ground:
    """A server with types of the kind Widget, one for each group.

    Args:
        directory: for its kubeconfig and its log

    """

    def __init__(self, directory: Path) -> None:
        self.kubeconfig = directory / "kubeconfig"
        self._log = directory / "sandbox.log"
        self._server = Server("emulated API server", self._log)
        self.written: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        """Start it."""
        command = [sys.executable, "-m", "exporter.sandbox", f"--kubeconfig={self.kubeconfig}"]
        self._server.start(command, lambda: "kubeconfig:" in self._log.read_text(encoding="utf-8"))
        self._address = self._log.read_text(encoding="utf-8").split("address: ")[-1].split()[0]
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._server.kill()

    def install(self, *groups: str) -> None:
        """Install a type in each group."""
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        for group in groups:
            version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
            spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
            self.ask("POST", _CRDS, {"metadata": {"name": f"widgets.{group}"}, "spec": spec})

    def create(self, group: str, name: str, spec: object, *, manager: str = "tester", **metadata: Any) -> None:
        """Make an object."""
        body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": name, **metadata}, "spec": spec}
        self._note(name, self.ask("POST", f"{_path(group)}?fieldManager={manager}", body))

    def patch(self, group: str, name: str, spec: object) -> None:
        """Change an object's spec."""
        self._note(name, self.ask("PATCH", f"{_path(group)}/{name}", {"spec": spec}))

    def ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        """Ask the server; what it refuses is an error."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            self._address + path,
            method=method,
            data=json.dumps(body).encode(),
            headers={"Content-Type": _MERGE if method == "PATCH" else "application/json", "User-Agent": "tester"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found

    @contextmanager
    def writing(self, group: str, names: tuple[str, ...]) -> Iterator[None]:
        """Change objects one after the other, as fast as it goes, until the block is left."""
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.wait(0.002):
                number += 1
                self.patch(group, names[number % len(names)], {"size": number})

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _note(self, name: str, answer: dict[str, Any]) -> None:
        self.written.append((name, answer["metadata"]["resourceVersion"]))


def _path(group: str) -> str:
    return f"/apis/{group}/v1/namespaces/default/widgets"


def gauge(exporter: Exporter, name: str) -> float:
    """Give a metric of the exporter's own that has no labels."""
    return exporter.metrics()[f"customresource_exporter_{name}", frozenset()]
