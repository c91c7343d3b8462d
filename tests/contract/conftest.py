"""The two servers that one contract is asked of: the emulated one, in a thread, and the real one, as processes.

The real one is the truth: what it does is what the tests say. Where it is missing its half is a named skip, and under
CI=true a failure.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import urllib.request
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from exporter.sandbox.apiserver.server import emulate
from tests.contract.gadgets import SHARED
from tests.contract.installing import install
from tests.contract.wire import reach
from tests.integration.conftest import _discard, _need
from tests.servers.launch import Cluster


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from exporter.model import ResourceType
    from exporter.sandbox.apiserver.server import Sandbox
    from tests.contract.wire import Wire

_START_SECONDS = 30.0
_numbers = itertools.count()


class Server(NamedTuple):
    """One of the two: how to reach it, and what makes it forget all versions but the newest."""

    kubeconfig: Path
    forget: Callable[[], None]


class Place(NamedTuple):
    """A namespace of a test's own, and the wire to it."""

    wire: Wire
    namespace: str
    server: Server

    def path(self, resource_type: ResourceType, name: str = "") -> str:
        """The URL path of a collection in the namespace, or of an object of it."""
        return resource_type.path(self.namespace if resource_type.namespaced else "", name)


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The emulated server, which all tests share."""
    with _in_a_thread() as (sandbox, loop):
        kubeconfig = tmp_path_factory.mktemp("emulated") / "kubeconfig"
        kubeconfig.write_text(sandbox.kubeconfig(), encoding="utf-8")

        async def forget() -> None:
            sandbox.store.compact()

        yield _with_types(Server(kubeconfig, lambda: asyncio.run_coroutine_threadsafe(forget(), loop).result()))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server, which all tests share."""
    _need(["etcd", "kube-apiserver"])
    # Without snapshots in its cache it forgets a list when etcd does, not up to a minute later.
    gates = ["--feature-gates=ListFromCacheSnapshot=false"]
    cluster = Cluster(tmp_path_factory.mktemp("real"), apiserver_args=gates)
    etcd = f"http://127.0.0.1:{cluster._etcd_port}/v3/kv"

    def forget() -> None:
        key = base64.b64encode(b"/").decode()
        revision = _ask(f"{etcd}/range", {"key": key, "limit": 1})["header"]["revision"]
        _ask(f"{etcd}/compaction", {"revision": revision, "physical": True})

    try:
        cluster.start()
        yield _with_types(Server(cluster.kubeconfig, forget))
    finally:
        _discard(cluster)


@pytest.fixture(params=["emulated", "real"], scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the two in turn."""
    one: Server = request.getfixturevalue(request.param)
    return one


@pytest.fixture
async def place(server: Server) -> AsyncIterator[Place]:
    """A namespace that no other test has."""
    namespace = f"test-{next(_numbers)}"
    async with reach(server.kubeconfig) as wire:
        answer = await wire.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
        assert answer.status == 201, answer
        yield Place(wire, namespace, server)


@contextmanager
def _in_a_thread() -> Iterator[tuple[Sandbox, asyncio.AbstractEventLoop]]:
    """Run the emulated server on an event loop of its own, so that tests cannot hold it up."""
    started: Future[tuple[Sandbox, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        async with emulate() as sandbox:
            stop = asyncio.Event()
            started.set_result((sandbox, asyncio.get_running_loop(), stop))
            await stop.wait()

    with ThreadPoolExecutor(1, "emulated-api-server") as executor:
        running = executor.submit(asyncio.run, serve())
        either: list[Future[Any]] = [started, running]
        wait(either, _START_SECONDS, FIRST_COMPLETED)
        if running.done():
            running.result()
        sandbox, loop, stop = started.result(0)
        try:
            yield sandbox, loop
        finally:
            loop.call_soon_threadsafe(stop.set)
        running.result(_START_SECONDS)


def _with_types(server: Server) -> Server:
    """Install the types that tests share."""

    async def prepare() -> None:
        async with reach(server.kubeconfig) as wire:
            await asyncio.gather(*(install(wire, resource_type, crd) for resource_type, crd in SHARED.items()))

    asyncio.run(prepare())
    return server


def _ask(url: str, body: object) -> Any:
    """Ask etcd through its JSON gateway."""
    request = urllib.request.Request(url, data=json.dumps(body).encode())  # noqa: S310 - our own etcd
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)
