"""Writes of all sorts against a real API server, with a record of every version that it assigned: the truth.

Plain JSON over aiohttp, so that nothing is shared with what is tested. Each object belongs to one writer, which waits
for every answer: what the server did to an object, and in which order, is therefore known for certain. A write that
got no answer, since the server was away, is looked up before the writer goes on: it was done once or not at all.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import ssl
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import yaml

from tests.integration.widgets import OPEN


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from tests.servers.launch import Cluster

GROUP = "soak.example.com"
NAMESPACES = ("soak-a", "soak-b")
_PATCH = {"Content-Type": "application/merge-patch+json"}
_JSON = {"Content-Type": "application/json"}
_NOTE = "Nobody reads this; it makes the object as large as they are in real life. " * 12
_FINALIZED = {"finalizers": ["soak.example.com/wait"]}
# A server that is away, or says that it is, is asked again so often.
_AGAIN_SECONDS = 0.1
_NOT_NOW = frozenset({429, 500, 502, 503, 504})
_ANSWER = aiohttp.ClientTimeout(total=30.0)


class UnansweredError(Exception):
    """Nobody knows whether the server did what it was asked."""


class AbsentError(Exception):
    """There is no such object."""


class Key(NamedTuple):
    """An object's place."""

    kind: str
    namespace: str
    name: str


class Version(NamedTuple):
    """One version of an object. That of a deletion is not compared: its answer does not tell the number."""

    event: str
    uid: str
    resource_version: str


@dataclass
class Compared:
    """What the journal holds against the truth, and what is wrong with it."""

    versions: int
    lost: list[tuple[Key, Version]] = field(default_factory=list)
    invented: list[tuple[Key, Version]] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    disordered: list[Key] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All that is wrong, the first few of each sort; empty is what is wanted."""
        return [f"{len(some)} {name}: {some[:5]}" for name, some in self._sorts.items() if some]

    @property
    def found(self) -> str:
        """How much is wrong, for people."""
        return ", ".join(f"{len(some)} {name}" for name, some in self._sorts.items())

    @property
    def _sorts(self) -> dict[str, Sequence[object]]:
        return {
            "lost": self.lost,
            "invented": self.invented,
            "twice": self.duplicates,
            "out of order": self.disordered,
            "marked gap": self.gaps,
        }


class Load:
    """Types with objects on a cluster, the writers, and the truth.

    Attributes:
        group: of the types
        before: what existed at the last `forget`: uid and resourceVersion
        truth: the versions of each object in their order, since the last `forget`
        writes: requests that were answered with success, since then

    """

    def __init__(self, cluster: Cluster, *, types: int, objects: int, group: str = GROUP) -> None:
        """Prepare; nothing is written before `install`.

        Args:
            cluster: where
            types: how many CRDs
            objects: how many of each
            group: of the CRDs; one that nobody else on the cluster has

        """
        self.group = group
        self._cluster = cluster
        self._kinds = [f"Soak{number}" for number in range(types)]
        self._keys = [
            Key(kind, NAMESPACES[number % 2], f"one-{number:03}") for kind in self._kinds for number in range(objects)
        ]
        self._held: dict[Key, tuple[str, str]] = {}
        self._ending: set[Key] = set()
        self._serial = itertools.count(1)
        self.before: dict[Key, tuple[str, str]] = {}
        self.truth: dict[Key, list[Version]] = {}
        self.writes = 0

    @property
    def objects(self) -> int:
        """How many objects exist."""
        return len(self._held)

    def forget(self) -> None:
        """Begin a new record; the objects stay."""
        self.before = dict(self._held)
        self.truth = {}
        self.writes = 0

    # -- types and objects ------------------------------------------------------------------------------------

    def install(self) -> None:
        """Make the types and the objects."""
        namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
        items = {"apiVersion": "v1", "kind": "List", "items": namespaces + [self._crd(kind) for kind in self._kinds]}
        self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(items))
        self._cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *self._crds())
        asyncio.run(self._fill())

    def remove(self) -> None:
        """Take the types away, and with them the objects."""
        self._cluster.kubectl("delete", "--wait=false", *self._crds())

    def _crds(self) -> list[str]:
        return [f"crd/{_plural(kind)}.{self.group}" for kind in self._kinds]

    async def _fill(self) -> None:
        async with self._connected() as session:
            await asyncio.gather(
                *(self._create_all(session, keys) for keys in (self._keys[first::16] for first in range(16)))
            )

    async def _create_all(self, session: aiohttp.ClientSession, keys: Iterable[Key]) -> None:
        for key in keys:
            while key not in self._held:
                try:
                    await self._create(session, key)
                except (UnansweredError, AbsentError):  # a server says that a type is there a moment before it is
                    await asyncio.sleep(_AGAIN_SECONDS)
                    await self._look_up(session, key)

    # -- writers ----------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event, *, per_second: float, writers: int = 16, seed: int = 1) -> None:
        """Write until told to stop, at most so often, each object by one writer."""
        began = time.monotonic()
        turns = itertools.count()
        async with self._connected() as session, asyncio.TaskGroup() as tasks:

            async def write(keys: list[Key], draw: random.Random) -> None:
                while not stop.is_set():
                    wait = began + next(turns) / per_second - time.monotonic()
                    await asyncio.sleep(max(0.0, wait))
                    key = draw.choice(keys)
                    try:
                        await self._write(session, key, draw)
                    except (UnansweredError, AbsentError):
                        await self._look_up(session, key)

            for number in range(writers):
                tasks.create_task(write(self._keys[number::writers], random.Random(seed * 1000 + number)))  # noqa: S311

    async def _write(self, session: aiohttp.ClientSession, key: Key, draw: random.Random) -> None:
        """Do one of the things that happen to objects, in the share in which they do."""
        serial = next(self._serial)
        what = draw.random()
        if key not in self._held:  # what follows was broken off before
            await self._create(session, key)
        elif key in self._ending:
            await self._patch(session, key, {"metadata": {"finalizers": None}}, last=True)
        elif what < 0.45:
            await self._patch(session, key, {"spec": {"size": serial}})
        elif what < 0.70:
            await self._patch(session, key, {"status": {"phase": f"phase {serial}"}}, subresource="/status")
        elif what < 0.82:
            await self._patch(session, key, {"metadata": {"labels": {f"label-{serial % 3}": str(serial)}}})
        elif what < 0.86:
            await self._patch(session, key, {"spec": {"never": "changes"}})
        elif what < 0.96:
            await self._delete(session, key)
            if key not in self._held:
                await self._create(session, key)
        else:
            await self._patch(session, key, {"metadata": _FINALIZED})
            await self._delete(session, key)
            await self._patch(session, key, {"metadata": {"finalizers": None}}, last=True)
            await self._create(session, key)

    async def _create(self, session: aiohttp.ClientSession, key: Key) -> None:
        body = {
            "apiVersion": f"{self.group}/v1",
            "kind": key.kind,
            "metadata": {"name": key.name},
            "spec": {"size": 0, "note": _NOTE},
        }
        answer = await self._ask(session, "POST", self._collection(key), body, _JSON)
        self._assigned(key, "added", answer)

    async def _patch(
        self, session: aiohttp.ClientSession, key: Key, body: Any, *, subresource: str = "", last: bool = False
    ) -> None:
        path = f"{self._collection(key)}/{key.name}{subresource}"
        answer = await self._ask(session, "PATCH", path, body, _PATCH)
        if last:
            self._gone(key)
        else:
            self._assigned(key, "modified", answer)

    async def _delete(self, session: aiohttp.ClientSession, key: Key) -> None:
        answer = await self._ask(session, "DELETE", f"{self._collection(key)}/{key.name}", {}, _JSON)
        if answer["kind"] != "Status":  # it has finalizers, and waits for them
            self._ending.add(key)
            self._assigned(key, "modified", answer)
        else:
            assert answer["details"]["uid"] == self._held[key][0]
            self._gone(key)

    def _assigned(self, key: Key, event: str, answer: dict[str, Any]) -> None:
        """Note a version, unless the server found that there was nothing to write."""
        uid, resource_version = answer["metadata"]["uid"], answer["metadata"]["resourceVersion"]
        if self._held.get(key) != (uid, resource_version):
            self._held[key] = (uid, resource_version)
            self.truth.setdefault(key, []).append(Version(event, uid, resource_version))

    def _gone(self, key: Key) -> None:
        uid, _ = self._held.pop(key)
        self._ending.discard(key)
        self.truth.setdefault(key, []).append(Version("deleted", uid, ""))

    async def _look_up(self, session: aiohttp.ClientSession, key: Key) -> None:
        """Find out what became of a write that was not answered."""
        while True:
            try:
                answer = await self._ask(session, "GET", f"{self._collection(key)}/{key.name}")
            except UnansweredError:
                await asyncio.sleep(_AGAIN_SECONDS)
            except AbsentError:
                if key in self._held:
                    self._gone(key)
                return
            else:
                if answer["metadata"].get("deletionTimestamp"):
                    self._ending.add(key)
                self._assigned(key, "modified" if key in self._held else "added", answer)
                return

    async def on_server(self) -> dict[Key, tuple[str, str]]:
        """Ask the server itself what exists: key → uid, resourceVersion."""
        found = {}
        async with self._connected() as session:
            for kind in self._kinds:
                answer = await self._ask(session, "GET", f"/apis/{self.group}/v1/{_plural(kind)}")
                for item in answer["items"]:
                    meta = item["metadata"]
                    found[Key(kind, meta["namespace"], meta["name"])] = (meta["uid"], meta["resourceVersion"])
        return found

    # -- the way to the server --------------------------------------------------------------------------------

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiohttp.ClientSession]:
        user = yaml.safe_load(self._cluster.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]
        trust = ssl.create_default_context(cafile=self._cluster.ca_file)
        trust.load_cert_chain(user["client-certificate"], user["client-key"])
        async with aiohttp.ClientSession(
            self._cluster.url, connector=aiohttp.TCPConnector(ssl=trust), timeout=_ANSWER
        ) as session:
            yield session

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Any = None, headers: Any = None
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body)
        try:
            async with session.request(method, path, data=data, headers=headers) as response:
                answer: dict[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise UnansweredError(path) from error
        if response.status in _NOT_NOW:
            raise UnansweredError(path)
        if response.status == HTTPStatus.NOT_FOUND:
            raise AbsentError(path)
        assert response.ok, f"{method} {path}: {answer}"
        self.writes += method != "GET"
        return answer

    def _collection(self, key: Key) -> str:
        return f"/apis/{self.group}/v1/namespaces/{key.namespace}/{_plural(key.kind)}"

    def _crd(self, kind: str) -> dict[str, Any]:
        names = {"kind": kind, "plural": _plural(kind), "singular": kind.lower()}
        schema = {"type": "object", "properties": {"spec": OPEN, "status": OPEN}}
        version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{_plural(kind)}.{self.group}"},
            "spec": {
                "group": self.group,
                "names": names,
                "scope": "Namespaced",
                "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
            },
        }


def compare(truth: dict[Key, list[Version]], told: Iterable[dict[str, Any]], *, complete: bool = True) -> Compared:
    """Hold the lines of `changes -o json` against the truth: each version once, in its order, and nothing else.

    Where the history is not complete, what a list showed stands for what happened: its versions are compared without
    the event, and to be marked as a gap is not wrong.
    """
    journal: dict[Key, list[Version]] = {}
    ids: Counter[str] = Counter()
    compared = Compared(versions=sum(map(len, truth.values())))
    for change in told:
        version = "" if change["event"] == "deleted" else change["resource_version"]
        key = Key(change["kind"], change["namespace"], change["name"])
        journal.setdefault(key, []).append(Version(change["event"], change["uid"], version))
        ids[change["id"]] += 1
        if complete and change.get("gap"):
            compared.gaps.append(change["id"])
    compared.duplicates = [one for one, count in ids.items() if count > 1]
    for key in truth.keys() | journal.keys():
        expected, actual = truth.get(key, []), journal.get(key, [])
        if not complete:
            expected, actual = ([one._replace(event="") for one in some] for some in (expected, actual))
        missing, more = Counter(expected) - Counter(actual), Counter(actual) - Counter(expected)
        compared.lost.extend((key, one) for one in missing.elements())
        compared.invented.extend((key, one) for one in more.elements())
        odd = missing | more
        if [one for one in expected if one not in odd] != [one for one in actual if one not in odd]:
            compared.disordered.append(key)
    return compared


def _plural(kind: str) -> str:
    return f"{kind.lower()}s"
