"""The words that the web configuration takes over from Go, and what they are here: versions, suites, curves, times.

The format is that of Prometheus' exporter-toolkit (docs/web-configuration.md there), which names everything as Go's
crypto/tls does. What OpenSSL, or Python's way to it, cannot do is refused with the reason. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exporter.config_shapes import one_of, show, text_of


if TYPE_CHECKING:
    from exporter.config_shapes import Parse

VERSIONS = ("TLS12", "TLS13")
_OLD_VERSIONS = ("TLS10", "TLS11")

CLIENT_AUTH = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
_UNVERIFIED = {
    "RequestClientCert": "VerifyClientCertIfGiven",
    "RequireAnyClientCert": "RequireAndVerifyClientCert",
    "RequireClientCert": "RequireAndVerifyClientCert",
}

# Go's tls.CipherSuites() of TLS 1.2, by OpenSSL's names.
SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
_SUITES_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")

CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}

# The headers that may be set, and the values that each may have; none is any.
HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 3600.0
_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)


def version(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read a version of TLS."""
    text = text_of(value)
    if text in _OLD_VERSIONS:
        msg = f"{show(text)} is broken and no longer offered; write TLS12 or TLS13"
        raise ValueError(msg)
    one_of(VERSIONS)(text)
    return text


def client_auth(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read what is asked of a client."""
    text = text_of(value)
    if text in _UNVERIFIED:
        msg = f"{show(text)} would take any certificate unverified, which cannot be done here; "
        raise ValueError(f"{msg}write {_UNVERIFIED[text]}")
    one_of(CLIENT_AUTH)(text)
    return text


def suite(text: str) -> None:
    """Check the name of a cipher suite."""
    if text in _SUITES_13:
        msg = f"{show(text)} is one of TLS 1.3, whose suites are always on; remove it"
        raise ValueError(msg)
    one_of(tuple(SUITES))(text)


def curve(text: str) -> None:
    """Check the name of a curve."""
    one_of(tuple(CURVES))(text)


def header(name: str) -> Parse:
    """Make the reader of the value of a header."""

    def read(value: Any) -> str:  # noqa: ANN401 - any YAML
        text = text_of(value)
        if not text.isprintable() or not text.isascii():
            msg = f"{show(text)} is no value of a header; write it in one line of printable ASCII"
            raise ValueError(msg)
        if HEADERS[name]:
            one_of(HEADERS[name])(text)
        return text

    return read


def interval(value: Any) -> float:  # noqa: ANN401 - any YAML
    """Read a duration as Go writes it: `500ms`, `1s`, `1m30s`; seconds."""
    text = "0s" if value in (0, "0") and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        msg = f"{show(value)} is no duration; write it with a unit: 500ms, 1s or 1m30s"
        raise ValueError(msg)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > _LONGEST:
        msg = f"{show(value)} is longer than 1h; choose a shorter one"
        raise ValueError(msg)
    return seconds


def user(name: str) -> None:
    """Check the name of a user."""
    if ":" in name:
        msg = f"{show(name)} has a colon, which ends the name in basic authentication; choose another name"
        raise ValueError(msg)


def password_hash(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read a hash of bcrypt; what is wrong is told without the value."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        msg = "is no bcrypt hash; make one with `htpasswd -nBC 10 ''` and write what follows the colon, in quotes"
        raise ValueError(msg)
    return value
