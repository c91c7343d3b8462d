"""Every way in which a start can fail ends with one sentence that says what to do, and with the right exit code."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.integration.exporting import PROGRAM, Exporter
from tests.servers.identity import write_kubeconfig
from tests.servers.process import free_port


if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.launch import Cluster

_SECONDS = 60


def complaint(*arguments: str, code: int, within: str = "") -> str:
    """Run the exporter, which must fail at once with this exit code; what it complains of, in one line at the end.

    `within` is the start of a shell's line in a mount namespace of its own.
    """
    command = [str(PROGRAM), "run", "--web.listen-address=127.0.0.1:0", *arguments]
    if within:
        command = ["unshare", "-m", "sh", "-c", within + shlex.join(command)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    lines = answer.stderr.splitlines()
    prefix = "customresource-exporter: "
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    assert [number for number, line in enumerate(lines) if line.startswith(prefix)] == [len(lines) - 1], answer.stderr
    return lines[-1].removeprefix(prefix)


def test_a_configuration_that_does_not_exist(tmp_path: Path) -> None:
    """The file is named, and what to give instead."""
    place = tmp_path / "none.yaml"

    said = complaint(f"--config={place}", f"--data-dir={tmp_path / 'data'}", code=2)

    assert said == f"{place}: cannot be read (No such file or directory); give the path of a configuration file"


def test_a_configuration_with_a_key_that_nobody_knows(tmp_path: Path) -> None:
    """File and key are named, and the key that was probably meant."""
    place = tmp_path / "config.yaml"
    place.write_text("watch: {inclde: ['*/*']}", encoding="utf-8")

    said = complaint(f"--config={place}", f"--data-dir={tmp_path / 'data'}", code=2)

    assert said == f"{place}: watch.inclde: is not known; did you mean include?"


def test_a_flag_that_nobody_knows() -> None:
    """Wrong usage is exit code 2, with a line that names the flag."""
    command = [str(PROGRAM), "run", "--nonsense"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)

    assert answer.returncode == 2
    assert "--nonsense" in answer.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no kubeconfig at "),
        ("{", "correct it or choose another with --kubeconfig"),
        ("[]", "is no kubeconfig; correct it or choose another with --kubeconfig"),
        ("{apiVersion: v1, kind: Config}", "has no current context: give --context one of (it has none)"),
    ],
)
def test_a_kubeconfig_that_is_none(content: str | None, expected: str, tmp_path: Path) -> None:
    """A kubeconfig that is missing or cannot be read is named, with the flag that chooses another."""
    place = tmp_path / "kubeconfig"
    if content is not None:
        place.write_text(content, encoding="utf-8")

    said = complaint(f"--kubeconfig={place}", f"--data-dir={tmp_path / 'data'}", code=1)

    assert expected in said
    assert str(place) in said


def test_a_context_that_the_kubeconfig_does_not_have(cluster: Cluster, tmp_path: Path) -> None:
    """The contexts that there are, are named."""
    data = f"--data-dir={tmp_path / 'data'}"

    said = complaint(f"--kubeconfig={cluster.kubeconfig}", "--context=other", data, code=1)

    assert said == f"the kubeconfig {cluster.kubeconfig} has no context 'other': give --context one of test"


def test_a_cluster_that_nobody_serves(cluster: Cluster, tmp_path: Path) -> None:
    """The address is named."""
    url = f"https://127.0.0.1:{free_port()}"
    place = write_kubeconfig(tmp_path / "kubeconfig", url, cluster.ca_file, {"token": "made-up"})

    said = complaint(f"--kubeconfig={place}", f"--data-dir={tmp_path / 'data'}", code=1)

    assert said.startswith(f"cannot connect to the API server {url} (")
    assert said.endswith("): is it up, and is the address right?")


def test_a_token_that_the_cluster_does_not_know(cluster: Cluster, tmp_path: Path) -> None:
    """A 401 says that the identity is at fault and where it is written, and never shows it."""
    token = "made-up-token-of-nobody"
    place = write_kubeconfig(tmp_path / "kubeconfig", cluster.url, cluster.ca_file, {"token": token})

    said = complaint(f"--kubeconfig={place}", f"--data-dir={tmp_path / 'data'}", code=1)

    assert "401 Unauthorized" in said
    assert "log in again" in said
    assert token not in said


def expired(cluster: Cluster, directory: Path) -> Path:
    """Write a kubeconfig whose client certificate ran out an hour ago, by the cluster's own authority."""
    identity = cluster.directory / "identity"
    authority = x509.load_pem_x509_certificate((identity / "ca.crt").read_bytes())
    signer = serialization.load_pem_private_key((identity / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = [
        x509.NameAttribute(NameOID.COMMON_NAME, "late"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(name))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=2))
        .not_valid_after(now - dt.timedelta(hours=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem, private = directory / "late.crt", directory / "late.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    user = {"client-certificate": str(pem), "client-key": str(private)}
    return write_kubeconfig(directory / "kubeconfig", cluster.url, cluster.ca_file, user)


def test_a_client_certificate_that_has_run_out(cluster: Cluster, tmp_path: Path) -> None:
    """An old certificate is a 401 for the server, and the sentence says what to do."""
    said = complaint(f"--kubeconfig={expired(cluster, tmp_path)}", f"--data-dir={tmp_path / 'data'}", code=1)

    assert "401 Unauthorized" in said
    assert "log in again" in said


def test_a_data_directory_below_a_file(cluster: Cluster, tmp_path: Path) -> None:
    """What cannot be a directory is named, with the flag."""
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "data"

    said = complaint(f"--kubeconfig={cluster.kubeconfig}", f"--data-dir={place}", code=1)

    assert said == f"cannot write to the data directory {place}: Not a directory; give --data-dir one that is writable"


def test_a_data_directory_that_may_only_be_read(cluster: Cluster) -> None:
    """A directory that is not ours to write is an error at the start; as root, one that nobody can write."""
    place = "/sys/customresource-exporter"

    said = complaint(f"--kubeconfig={cluster.kubeconfig}", f"--data-dir={place}", code=1)

    assert said.startswith(f"cannot write to the data directory {place}: ")
    assert said.endswith("; give --data-dir one that is writable")


def test_a_data_directory_on_a_volume_that_may_only_be_read(cluster: Cluster, tmp_path: Path) -> None:
    """A volume that is mounted to be read, as in a pod with a read-only root file system, is an error at the start."""
    mounted = f"mount -t tmpfs -o ro none {tmp_path} && exec "
    if subprocess.run(["unshare", "-m", "sh", "-c", f"{mounted} true"], capture_output=True, check=False).returncode:  # noqa: S607
        pytest.skip("nothing can be mounted here")

    said = complaint(f"--kubeconfig={cluster.kubeconfig}", f"--data-dir={tmp_path}", code=1, within=mounted)

    assert said == (
        f"cannot write to the data directory {tmp_path}: Read-only file system; give --data-dir one that is writable"
    )


def test_a_port_that_is_taken(cluster: Cluster, tmp_path: Path) -> None:
    """The address is named, and the flag that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = [f"--kubeconfig={cluster.kubeconfig}", f"--data-dir={tmp_path / 'data'}"]

        said = complaint(*flags, f"--web.listen-address={address}", code=1)

    assert said.startswith(f"cannot listen on {address}: another program has the port; stop it, or choose another")


def test_a_data_directory_that_another_exporter_uses(cluster: Cluster, tmp_path: Path) -> None:
    """The second exporter goes, the first does not notice."""
    config = json.dumps({"watch": {"include": ["nothing.errors.example.com/*"]}})
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=config) as exporter:
        said = complaint(f"--kubeconfig={cluster.kubeconfig}", f"--data-dir={exporter.data_dir}", code=1)

        assert said == (
            f"another exporter uses the data directory {exporter.data_dir}: "
            "stop it, or give --data-dir another directory"
        )
        assert exporter.get("/readyz")[0] == 200


@pytest.mark.parametrize("content", [b"this is no database, and it is long enough to tell" * 100, b"\0" * 8192])
def test_a_journal_of_garbage(content: bytes, cluster: Cluster, tmp_path: Path) -> None:
    """A file that is no journal is moved aside as it is, and the exporter begins anew beside it."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "journal.db").write_bytes(content)
    config = json.dumps({"watch": {"include": ["nothing.errors.example.com/*"]}})

    with Exporter(cluster.kubeconfig, data_dir, config=config) as exporter:
        assert exporter.get("/readyz")[0] == 200
    assert content in [path.read_bytes() for path in data_dir.iterdir() if path.name != "journal.db"]
