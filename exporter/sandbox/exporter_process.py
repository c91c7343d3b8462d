"""The exporter as a process of its own, as its users run it: started, listened to, ended in order.

Must never leave it behind, however the process that started it ends: the exporter ends with the pipe that only its
starter holds open. (Run as a module, this is the exporter with that addition.)
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import signal
import socket
import sys
import threading
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from exporter.errors import ExporterError


if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

PORT = 9838
_POLL_SECONDS = 0.05
_START_SECONDS = 60.0
# Above the five seconds that the exporter itself gives to its outputs.
_STOP_SECONDS = 15.0
_TAIL = 10


class ExporterProcess:
    """An exporter that is started. Made by `exporting`.

    Args:
        command: runs it, but for where it listens
        log: the file that it logs to, as JSON
        data_dir: of its journal

    """

    _process: Process

    def __init__(self, command: list[str], log: Path, data_dir: Path) -> None:
        self._command = command
        self._log = log
        self._port = 0
        self.data_dir = data_dir

    async def start(self, port: int) -> None:
        """Start it, to listen on a port of loopback, or on any for 0."""
        self._port = port
        with self._log.open("wb") as out:
            # A session of its own: Ctrl-C in the terminal is for us, who then end it in order.
            self._process = await asyncio.create_subprocess_exec(
                *self._command, f"--web.listen-address=127.0.0.1:{port}",
                stdin=PIPE, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def address(self, path: str) -> str:
        """Give the URL of one of its pages."""
        metrics: str = self.said("started")["metrics"]
        return metrics.removesuffix("/metrics") + path

    def said(self, event: str) -> dict[str, Any]:
        """Give the first line of its log that tells of an event; empty if there is none yet."""
        for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):  # half written, or of somebody else
                told: dict[str, Any] = json.loads(line)
                if told["event"] == event:
                    return told
        return {}

    async def ready(self) -> None:
        """Wait until it follows the cluster; where another program was quicker to take its port, on another one.

        Raises:
            ExporterError: it ended, or is not ready after a minute

        """
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not self.said("ready"):
                    if self._process.returncode is not None:
                        await self._again()
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise ExporterError(f"the exporter is not ready after {_START_SECONDS:g} s{self._tail()}") from None

    async def gone(self) -> NoReturn:
        """Wait until it ends, which it must not.

        Raises:
            ExporterError: it did

        """
        await self._process.wait()
        raise self._ended()

    async def stop(self) -> bool:
        """End it; tell whether it ended in order. A second call does nothing more."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        return self._process.returncode == 0 and bool(self.said("stopped"))

    async def _again(self) -> None:
        if not self._port or is_free(self._port):
            raise self._ended()
        await self.start(0)

    def _ended(self) -> ExporterError:
        return ExporterError(f"the exporter ended by itself, with exit code {self._process.returncode}{self._tail()}")

    def _tail(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        return "\n".join(("; the end of its log:", *lines)) if lines else "; its log is empty"


@asynccontextmanager
async def exporting(
    kubeconfig: Path, folder: Path, config: dict[str, Any] | None = None
) -> AsyncIterator[ExporterProcess]:
    """Run an exporter until the block ends; it need not be ready yet.

    It has our environment, so that `OTEL_*` is the user's to set. Its web server is on loopback, on the usual port
    or, if that is taken, on any.

    Args:
        kubeconfig: the way to the cluster
        folder: for its journal, its log and its configuration; must be there
        config: the content of its configuration file

    """
    data_dir, log, file = folder / "data", folder / "exporter.log", folder / "config.yaml"
    file.write_text(json.dumps(config or {}, indent=1), encoding="utf-8")  # JSON is YAML
    # Safe path (-P): a directory called `exporter` that the user happens to be in is not ours.
    command = [
        sys.executable, "-P", "-m", __name__, "run", f"--kubeconfig={kubeconfig}", f"--config={file}",
        f"--data-dir={data_dir}", "--log.format=json",
    ]  # fmt: skip
    exporter = ExporterProcess(command, log, data_dir)
    await exporter.start(PORT if is_free(PORT) else 0)
    try:
        yield exporter
    finally:
        await exporter.stop()


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _end_with_starter() -> None:
    """Wait until the other end of stdin is closed, by whatever way its holder went, and end in order."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    runpy.run_module("exporter.cli", run_name="__main__", alter_sys=True)
