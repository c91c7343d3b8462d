"""A real Kubernetes control plane to test against, on loopback and under one directory.

Must never build what it starts (`build.py` does), read the user's kubeconfig, or write outside its directory.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import ssl
import subprocess
from typing import TYPE_CHECKING, Any, Self

from tests.servers import build
from tests.servers.identity import Authority, plugin_user, write_key, write_kubeconfig
from tests.servers.process import Server, answers, free_port


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The ones that a cluster without nodes needs to behave like one; the others would only cost time.
_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "clusterrole-aggregation-controller",
    "serviceaccount-controller",
)
_KUBECTL_SECONDS = 120
_NAMESPACES = ("default", "kube-system")


class KubectlError(Exception):
    """kubectl failed; the message is what it said."""


class Cluster:
    """A real control plane without nodes: etcd, kube-apiserver and, where asked for, kube-controller-manager.

    `stop` and `start` again keep data, port and identities: between the two, `directory / "etcd"` may be copied and
    put back, which is how a restored backup looks to a client.
    """

    def __init__(
        self,
        directory: Path,
        *,
        controller_manager: bool = False,
        apiserver_args: Sequence[str] = (),
        compat: bool = False,
    ) -> None:
        """Prepare certificates, ports and the admin's kubeconfig in `directory`; nothing runs before `start`."""
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._compat = compat
        self._apiserver_args = tuple(apiserver_args)
        self._port, self._etcd_port, self._peer_port, self._manager_port = (free_port() for _ in range(4))
        self.url = f"https://127.0.0.1:{self._port}"
        self._authority = Authority(self.directory / "identity")
        self.ca_file = self._authority.file
        self._serving = self._authority.issue_server("kube-apiserver")
        self._manager_serving = self._authority.issue_server("kube-controller-manager")
        write_key(self._authority.directory / "service-account.key")
        self._tokens = self._authority.directory / "tokens.csv"
        self._tokens.touch(mode=0o600)
        self._trust = ssl.create_default_context(cafile=self.ca_file)
        self._kubeconfigs = 0
        self._etcd = Server("etcd", self.directory / "etcd.log")
        self._apiserver = Server("kube-apiserver", self.directory / "kube-apiserver.log")
        self._manager = (
            Server("kube-controller-manager", self.directory / "kube-controller-manager.log")
            if controller_manager
            else None
        )
        self.kubeconfig = self.kubeconfig_for("admin", ["system:masters"])

    def start(self) -> None:
        """Start all of it; returns when the API server says that it is ready, and has the namespaces that all have."""
        try:
            self._start_etcd()
            self._start_apiserver()
            if self._manager is not None:
                self._start_manager(self._manager)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all of it at once; the data stay in the directory."""
        for server in (self._manager, self._apiserver, self._etcd):
            if server is not None:
                server.kill()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        servers = (self._etcd, self._apiserver, self._manager)
        return [server.pid for server in servers if server is not None and server.pid is not None]

    @property
    def etcd_url(self) -> str:
        """Where etcd answers its clients."""
        return f"http://127.0.0.1:{self._etcd_port}"

    @property
    def etcd_peer_url(self) -> str:
        """Where etcd would answer other members; a restored one has to be told."""
        return f"http://127.0.0.1:{self._peer_port}"

    @property
    def apiserver_log(self) -> Path:
        """What the API server says, over all its restarts."""
        return self._apiserver.log

    def kill_apiserver(self) -> None:
        """SIGKILL the API server; etcd goes on."""
        self._apiserver.kill()

    def restart_apiserver(self, extra_args: Sequence[str] = ()) -> None:
        """Start the API server again on the same port and etcd; `extra_args` hold until the next restart."""
        # Short: with a watch open it would stay for a minute.
        self._apiserver.terminate(grace=2)
        self._start_apiserver(extra_args)

    def kubectl(
        self,
        *args: str,
        stdin: str | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        kubeconfig: Path | None = None,
    ) -> str:
        """What the real kubectl prints, as admin unless told otherwise.

        A failure raises `KubectlError`; with `check=False` what it said on stderr is returned after its output.
        """
        program = build.required("kubectl", compat=self._compat)
        # Its discovery cache would otherwise land in the user's home.
        cache = self.directory / "kubectl-cache"
        answer = subprocess.run(
            [program, f"--kubeconfig={kubeconfig or self.kubeconfig}", f"--cache-dir={cache}", *args],
            input=stdin or "",
            env=os.environ | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=_KUBECTL_SECONDS,
            check=False,
        )
        if answer.returncode == 0:
            return answer.stdout
        if check:
            raise KubectlError(
                f"kubectl {' '.join(args)} ended with {answer.returncode}: {answer.stdout}{answer.stderr}"
            )
        return answer.stdout + answer.stderr

    def kubeconfig_for(
        self, user: str, groups: Sequence[str] = (), *, token: bool = False, exec_plugin: bool = False
    ) -> Path:
        """A kubeconfig for somebody who may do only what RBAC allows.

        A client certificate by default; `token` gives a static token instead, and `exec_plugin` hands out either
        through a credential plug-in. The API server reads its tokens at start only: ask for one before `start`, or
        it is restarted here.
        """
        self._kubeconfigs += 1
        readable = "".join(letter if letter.isalnum() else "-" for letter in user)
        stem = self._authority.directory / f"{self._kubeconfigs:02}-{readable}"
        if token:
            status = {"token": self._new_token(user, groups)}
        else:
            certificate, key = self._authority.issue_client(user, groups, stem.name)
            status = {"clientCertificateData": certificate.read_text(), "clientKeyData": key.read_text()}
        if exec_plugin:
            return self._write_kubeconfig(stem, plugin_user(stem, status))
        if token:
            return self._write_kubeconfig(stem, status)
        return self._write_kubeconfig(stem, {"client-certificate": str(certificate), "client-key": str(key)})

    def _new_token(self, user: str, groups: Sequence[str]) -> str:
        token = secrets.token_urlsafe(24)
        with self._tokens.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([token, user, user, *([",".join(groups)] if groups else [])])
        if self._apiserver.pid is not None:
            self.restart_apiserver()
        return token

    def _write_kubeconfig(self, stem: Path, user: dict[str, Any]) -> Path:
        return write_kubeconfig(stem.with_name(f"{stem.name}.kubeconfig"), self.url, self.ca_file, user)

    def _start_etcd(self) -> None:
        client, peer = self.etcd_url, self.etcd_peer_url
        command: list[str | Path] = [
            build.required("etcd", compat=self._compat),
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        self._etcd.start(command, lambda: answers(f"{client}/health"))

    def _start_apiserver(self, extra_args: Sequence[str] = ()) -> None:
        identity = self._authority.directory
        certificate, key = self._serving
        command: list[str | Path] = [
            build.required("kube-apiserver", compat=self._compat),
            f"--etcd-servers={self.etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            # Nobody reaches the service "kubernetes" here, and a loopback address may not be its endpoint.
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={identity}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.ca_file}",
            f"--token-auth-file={self._tokens}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={identity / 'service-account.key'}",
            f"--service-account-signing-key-file={identity / 'service-account.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            *self._apiserver_args,
            *extra_args,
        ]
        self._apiserver.start(command, lambda: answers(f"{self.url}/readyz", self._trust) and self._is_furnished())

    def _is_furnished(self) -> bool:
        """Whether the namespaces of every cluster are there: a new server makes them a moment after it is ready."""
        user = json.loads(self.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]
        admin = ssl.create_default_context(cafile=self.ca_file)
        admin.load_cert_chain(user["client-certificate"], user["client-key"])
        return all(answers(f"{self.url}/api/v1/namespaces/{name}", admin) for name in _NAMESPACES)

    def _start_manager(self, server: Server) -> None:
        certificate, key = self._manager_serving
        command: list[str | Path] = [
            build.required("kube-controller-manager", compat=self._compat),
            f"--kubeconfig={self.kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._manager_port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            "--leader-elect=false",
            f"--controllers={','.join(_CONTROLLERS)}",
        ]
        url = f"https://127.0.0.1:{self._manager_port}/healthz"
        server.start(command, lambda: answers(url, self._trust))
