"""The web configuration file, in the format of Prometheus' exporter-toolkit, turned into one frozen value.

Every error is one sentence that names the file, the key, the value and the remedy. What is in the format and cannot be
honoured here is an error too: whoever protects an address must not learn later that a key did nothing. Secrets are
never part of a sentence. Must never read another file than the one it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter import config_shapes as shapes
from exporter import config_yaml
from exporter.config_shapes import BadError
from exporter.errors import ConfigError
from exporter.web import words


if TYPE_CHECKING:
    from pathlib import Path

VERIFIES = frozenset({"VerifyClientCertIfGiven", "RequireAndVerifyClientCert"})
REQUIRES = "RequireAndVerifyClientCert"


class Tls(Struct, frozen=True, kw_only=True):
    """The section `tls_server_config`; its files as they are written, below the directory of the configuration."""

    cert: str = ""
    key: str = ""
    client_ca: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth: str = "NoClientCert"
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """See that what is said fits together."""
        for inline in ("cert", "key", "client_ca"):
            file = f"{inline}_file"
            if getattr(self, inline) and getattr(self, file):
                raise BadError(f"is given beside {file}; keep one of the two", f".{inline}")
        for inline in ("cert", "key"):
            if not getattr(self, inline) and not getattr(self, f"{inline}_file"):
                raise BadError(f"has no {inline}_file; give the path of a PEM file, or remove the section")
        self._check_clients()
        self._check_versions()

    def _check_clients(self) -> None:
        given = self.client_ca or self.client_ca_file
        if self.client_auth in VERIFIES and not given:
            raise BadError(f"is {self.client_auth}, which needs a client_ca_file; give one", ".client_auth_type")
        if given and self.client_auth not in VERIFIES:
            place = ".client_ca" if self.client_ca else ".client_ca_file"
            raise BadError(f"verifies nobody without client_auth_type; write {REQUIRES} there", place)
        if self.client_allowed_sans and self.client_auth != REQUIRES:
            raise BadError(f"needs the client_auth_type {REQUIRES}; write it, or remove this", ".client_allowed_sans")

    def _check_versions(self) -> None:
        if words.VERSIONS.index(self.min_version) > words.VERSIONS.index(self.max_version):
            raise BadError(f"is above max_version, {self.max_version}; write the two the other way", ".min_version")
        if self.cipher_suites and self.min_version == "TLS13":
            raise BadError("is about TLS 1.2, which min_version excludes; remove one of the two", ".cipher_suites")
        if len(self.curve_preferences) > 1:
            text = "names several curves, and only one alone can be set here; keep one, or remove the key for the usual"
            raise BadError(text, ".curve_preferences")


class Rate(Struct, frozen=True):
    """The section `rate_limit`: a bucket that holds `burst` requests and gets one back each `interval` seconds."""

    interval: float = 0.0
    burst: int = 1


class Http(Struct, frozen=True):
    """The section `http_server_config`; HTTP/1.1 is what is served, so `http2` can only allow what nobody offers."""

    http2: bool = True
    headers: dict[str, str] = {}


class WebConfig(Struct, frozen=True):
    """A whole web configuration; `WebConfig()` is the one without a file, which protects nothing."""

    tls: Tls | None = None
    http: Http = Http()
    users: dict[str, str] = {}
    rate: Rate = Rate()

    def protections(self) -> set[str]:
        """Name what somebody who is not meant to look is kept out by."""
        found = set()
        if self.tls is not None:
            found.add("tls_server_config")
            if self.tls.client_auth == REQUIRES:
                found.add("tls_server_config.client_auth_type")
            if self.tls.client_allowed_sans:
                found.add("tls_server_config.client_allowed_sans")
        if self.users:
            found.add("basic_auth_users")
        return found


def load(path: str | Path) -> WebConfig:
    """Read a web configuration file.

    Raises:
        ConfigError: it cannot be read, is no YAML, or says something that cannot be meant or honoured

    """
    try:
        return parse(config_yaml.content_of(path))
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); give the path of a web configuration file"
        raise ConfigError(msg) from error
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ConfigError(msg) from error


def parse(content: bytes) -> WebConfig:
    """Read a web configuration.

    Raises:
        ValueError: as `load`, without the file's name

    """
    document = config_yaml.read(content)
    if document is None:
        raise ValueError("says nothing, and would protect nothing; write {} if that is meant")
    config: WebConfig = _read(document)
    return config


def _users(value: Any) -> dict[str, str]:  # noqa: ANN401 - any YAML
    if not isinstance(value, dict) or not value:
        raise ValueError("names nobody; write `name: bcrypt hash` lines below it, or remove the key")
    found = {}
    for name, hashed in value.items():
        try:
            words.user(shapes.text_of(name))
            found[name] = words.password_hash(hashed)
        except ValueError as error:
            raise BadError(str(error), f".{name}") from error
    return found


def _rate(interval: float = 0.0, burst: int = 0) -> Rate:
    if interval and not burst:
        raise BadError("has no burst, so that every request would be refused; give it one of 1 or more")
    return Rate(interval, burst)


def _http(http2: bool = True, headers: dict[str, str] | None = None) -> Http:  # noqa: FBT001, FBT002 - keys of the file
    return Http(http2, headers or {})


_TLS: dict[str, tuple[str, shapes.Parse]] = {
    **{key: (key, shapes.text_of) for key in ("cert", "key", "client_ca", "cert_file", "key_file", "client_ca_file")},
    "client_auth_type": ("client_auth", words.client_auth),
    "client_allowed_sans": (
        "client_allowed_sans",
        shapes.list_of(lambda _: None, or_nothing="allows nobody; name somebody, or remove the key"),
    ),
    "min_version": ("min_version", words.version),
    "max_version": ("max_version", words.version),
    "cipher_suites": ("cipher_suites", shapes.list_of(words.suite, or_nothing="is empty; remove the key")),
    "prefer_server_cipher_suites": ("prefer_server_cipher_suites", shapes.boolean),
    "curve_preferences": ("curve_preferences", shapes.list_of(words.curve, or_nothing="is empty; remove the key")),
}
_read = shapes.section(
    WebConfig,
    {
        "tls_server_config": ("tls", shapes.section(Tls, _TLS)),
        "http_server_config": (
            "http",
            shapes.section(
                _http,
                {
                    "http2": ("http2", shapes.boolean),
                    "headers": (
                        "headers",
                        shapes.section(dict, {name: (name, words.header(name)) for name in words.HEADERS}),
                    ),
                },
            ),
        ),
        "basic_auth_users": ("users", _users),
        "rate_limit": (
            "rate",
            shapes.section(
                _rate,
                {"interval": ("interval", words.interval), "burst": ("burst", shapes.number_within(1, 1_000_000))},
            ),
        ),
    },
)
