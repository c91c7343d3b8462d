"""A client certificate that runs out while the exporter works, and is renewed in its file."""

from __future__ import annotations

import datetime as dt
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.faults.accounts import DEGRADED, REFUSED, long, said, until
from tests.faults.trial import Trial
from tests.integration.widgets import total
from tests.servers.identity import write_kubeconfig


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.servers.launch import Cluster


def issue(cluster: Cluster, directory: Path, seconds: float) -> None:
    """Write `user.crt` and `user.key` of an admin, by the cluster's own authority, good for so many seconds."""
    identity = cluster.directory / "identity"
    authority = x509.load_pem_x509_certificate((identity / "ca.crt").read_bytes())
    signer = serialization.load_pem_private_key((identity / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = [
        x509.NameAttribute(NameOID.COMMON_NAME, "short-lived"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(name))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(seconds=seconds))
        .sign(signer, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "user.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "user.key").write_bytes(private)


class Passage:
    """Passes connections on as they are, TLS and all, so that a test can cut those of a client with a certificate."""

    def __init__(self, url: str) -> None:
        """Listen on a port of its own, for the server at a URL."""
        self._server = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        """It listens already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Break all connections, and end."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """Break every connection that is open now; new ones work."""
        while self._open:
            with suppress(OSError):  # it is closed already
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            self._threads.append(threading.Thread(target=_carry, args=(client, self._server)))
            self._threads[-1].start()


def _carry(client: socket.socket, place: tuple[str, int]) -> None:
    """Pass on both ways until one side ends."""
    with suppress(OSError), client, socket.create_connection(place) as server:
        other = {client: server, server: client}
        while True:
            for one in select.select([client, server], [], [])[0]:
                if not (piece := one.recv(65536)):
                    return
                other[one].sendall(piece)


@long
async def test_a_client_certificate_that_runs_out_and_is_renewed(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """A watch that is open outlives its certificate; new ones are refused until the file holds a new certificate."""
    issue(cluster, tmp_path, seconds=45)
    ends = time.monotonic() + 45
    user = {"client-certificate": str(tmp_path / "user.crt"), "client-key": str(tmp_path / "user.key")}
    with Passage(cluster.url) as passage:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", passage.url, cluster.ca_file, user)
        with Trial(cluster, tmp_path, kubeconfig=kubeconfig) as trial:
            async with trial.writing(per_second=20):
                await until(lambda: time.monotonic() > ends + 4)
            await trial.settle("credentials: certificate expired", "watch open", record)
            assert total(trial.exporter, DEGRADED) == 0

            async with trial.writing(per_second=20, seed=2):
                passage.cut()
                await until(lambda: total(trial.exporter, DEGRADED) == 2)
                assert trial.exporter.get("/readyz")[0] == 200
                issue(cluster, tmp_path, seconds=300)
            await trial.settle("credentials: certificate renewed", "watching", record)
            assert len(said(trial, REFUSED)) == 2
            assert total(trial.exporter, DEGRADED) == 0
