"""Who gets in: no, wrong and right credentials, before and after a reload; what never opens the door."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any

import aiohttp
import bcrypt
import pytest
import trustme

from exporter.errors import ConfigError, ListenError
from tests.web.folder import ALICE, BASIC, REFUSED, Folder, ask, attempt, mutual, over, place, serving, tls, trusting


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
        reader, writer = await asyncio.open_connection(*place(served), ssl=trusting(folder.authority))
        assert await over(reader, writer) == 200
        folder.issue(other)
        await served.reload()
        assert await ask(served.url, trusting(folder.authority)) == REFUSED
        assert await ask(served.url, trusting(other)) == 200
        assert await over(reader, writer) == 200
        writer.transport.abort()
        assert served.refused("connection") == 0


async def test_a_changed_certificate_is_noticed_by_itself(folder: Folder) -> None:
    """Nobody has to ask: the files that the configuration names are looked at, too."""
    folder.write(tls())
    other = trustme.CA()
    async with serving(folder) as served:
        watching = served.watch()
        folder.issue(other)
        async with asyncio.timeout(30):
            while await ask(served.url, trusting(other)) != 200:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        watching.cancel()


async def test_another_authority_of_clients_shuts_out_who_came_by_the_old_one(folder: Folder) -> None:
    """A connection that the old one let in is answered once more, with a refusal, and closed."""
    folder.write(mutual())
    others = trustme.CA()
    old, new = folder.clients.issue_cert("client"), others.issue_cert("client")
    async with serving(folder) as served:
        reader, writer = await asyncio.open_connection(*place(served), ssl=trusting(folder.authority, old))
        assert await over(reader, writer) == 200
        folder.trust(others)
        await served.reload()
        assert await over(reader, writer) == 403
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
        reader, writer = await asyncio.open_connection(*place(served))
        assert await over(reader, writer) == 200
        folder.write(tls())
        await served.reload()
        assert await over(reader, writer) == 403
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


async def test_a_listener_that_cannot_be_made_changes_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there are no more descriptors: the old one goes on, with the old users, and the next attempt works."""
    folder.write(BASIC)
    async with serving(folder) as served:
        folder.write({"basic_auth_users": {"bob": BASIC["basic_auth_users"]["alice"]}})
        with monkeypatch.context() as broken:

            async def create_server(*_: object, **__: object) -> None:
                raise OSError(errno.EMFILE, "Too many open files")

            broken.setattr(asyncio.get_running_loop(), "create_server", create_server)
            with pytest.raises(ListenError, match="anew: Too many open files; it goes on as before"):
                await served.reload()
        assert (await ask(served.url, None, ALICE), served.successful) == (200, 0)
        await served.reload()
        assert (await ask(served.url, None, ALICE), served.successful) == (401, 1)
