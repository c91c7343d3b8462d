"""Who gets in: no, wrong and right credentials, before and after a reload; what never opens the door."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import bcrypt
import pytest
import trustme
import uvloop

from exporter.errors import ConfigError
from tests.web.folder import ALICE, BASIC, REFUSED, Folder, ask, mutual, serving, tls, trusting


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.folder import Served

WRONG = aiohttp.encode_basic_auth("alice", "wrong")
NOBODY = aiohttp.encode_basic_auth("mallory", "right")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with certificates and no configuration."""
    return Folder(tmp_path)


# -- the table ------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[dict[str, Any], ...]] = {
    "basic": (BASIC,),
    "basic over TLS": (BASIC, tls()),
    "client certificate": (mutual(),),
    "both": (BASIC, mutual()),
}
# kind, credentials → what they get
TABLE = [
    ("basic", "none", 401),
    ("basic", "wrong password", 401),
    ("basic", "wrong user", 401),
    ("basic", "right password", 200),
    ("basic over TLS", "none", 401),
    ("basic over TLS", "wrong password", 401),
    ("basic over TLS", "wrong user", 401),
    ("basic over TLS", "right password", 200),
    ("client certificate", "none", REFUSED),
    ("client certificate", "wrong certificate", REFUSED),
    ("client certificate", "right password", REFUSED),
    ("client certificate", "right certificate", 200),
    ("both", "none", REFUSED),
    ("both", "right password", REFUSED),
    ("both", "wrong certificate", REFUSED),
    ("both", "right certificate", 401),
    ("both", "right certificate, wrong password", 401),
    ("both", "right certificate and password", 200),
]


async def attempt(served: Served, folder: Folder, credentials: str, path: str = "/metrics") -> int:
    """Ask with some credentials."""
    shown = None
    if "wrong certificate" in credentials:
        shown = trustme.CA().issue_cert("client")
    elif "right certificate" in credentials:
        shown = folder.clients.issue_cert("client")
    auth = {"wrong password": WRONG, "wrong user": NOBODY, "password": ALICE}
    given = next((one for words, one in auth.items() if credentials.endswith(words)), "")
    context = trusting(folder.authority, shown) if served.url.startswith("https") else None
    return await ask(served.url, context, given, path)


@pytest.mark.parametrize(("kind", "credentials", "expected"), TABLE)
async def test_who_gets_in_before_and_after_a_reload(
    folder: Folder, kind: str, credentials: str, expected: int
) -> None:
    """The same answer by what was read at the start, by new certificates, and while what was written is bad."""
    folder.write(*KINDS[kind])
    async with serving(folder) as served:
        assert await attempt(served, folder, credentials) == expected

        folder.issue()
        folder.write(*KINDS[kind], {"http_server_config": {"headers": {"X-Frame-Options": "deny"}}})
        await served.reload()
        assert await attempt(served, folder, credentials) == expected

        folder.put("web.yaml", b"{basic_auth_users")
        with pytest.raises(ConfigError):
            await served.reload()
        assert await attempt(served, folder, credentials) == expected


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/-/reload", "/nothing", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
async def test_every_path_and_method_is_behind_the_door(folder: Folder, path: str, method: str) -> None:
    """Also those that do not exist, so that nobody learns which do."""
    folder.write(BASIC)
    async with serving(folder) as served, aiohttp.ClientSession() as session:
        async with session.request(method, served.url + path) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="customresource-exporter", charset="UTF-8"'
        assert served.refused("credentials") == 1


# -- what a reload changes ------------------------------------------------------------------------------------


async def test_another_password_holds_for_open_connections_too(folder: Folder) -> None:
    """Whoever was let in by the old one is not let in by it any more, over the very same connection."""
    folder.write(BASIC)
    async with serving(folder) as served, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:

        async def status(password: str) -> int:
            headers = {"Authorization": aiohttp.encode_basic_auth("alice", password)}
            async with session.get(f"{served.url}/metrics", headers=headers) as answer:
                await answer.read()
                return answer.status

        assert [await status("right"), await status("other")] == [200, 401]
        folder.write({"basic_auth_users": {"alice": bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()}})
        await served.reload()
        assert [await status("right"), await status("other")] == [401, 200]


async def test_a_new_certificate_is_served_and_open_connections_stay(folder: Folder) -> None:
    """New connections get the new one; one that was open before goes on, request after request."""
    folder.write(tls())
    other = trustme.CA()
    async with serving(folder) as served:
        reader, writer = await asyncio.open_connection(*_place(served), ssl=trusting(folder.authority))
        assert await _over(reader, writer) == 200
        folder.issue(other)
        await served.reload()
        assert await ask(served.url, trusting(folder.authority)) == REFUSED
        assert await ask(served.url, trusting(other)) == 200
        assert await _over(reader, writer) == 200
        writer.transport.abort()
        assert served.refused("connection") == 0


async def test_a_changed_certificate_is_noticed_by_itself(folder: Folder) -> None:
    """Nobody has to ask: the files that the configuration names are looked at, too."""
    folder.write(tls())
    other = trustme.CA()
    async with serving(folder) as served:
        watching = served.watch()
        folder.issue(other)
        async with asyncio.timeout(10):
            while await ask(served.url, trusting(other)) != 200:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        watching.cancel()


async def test_another_authority_of_clients_shuts_out_who_came_by_the_old_one(folder: Folder) -> None:
    """A connection that the old one let in is answered once more, with a refusal, and closed."""
    folder.write(mutual())
    others = trustme.CA()
    old, new = folder.clients.issue_cert("client"), others.issue_cert("client")
    async with serving(folder) as served:
        reader, writer = await asyncio.open_connection(*_place(served), ssl=trusting(folder.authority, old))
        assert await _over(reader, writer) == 200
        folder.trust(others)
        await served.reload()
        assert await _over(reader, writer) == 403
        assert await reader.read() == b""
        writer.transport.abort()
        assert await ask(served.url, trusting(folder.authority, old)) == REFUSED
        assert await ask(served.url, trusting(folder.authority, new)) == 200
        assert served.refused("connection") == 1


async def test_tls_that_comes_ends_what_was_open_in_the_clear(folder: Folder) -> None:
    """From then on nothing is answered unencrypted, over old connections either."""
    folder.write({})
    async with serving(folder) as served:
        plain = served.url
        reader, writer = await asyncio.open_connection(*_place(served))
        assert await _over(reader, writer) == 200
        folder.write(tls())
        await served.reload()
        assert await _over(reader, writer) == 403
        writer.transport.abort()
        assert await ask(plain) == REFUSED
        assert await ask(served.url, trusting(folder.authority)) == 200


# -- what never opens the door --------------------------------------------------------------------------------


def _gone(folder: Folder) -> None:
    folder.file.unlink()


def _empty(folder: Folder) -> None:
    folder.put("web.yaml", b"")


def _garbage(folder: Folder) -> None:
    folder.put("web.yaml", b"\x00\xff{")


def _nothing(folder: Folder) -> None:
    folder.put("web.yaml", b"{}")


def _no_users(folder: Folder) -> None:
    folder.write(mutual())


def _no_tls(folder: Folder) -> None:
    folder.write(BASIC)


def _no_client_certificates(folder: Folder) -> None:
    folder.write(BASIC, tls())


def _another_key(folder: Folder) -> None:
    folder.put("server-key.pem", trustme.CA().issue_cert("localhost").private_key_pem.bytes())


def _key_gone(folder: Folder) -> None:
    (folder.path / "server-key.pem").unlink()


def _certificate_cut(folder: Folder) -> None:
    whole = (folder.path / "server.pem").read_bytes()
    folder.put("server.pem", whole[: len(whole) // 2])


def _clients_empty(folder: Folder) -> None:
    folder.put("clients.pem", b"")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_gone, "cannot be read (No such file or directory); give the path of a web configuration file"),
        (_empty, "says nothing, and would protect nothing; write {} if that is meant"),
        (_garbage, "cannot be read as YAML"),
        (_nothing, "basic_auth_users no longer keeps anybody out"),
        (_no_users, "basic_auth_users no longer keeps anybody out"),
        (_no_tls, "tls_server_config no longer keeps anybody out"),
        (_no_client_certificates, "tls_server_config.client_auth_type no longer keeps anybody out"),
        (_another_key, "tls_server_config.key_file: is not the key of the certificate"),
        (_key_gone, "server-key.pem' cannot be read (No such file or directory)"),
        (_certificate_cut, "tls_server_config.cert_file: cannot be used with its key"),
        (_clients_empty, "tls_server_config.client_ca_file: 'clients.pem' holds no certificate in PEM"),
    ],
)
async def test_what_is_bad_leaves_the_door_as_it_was(
    folder: Folder, spoil: Callable[[Folder], None], sentence: str
) -> None:
    """The sentence and the metric tell; who was kept out is, who was let in is; then it is good again."""
    folder.write(BASIC, mutual())
    right = trusting(folder.authority, folder.clients.issue_cert("client"))
    async with serving(folder) as served:
        before = {path: path.read_bytes() for path in folder.path.iterdir()}
        spoil(folder)
        with pytest.raises(ConfigError) as bad:
            await served.reload()
        assert sentence in str(bad.value)
        assert str(bad.value).startswith(f"{folder.file}: ")
        assert served.successful == 0
        assert await ask(served.url, trusting(folder.authority), ALICE) == REFUSED
        assert await ask(served.url, right) == 401
        assert await ask(served.url, right, ALICE) == 200

        for path, content in before.items():
            path.write_bytes(content)
        await served.reload()
        assert served.successful == 1
        assert await ask(served.url, right, ALICE) == 200


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
        _, writer = await asyncio.open_connection(*_place(served), ssl=context)
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


def _place(served: Served) -> tuple[str, int]:
    host, _, port = served.url.partition("://")[2].rpartition(":")
    return host, int(port)


async def _over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Ask over a connection that is open; the status."""
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split(b" ", 2)[1])


# -- many at once ---------------------------------------------------------------------------------------------


async def _ask_while_certificates_change(folder: Folder) -> None:
    """Connect anew all the time, and ask over one connection all the time, while the certificate changes."""
    folder.write(BASIC, tls())
    context = trusting(folder.authority)
    async with serving(folder) as served:
        reader, writer = await asyncio.open_connection(*_place(served), ssl=context)
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
            assert await _over(reader, writer) == 401
        done.set()
        await asyncio.gather(*asking)
        writer.transport.abort()
        assert len(found) >= 4
        assert set(found) == {200}
        await asyncio.sleep(0.1)  # what was closed is let go of in the next turns of the loop
        assert _descriptors() <= before + 2


def test_nobody_is_turned_away_while_certificates_change(folder: Folder) -> None:
    """No connection is refused or broken by fifty reloads, on the program's own loop; no listener is left behind."""
    uvloop.run(asyncio.wait_for(_ask_while_certificates_change(folder), 50.0))


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
