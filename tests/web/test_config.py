"""The web configuration file: what is refused, in which words, and what the rest means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.errors import ConfigError
from exporter.web.config import Http, Rate, Tls, WebConfig, load, parse
from exporter.web.telling import describe
from tests.web.folder import BASIC


PAIR = {"cert_file": "a.pem", "key_file": "b.pem"}
CLIENTS = {"client_ca_file": "c.pem", "client_auth_type": "RequireAndVerifyClientCert"}
HASH = BASIC["basic_auth_users"]["alice"]


def refusal(document: Any) -> str:
    """Give the sentence with which a document is refused."""
    with pytest.raises(ValueError, match=r".") as refused:
        parse(json.dumps(document).encode())
    return str(refused.value)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (None, ": has no cert_file; give the path of a PEM file, or remove the section"),
        ({}, ": has no cert_file; give the path of a PEM file, or remove the section"),
        (
            {"min_version": "TLS12"},
            ": has no cert_file; give the path of a PEM file, or remove the section",
        ),
        ({"cert_file": "a"}, ": has no key_file; give the path of a PEM file, or remove the section"),
        (PAIR | {"cert": "a"}, ".cert: is given beside cert_file; keep one of the two"),
        (PAIR | {"key": "a"}, ".key: is given beside key_file; keep one of the two"),
        (PAIR | {"cert": ""}, ".cert: has no value; give it one, or remove the key"),
        (PAIR | {"certfile": "a"}, ".certfile: is not known; did you mean cert_file?"),
        (
            PAIR | {"min_version": "TLS11"},
            ".min_version: 'TLS11' is broken and no longer offered; write TLS12 or TLS13",
        ),
        (
            PAIR | {"max_version": "TLS10"},
            ".max_version: 'TLS10' is broken and no longer offered; write TLS12 or TLS13",
        ),
        (
            PAIR | {"min_version": "1.2"},
            ".min_version: '1.2' is not known; write one of: TLS12, TLS13",
        ),
        (
            PAIR | {"min_version": "TLS13", "max_version": "TLS12"},
            ".min_version: is above max_version, TLS12; write the two the other way",
        ),
        (
            PAIR | {"cipher_suites": ["TLS_AES_128_GCM_SHA256"]},
            (".cipher_suites[0]: 'TLS_AES_128_GCM_SHA256' is one of TLS 1.3, whose suites are always on; remove it"),
        ),
        (
            PAIR | {"cipher_suites": ["TLS_RSA_WITH_RC4_128_SHA"]},
            (
                ".cipher_suites[0]: 'TLS_RSA_WITH_RC4_128_SHA' is not known; did you mean "
                "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA?"
            ),
        ),
        (PAIR | {"cipher_suites": []}, ".cipher_suites: is empty; remove the key"),
        (
            PAIR | {"min_version": "TLS13", "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]},
            ".cipher_suites: is about TLS 1.2, which min_version excludes; remove one of the two",
        ),
        (
            PAIR | {"curve_preferences": ["CurveP256", "X25519"]},
            (
                ".curve_preferences: names several curves, and only one alone can be set here; keep one, or "
                "remove the key for the usual"
            ),
        ),
        (
            PAIR | {"curve_preferences": ["P256"]},
            ".curve_preferences[0]: 'P256' is not known; did you mean CurveP256?",
        ),
        (
            PAIR | {"client_auth_type": "RequestClientCert"},
            (
                ".client_auth_type: 'RequestClientCert' would take any certificate unverified, which cannot "
                "be done here; write VerifyClientCertIfGiven"
            ),
        ),
        (
            PAIR | {"client_auth_type": "RequireAnyClientCert"},
            (
                ".client_auth_type: 'RequireAnyClientCert' would take any certificate unverified, which "
                "cannot be done here; write RequireAndVerifyClientCert"
            ),
        ),
        (
            PAIR | {"client_auth_type": "RequireClientCert"},
            (
                ".client_auth_type: 'RequireClientCert' would take any certificate unverified, which cannot "
                "be done here; write RequireAndVerifyClientCert"
            ),
        ),
        (
            PAIR | {"client_auth_type": "Require"},
            (
                ".client_auth_type: 'Require' is not known; write "
                "one of: NoClientCert, VerifyClientCertIfGiven, "
                "RequireAndVerifyClientCert"
            ),
        ),
        (
            PAIR | {"client_auth_type": "VerifyClientCertIfGiven"},
            ".client_auth_type: is VerifyClientCertIfGiven, which needs a client_ca_file; give one",
        ),
        (
            PAIR | {"client_ca_file": "c"},
            (".client_ca_file: verifies nobody without client_auth_type; write RequireAndVerifyClientCert there"),
        ),
        (
            PAIR | {"client_ca": "c", "client_auth_type": "NoClientCert"},
            (".client_ca: verifies nobody without client_auth_type; write RequireAndVerifyClientCert there"),
        ),
        (
            PAIR | CLIENTS | {"client_allowed_sans": []},
            ".client_allowed_sans: allows nobody; name somebody, or remove the key",
        ),
        (
            PAIR | {"client_allowed_sans": ["a"]},
            (".client_allowed_sans: needs the client_auth_type RequireAndVerifyClientCert; write it, or remove this"),
        ),
        (
            PAIR | CLIENTS | {"client_auth_type": "VerifyClientCertIfGiven", "client_allowed_sans": ["a"]},
            (".client_allowed_sans: needs the client_auth_type RequireAndVerifyClientCert; write it, or remove this"),
        ),
        (
            PAIR | {"prefer_server_cipher_suites": "yes"},
            ".prefer_server_cipher_suites: 'yes' is neither true nor false; write one of them",
        ),
    ],
)
def test_what_cannot_be_honoured_of_tls_is_refused(section: Any, sentence: str) -> None:
    """Nothing of this section is ignored: what it says holds, or the file is refused."""
    assert refusal({"tls_server_config": section}) == f"tls_server_config{sentence}"


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (None, "says nothing, and would protect nothing; write {} if that is meant"),
        (
            [],
            (
                "[] is no mapping; write `key: value` lines below it, of the keys: tls_server_config, "
                "http_server_config, "
                "basic_auth_users, rate_limit"
            ),
        ),
        (
            {"auth_excluded_paths": ["/healthz"]},
            (
                "auth_excluded_paths: is not known; the keys here are: tls_server_config, http_server_config, "
                "basic_auth_users, rate_limit"
            ),
        ),
        (
            {"basic_auth_users": {}},
            "basic_auth_users: names nobody; write `name: bcrypt hash` lines below it, or remove the key",
        ),
        (
            {"basic_auth_users": None},
            "basic_auth_users: names nobody; write `name: bcrypt hash` lines below it, or remove the key",
        ),
        (
            {"basic_auth_users": {"a:b": HASH}},
            "basic_auth_users.a:b: 'a:b' has a colon, which ends the name in basic authentication; choose another name",
        ),
        ({"http_server_config": {"http3": True}}, "http_server_config.http3: is not known; did you mean http2?"),
        (
            {"http_server_config": {"headers": {"Server": "x"}}},
            (
                "http_server_config.headers.Server: is not known; the keys here are: Content-Security-Policy, "
                "X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security"
            ),
        ),
        (
            {"http_server_config": {"headers": {"X-Frame-Options": "allow"}}},
            "http_server_config.headers.X-Frame-Options: 'allow' is not known; write one of: deny, sameorigin",
        ),
        (
            {"http_server_config": {"headers": {"X-XSS-Protection": "1\r\nSet-Cookie: a"}}},
            (
                r"http_server_config.headers.X-XSS-Protection: '1\r\nSet-Cookie: a' is no value of a header; "
                "write it in one line of printable ASCII"
            ),
        ),
        (
            {"rate_limit": {"interval": "1s"}},
            "rate_limit: has no burst, so that every request would be refused; give it one of 1 or more",
        ),
        (
            {"rate_limit": {"interval": 5, "burst": 1}},
            "rate_limit.interval: 5 is no duration; write it with a unit: 500ms, 1s or 1m30s",
        ),
        (
            {"rate_limit": {"interval": "2h", "burst": 1}},
            "rate_limit.interval: '2h' is longer than 1h; choose a shorter one",
        ),
        (
            {"rate_limit": {"interval": "1s", "burst": 0}},
            "rate_limit.burst: 0 is no whole number between 1 and 1000000; choose one",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(document: Any, sentence: str) -> None:
    """The sentence names the key, the value and the remedy."""
    assert refusal(document) == sentence


@pytest.mark.parametrize(
    "value",
    ["hunter2", "", 5, None, ["x"], "$2y$10$short", "$2y$99$" + "a" * 53, "$1$" + "a" * 57, f"{HASH}\n", f"{HASH}x"],
)
def test_what_is_no_hash_is_refused_without_being_told(value: Any) -> None:
    """Somebody may have written the password itself."""
    sentence = refusal({"basic_auth_users": {"alice": value}})
    assert sentence == (
        "basic_auth_users.alice: is no bcrypt hash; make one with `htpasswd -nBC 10 ''` and write what follows the "
        "colon, in quotes"
    )


def test_a_file_that_is_not_there_is_named() -> None:
    """The path comes first."""
    with pytest.raises(ConfigError) as refused:
        load("/nonexistent/web.yaml")
    assert str(refused.value) == (
        "/nonexistent/web.yaml: cannot be read (No such file or directory); give the path of a web configuration file"
    )


def test_a_whole_file_is_read_as_it_stands() -> None:
    """Every key of the format has its place."""
    section = PAIR | CLIENTS | {
        "client_allowed_sans": ["a"], "min_version": "TLS12", "max_version": "TLS12",
        "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], "prefer_server_cipher_suites": False,
        "curve_preferences": ["X25519"],
    }  # fmt: skip
    document = {
        "tls_server_config": section,
        "http_server_config": {"http2": False, "headers": {"X-Frame-Options": "deny"}},
        "rate_limit": {"interval": "1m0.5s", "burst": 20},
        **BASIC,
    }
    found = parse(json.dumps(document).encode())
    assert found == WebConfig(
        Tls(
            cert_file="a.pem",
            key_file="b.pem",
            client_ca_file="c.pem",
            client_auth="RequireAndVerifyClientCert",
            client_allowed_sans=("a",),
            max_version="TLS12",
            prefer_server_cipher_suites=False,
            cipher_suites=("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",),
            curve_preferences=("X25519",),
        ),
        Http(http2=False, headers={"X-Frame-Options": "deny"}),
        {"alice": HASH},
        Rate(60.5, 20),
    )
    assert describe(found) == [
        "served as            HTTP/1.1 over TLS12",
        "users                alice",
        "client certificates  RequireAndVerifyClientCert",
        "client names         a",
        "headers              X-Frame-Options",
        "rate                 a request each 60.5s, 20 at once",
    ]


@pytest.mark.parametrize("interval", [0, "0", "0s"])
def test_no_interval_is_no_limit(interval: Any) -> None:
    """As the format has it: zero switches it off."""
    assert parse(json.dumps({"rate_limit": {"interval": interval}}).encode()).rate.interval == 0


def test_a_file_may_say_that_nothing_is_protected() -> None:
    """Whoever writes an empty mapping means it."""
    assert parse(b"{}") == WebConfig()
    assert describe(WebConfig()) == ["served as  plain HTTP/1.1", "users      everybody"]
