"""The certificates of a test cluster and the kubeconfigs of the people and programs that use it.

For throwaway clusters on loopback only: keys are unencrypted files in the cluster's directory.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIFETIME = dt.timedelta(days=2)


def write_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A new private key, also as a PEM file that only its owner can read."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return key


class Authority:
    """A certificate authority in a new directory; it issues the server's certificate and its users'."""

    def __init__(self, directory: Path) -> None:
        """Make the key and the certificate of the authority itself."""
        directory.mkdir(mode=0o700)
        self.directory = directory
        self.file = directory / "ca.crt"
        self._key = write_key(directory / "ca.key")
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-cluster-ca")])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        self._sign(builder, self.file)

    def issue_server(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of a server on loopback."""
        addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return self._issue(name, (), ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName(addresses), name)

    def issue_client(self, user: str, groups: Sequence[str], stem: str) -> tuple[Path, Path]:
        """Certificate and key of a user in groups, in files that are called `stem`."""
        return self._issue(user, groups, ExtendedKeyUsageOID.CLIENT_AUTH, None, stem)

    def _issue(
        self,
        name: str,
        groups: Sequence[str],
        usage: x509.ObjectIdentifier,
        addresses: x509.SubjectAlternativeName | None,
        stem: str,
    ) -> tuple[Path, Path]:
        certificate, private = self.directory / f"{stem}.crt", self.directory / f"{stem}.key"
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, name),
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
            ]
        )
        builder = self._builder(subject, write_key(private)).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if addresses is not None:
            builder = builder.add_extension(addresses, critical=False)
        self._sign(builder, certificate)
        return certificate, private

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        # Python ≥ 3.13 verifies strictly: both key identifiers have to be there.
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder, path: Path) -> None:
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def plugin_user(stem: Path, status: dict[str, str]) -> dict[str, Any]:
    """A `user` entry that asks a program for its credentials; they are in `<stem>.credential.json`, to be edited."""
    credential = stem.with_name(f"{stem.name}.credential.json")
    version = "client.authentication.k8s.io/v1"
    credential.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
    # `cat` is the whole plug-in: it is on every machine, and a test changes what it says by writing the file.
    return {
        "exec": {
            "apiVersion": version,
            "command": "cat",
            "args": [str(credential)],
            "interactiveMode": "Never",
        }
    }


def write_kubeconfig(path: Path, url: str, ca_file: Path, user: dict[str, Any]) -> Path:
    """A kubeconfig with one context, written as JSON, which is YAML as well."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    return path
