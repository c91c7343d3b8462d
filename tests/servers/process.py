"""One server process: started on its own, waited for until it answers, and never left behind.

Must never leave a process running once the one that started it is gone, however that one ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

START_SECONDS = 60.0
_POLL_SECONDS = 0.02

# Below what Linux gives to outgoing connections, so that none of those can take a server's port while it restarts.
_PORTS = range(20_000, 32_000)
_given: set[int] = set()

# PR_SET_PDEATHSIG, then the server in the same process: a small program of its own because `preexec_fn` may deadlock
# where there are threads. The parent may have died before the call, hence the second look.
_DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None, use_errno=True).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that started this is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""

# The kernel means the *thread* that started the child when it says parent, so one thread that lasts starts them all.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="test-servers")


class StartError(Exception):
    """A server did not come up; the message ends with the tail of its log."""


def free_port() -> int:
    """A loopback port that nobody listens on and that no process with tests has given out before while it lives."""
    for _ in range(1000):
        port = random.choice(_PORTS)  # noqa: S311 - a port, not a secret
        if port in _given or not _reserve(port):
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise StartError(f"no free loopback port in {_PORTS}")


def _reserve(port: int) -> bool:
    """Keep a port from other runs of the tests beside this one: its server may start later, or be down for a while."""
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _reservations() -> int:
    """A file that all runs of a user share, with a byte for each port to be locked; the kernel unlocks at their end."""
    path = Path(tempfile.gettempdir(), f"customresource-exporter-test-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether a GET of `url` is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as response:  # noqa: S310 - our own server
            return bool(response.status == http.HTTPStatus.OK)
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return False


def listens(port: int) -> bool:
    """Whether somebody accepts connections on the loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


@dataclass(slots=True)
class Server:
    """A program, how to tell that it is ready, and the process while it runs. The log is appended to over restarts."""

    name: str
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int | None:
        """The process id, None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, command: Sequence[str | Path], ready: Callable[[], bool]) -> None:
        """Start it and return once `ready` says so; `StartError` if it ends before, or takes too long."""
        if self.pid is not None:
            raise StartError(f"{self.name} runs already")
        process = self._process = _spawner.submit(self._spawn, command).result()
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            code = process.poll()
            if code is None and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                continue
            self.kill()
            why = f"did not become ready in {START_SECONDS:.0f} s" if code is None else f"ended with exit code {code}"
            raise StartError(f"{self.name} {why}; the end of {self.log}:\n{self._tail()}")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL, 10)

    def terminate(self, grace: float = 10) -> None:
        """Ask it to end, and make it end after `grace` seconds."""
        self._end(signal.SIGTERM, grace)

    def _end(self, how: signal.Signals, grace: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _spawn(self, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
        shim = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is for the tests, which then stop the servers in order.
            return subprocess.Popen(
                [*shim, *map(str, command)],
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-25:])
