"""The real program behind a door: who gets in before and after its files change, and what ends it at the start."""

from __future__ import annotations

import asyncio
import http.client
from typing import TYPE_CHECKING

import bcrypt
import pytest
import trustme

from tests.integration.exporting import Exporter
from tests.reload.ground import Ground
from tests.servers.process import StartError
from tests.waiting import eventually
from tests.web.folder import ALICE, BASIC, REFUSED, Folder, ask, mutual, trusting


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A server without types."""
    with Ground(tmp_path) as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with certificates."""
    (tmp_path / "web").mkdir()
    return Folder(tmp_path / "web")


def behind(ground: Ground, folder: Folder, *flags: str) -> Exporter:
    """Prepare an exporter behind a door."""
    flags = (f"--web.config.file={folder.file}", *flags)
    return Exporter(ground.kubeconfig, folder.path.parent / "data", flags=flags)


@pytest.mark.parametrize("content", [None, b"", b"{", b"tls_server_config: {cert_file: none.pem, key_file: none.pem}"])
def test_a_bad_file_ends_the_program_at_the_start(ground: Ground, folder: Folder, content: bytes | None) -> None:
    """Exit code 2 and one sentence: nothing is served that somebody meant to protect."""
    if content is not None:
        folder.put("web.yaml", content)
    exporter = behind(ground, folder)
    with pytest.raises(StartError, match="exit code 2"):
        exporter.start()
    (line,) = exporter.log.splitlines()
    assert line.startswith(f"customresource-exporter: {folder.file}: ")


def test_the_program_lets_in_whom_its_files_say(ground: Ground, folder: Folder) -> None:
    """With certificates and users: at the start, after both are changed, and while what was written is bad."""
    folder.write(BASIC, mutual())
    stranger = trustme.CA().issue_cert("client")

    def found(url: str, shown: trustme.LeafCert | None, authorization: str = "") -> int:
        return asyncio.run(ask(url, trusting(folder.authority, shown), authorization))

    def successful(url: str, shown: trustme.LeafCert) -> bool:
        host, _, port = url.removeprefix("https://").partition(":")
        connection = http.client.HTTPSConnection(host, int(port), context=trusting(folder.authority, shown), timeout=30)
        connection.request("GET", "/metrics", headers={"Authorization": ALICE})
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return "customresource_exporter_web_config_last_reload_successful 1.0" in lines

    with behind(ground, folder) as exporter:
        url = exporter.url
        assert url.startswith("https://127.0.0.1:")
        member = folder.clients.issue_cert("client")
        table = [(None, ""), (None, ALICE), (stranger, ALICE), (member, ""), (member, ALICE)]
        expected = [REFUSED, REFUSED, REFUSED, 401, 200]
        assert [found(url, *row) for row in table] == expected

        folder.put("server-key.pem", stranger.private_key_pem.bytes())
        exporter.hang_up()
        eventually(lambda: not successful(url, member))
        assert [found(url, *row) for row in table] == expected

        members = trustme.CA()
        folder.trust(members)
        folder.issue()
        folder.write({"basic_auth_users": {"alice": bcrypt.hashpw(b"right", bcrypt.gensalt(5)).decode()}}, mutual())
        other = members.issue_cert("client")
        eventually(lambda: found(url, other, ALICE) == 200)
        assert successful(url, other)
        assert [found(url, *row) for row in [*table[:3], (member, ALICE), (other, "")]] == [*[REFUSED] * 4, 401]

        folder.file.unlink()
        exporter.hang_up()
        eventually(lambda: not successful(url, other))
        assert [found(url, None), found(url, other), found(url, other, ALICE)] == [REFUSED, 401, 200]
        assert "alice" not in exporter.log
        assert "PRIVATE KEY" not in exporter.log
