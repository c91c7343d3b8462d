"""Makes what a TLS listener needs of the web configuration and the files that it names.

A listener's settings are made whole, in a context of their own, before anything of them is in force: loading a bad
pair into a context that is in use breaks it. Must never ask on the terminal for the password of a key, and never write
a key to a disk.
"""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter.config_shapes import BadError
from exporter.web import words
from exporter.web.config import REQUIRES, VERIFIES


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.web.config import Tls

_MOST = 1024 * 1024
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY = {"VerifyClientCertIfGiven": ssl.CERT_OPTIONAL, REQUIRES: ssl.CERT_REQUIRED}


class Material(Struct, frozen=True):
    """The certificates and the key as PEM; `client_ca` is empty where nobody is verified."""

    cert: bytes
    key: bytes
    client_ca: bytes


def files(tls: Tls, directory: Path) -> tuple[Path, ...]:
    """Give the paths of the files that a configuration in a directory names."""
    return tuple(directory / name for name in (tls.cert_file, tls.key_file, tls.client_ca_file) if name)


def read(tls: Tls, directory: Path) -> Material:
    """Read what a configuration in a directory names.

    Raises:
        ValueError: something is not there, or is not what it should be; the message begins with the key

    """

    def one(key: str) -> bytes:
        inline, name = getattr(tls, key), getattr(tls, f"{key}_file")
        return _content(directory / name, f"{key}_file") if name else inline.encode()

    material = Material(one("cert"), one("key"), one("client_ca"))
    _check_pem(material.cert, tls, "cert", b"-----BEGIN CERTIFICATE-----", "no certificate in PEM")
    _check_pem(material.key, tls, "key", b"PRIVATE KEY-----", "no private key in PEM")
    if b"ENCRYPTED" in material.key:
        raise BadError(
            "holds a key with a password, which nobody can give here; take the password off", _at(tls, "key")
        )
    if tls.client_auth in VERIFIES:
        _check_pem(material.client_ca, tls, "client_ca", b"-----BEGIN CERTIFICATE-----", "no certificate in PEM")
    return material


def context(tls: Tls, material: Material) -> ssl.SSLContext:
    """Make what a listener needs.

    Raises:
        ValueError: the parts do not fit together; the message begins with the key

    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version, made.maximum_version = _VERSIONS[tls.min_version], _VERSIONS[tls.max_version]
    made.set_alpn_protocols(["http/1.1"])
    if tls.cipher_suites:
        made.set_ciphers(":".join(words.SUITES[name] for name in tls.cipher_suites))
        missing = {words.SUITES[name]: name for name in tls.cipher_suites}
        for cipher in made.get_ciphers():
            missing.pop(cipher["name"], None)
        if missing:
            name = next(iter(missing.values()))
            raise BadError(
                f"has {name}, which OpenSSL does not have on this machine; remove it", _at(tls, "cipher_suites")
            )
    if tls.prefer_server_cipher_suites:
        made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    for curve in tls.curve_preferences:
        made.set_ecdh_curve(words.CURVES[curve])
    _load_pair(made, tls, material)
    if tls.client_auth in VERIFIES:
        try:
            made.load_verify_locations(cadata=material.client_ca.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise BadError("holds a certificate that cannot be read; write it anew", _at(tls, "client_ca")) from error
        made.verify_mode = _VERIFY[tls.client_auth]
    return made


def names_of(certificate: dict[str, Any]) -> set[str]:
    """Give the alternative names of a certificate as Python tells it; an IP address in its shortest form."""
    from ipaddress import ip_address  # noqa: PLC0415 - seldom needed

    found = set()
    for kind, name in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            found.add(name)
        elif kind == "IP Address":
            found.add(str(ip_address(name.strip())))
    return found


def _load_pair(made: ssl.SSLContext, tls: Tls, material: Material) -> None:
    with _in_memory(material.cert) as cert, _in_memory(material.key) as key:
        try:
            made.load_cert_chain(cert, key, password="")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                text = "is not the key of the certificate; give the two that were made together"
                raise BadError(text, _at(tls, "key")) from error
            reason = (error.reason or "unreadable").replace("_", " ").lower()
            raise BadError(f"cannot be used with its key ({reason}); give another pair", _at(tls, "cert")) from error


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """Give a path to some bytes, which are on no disk: OpenSSL reads pairs from files alone."""
    number = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(number, content)
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)


def _content(path: Path, key: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST + 1)
    except OSError as error:
        text = f"{str(path)!r} cannot be read ({error.strerror}); give the path of a PEM file that we may read"
        raise BadError(text, f"tls_server_config.{key}") from error
    if len(content) > _MOST:
        raise BadError(f"{str(path)!r} is larger than 1 MiB; is it a PEM file?", f"tls_server_config.{key}")
    return content


def _check_pem(content: bytes, tls: Tls, key: str, mark: bytes, lacking: str) -> None:
    if mark not in content:
        name = getattr(tls, f"{key}_file")
        raise BadError(f"{repr(name) + ' ' if name else ''}holds {lacking}; give one", _at(tls, key))


def _at(tls: Tls, key: str) -> str:
    """Name the key that something was said by."""
    file = f"{key}_file"
    return f"tls_server_config.{file if getattr(tls, file, '') else key}"
