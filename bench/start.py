"""`python -m bench.start`: a first start with many objects, the memory it takes, and a start after SIGKILL.

The exporter runs as its users run it, against a server of prepared answers that is faster than a real one, or with
`--real` against a real kube-apiserver. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import ssl
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop
from msgspec import Struct

from bench import load
from bench.programs import CHANGES, Exporter, Program
from tests.servers.identity import Authority, write_kubeconfig
from tests.servers.launch import Cluster
from tests.servers.process import free_port
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECTS = "customresource_objects"
_LONG = 300.0
_SETTLED = 5.0


class Server(Struct, frozen=True):
    """A server in a process of its own: the way to it, and how to let its changes begin."""

    kubeconfig: Path
    url: str
    trust: ssl.SSLContext

    def say(self, what: str) -> None:
        """Let the changes begin (`go`), or keep them back from whoever lists next (`hold`)."""
        request = urllib.request.Request(f"{self.url}/{what}", method="POST")  # noqa: S310 - our own server
        urllib.request.urlopen(request, context=self.trust, timeout=10).close()  # noqa: S310


class Started(Struct, frozen=True, kw_only=True):
    """One round; seconds from the start of the process, memory in MiB."""

    ready: float
    committed: float
    cpu: float
    peak: float
    later: float
    changes_per_second: float = 0.0
    restart_ready: float
    restart_peak: float
    journal_mib: float


class Idle(Struct, frozen=True, kw_only=True):
    """Many types at which nothing happens; memory in MiB, CPU in milliseconds for each second."""

    ready: float
    rss: float
    peak: float
    cpu: float


@contextmanager
def scripted(folder: Path, *, types: int, objects: int, changes: int = 0, people: bool = False) -> Iterator[Server]:
    """Run the server of prepared answers."""
    authority = Authority(folder / "identity")
    certificate, key = authority.issue_server("server")
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    kubeconfig = write_kubeconfig(folder / "kubeconfig", url, authority.file, {"token": "bench"})
    numbers = [f"--types={types}", f"--objects={objects}", f"--changes={changes}", *(["--people"] if people else [])]
    command: list[str | Path] = [sys.executable, "-m", "bench.server", str(port), certificate, key, *numbers]
    trust = ssl.create_default_context(cafile=authority.file)
    with Program("scripted-server", folder, command, f"{url}/healthz", trust=trust):
        yield Server(kubeconfig, url, trust)


def first_start(kubeconfig: Path, data: Path, objects: int, server: Server | None, changes: int) -> Started:
    """Start on an empty journal, take in changes, kill it, start again."""
    exporter = Exporter(kubeconfig, data)
    began = time.monotonic()
    exporter.start()
    try:
        eventually(lambda: exporter.total(_OBJECTS) >= objects, timeout=_LONG)
        committed, cpu = time.monotonic() - began, exporter.cpu_seconds
        ready = exporter.seconds_to_ready
        peak = exporter.memory.peak
        time.sleep(_SETTLED)  # the subject: what it holds once it has nothing to do
        later = exporter.memory.rss
        rate = 0.0
        if server is not None and changes:
            server.say("go")
            began = time.monotonic()
            eventually(lambda: exporter.total(CHANGES) >= changes, timeout=_LONG)
            rate = changes / (time.monotonic() - began)
        exporter.kill()
        exporter.start()
        return Started(
            ready=round(ready, 2),
            committed=round(committed, 2),
            cpu=round(cpu, 2),
            peak=peak,
            later=later,
            changes_per_second=round(rate),
            restart_ready=round(exporter.seconds_to_ready, 2),
            restart_peak=exporter.memory.peak,
            journal_mib=round(sum(file.stat().st_size for file in data.iterdir()) / 2**20, 1),
        )
    finally:
        exporter.kill()


def many_objects(*, types: int, objects: int, changes: int, rounds: int, people: bool) -> list[Started]:
    """Start with many objects; each round on an empty journal."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-start-")))
        server = stack.enter_context(scripted(folder, types=types, objects=objects, changes=changes, people=people))
        found = []
        for number in range(rounds):
            server.say("hold")
            found.append(first_start(server.kubeconfig, folder / f"data-{number}", objects, server, changes))
        return found


def many_objects_real(*, types: int, objects: int) -> list[Started]:
    """Start with many objects on a real kube-apiserver; it takes minutes to make them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-start-")))
        cluster = stack.enter_context(Cluster(folder / "cluster", apiserver_args=load.APISERVER))
        uvloop.run(load.install(cluster.kubeconfig, types))
        uvloop.run(load.fill(cluster.kubeconfig, load.places(types, objects // types)))
        return [first_start(cluster.kubeconfig, folder / "data", objects, None, 0)]


def many_types(types: int, seconds: float = 10.0) -> Idle:
    """Follow many types at which nothing happens."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-types-")))
        server = stack.enter_context(scripted(folder, types=types, objects=types))
        exporter = stack.enter_context(Exporter(server.kubeconfig, folder / "data"))
        eventually(lambda: exporter.total(_OBJECTS) >= types, timeout=_LONG)
        time.sleep(_SETTLED)
        before = exporter.cpu_seconds
        time.sleep(seconds)  # the subject: what it takes while nothing happens
        memory, cpu = exporter.memory, exporter.cpu_seconds - before
        return Idle(
            ready=round(exporter.seconds_to_ready, 2),
            rss=memory.rss,
            peak=memory.peak,
            cpu=round(cpu / seconds * 1e3, 1),
        )


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--types", type=int, default=20)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=50_000, help="before it is killed (%(default)d)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--people", action="store_true", help="each object has a series of its own")
    parser.add_argument("--idle", action="store_true", help="instead: as many types as --types, nothing happens")
    parser.add_argument("--real", action="store_true", help="on a real kube-apiserver, without the changes")
    options = parser.parse_args()
    if options.idle:
        found: object = many_types(options.types)
    elif options.real:
        found = many_objects_real(types=options.types, objects=options.objects)
    else:
        found = many_objects(
            types=options.types, objects=options.objects, changes=options.changes, rounds=options.rounds,
            people=options.people,
        )  # fmt: skip
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main()
