"""How scenarios are played on a server that an exporter follows: requests one after the other, and what takes more."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.model import ResourceType
from tests.contract.gadgets import CRDS, GADGET, SPEC, crd, made, version
from tests.contract.installing import install
from tests.contract.wire import APPLY, JSON_PATCH, MERGE
from tests.integration.widgets import CHANGES, LISTS, total
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.contract.wire import Answer, Object, Wire
    from tests.integration.exporting import Exporter

# Installed while the exporter runs; there before it, and given a default later.
LATE = ResourceType("late.example.com", "v1", "latecomers", "Latecomer")
GRADED = ResourceType("graded.example.com", "v1", "gradeds", "Graded")
FOLLOWED = (GADGET, LATE, GRADED)

_PATCHES = {"merge": MERGE, "json": JSON_PATCH, "apply": APPLY, "force": APPLY}
_CREATED, _ERROR = 201, 400


class Stage(NamedTuple):
    """Where a scenario is played, and who watches."""

    wire: Wire
    namespace: str
    exporter: Exporter


class Scenario(NamedTuple):
    """What is played, and what must be told of it.

    `forgetful`: a server may forget what was before on the way, so that a list has to find what happened (a gap).
    """

    play: Callable[[Stage], Awaitable[None]]
    told: list[str]
    forgetful: bool = False


class Do(NamedTuple):
    """One request to the one object.

    `put` replaces it by itself, with the body merged in on the first level; `create`, `apply` and `force` are given
    the name of the object.
    """

    who: str
    verb: str
    body: Any = None
    sub: str = ""


def steps(*todo: Do) -> Callable[[Stage], Awaitable[None]]:
    """Play requests, each in a second of its own.

    What the server notes of a write has a resolution of a second: two within one look different from two that are
    not, and which it is must not be left to chance.
    """

    async def play(stage: Stage) -> None:
        for do in todo:
            await asyncio.sleep(1.02 - time.time() % 1)
            answer = await _request(stage, do)
            assert answer.status < _ERROR, (do, answer)

    return play


async def install_late(stage: Stage) -> None:
    """Install a type and make an object of it at once."""
    await install(stage.wire, LATE, crd(LATE))
    await _make(stage, LATE)


async def add_default(stage: Stage) -> None:
    """Give the schema a default, wait until the exporter has seen it, and write an object that now has it."""
    await _make(stage, GRADED)
    # The server ends the watch with the schema: what is not told by then, a list finds together with what comes after.
    told = partial(total, stage.exporter, CHANGES, namespace=stage.namespace)
    await asyncio.to_thread(eventually, lambda: told() >= 1)
    graded = SPEC | {"properties": SPEC["properties"] | {"grade": {"type": "string", "default": "plain"}}}
    await stage.wire.merge(f"{CRDS}/{GRADED}", {"spec": {"versions": [version("v1", graded)]}})
    await asyncio.to_thread(eventually, lambda: total(stage.exporter, LISTS, reason="schema") >= 1)
    answer = await stage.wire.merge(GRADED.path(stage.namespace, "one"), {"spec": {"size": 2}}, who="editor")
    assert answer.body["spec"] == {"size": 2, "grade": "plain"}


def spec(**fields: Any) -> Object:
    """A body with this spec."""
    return {"spec": fields}


def metadata(**fields: Any) -> Object:
    """A body with this metadata."""
    return {"metadata": fields}


def status(**fields: Any) -> Object:
    """A body with this status."""
    return {"status": fields}


async def _make(stage: Stage, resource_type: ResourceType) -> None:
    body = made("one", {"size": 1}, resource_type=resource_type)
    answer = await stage.wire.post(resource_type.path(stage.namespace), body, who="maker")
    assert answer.status == _CREATED, answer


async def _request(stage: Stage, do: Do) -> Answer:
    wire, path = stage.wire, GADGET.path(stage.namespace, "one") + do.sub
    if do.verb == "create":
        return await wire.post(GADGET.path(stage.namespace), made() | do.body, who=do.who)
    if do.verb == "delete":
        return await wire.delete(path)
    if do.verb == "put":
        held: Object = (await wire.get(path)).body
        return await wire.put(path, held | do.body, who=do.who)
    media = _PATCHES[do.verb]
    body = made() | do.body if media == APPLY else do.body
    force = {"force": "true"} if do.verb == "force" else {}
    return await wire.call("PATCH", path, body, media=media, who=do.who, **force)
