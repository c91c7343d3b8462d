"""Tests of `exporter.otlp.settings`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from exporter.errors import UsageError
from exporter.otlp.settings import Secret, Settings, resolve


BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def resolved(**variables: str) -> Settings:
    """Resolve, given variables without their prefix, in an environment that has an endpoint."""
    settings = resolve(BASE | {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()})
    assert settings is not None
    return settings


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, ["OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "http/protobuf"]),
        ({"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "kafka"}, ["OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=kafka", "write", "grpc"]),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, ["OTEL_EXPORTER_OTLP_COMPRESSION=zstd", "gzip"]),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, ["OTEL_EXPORTER_OTLP_TIMEOUT=soon", "milliseconds"]),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "-1"}, ["OTEL_EXPORTER_OTLP_TIMEOUT=-1", "milliseconds"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, ["collector:4318", "http://collector:4318"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://collector"}, ["ftp://collector", "http://collector"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, ["OTEL_EXPORTER_OTLP_ENDPOINT", "host"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:port"}, ["OTEL_EXPORTER_OTLP_ENDPOINT", "address"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, ["OTEL_EXPORTER_OTLP_ENDPOINT", "address"]),
        ({"OTEL_LOGS_EXPORTER": "console"}, ["OTEL_LOGS_EXPORTER=console", "none"]),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team"}, ["entry 1 of OTEL_RESOURCE_ATTRIBUTES", "key=value"]),
        ({"OTEL_EXPORTER_OTLP_CLIENT_KEY": "k.pem"}, ["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "both"]),
        ({"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "c.pem"}, ["OTEL_EXPORTER_OTLP_CLIENT_KEY", "both"]),
    ],
)
def test_refuses_what_it_cannot_honour(variables: dict[str, str], parts: list[str]) -> None:
    """A value that cannot be honoured is refused with a sentence that names variable, value and remedy."""
    with pytest.raises(UsageError) as raised:
        resolve(BASE | variables)

    assert not [part for part in parts if part not in str(raised.value)]


@pytest.mark.parametrize(
    "headers", ["hunter2", "=hunter2", "a b=hunter2", "x=hunter2%0D%0Ay: z", "x=hunter2%C3%BC", "ok=1,hunter2"]
)
def test_never_tells_a_header(headers: str) -> None:
    """A header that cannot be read is refused without its value in the message."""
    with pytest.raises(UsageError, match="OTEL_EXPORTER_OTLP_HEADERS") as raised:
        resolved(HEADERS=headers)

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("address", ["ftp://me:hunter2@collector", "me:hunter2@collector:4318", "//me:hunter2@c:1"])
def test_never_tells_user_info(address: str) -> None:
    """An address that is refused is named without the password in it."""
    with pytest.raises(UsageError) as raised:
        resolved(ENDPOINT=address)

    assert "hunter2" not in str(raised.value)


def test_refuses_a_header_name_that_only_http_allows() -> None:
    """A header name that gRPC would refuse with every request is refused at the start."""
    with pytest.raises(UsageError, match="header name"):
        resolved(PROTOCOL="grpc", HEADERS="x!y=1")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "  "},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"},
        BASE | {"OTEL_LOGS_EXPORTER": "none"},
        BASE | {"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    ],
)
def test_is_off(environ: dict[str, str]) -> None:
    """Without an endpoint, or where it was switched off, nothing is sent."""
    assert resolve(environ) is None


def test_hides_secrets() -> None:
    """Neither repr nor rich shows the value of a header or of a proxy with its password."""
    settings = resolve(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:hunter2@collector:4318/?key=hunter2",
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=hunter2",
            "HTTP_PROXY": "http://me:hunter2@proxy:3128",
        }
    )
    assert settings is not None
    shown = io.StringIO()
    Console(file=shown, width=1000).print(settings.headers, settings.proxy, settings.place)

    assert "hunter2" not in shown.getvalue() + repr(settings.headers) + repr(settings.proxy)
    assert Secret("Basic bWU6aHVudGVyMg==") == dict(settings.headers)["authorization"]


@pytest.mark.parametrize(
    ("variables", "endpoint", "insecure"),
    [
        ({"ENDPOINT": "http://collector:4318"}, "http://collector:4318/v1/logs", True),
        ({"ENDPOINT": "http://collector:4318/"}, "http://collector:4318/v1/logs", True),
        ({"ENDPOINT": "https://collector/otlp/"}, "https://collector/otlp/v1/logs", False),
        ({"ENDPOINT": "https://collector/otlp?key=1"}, "https://collector/otlp/v1/logs?key=1", False),
        ({"ENDPOINT": "http://[::1]:4318"}, "http://[::1]:4318/v1/logs", True),
        ({"LOGS_ENDPOINT": "https://collector/ingest"}, "https://collector/ingest", False),
        ({"LOGS_ENDPOINT": "https://collector"}, "https://collector/", False),
        ({"LOGS_ENDPOINT": "http://collector/ingest/"}, "http://collector/ingest/", True),
        ({"INSECURE": "true", "ENDPOINT": "https://collector"}, "https://collector/v1/logs", False),
        ({"PROTOCOL": "grpc", "ENDPOINT": "http://collector:4317"}, "collector:4317", True),
        ({"PROTOCOL": "grpc", "ENDPOINT": "http://collector:4317/"}, "collector:4317", True),
        ({"PROTOCOL": "grpc", "ENDPOINT": "https://collector"}, "collector:443", False),
        ({"PROTOCOL": "grpc", "ENDPOINT": "https://[::1]:1"}, "[::1]:1", False),
        ({"PROTOCOL": "grpc", "ENDPOINT": "collector:4317"}, "collector:4317", False),
        ({"PROTOCOL": "grpc", "ENDPOINT": "collector:4317", "INSECURE": "TRUE"}, "collector:4317", True),
        ({"PROTOCOL": "grpc", "ENDPOINT": "collector:4317", "INSECURE": "1"}, "collector:4317", False),
        ({"PROTOCOL": "grpc", "ENDPOINT": "https://collector:1", "INSECURE": "true"}, "collector:1", False),
        ({"PROTOCOL": "grpc", "ENDPOINT": "unix:///run/otlp", "INSECURE": "true"}, "unix:///run/otlp", True),
    ],
)
def test_endpoint(variables: dict[str, str], endpoint: str, insecure: bool) -> None:
    """A base URL gets the path, the signal's own is left alone, and gRPC's rules decide on TLS."""
    settings = resolved(**variables)

    assert (endpoint, insecure) == (settings.endpoint, settings.insecure)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 10.0), ("10000", 10.0), ("250", 0.25), ("10s", 10.0), ("500ms", 0.5), ("0", 3600.0), ("9" * 12, 3600.0)],
)
def test_timeout(text: str, seconds: float) -> None:
    """A timeout is milliseconds, or has a unit; 0 means none, which is an hour here."""
    assert seconds == resolved(TIMEOUT=text).timeout


def test_headers() -> None:
    """Headers are decoded, their names in lower case; the signal's own replace the general ones."""
    general = resolved(HEADERS="Authorization=Basic%20abc==, X-Tenant = a%2Cb ,")
    own = resolved(HEADERS="a=1", LOGS_HEADERS="b=2")

    assert (("authorization", Secret("Basic abc==")), ("x-tenant", Secret("a,b"))) == general.headers
    assert (("b", Secret("2")),) == own.headers


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "customresource-exporter"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "a"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, "b"),
        ({"OTEL_SERVICE_NAME": " "}, "customresource-exporter"),
    ],
)
def test_service_name(variables: dict[str, str], name: str) -> None:
    """OTEL_SERVICE_NAME wins over the attribute, and both over the default."""
    settings = resolve(BASE | variables)

    assert settings is not None
    assert (name, ()) == (settings.service_name, settings.attributes)


def test_everything_else() -> None:
    """The signal's own variable wins over the general one, for every setting."""
    settings = resolve(
        BASE
        | {
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_SDK_DISABLED": "no",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": "key.pem",
            "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE": "cert.pem",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod,team=a%20b",
        }
    )
    expected = Settings(
        protocol="http/protobuf",
        endpoint="http://collector:4318/v1/logs",
        insecure=True,
        gzip=True,
        certificate=Path("ca.pem"),
        client_key=Path("key.pem"),
        client_certificate=Path("cert.pem"),
        attributes=(("deployment.environment", "prod"), ("team", "a b")),
    )

    assert expected == settings


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy"}, None),
        ({"HTTP_PROXY": "http://proxy"}, "http://proxy"),
        ({"all_proxy": "http://proxy"}, "http://proxy"),
        ({"http_proxy": "http://proxy", "NO_PROXY": "other,collector"}, None),
    ],
)
def test_proxy(variables: dict[str, str], proxy: str | None) -> None:
    """The usual proxy variables are honoured for HTTP."""
    settings = resolve(BASE | variables)

    assert settings is not None
    assert (Secret(proxy) if proxy else None) == settings.proxy


def test_traces() -> None:
    """Another signal has its own variables and path."""
    settings = resolve(BASE | {"OTEL_LOGS_EXPORTER": "none"}, "traces")

    assert settings is not None
    assert settings.endpoint == "http://collector:4318/v1/traces"
