"""Following one scope against a script: the sink that remembers, and what a server may send."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from exporter.changes.observation import Mode, Observation
from exporter.kube.client import Api
from exporter.kube.collection import Collection, Selection
from exporter.kube.reflector import Reflector
from exporter.kube.sink import Listed, Progress
from tests.changes.objects import SCOPE, WIDGET, widget
from tests.scripted import STALL, Reply, Server, serve


if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATH = "/apis/example.com/v1/widgets"


class Recorder:
    """A sink that remembers, and lets a test wait for what it expects."""

    def __init__(self) -> None:
        self.items: list[Observation | Listed | Progress] = []
        self.told: list[str] = []
        self.slept: list[float] = []
        self.receipts = 0
        self._grown = asyncio.Condition()
        self.reflector: Reflector | None = None
        self.paused = asyncio.Event()

    async def put(self, item: Observation | Listed | Progress) -> None:
        self.items.append(item)
        async with self._grown:
            self._grown.notify_all()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def pause(self, _: float) -> None:
        """Sleep for ever."""
        self.paused.set()
        await asyncio.Event().wait()

    async def until(self, count: int) -> list[str]:
        """Wait for so many items and give them in short."""
        async with self._grown:
            await asyncio.wait_for(self._grown.wait_for(lambda: len(self.items) >= count), 30)
        return [short(item) for item in self.items]

    def synced(self) -> None:
        self.told.append("synced")

    def degraded(self, reason: str) -> None:
        self.told.append("degraded" if reason else "recovered")

    def received(self) -> None:
        self.receipts += 1

    def restarted(self, reason: str) -> None:
        self.told.append(f"restarted {reason}")

    def listing(self, reason: str, *, gap: bool) -> None:
        self.told.append(f"listing {reason}{' gap' if gap else ''}")

    def went_backwards(self) -> None:
        self.told.append("went backwards")

    def skipped(self, reason: str) -> None:
        self.told.append(f"skipped {reason}")


def short(item: Observation | Listed | Progress) -> str:
    """Describe an item in a few words."""
    if isinstance(item, Observation):
        return f"{'late ' if item.late else ''}{item.event} {item.head.resource_version} {item.mode}"
    if isinstance(item, Listed):
        return f"listed {item.resource_version} {item.mode} {len(item.uids)}"
    return f"progress {item.resource_version}"


def event(kind: str, version: int, **more: Any) -> bytes:
    """Make a line of a watch."""
    return json.dumps({"type": kind, "object": widget(version, **more)}).encode() + b"\n"


def bookmark(version: int, *, end: bool = False) -> bytes:
    """Make a bookmark, with the annotation that ends the initial part if asked."""
    meta: dict[str, Any] = {"resourceVersion": str(version)}
    if end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": meta}}).encode() + b"\n"


def error(code: int, reason: str = "Expired") -> bytes:
    """Make an error inside a stream."""
    return json.dumps({"type": "ERROR", "object": {"code": code, "reason": reason, "message": "m"}}).encode() + b"\n"


def page(version: int, *objects: dict[str, Any], more: str = "") -> Reply:
    """Make a page of a list."""
    meta = {"resourceVersion": str(version), "continue": more}
    return Reply(200, [json.dumps({"metadata": meta, "items": objects}).encode()])


def status(code: int, reason: str, headers: dict[str, str] | None = None, **details: Any) -> Reply:
    """Make a refusal."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": "m", "details": details}
    return Reply(code, [json.dumps(body).encode()], headers or {})


# The end of every script: a stream that is open and silent.
OPEN = Reply(200, [STALL])


@asynccontextmanager
async def following(
    directory: Path,
    *script: Any,
    version: str = "",
    mode: Mode = "baseline",
    lists: asyncio.Semaphore | None = None,
    pausing: bool = False,
) -> AsyncIterator[tuple[Server, Recorder]]:
    """Run a reflector against a script."""
    async with serve() as server:
        server.on(PATH, *script)
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig)
        async with Api.connect(str(kubeconfig)) as api:
            sink = Recorder()
            reflector = Reflector(
                Collection(api, WIDGET, SCOPE, Selection(), sink),
                sink,
                version=version,
                mode=mode,
                lists=lists or asyncio.Semaphore(1),
                draw=lambda: 0.0,
                sleep=sink.pause if pausing else sink.sleep,
            )
            sink.reflector = reflector
            task = asyncio.create_task(reflector.run())
            try:
                yield server, sink
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await server.end()
