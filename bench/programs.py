"""The programs that are measured: the exporter as its users run it, and an OTLP endpoint that takes everything.

Nothing outlives the process that started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench import machine
from bench.objects import GROUP
from tests.integration import exporting
from tests.servers.process import Server, answers, free_port


if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from bench.machine import Memory

CHANGES = "customresource_changes_total"
_CONFIG = f'watch: {{include: ["{GROUP}/*"]}}'
_ROOT = Path(__file__).parent.parent
_ENV = shutil.which("env") or "/usr/bin/env"
DELIVERED = "customresource_exporter_delivery_sent_total"


class Exporter(exporting.Exporter):
    """One exporter, and what it costs; it follows the types of these benchmarks alone.

    Args:
        kubeconfig: the way to the server
        data_dir: of its journal
        env: added to its environment
        profile: where a profile is written at its end, see `bench.profiled`

    """

    def __init__(
        self, kubeconfig: Path, data_dir: Path, env: Mapping[str, str] | None = None, *, profile: Path | None = None
    ) -> None:
        # The one of this checkout, whichever the program on PATH belongs to.
        super().__init__(kubeconfig, data_dir, config=_CONFIG, env={"PYTHONPATH": str(_ROOT), **(env or {})})
        if profile is not None:
            place = self._command.index(exporting.PROGRAM)
            self._command[place : place + 1] = [sys.executable, "-m", "bench.profiled", profile]

    def begin_profile(self) -> None:
        """Let the profile begin."""
        os.kill(self._running(), signal.SIGUSR1)

    @property
    def cpu_seconds(self) -> float:
        """What it has used."""
        return machine.cpu_seconds(self._running())

    @property
    def memory(self) -> Memory:
        """What it holds."""
        return machine.memory(self._running())

    def total(self, name: str) -> float:
        """Add up all samples of a family."""
        return sum(value for (sample, _), value in self.metrics().items() if sample == name)


class Program:
    """Another server, by its name, command line and the page that answers once it is ready.

    Args:
        name: for messages, and of its log
        folder: for its log
        command: its command line
        health: the page that answers with 200 once it is ready
        trust: for TLS

    """

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str | Path],
        health: str,
        *,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._server = Server(name, folder / f"{name}.log")
        # Our own programs import this package, and are started elsewhere.
        self._command = [_ENV, f"PYTHONPATH={_ROOT}", *command]
        self._health = health
        self._trust = trust

    def __enter__(self) -> Self:
        """Start it, and wait until it is ready."""
        self._server.start(self._command, lambda: answers(self._health, self._trust))
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._server.terminate(2)

    @property
    def pid(self) -> int:
        """Its process id."""
        pid = self._server.pid
        assert pid is not None, "it does not run"  # noqa: S101 - then the figures mean nothing
        return pid

    @property
    def cpu_seconds(self) -> float:
        """What it has used."""
        return machine.cpu_seconds(self.pid)

    @property
    def memory(self) -> Memory:
        """What it holds."""
        return machine.memory(self.pid)


class Sink(Program):
    """An OTLP endpoint in a process of its own, see `bench.sink`."""

    def __init__(self, folder: Path) -> None:
        self.http, self.grpc = free_port(), free_port()
        health = f"http://127.0.0.1:{self.http}/"
        command = [sys.executable, "-m", "bench.sink", str(self.http), str(self.grpc)]
        super().__init__("otlp-sink", folder, command, health)

    def settings(self, protocol: str) -> Mapping[str, str]:
        """Give the variables that lead an exporter here."""
        port = self.grpc if protocol == "grpc" else self.http
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}

    @property
    def records(self) -> int:
        """How many records came, by its own count."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/", timeout=10) as answer:
            return int(answer.read())
