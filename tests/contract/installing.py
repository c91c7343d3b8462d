"""Types come and go while a server runs: the wait that belongs to both, which every client of CRDs has to do."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.contract.gadgets import CRDS, made


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.model import ResourceType
    from tests.contract.wire import Answer, Object, Wire

_OK, _CREATED, _NOT_FOUND = 200, 201, 404
_SECONDS = 30.0
_POLL_SECONDS = 0.05


async def until(ask: Callable[[], Awaitable[Answer]], so: Callable[[Answer], bool]) -> Answer:
    """Ask again until the answer is as wanted; `AssertionError` with the last one after 30 s."""
    deadline = time.monotonic() + _SECONDS
    while not so(answer := await ask()):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(_POLL_SECONDS)
    return answer


async def install(wire: Wire, resource_type: ResourceType, crd: Object) -> None:
    """Install a type; returns when an object of it could be created."""
    answer = await wire.post(CRDS, crd)
    assert answer.status == _CREATED, answer
    await usable(wire, resource_type)


async def usable(wire: Wire, resource_type: ResourceType) -> None:
    """Wait until objects of a type can be created and listed: a server says Established a moment before that."""
    await until(lambda: wire.get(f"{CRDS}/{resource_type}"), lambda answer: "Established" in conditions(answer.body))
    path = resource_type.path("default" if resource_type.namespaced else "")
    trial = made("trial", resource_type=resource_type)
    await until(lambda: wire.post(path, trial, dryRun="All"), lambda answer: answer.status == _CREATED)
    # A list comes from a cache that has to be filled first; until then it is 429.
    await until(lambda: wire.get(path), lambda answer: answer.status == _OK)


async def remove(wire: Wire, resource_type: ResourceType) -> None:
    """Remove a type, and its objects with it; returns when both are gone."""
    path = f"{CRDS}/{resource_type}"
    answer = await wire.delete(path)
    assert answer.status == _OK, answer
    await until(lambda: wire.get(path), lambda answer: answer.status == _NOT_FOUND)


def conditions(crd: Object) -> set[str]:
    """The conditions of a CRD that are true."""
    held = crd.get("status", {}).get("conditions") or []
    return {one["type"] for one in held if one["status"] == "True"}
