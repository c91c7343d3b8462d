"""An emulated server of a test's own, with one type, and the plainest client to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter.sandbox.apiserver.server import emulate
from tests.contract.gadgets import GADGET, SHARED, made
from tests.contract.installing import install
from tests.contract.wire import reach


if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.sandbox.apiserver.server import Sandbox
    from tests.contract.wire import Object, Wire

PATH = GADGET.path("default")


class Ground(NamedTuple):
    """A running server and the way to it."""

    sandbox: Sandbox
    wire: Wire
    kubeconfig: Path

    async def make(self, *names: str, namespace: str = "default") -> list[Object]:
        """Make gadgets."""
        return [(await self.wire.post(GADGET.path(namespace), made(name, {"size": 1}))).body for name in names]

    async def resize(self, name: str, size: int) -> Object:
        """Write a gadget."""
        body: Object = (await self.wire.merge(f"{PATH}/{name}", {"spec": {"size": size}})).body
        return body


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    """A server on this event loop."""
    kubeconfig = tmp_path / "kubeconfig"
    async with emulate(bookmark_seconds=0.2) as sandbox:
        kubeconfig.write_text(sandbox.kubeconfig(), encoding="utf-8")
        async with reach(kubeconfig) as wire:
            await install(wire, GADGET, SHARED[GADGET])
            yield Ground(sandbox, wire, kubeconfig)
