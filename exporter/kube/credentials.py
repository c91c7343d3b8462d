"""Credentials that a request can be made with, and how they are made of what a kubeconfig or a pod gave.

Pure but for reading certificates. What cannot be used is refused here, before it is sent. Must never log or raise with
a credential, or go over to another server while running.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from exporter.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request needs, until `reload_at`.

    Attributes:
        authorization: value of the header that says who we are, empty for none
        server: address of the API server, without a slash at the end
        tls: TLS settings with the client certificate, None for plain HTTP
        authority: the PEM of the CA, empty for the system's
        server_name: name to expect in the server's certificate, None for the address's own
        proxy: address of an HTTP proxy, None for none
        reload_at: when to load them again, on the monotonic clock in seconds
        ends_at: when they are worth nothing any more, on the same clock; infinity where that is not known
        material: what `tls` was made of, to know it again

    """

    authorization: str = field(repr=False)
    server: str
    tls: ssl.SSLContext | None = field(repr=False)
    authority: bytes = field(repr=False)
    server_name: str | None
    proxy: str | None
    reload_at: float
    ends_at: float
    material: tuple[object, ...] = field(repr=False)

    async def headers(self) -> dict[str, str]:
        """Give the header that says who we are, or none."""
        return {"Authorization": self.authorization} if self.authorization else {}


def credentials_of(
    configuration: Any,  # noqa: ANN401 - untyped package
    place: str,
    *,
    reload_at: float,
    ends_at: float,
    used: Credentials | None,
) -> Credentials:
    """Make credentials of a `kubernetes.aio` Configuration; its certificates are read now.

    Args:
        configuration: as the package loaded it
        place: where it comes from, for the sentences
        reload_at: when to load again, on the monotonic clock in seconds
        ends_at: when they run out, on the same clock
        used: the ones in use, None at the start

    Raises:
        ClusterError: they cannot be used; the sentence names the place and the remedy

    """
    server = _server(configuration, place)
    if used is not None and used.server != server:
        msg = f"{place} now names the server {server} instead of {used.server}: restart to follow another server"
        raise ClusterError(msg)
    # The token files of some tools end in a line break, which no header may hold.
    authorization = str(configuration.api_key.get("BearerToken") or "").strip()
    if not authorization.isprintable():
        raise ClusterError(f"the token of {place} holds a line break: write it again, on one line")
    names = [name for name in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file) if name]
    try:
        contents = [Path(name).read_bytes() for name in names]
        material = (bool(configuration.verify_ssl), *(hashlib.sha256(content).digest() for content in contents))
        if used is not None and used.material == material:
            tls = used.tls  # the same settings keep the connections that are open
        else:
            tls = _tls(configuration) if server.startswith("https://") else None
    except (ssl.SSLError, OSError, ValueError) as error:
        msg = f"{place} has certificates that cannot be used ({', '.join(names)}): {error}; correct or renew them"
        raise ClusterError(msg) from error
    return Credentials(
        authorization=authorization,
        server=server,
        tls=tls,
        authority=contents[0] if configuration.ssl_ca_cert else b"",
        server_name=configuration.tls_server_name or None,
        proxy=configuration.proxy or None,
        reload_at=reload_at,
        ends_at=ends_at,
        material=material,
    )


def _server(configuration: Any, place: str) -> str:  # noqa: ANN401 - untyped package
    server = str(configuration.host or "").rstrip("/")
    try:
        address = urlsplit(server)
        usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        usable = False
    if not usable:
        msg = f"{place} names no server address that can be used ({server!r}): write https://host:port"
        raise ClusterError(msg)
    if "@" in address.netloc:
        msg = f"{place} holds a password in the server's address: give the user's credentials in `users` instead"
        raise ClusterError(msg)
    return server


def _tls(configuration: Any) -> ssl.SSLContext:  # noqa: ANN401 - untyped package
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Cluster CAs rarely satisfy RFC 5280 to the letter; every other Kubernetes client takes them.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(
            configuration.cert_file, configuration.key_file, password=""
        )  # an encrypted key must not prompt
    return tls
