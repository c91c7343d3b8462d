"""How often a server in trouble is asked: an hour of outage in virtual time, against a server that counts."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from exporter.kube.client import Api
from exporter.kube.collection import Collection, Selection
from exporter.kube.patience import LONGEST_WAIT, Patience
from exporter.kube.reflector import Reflector
from tests.changes.objects import SCOPE, WIDGET
from tests.kube.watching import OPEN, Recorder, bookmark, event, page, status
from tests.scripted import ABORT, Reply, Request, serve


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOUR = 3600.0
AFTER = 120.0
FULL_LIST = Reply(200, [event("ADDED", 9), bookmark(9, end=True)])


def always(reply: Reply) -> Callable[[Request], Reply]:
    """Answer everything in the same way."""
    return lambda _: reply


def only_gets(reply: Reply) -> Callable[[Request], Reply]:
    """Answer watches with a reply, and everything else as a server does that is well."""
    return lambda request: reply if "watch" in request.query else page(9)


def only_lists(reply: Reply) -> Callable[[Request], Reply]:
    """Answer watches that go on with a reply, and lists as a server does that is well."""
    return lambda request: FULL_LIST if "sendInitialEvents" in request.query else only_gets(reply)(request)


OUTAGES: dict[str, tuple[Callable[[Request], Reply], float]] = {
    "cut": (always(Reply(200, [ABORT])), 2.0),
    "500": (always(status(500, "InternalError")), 2.0),
    "503": (always(Reply(503)), 2.0),
    "401": (always(status(401, "Unauthorized")), 2.0),
    "403": (always(status(403, "Forbidden")), 2.0),
    "429": (always(Reply(429)), 2.0),
    "garbage": (always(Reply(200, [b"<html>\n"])), 2.0),
    "a Status for everything": (always(Reply(200, [b'{"kind":"Status","metadata":{}}'])), 2.0),
    # A server that answers, but has no streams: it is asked what it can do, too.
    "watches: 500": (only_gets(status(500, "InternalError")), 4.0),
    "watches: empty": (only_gets(Reply(200)), 4.0),
    "lists, but no watches": (only_lists(Reply(200)), 4.0),
    "lists, but watches: 500": (only_lists(status(500, "InternalError")), 4.0),
    "lists, but watches expire": (only_lists(status(410, "Expired")), 4.0),
}


async def asked_in_an_hour(
    directory: Path, answer: Callable[[Request], Reply], draw: Callable[[], float], told: list[str] | None = None
) -> list[float]:
    """Follow a scope for an hour that takes no time, and give the moments at which the server was asked.

    Args:
        directory: for what the client reads
        answer: of the server
        draw: random numbers
        told: gets what the sink was told

    """
    clock = 0.0
    moments: list[float] = []
    over = asyncio.Event()

    async def sleep(seconds: float) -> None:
        nonlocal clock
        clock += seconds
        await asyncio.sleep(0)
        if clock >= HOUR:
            over.set()
            await asyncio.Event().wait()

    async def counted(request: Request) -> Reply:
        moments.append(clock)
        if len(moments) > 100_000:  # it does not wait at all
            over.set()
        return answer(request)

    async with serve() as server:
        server.on("/", counted)
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig)
        async with Api.connect(str(kubeconfig)) as api:
            sink = Recorder()
            reflector = Reflector(
                Collection(api, WIDGET, SCOPE, Selection(), sink), sink,
                version="5", mode="catch_up", lists=asyncio.Semaphore(), draw=draw, sleep=sleep,
            )  # fmt: skip
            task = asyncio.create_task(reflector.run())
            await over.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if told is not None:
                told += sink.told
    return moments


@pytest.mark.parametrize("least", [True, False])
@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_hour_of_trouble_is_no_burden(tmp_path: Path, outage: str, least: bool) -> None:
    """After two minutes a type asks for at most two things a minute, or four of a server that answers in part."""
    answer, per_minute = OUTAGES[outage]
    moments = await asked_in_an_hour(tmp_path, answer, (lambda: 0.0) if least else random.Random(1).random)  # noqa: S311
    late = [moment for moment in moments if moment >= AFTER]
    rate = len(late) / ((HOUR - AFTER) / 60.0)
    print(f"{outage}: {len(moments) - len(late)} in two minutes, then {rate:.2f} a minute")  # noqa: T201 - the figures

    assert rate <= per_minute
    assert rate >= 0.5  # it goes on trying


@pytest.mark.parametrize(
    "outage",
    ["500", "503", "429", "403", "garbage", "a Status for everything", "watches: 500", "lists, but watches: 500"],
)
async def test_an_hour_of_trouble_is_told_once(tmp_path: Path, outage: str) -> None:
    """A type that cannot be followed for an hour is so for an hour, whatever else the server can do meanwhile."""
    told: list[str] = []
    await asked_in_an_hour(tmp_path, OUTAGES[outage][0], lambda: 0.0, told)
    found = [word for word in told if word in {"degraded", "recovered"}]
    print(f"{outage}: {found}")  # noqa: T201 - the figures
    assert found[-1:] == ["degraded"]
    assert len(found) <= 3  # the first list after it was told may have been its end


@pytest.mark.parametrize(
    ("asked", "waited"), [("7", 7.0), ("0", 0.8), ("31536000", LONGEST_WAIT), ("9" * 400, LONGEST_WAIT)]
)
async def test_retry_after_is_kept_but_not_for_ever(tmp_path: Path, asked: str, waited: float) -> None:
    """Nobody asks sooner than told; who tells us to come back in a year is asked again after ten minutes."""
    slept: list[float] = []
    done = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        done.set()

    async with serve() as server:
        server.on("/", Reply(503, headers={"Retry-After": asked}), page(9), OPEN)
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig)
        async with Api.connect(str(kubeconfig)) as api:
            sink = Recorder()
            reflector = Reflector(
                Collection(api, WIDGET, SCOPE, Selection(), sink), sink,
                version="5", mode="catch_up", lists=asyncio.Semaphore(), draw=lambda: 0.0, sleep=sleep,
            )  # fmt: skip
            task = asyncio.create_task(reflector.run())
            await asyncio.wait_for(done.wait(), 30)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    assert slept[:1] == [waited]


def test_an_outage_that_is_over_does_not_slow_the_list_down() -> None:
    """Who finds the server there, without our history, need not wait; who lists again and again does, ever longer."""
    patience = Patience(lambda: 0.0)
    for _ in range(20):
        patience.failed()
    patience.answered()
    assert not patience.tried

    for _ in range(3):
        patience.listed()
        patience.failed()
    patience.answered()
    assert patience.failed() > 5.0 / 2
