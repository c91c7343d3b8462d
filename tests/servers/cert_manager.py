"""A real operator on a test cluster: cert-manager's controller, which writes certificates and their whole life.

Without its webhook and without nodes: issuers that sign by themselves (`selfSigned`, `ca`) work, ACME does not. Must
never build what it starts, or write outside its directory and the cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tests.servers import build
from tests.servers.process import Server, answers, free_port


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.servers.cluster import Cluster

GROUPS = ("cert-manager.io", "acme.cert-manager.io")
# Its own default, 20 requests a second, is that of a controller which shares its API server with many others.
_HASTE = ("--kube-api-qps=300", "--kube-api-burst=600")


class CertManager:
    """cert-manager's CRDs on a cluster, and its controller; its objects stay when it stops."""

    def __init__(self, cluster: Cluster, directory: Path, *, args: Sequence[str] = ()) -> None:
        """Prepare; nothing is on the cluster before `start`.

        Args:
            cluster: real, and running; one has room for one cert-manager
            directory: for its log
            args: more of its flags

        """
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._cluster = cluster
        self._args = tuple(args)
        self._port = free_port()
        self._server = Server("cert-manager", self.directory / "cert-manager.log")
        self._kubeconfig = cluster.kubeconfig_for("cert-manager", ["system:masters"])

    def start(self) -> None:
        """Install the CRDs and start the controller; returns when both are there."""
        self.install()
        command: list[str | Path] = [
            build.required("cert-manager"),
            f"--kubeconfig={self._kubeconfig}",
            "--leader-elect=false",
            "--cluster-resource-namespace=cert-manager",
            f"--metrics-listen-address=127.0.0.1:{self._port}",
            *_HASTE,
            *self._args,
        ]
        self._server.start(command, lambda: answers(f"http://127.0.0.1:{self._port}/metrics"))

    def install(self) -> None:
        """Install the CRDs alone; returns when they can be used."""
        files = sorted((build.required("cert-manager").parent / "crds").glob("crd-*.yaml"))
        # They are templates of a Helm chart, in which only labels are filled in.
        text = "\n---\n".join(file.read_text(encoding="utf-8") for file in files)
        plain = "\n".join(line for line in text.splitlines() if "{{" not in line)
        self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin=plain)
        names = [f"crd/{name}" for name in self._crds()]
        self._cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)

    def stop(self) -> None:
        """End the controller in order."""
        self._server.terminate()

    def kill(self) -> None:
        """SIGKILL the controller."""
        self._server.kill()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the controller, None while it does not run."""
        return self._server.pid

    def _crds(self) -> list[str]:
        names = self._cluster.kubectl("get", "crds", "-o", "name").split()
        crds = [name.partition("/")[2] for name in names]
        return [name for name in crds if name.partition(".")[2] in GROUPS]
