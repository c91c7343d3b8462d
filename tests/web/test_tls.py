"""How connections are encrypted, whose certificates count, and what else the web configuration sets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
import trustme
import uvloop

from tests.web.folder import (
    ALICE,
    BASIC,
    REFUSED,
    WRONG,
    Folder,
    Served,
    ask,
    attempt,
    mutual,
    over,
    place,
    serving,
    tls,
    trusting,
    until,
)


if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with certificates and no configuration."""
    return Folder(tmp_path)


# -- TLS ------------------------------------------------------------------------------------------------------

V11, V12, V13 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("section", "version", "expected"),
    [
        ({}, V11, REFUSED),
        ({}, V12, 200),
        ({}, V13, 200),
        ({"min_version": "TLS13"}, V12, REFUSED),
        ({"min_version": "TLS13"}, V13, 200),
        ({"max_version": "TLS12"}, V12, 200),
        ({"max_version": "TLS12"}, V13, REFUSED),
    ],
)
async def test_versions(folder: Folder, section: dict[str, str], version: ssl.TLSVersion, expected: int) -> None:
    """A client of one version gets in where it is between the two."""
    folder.write(tls(**section))
    context = trusting(folder.authority)
    if version is V11:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    async with serving(folder) as served:
        assert await ask(served.url, context) == expected


@pytest.mark.parametrize(
    ("prefer", "expected"), [(True, "ECDHE-ECDSA-AES256-GCM-SHA384"), (False, "ECDHE-ECDSA-AES128-GCM-SHA256")]
)
async def test_suites_are_those_named_and_in_whose_order(folder: Folder, *, prefer: bool, expected: str) -> None:
    """Of the two that both have the server's order decides, or the client's."""
    suites = ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    folder.write(tls(max_version="TLS12", cipher_suites=suites, prefer_server_cipher_suites=prefer))
    context = trusting(folder.authority)
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    async with serving(folder) as served:
        _, writer = await asyncio.open_connection(*place(served), ssl=context)
        assert writer.get_extra_info("cipher")[0] == expected
        writer.transport.abort()
        context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
        assert await ask(served.url, context) == REFUSED


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("curve", ["CurveP256", "CurveP384", "CurveP521", "X25519"])
async def test_a_curve_is_the_only_one(folder: Folder, curve: str, version: ssl.TLSVersion) -> None:
    """A client that has another one alone does not get in."""
    names = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
    folder.issue(key=trustme.KeyType.RSA)  # the curve of a certificate counts for TLS 1.2 as well
    folder.write(tls(curve_preferences=[curve]))
    async with serving(folder) as served:
        found = {}
        for name, openssl in names.items():
            context = trusting(folder.authority)
            context.minimum_version = context.maximum_version = version
            context.set_ecdh_curve(openssl)
            found[name] = await ask(served.url, context)
        folder.issue()
        await served.reload()
        usual = trusting(folder.authority)
        usual.minimum_version = usual.maximum_version = version
        assert await ask(served.url, usual) == 200
    assert found == {name: 200 if name == curve else REFUSED for name in names}


async def test_a_certificate_that_is_not_asked_for_by_force_is_verified_if_given(folder: Folder) -> None:
    """None is well, a right one is, a wrong one is not."""
    folder.write(tls(client_auth_type="VerifyClientCertIfGiven", client_ca_file="clients.pem"))
    async with serving(folder) as served:
        found = [await attempt(served, folder, one) for one in ("none", "right certificate", "wrong certificate")]
    assert found == [200, 200, REFUSED]


@pytest.mark.parametrize(
    ("name", "allowed", "expected"),
    [
        ("client.example.com", "client.example.com", 200),
        ("other.example.com", "client.example.com", 403),
        ("client.example.com", "example.com", 403),
        ("10.1.2.3", "10.1.2.3", 200),
        ("2001:db8::1", "2001:db8::1", 200),
        ("mail@example.com", "mail@example.com", 200),
    ],
)
async def test_only_the_names_allowed_get_in(folder: Folder, name: str, allowed: str, expected: int) -> None:
    """A certificate of the right authority is not enough: one of its names has to be one of those, letter by letter."""
    folder.write(mutual(client_allowed_sans=[allowed, "nobody.example.com"]))
    async with serving(folder) as served:
        context = trusting(folder.authority, folder.clients.issue_cert(name))
        assert await ask(served.url, context) == expected
        assert served.refused("certificate") == (expected == 403)


async def test_certificate_and_key_can_stand_in_the_file(folder: Folder) -> None:
    """As PEM, beside or instead of files."""
    texts = {name: (folder.path / name).read_text() for name in ("server.pem", "server-key.pem", "clients.pem")}
    folder.write(
        {
            "tls_server_config": {
                "cert": texts["server.pem"],
                "key": texts["server-key.pem"],
                "client_ca": texts["clients.pem"],
                "client_auth_type": "RequireAndVerifyClientCert",
            }
        }
    )
    async with serving(folder) as served:
        assert await attempt(served, folder, "none") == REFUSED
        assert await attempt(served, folder, "right certificate") == 200


# -- handshakes that fail -------------------------------------------------------------------------------------


def _connect(served: Served, context: ssl.SSLContext | None) -> None:
    """Connect once, say something, and wait until it is over; asyncio's own client would send no alert."""
    with (
        suppress(OSError),  # as an error of TLS is one
        socket.create_connection(place(served), 30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") if context else plain as one,
    ):
        one.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while one.recv(4096):
            pass


async def _fail_in_every_way(folder: Folder) -> None:
    """Have handshakes fail, of a listener whose certificate was changed meanwhile."""
    folder.write(mutual(min_version="TLS13"))
    right, wrong = (trusting(folder.authority, one.issue_cert("client")) for one in (folder.clients, trustme.CA()))
    old = trusting(folder.authority)
    old.maximum_version = V12
    async with serving(folder) as served:
        folder.issue()
        await served.reload()
        _, silent = await asyncio.open_connection(*place(served))
        silent.close()
        await silent.wait_closed()
        await asyncio.to_thread(_connect, served, right)
        assert served.has_failed({})
        for context, failed in (
            (old, {"protocol": 1}),
            (None, {"protocol": 2}),
            (trusting(folder.authority), {"protocol": 2, "certificate": 1}),
            (wrong, {"protocol": 2, "certificate": 2}),
            (trusting(trustme.CA()), {"protocol": 2, "certificate": 2, "alert": 1}),
        ):
            await asyncio.to_thread(_connect, served, context)
            await until(partial(served.has_failed, failed))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_handshake_that_fails_is_counted(folder: Folder, run: Callable[[Coroutine[None, None, None]], None]) -> None:
    """By what was wrong; what says nothing, and what comes to something, is not."""
    run(asyncio.wait_for(_fail_in_every_way(folder), 50.0))


# -- the rest of the file -------------------------------------------------------------------------------------


async def test_headers_are_set_on_every_answer(folder: Folder) -> None:
    """Also where nobody gets in; what the program says by itself gives way."""
    headers = {
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "sameorigin",
        "X-Content-Type-Options": "nosniff",
        "X-XSS-Protection": "1; mode=block",
        "Strict-Transport-Security": "max-age=63072000",
    }
    folder.write(BASIC, {"http_server_config": {"http2": True, "headers": headers}})
    async with serving(folder) as served, aiohttp.ClientSession() as session:
        for auth, path in ((ALICE, "/"), (ALICE, "/nothing"), (WRONG, "/metrics")):
            async with session.get(served.url + path, headers={"Authorization": auth}) as answer:
                assert {name: answer.headers.getall(name) for name in headers} == {
                    name: [value] for name, value in headers.items()
                }


async def test_more_requests_than_the_rate_are_refused(folder: Folder) -> None:
    """The burst is answered, the next one is not, whoever asks."""
    folder.write(BASIC, {"rate_limit": {"interval": "1h", "burst": 3}})
    async with serving(folder) as served:
        found = [await ask(served.url, None, ALICE) for _ in range(3)]
        assert [*found, await ask(served.url, None, ALICE), await ask(served.url)] == [200, 200, 200, 429, 429]
        assert served.refused("rate") == 2


# -- many at once ---------------------------------------------------------------------------------------------


async def _ask_while_certificates_change(folder: Folder) -> None:
    """Connect anew all the time, and ask over one connection all the time, while the certificate changes."""
    folder.write(BASIC, tls())
    context = trusting(folder.authority)
    async with serving(folder) as served:
        reader, writer = await asyncio.open_connection(*place(served), ssl=context)
        found: list[int] = []
        done = asyncio.Event()

        async def connect() -> None:
            while not done.is_set():
                found.append(await ask(served.url, context, ALICE))

        asking = [asyncio.create_task(connect()) for _ in range(4)]
        before = _descriptors()
        for _ in range(50):
            folder.issue()
            await served.reload()
            assert await over(reader, writer) == 401
        done.set()
        await asyncio.gather(*asking)
        writer.transport.abort()
        assert len(found) >= 4
        assert set(found) == {200}
        await until(lambda: _descriptors() <= before + 2)  # what was closed is let go of in the next turns of the loop


def test_nobody_is_turned_away_while_certificates_change(folder: Folder) -> None:
    """No connection is refused or broken by fifty reloads, on the program's own loop; no listener is left behind."""
    uvloop.run(asyncio.wait_for(_ask_while_certificates_change(folder), 50.0))


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
