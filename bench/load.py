"""Custom resources of one size on a real API server, and a steady rate of changes to them.

Each change is a merge patch: one in three of the spec, as `kubectl edit` writes it, the others of the status, as an
operator does. Must cost as little as it can: it runs beside what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.objects import GROUP, definition, kind, plural, spec, words
from bench.wire import Connection, Login


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

NAMESPACE = "default"
CONNECTIONS = 24
# A load of hundreds of writes a second from one user must not be what the API server thins out.
APISERVER = ("--max-requests-inflight=3000", "--max-mutating-requests-inflight=1500")
_MERGE = "application/merge-patch+json"
_POLL_SECONDS = 0.1


class Place(NamedTuple):
    """One object: its type by number, and its name."""

    number: int
    name: str

    @property
    def collection(self) -> str:
        """The path of its collection."""
        return f"/apis/{GROUP}/v1/namespaces/{NAMESPACE}/{plural(self.number)}"

    @property
    def path(self) -> str:
        """Its own path."""
        return f"{self.collection}/{self.name}"


def instance(place: Place, draw: random.Random) -> dict[str, Any]:
    """Write an object that is about 2 KiB once the server has added what it adds."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind(place.number),
        "metadata": {"name": place.name, "labels": {"app": place.name, "team": words(draw, 6)}},
        "spec": spec(draw),
    }


def places(types: int, objects: int) -> list[Place]:
    """Name all objects, so that any part of the list holds all types."""
    return [Place(number, f"one-{index:05}") for index in range(objects) for number in range(types)]


@contextlib.asynccontextmanager
async def connections(kubeconfig: Path, count: int = CONNECTIONS) -> AsyncIterator[list[Connection]]:
    """Keep connections open."""
    login = Login(kubeconfig)
    opened = await asyncio.gather(*(Connection.open(login) for _ in range(count)))
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


async def install(kubeconfig: Path, types: int) -> None:
    """Define the types, and wait until they are served."""
    async with connections(kubeconfig, 1) as (connection,):
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for number in range(types):
            await connection.ask("POST", path, json.dumps(definition(number)).encode())
        for number in range(types):
            one = f"{path}/{plural(number)}.{GROUP}"
            while not _established(await connection.ask("GET", one, b"")):  # noqa: ASYNC110 - the server is asked
                await asyncio.sleep(_POLL_SECONDS)


def _established(answer: bytes) -> bool:
    conditions = json.loads(answer).get("status", {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


async def fill(kubeconfig: Path, todo: Sequence[Place]) -> None:
    """Make the objects, each with a status."""
    async with connections(kubeconfig) as opened, asyncio.TaskGroup() as tasks:

        async def work(connection: Connection, mine: Sequence[Place], draw: random.Random) -> None:
            for place in mine:
                body = json.dumps(instance(place, draw)).encode()
                await connection.ask("POST", f"{place.collection}?fieldManager=helm", body)
                await _status(connection, place, 0, draw)

        for number, connection in enumerate(opened):
            tasks.create_task(work(connection, todo[number :: len(opened)], random.Random(number)))  # noqa: S311


async def _status(connection: Connection, place: Place, serial: int, draw: random.Random) -> None:
    status = {"phase": ("Ready", "Progressing")[serial % 2], "step": serial, "message": words(draw, 40)}
    body = json.dumps({"status": status}).encode()
    await connection.ask("PATCH", f"{place.path}/status?fieldManager=bench-operator", body, _MERGE)


class Writer:
    """Changes objects at a steady rate until told to stop.

    Args:
        kubeconfig: the way to the server
        todo: the objects
        per_second: changes a second

    """

    def __init__(self, kubeconfig: Path, todo: Sequence[Place], per_second: float) -> None:
        self._kubeconfig = kubeconfig
        self._todo = todo
        self._per_second = per_second
        self._serial = itertools.count(2)
        self.written = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Write; each object by one connection, so that no write waits for another of the same object."""
        async with connections(self._kubeconfig) as opened, asyncio.TaskGroup() as tasks:
            began, turns = time.monotonic(), itertools.count()

            async def work(connection: Connection, mine: Sequence[Place], draw: random.Random) -> None:
                while not stop.is_set():
                    wait = began + next(turns) / self._per_second - time.monotonic()
                    if wait > 0:
                        await asyncio.sleep(wait)
                    await self._write(connection, draw.choice(mine), draw)

            for number, connection in enumerate(opened):
                tasks.create_task(work(connection, self._todo[number :: len(opened)], random.Random(number)))  # noqa: S311

    async def _write(self, connection: Connection, place: Place, draw: random.Random) -> None:
        serial = next(self._serial)
        if serial % 3:
            await _status(connection, place, serial, draw)
        else:
            body = json.dumps({"spec": {"replicas": serial}}).encode()
            await connection.ask("PATCH", f"{place.path}?fieldManager=kubectl-edit", body, _MERGE)
        self.written += 1
