"""A web configuration in a directory of its own, with its certificates, and the client that asks what it protects."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import bcrypt
import trustme

from exporter.metrics.exposition import TEXT, Page
from exporter.metrics.health import Health
from exporter.reloading import Reloading
from exporter.web.door import Door
from exporter.web.server import serve
from exporter.web.source import WebSource


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from exporter.metrics.exposition import Exposition
    from exporter.web.server import Listener
    from exporter.web.source import Loaded

REFUSED = 0  # before there was an answer
BASIC = {"basic_auth_users": {"alice": bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()}}
WRONG = aiohttp.encode_basic_auth("alice", "wrong")
NOBODY = aiohttp.encode_basic_auth("mallory", "right")
ALICE = aiohttp.encode_basic_auth("alice", "right")


class Folder:
    """The directory.

    Args:
        path: of it

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "web.yaml"
        self.authority = trustme.CA()
        self.clients = trustme.CA()
        self.issue()
        self.trust(self.clients)

    def issue(self, authority: trustme.CA | None = None, key: trustme.KeyType = trustme.KeyType.ECDSA) -> None:
        """Write another certificate for the server, and its key, as `server.pem` and `server-key.pem`."""
        leaf = (authority or self.authority).issue_cert("localhost", "127.0.0.1", key_type=key)
        self.put("server.pem", leaf.cert_chain_pems[0].bytes())
        self.put("server-key.pem", leaf.private_key_pem.bytes())

    def trust(self, authority: trustme.CA) -> None:
        """Write whose clients are let in, as `clients.pem`."""
        self.put("clients.pem", authority.cert_pem.bytes())

    def put(self, name: str, content: bytes) -> None:
        """Write a file, whole."""
        new = self.path / f"{name}.new"
        new.write_bytes(content)
        new.replace(self.path / name)

    def write(self, *parts: dict[str, Any]) -> None:
        """Write the configuration, put together from its sections."""
        whole: dict[str, Any] = {}
        for part in parts:
            whole |= part
        self.put("web.yaml", json.dumps(whole).encode())


def tls(**more: Any) -> dict[str, Any]:
    """Make the section of TLS."""
    return {"tls_server_config": {"cert_file": "server.pem", "key_file": "server-key.pem", **more}}


def mutual(**more: Any) -> dict[str, Any]:
    """Make it so that clients have to show a certificate."""
    return tls(client_auth_type="RequireAndVerifyClientCert", client_ca_file="clients.pem", **more)


def trusting(authority: trustme.CA, shown: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Make what a client needs that trusts an authority, and shows a certificate or none."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if shown is not None:
        shown.configure_cert(context)
    return context


async def ask(url: str, context: ssl.SSLContext | None = None, authorization: str = "", path: str = "/metrics") -> int:
    """Ask for a page over a new connection; the status, or `REFUSED`."""
    headers = {"Authorization": authorization} if authorization else {}
    connector = aiohttp.TCPConnector(ssl=context or True)
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            async with session.get(url + path, headers=headers) as answer:
                await answer.read()
                return answer.status
        except aiohttp.ClientError:
            return REFUSED


class Served:
    """A listener with what it is read again by.

    Attributes:
        health: of it
        url: of it

    """

    def __init__(self, listener: Listener, reloading: Reloading, health: Health) -> None:
        self._listener = listener
        self._reloading = reloading
        self.health = health

    @property
    def url(self) -> str:
        return self._listener.url

    async def reload(self) -> None:
        """Have everything read again."""
        await self._reloading.reload()

    def watch(self) -> asyncio.Task[None]:
        """Look at the files, as the program does."""
        return asyncio.create_task(self._reloading.run())

    @property
    def successful(self) -> float:
        """What the metric says."""
        return cast("float", self.health.registry.get_sample_value(
            "customresource_exporter_web_config_last_reload_successful"
        ))  # fmt: skip

    def refused(self, reason: str) -> float:
        """How many requests were not answered for a reason."""
        name = "customresource_exporter_web_refused_total"
        return self.health.registry.get_sample_value(name, {"reason": reason}) or 0.0

    def has_failed(self, handshakes: dict[str, int]) -> bool:
        """Whether so many handshakes have failed, by reason."""
        (family,) = [one for one in self.health.registry.collect() if one.name.endswith("_web_handshake_failures")]
        return handshakes == {one.labels["reason"]: one.value for one in family.samples if one.name.endswith("_total")}


class _Pages:
    async def scrape(self, *_: str) -> Page:
        return Page(b"some_metric 1\n", TEXT, "")


@asynccontextmanager
async def serving(folder: Folder) -> AsyncIterator[Served]:
    """Serve as a folder says, with the parts that the program is made of."""

    async def change(loaded: Loaded) -> None:
        await listener.change(loaded)

    health = Health()
    source = WebSource(str(folder.file), change)
    reloading = Reloading(
        "the web configuration", source,
        health.web_config_last_reload_successful, health.web_config_last_reload_success, look=0.05,
    )  # fmt: skip
    door = Door(health.web_refused, health.web_handshake_failures)
    door.change(source.loaded)
    async with serve("127.0.0.1:0", cast("Exposition", _Pages()), list, door) as listener:
        yield Served(listener, reloading, health)


async def until(predicate: Callable[[], bool]) -> None:
    """Let the loop work until something is so."""
    async with asyncio.timeout(30):
        while not predicate():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def place(served: Served) -> tuple[str, int]:
    """Where it listens."""
    host, _, port = served.url.partition("://")[2].rpartition(":")
    return host, int(port)


async def over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Ask over a connection that is open; the status."""
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split(b" ", 2)[1])


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
