"""Who asks a real operator for certificates, and what a watch and the API server's audit log say that came of it.

Plain HTTP and JSON, so that nothing is shared with the exporter. Must never interrupt its watch: it is the truth.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import yaml

from tests.integration.load import Key, Version
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.servers.launch import Cluster

_SECONDS = 600.0  # for the operator to finish, many times what it needs

CERTIFICATES = "/apis/cert-manager.io/v1/namespaces/default/certificates"
ISSUERS = "/apis/cert-manager.io/v1/clusterissuers"
KINDS = {
    "Certificate": "cert-manager.io/v1/certificates",
    "CertificateRequest": "cert-manager.io/v1/certificaterequests",
    "Issuer": "cert-manager.io/v1/issuers",
    "ClusterIssuer": "cert-manager.io/v1/clusterissuers",
    "Order": "acme.cert-manager.io/v1/orders",
    "Challenge": "acme.cert-manager.io/v1/challenges",
}
_EVENTS = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}
_WE = "the-platform-team"  # as the API server's audit log and managedFields call whoever writes here
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch"],
            "resources": [{"group": group} for group in ("cert-manager.io", "acme.cert-manager.io")],
        },
        {"level": "None"},
    ],
}
REASONS = 2  # to issue again: a new name, a lost secret


class Seen:
    """What a watch of every kind of cert-manager saw.

    Attributes:
        versions: of each object, in their order
        objects: what exists now

    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Prepare; nothing is asked before `watching`."""
        self._session = session
        self.versions: dict[Key, list[Version]] = {}
        self.objects: dict[Key, dict[str, Any]] = {}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch while the block runs, from a place at which there is no object yet."""
        async with asyncio.TaskGroup() as tasks:
            watches = [tasks.create_task(self._watch(path, await self._begin(path))) for path in KINDS.values()]
            yield
            for watch in watches:
                watch.cancel()

    async def _begin(self, path: str) -> str:
        async with self._session.get(f"/apis/{path}") as answer:
            listed = await answer.json()
        assert listed["items"] == []
        return str(listed["metadata"]["resourceVersion"])

    async def _watch(self, path: str, begin: str) -> None:
        """Watch for ever: who reads too slowly for the server is cut off, and goes on where that was, or fails."""
        while True:
            async with self._session.get(f"/apis/{path}?watch=true&resourceVersion={begin}") as stream:
                async for line in stream.content:
                    begin = self._see(json.loads(line))

    def _see(self, event: dict[str, Any]) -> str:
        body, what = event["object"], _EVENTS[event["type"]]
        meta = body["metadata"]
        key = Key(body["kind"], meta.get("namespace", ""), meta["name"])
        self.versions.setdefault(key, []).append(Version(what, meta["uid"], meta["resourceVersion"]))
        if what == "deleted":
            del self.objects[key]
        else:
            self.objects[key] = body
        return str(meta["resourceVersion"])

    def revisions(self) -> dict[str, int]:
        """How often each certificate was issued; 0 while it is not ready with what it says now."""
        return {
            key.name: body["status"]["revision"] if _is_ready(body) else 0
            for key, body in list(self.objects.items())  # whoever asks is not in the thread of the watches
            if key.kind == "Certificate"
        }

    @property
    def count(self) -> int:
        """How many versions there were so far."""
        return sum(map(len, list(self.versions.values())))

    def deletions(self) -> list[tuple[str, str]]:
        """Give the uid and the last number of everything that was deleted."""
        every = itertools.chain.from_iterable(self.versions.values())
        return [(one.uid, one.resource_version) for one in every if one.event == "deleted"]


def _is_ready(certificate: dict[str, Any]) -> bool:
    status, generation = certificate.get("status", {}), certificate["metadata"]["generation"]
    ready = ("Ready", "True", generation)
    conditions = [(one["type"], one["status"], one.get("observedGeneration")) for one in status.get("conditions", ())]
    return ready in conditions and "revision" in status and "nextPrivateKeySecretName" not in status


class Team:
    """Those who ask for certificates: what the operator then does is its own affair."""

    def __init__(self, session: aiohttp.ClientSession, seen: Seen, certificates: int) -> None:
        """Prepare so many certificates; nothing is written yet."""
        self._session = session
        self._seen = seen
        self._names = [f"web-{number:03}" for number in range(certificates)]

    async def begin(self) -> None:
        """Make an issuer and the certificates, and wait until all are issued."""
        await self._ask("POST", ISSUERS, "ClusterIssuer", {"metadata": {"name": "self"}, "spec": {"selfSigned": {}}})
        await self._each(self._create)
        await self._issued(dict.fromkeys(self._names, 0))

    async def again(self, turn: int) -> None:
        """Have all of them issued again, for new names or for lost secrets, and wait until they are."""
        before = self._seen.revisions()
        await self._each(self._lose_secret if turn % 2 else self._rename)
        await self._issued(before)

    async def end(self) -> None:
        """Delete every second certificate, and wait until its requests are collected as well."""
        gone = self._names[::2]
        await asyncio.gather(*(self._ask("DELETE", f"{CERTIFICATES}/{name}") for name in gone))
        uids = {versions[-1].uid for key, versions in self._seen.versions.items() if key.name in gone}

        def collected() -> bool:
            owners = [one["uid"] for body in list(self._seen.objects.values()) for one in _owners(body)]
            return uids.isdisjoint(owners)

        await asyncio.to_thread(eventually, collected, _SECONDS)

    async def _each(self, do: Callable[[str], Awaitable[None]]) -> None:
        await asyncio.gather(*(do(name) for name in self._names))

    async def _create(self, name: str) -> None:
        spec = {
            "secretName": name,
            "dnsNames": [f"{name}.example.com"],
            "issuerRef": {"name": "self", "kind": "ClusterIssuer"},
            "privateKey": {"algorithm": "ECDSA"},
        }
        await self._ask("POST", CERTIFICATES, "Certificate", {"metadata": {"name": name}, "spec": spec})

    async def _rename(self, name: str) -> None:
        names = [f"{name}-{uuid.uuid4().hex[:6]}.example.com"]
        await self._ask("PATCH", f"{CERTIFICATES}/{name}", "", {"spec": {"dnsNames": names}})

    async def _lose_secret(self, name: str) -> None:
        await self._ask("DELETE", f"/api/v1/namespaces/default/secrets/{name}")

    async def _issued(self, before: dict[str, int]) -> None:
        """Wait until each certificate was issued once more than before."""

        def issued() -> bool:
            now = self._seen.revisions()
            return now.keys() == before.keys() and all(now[name] > before[name] for name in now)

        await asyncio.to_thread(eventually, issued, _SECONDS)

    async def _ask(self, method: str, path: str, kind: str = "", body: dict[str, Any] | None = None) -> None:
        whole = {"apiVersion": "cert-manager.io/v1", "kind": kind} | (body or {}) if kind else body
        form = {"Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"}
        data = None if whole is None else json.dumps(whole)
        async with self._session.request(method, path, data=data, headers=form) as answer:
            assert answer.ok, f"{method} {path}: {await answer.text()}"


def _owners(body: dict[str, Any]) -> list[dict[str, Any]]:
    owners: list[dict[str, Any]] = body["metadata"].get("ownerReferences", [])
    return owners


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[aiohttp.ClientSession]:
    """Connect as the cluster's admin; a line of a watch may be as long as it is."""
    user = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]
    trust = ssl.create_default_context(cafile=cluster.ca_file)
    trust.load_cert_chain(user["client-certificate"], user["client-key"])
    async with aiohttp.ClientSession(
        cluster.url,
        connector=aiohttp.TCPConnector(ssl=trust, limit=40),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"User-Agent": f"{_WE}/1"},
        read_bufsize=1 << 22,
    ) as session:
        yield session


def writers(audit: Path) -> dict[tuple[str, str], set[str]]:
    """Give who asked for each version, by uid and number; several where some found nothing to write."""
    found: dict[tuple[str, str], set[str]] = {}
    files = audit.parent.glob(f"{audit.stem}*{audit.suffix}")  # a log that has grown large goes on in another file
    for line in (line for file in files for line in file.read_text(encoding="utf-8").splitlines()):
        event = json.loads(line)
        meta = event.get("responseObject", {}).get("metadata", {})
        if "resourceVersion" in meta:
            writer = event["userAgent"].partition("/")[0]
            found.setdefault((meta["uid"], meta["resourceVersion"]), set()).add(writer)
    return found
