"""A network namespace with a cable to this machine that can be pulled out: a real partition for one program.

    with Namespace() as namespace:
        namespace.command(["program"])  # runs there
        namespace.pull() ; namespace.plug()

Only what is made here is touched, and it is taken away at the end. Must never reach beyond this machine: the cable ends
at a relay that leads to one port of loopback and nowhere else.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.faults.loops import end_all


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_numbers = itertools.count(1)
_COMMAND_SECONDS = 30.0
_PIECE = 64 * 1024


def impossible() -> str:
    """Say why there can be no namespace here; empty where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need `ip` (iproute2)"
    name = f"crx-try-{os.getpid()}"
    made = subprocess.run([_ip(), "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made here: {made.stderr.strip()}"
    _run("netns", "del", name)
    return ""


class Namespace:
    """The namespace, its cable, and the relay at this end of it.

    Attributes:
        name: of the namespace
        here: the address of this machine at the cable
        there: the address inside
        port: of the relay, at `here`

    """

    def __init__(self, port: int) -> None:
        """Prepare; nothing is made before `with`.

        Args:
            port: of loopback, where the relay leads

        """
        number = next(_numbers)
        # From the block for tests of networks (RFC 2544); one /30 for each namespace of a process.
        net = f"198.18.{os.getpid() % 250}"
        self.name = f"crx-{os.getpid()}-{number}"
        self.here, self.there = f"{net}.{4 * number + 1}", f"{net}.{4 * number + 2}"
        self.port = 0
        self._to = port
        self._outside, self._inside = f"crx{os.getpid() % 100_000}o{number}", f"crx{os.getpid() % 100_000}i{number}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)

    def __enter__(self) -> Self:
        """Make it, and begin to relay."""
        try:
            _run("netns", "add", self.name)
            _run("link", "add", self._outside, "type", "veth", "peer", "name", self._inside, "netns", self.name)
            _run("addr", "add", f"{self.here}/30", "dev", self._outside)
            _run("link", "set", self._outside, "up")
            _run("-n", self.name, "addr", "add", f"{self.there}/30", "dev", self._inside)
            for link in (self._inside, "lo"):
                _run("-n", self.name, "link", "set", link, "up")
            self._thread.start()
            self.port = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(_COMMAND_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away; its end of the cable takes the other with it."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_COMMAND_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        for what in (("link", "del", self._outside), ("netns", "del", self.name)):
            with suppress(subprocess.CalledProcessError):  # it was never made
                _run(*what)

    def command(self, command: Sequence[str | Path]) -> list[str | Path]:
        """Give the command that runs another one inside, in the same process."""
        return [_ip(), "netns", "exec", self.name, *command]

    def pull(self) -> None:
        """Pull the cable: nothing passes, and nobody is told."""
        _run("link", "set", self._outside, "down")

    def plug(self) -> None:
        """Plug it in again."""
        _run("link", "set", self._outside, "up")

    # -- the relay --------------------------------------------------------------------------------------------

    async def _serve(self) -> int:
        self._server = await asyncio.start_server(self._relay, self.here, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _end(self) -> None:
        self._server.close()
        await end_all()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            back, forth = await asyncio.open_connection("127.0.0.1", self._to)
            try:
                await asyncio.gather(_pour(reader, forth), _pour(back, writer))
            finally:
                forth.transport.abort()
        writer.transport.abort()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends; the end of one direction is the end of both."""
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    raise ConnectionError


def _ip() -> str:
    return shutil.which("ip") or "ip"


def _run(*arguments: str) -> None:
    subprocess.run([_ip(), *arguments], capture_output=True, timeout=_COMMAND_SECONDS, check=True)
