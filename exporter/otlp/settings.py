"""What the `OTEL_*` variables say, as one frozen value.

Pure: it is handed the environment and opens no file. It must never put the value of a header or the user info of an
address into a message or a repr: they are credentials.

The meaning is that of the OpenTelemetry specification ("OpenTelemetry Protocol Exporter", "Environment Variable
Specification", 1.5x): a variable of the signal wins over the general one, an empty one counts as unset, and timeouts
are milliseconds. On two points this is stricter than the specification, which would warn and go on: a value that
cannot be understood is refused, and so is the protocol `http/json`. Without an endpoint nothing is sent; the
specification would try localhost.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from msgspec import Struct

from exporter.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


Protocol = Literal["http/protobuf", "grpc"]
Signal = Literal["logs", "traces"]

SIGNALS: tuple[Signal, ...] = get_args(Signal)

DEFAULT_SERVICE_NAME = "customresource-exporter"
_DEFAULT_TIMEOUT = 10.0
# The specification reads 0 as "no limit"; a request that may hang for ever would hold up delivery for ever.
_NO_LIMIT = 3600.0
_PREFIX = "OTEL_EXPORTER_OTLP_"
_TIMEOUT = re.compile(r"(\d{1,12})(ms|s)?", re.ASCII)
# Header names: RFC 9110 §5.6.2, and the narrower set that gRPC allows.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_GRPC_TOKEN = re.compile(r"[0-9a-z_.-]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# A header of fewer bytes is a number or a flag, which may stand in any answer.
_SECRET_LENGTH = 6


class Secret(Struct, frozen=True):
    """A value that no repr, log line or traceback shows; read it with `reveal`."""

    reveal: str

    def __repr__(self) -> str:
        """Hide it."""
        return "<secret>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Hide it from rich, too."""
        return [("reveal", "<hidden>")]


class Settings(Struct, frozen=True, kw_only=True):
    """Where and how to send one signal.

    Attributes:
        signal: what is sent
        endpoint: the whole URL for HTTP; for gRPC its target, `host:port`
        insecure: no TLS
        headers: names in lower case
        timeout: seconds for one request
        gzip: compress requests
        certificate: the CAs to trust in place of the system's, PEM
        client_key: for mutual TLS, PEM; comes with `client_certificate`
        client_certificate: for mutual TLS, PEM
        proxy: URL of the proxy for HTTP; gRPC finds its own
        service_name: of `service.name`
        attributes: further attributes of the resource, as the user named them

    """

    protocol: Protocol
    endpoint: str
    insecure: bool
    signal: Signal = "logs"
    headers: tuple[tuple[str, Secret], ...] = ()
    timeout: float = _DEFAULT_TIMEOUT
    gzip: bool = False
    certificate: Path | None = None
    client_key: Path | None = None
    client_certificate: Path | None = None
    proxy: Secret | None = None
    service_name: str = DEFAULT_SERVICE_NAME
    attributes: tuple[tuple[str, str], ...] = ()

    def hide(self, text: bytes) -> bytes:
        """Blank out our credentials in what an endpoint said: some repeat the header that they refuse.

        The length stays, so that a message with a frame around its texts can still be read.
        """
        for _, value in self.headers:
            for secret in {
                value.reveal.encode(),
                value.reveal.encode().rpartition(b" ")[2],
            }:  # with its scheme, and bare
                if len(secret) >= _SECRET_LENGTH:
                    text = text.replace(secret, b"*" * len(secret))
        return text

    @property
    def place(self) -> str:
        """The endpoint as it may be shown: without a query, which can hold a key."""
        return self.endpoint.partition("?")[0]


def resolve(environ: Mapping[str, str], signal: Signal = "logs") -> Settings | None:
    """Read the variables of a signal; None means that it is not to be sent.

    Args:
        environ: the environment
        signal: in whose `OTEL_EXPORTER_OTLP_<SIGNAL>_…` to look first

    Raises:
        UsageError: a value that cannot be understood or does not fit another

    """
    variables = _Variables(environ, signal)
    if _is_true(environ.get("OTEL_SDK_DISABLED", "")):
        return None
    exporter_variable = f"OTEL_{signal.upper()}_EXPORTER"
    exporter = environ.get(exporter_variable, "").strip()
    if exporter not in {"", "otlp", "none"}:
        raise UsageError(f"{exporter_variable}={exporter} is not known here: write otlp, or none to send nothing")
    variable, address = variables.find("ENDPOINT")
    if exporter == "none" or not address:
        return None

    protocol = _protocol(*variables.find("PROTOCOL"))
    url = _split(variable, address)
    authorization, url = _take_user(url)
    headers = dict(authorization)
    headers.update(_headers(*variables.find("HEADERS"), _GRPC_TOKEN if protocol == "grpc" else _TOKEN))
    if protocol == "grpc":
        endpoint, insecure = _grpc(url, address, insecure=_is_true(variables.find("INSECURE")[1]))
    else:
        endpoint, insecure = _http(variable, url, "" if variable.startswith(variables.own) else f"v1/{signal}")
    key_variable, key = variables.find("CLIENT_KEY")
    certificate_variable, certificate = variables.find("CLIENT_CERTIFICATE")
    if bool(key) != bool(certificate):
        given, missing = sorted((key_variable, certificate_variable), key=lambda name: not environ.get(name))
        raise UsageError(f"{given} is set without {missing}: a client certificate needs both, set the other one too")
    ca = variables.find("CERTIFICATE")[1]
    attributes = dict(_pairs("OTEL_RESOURCE_ATTRIBUTES", environ.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    named = attributes.pop("service.name", "")
    return Settings(
        protocol=protocol,
        endpoint=endpoint,
        insecure=insecure,
        signal=signal,
        headers=tuple(headers.items()),
        timeout=_timeout(*variables.find("TIMEOUT")),
        gzip=_compression(*variables.find("COMPRESSION")),
        certificate=Path(ca) if ca else None,
        client_key=Path(key) if key else None,
        client_certificate=Path(certificate) if certificate else None,
        proxy=_proxy(environ, url),
        service_name=environ.get("OTEL_SERVICE_NAME", "").strip() or named or DEFAULT_SERVICE_NAME,
        attributes=tuple(attributes.items()),
    )


class _Variables:
    """Finds a setting under the signal's name, else under the general one."""

    def __init__(self, environ: Mapping[str, str], signal: str) -> None:
        self._environ = environ
        self.own = f"{_PREFIX}{signal.upper()}_"

    def find(self, name: str) -> tuple[str, str]:
        """Give the variable that counts and its value, which is empty where none is set."""
        for variable in (self.own + name, _PREFIX + name):
            value = self._environ.get(variable, "").strip()
            if value:
                return variable, value
        return _PREFIX + name, ""


def _is_true(value: str) -> bool:
    """Whatever is not "true" is false (specification, "Boolean value")."""
    return value.strip().lower() == "true"


def _protocol(variable: str, value: str) -> Protocol:
    match value:
        case "" | "http/protobuf":
            return "http/protobuf"
        case "grpc":
            return "grpc"
        case "http/json":
            raise UsageError(f"{variable}=http/json is not supported: write http/protobuf, the same endpoint takes it")
    raise UsageError(f"{variable}={value} is no protocol of OTLP known here: write http/protobuf or grpc")


def _compression(variable: str, value: str) -> bool:
    if value not in {"", "none", "gzip"}:
        raise UsageError(f"{variable}={value} is not supported: write gzip or none")
    return value == "gzip"


def _timeout(variable: str, value: str) -> float:
    if not value:
        return _DEFAULT_TIMEOUT
    parts = _TIMEOUT.fullmatch(value)
    if not parts:
        raise UsageError(f"{variable}={value} is no duration: write milliseconds, such as 10000, or 10s")
    seconds = int(parts[1]) / (1 if parts[2] == "s" else 1000)
    return min(seconds, _NO_LIMIT) or _NO_LIMIT


def _split(variable: str, address: str) -> SplitResult:
    try:
        url = urlsplit(address if "://" in address else f"//{address}")
        url.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise UsageError(f"{variable} is no address ({error}): write one such as http://collector:4318") from None
    if not url.hostname and url.scheme in {"", "http", "https"}:
        raise UsageError(f"{variable} names no host: write an address such as http://collector:4318")
    return url


def _take_user(url: SplitResult) -> tuple[dict[str, Secret], SplitResult]:
    """Turn `user:password@` into a header, so that the address can be shown."""
    user, at, place = url.netloc.rpartition("@")
    if not at:
        return {}, url
    encoded = base64.b64encode(unquote(user).encode()).decode()
    return {"authorization": Secret(f"Basic {encoded}")}, url._replace(netloc=place)


def _http(variable: str, url: SplitResult, path: str) -> tuple[str, bool]:
    """Append the signal's path to a base URL; leave the signal's own URL as it is, but for an empty path."""
    if url.scheme not in _DEFAULT_PORTS:
        place = url.netloc or url.path
        raise UsageError(
            f"{variable}={url.scheme + '://' if url.scheme else ''}{place} does not begin with http:// or https://: "
            f"write http://{place} (without TLS) or https://{place}"
        )
    whole = f"{url.path.rstrip('/')}/{path}" if path else url.path or "/"
    return urlunsplit(url._replace(path=whole, fragment="")), url.scheme == "http"


def _grpc(url: SplitResult, address: str, *, insecure: bool) -> tuple[str, bool]:
    """Make a target: the scheme tells whether there is TLS; without one there is, unless `_INSECURE` says no."""
    if url.scheme in _DEFAULT_PORTS:
        target = url.netloc if url.port else f"{url.netloc}:{_DEFAULT_PORTS[url.scheme]}"
        return target, url.scheme == "http"
    # A scheme of gRPC's own name syntax (dns:///…, unix:///…) goes through as it is.
    return (address if url.scheme else url.netloc), insecure


def _headers(variable: str, value: str, allowed: re.Pattern[str]) -> dict[str, Secret]:
    headers = {}
    for key, text in _pairs(variable, value):
        name = key.lower()
        if not allowed.fullmatch(name):
            raise UsageError(f"{variable} holds a header name that is not allowed: write name=value,name=value")
        if not (text.isascii() and text.isprintable()):
            raise UsageError(f"the header {name} in {variable} holds characters that are not allowed: remove them")
        headers[name] = Secret(text)
    return headers


def _pairs(variable: str, value: str) -> Iterator[tuple[str, str]]:
    """Read `key=value,key=value`, each part percent-encoded. A message names the place, never the value."""
    for number, pair in enumerate(value.split(","), start=1):
        key, equals, text = pair.partition("=")
        key = unquote(key.strip())
        if not pair.strip():
            continue
        if not equals or not key:
            raise UsageError(
                f"entry {number} of {variable} is not of the form key=value: "
                "write key=value,key=value with commas inside a value as %2C"
            )
        yield key, unquote(text.strip())


def _proxy(environ: Mapping[str, str], url: SplitResult) -> Secret | None:
    """Find the proxy as other programs do: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, less what NO_PROXY names."""
    lower = {name.lower(): value for name, value in environ.items() if name.lower().endswith("_proxy")}
    proxy = lower.get(f"{url.scheme}_proxy") or lower.get("all_proxy", "")
    if not proxy or proxy_bypass_environment(url.hostname, {"no": lower.get("no_proxy", "")}):
        return None
    return Secret(proxy)
