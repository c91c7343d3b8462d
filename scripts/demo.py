"""The demo: a real API server, the exporter beside it, the scripted day played to both, and what was seen of it.

It ends with a comparison: what was seen must be what was done, version by version, else the exit code is 1. Everything
is on loopback and below one temporary directory, which is gone afterwards. Must never touch a cluster of the user's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import signal
import socket
import sys
import time
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from exporter.errors import ExporterError
from exporter.journal.read import open_reader
from exporter.model import encode
from exporter.sandbox.closing import report
from exporter.sandbox.day import differences, play, prepare
from exporter.sandbox.hands import reach
from exporter.sandbox.script import SECRETS
from exporter.tables import Table
from tests.servers import build
from tests.servers.launch import BuildError, Cluster, StartError
from tests.servers.process import Server, answers


if TYPE_CHECKING:
    from exporter.journal.read import Reader
    from exporter.model import Change
    from exporter.sandbox.day import Summary
    from exporter.sandbox.hands import Hands

PROGRAM = Path(sys.executable).with_name("customresource-exporter")
PORT = 9838
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 15.0
_INTERRUPTED = 130

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


class ExporterProcess:
    """The exporter as a user runs it, in a directory of its own.

    Args:
        folder: for its journal and its log

    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.data_dir = folder / "data"
        self._server = Server("customresource-exporter", folder / "log.jsonl")

    def start(self, kubeconfig: Path) -> None:
        """Start it; returns when it is ready. It has our environment, so that OTEL_* is the user's to set."""
        command: list[str | Path] = [
            PROGRAM, "run", "--kubeconfig", kubeconfig, "--data-dir", self.data_dir,
            "--web.listen-address", f"127.0.0.1:{PORT if _is_free(PORT) else 0}", "--log.format", "json",
        ]  # fmt: skip
        self._server.start(command, lambda: bool(self.said("ready")) and answers(self.address("/readyz")))

    def address(self, path: str) -> str:
        """Give the URL of one of its pages."""
        metrics: str = self.said("started")["metrics"]
        return metrics.removesuffix("/metrics") + path

    def said(self, event: str) -> dict[str, Any]:
        """Give the first line of its log that tells of an event; empty if there is none yet."""
        with suppress(FileNotFoundError):
            for line in self._server.log.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):
                    told: dict[str, Any] = json.loads(line)
                    if told["event"] == event:
                        return told
        return {}

    def check(self) -> None:
        """Complain if it is gone."""
        if self._server.pid is None:
            tail = self._server.log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]
            raise StartError("\n".join(("the exporter ended by itself; the end of its log:", *tail)))

    def stop(self) -> bool:
        """End it in order; tell whether it did."""
        self._server.terminate()
        return bool(self.said("stopped"))


class Window:
    """Shows the journal as it grows; heartbeats are counted, not shown, as `changes` does without --all.

    Args:
        reader: of the journal

    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._table = Table(sys.stdout, terminal=sys.stdout.isatty())
        self._seen = reader.head()
        self._beats = 0
        self.changes: list[Change] = []

    def look(self) -> None:
        """Show what is new."""
        while rows := self._reader.after(self._seen, 500):
            self._seen = rows[-1][0]
            new = [change for _, change in rows]
            self.changes += new
            self._beats += sum(change.heartbeat for change in new)
            self._table.add(change for change in new if not (change.heartbeat or change.change == "noop"))

    def title(self, text: str) -> None:
        """Begin a scene below what was seen of the one before."""
        self.look()
        if self._beats:
            console.print(f"{self._beats} heartbeats: in the journal, left out here", style="bright_black")
            self._beats = 0
        console.print(f"\n▸ {text}", style="bold")

    async def follow(self, exporter: ExporterProcess) -> None:
        """Look for ever."""
        while True:
            exporter.check()
            self.look()
            await asyncio.sleep(_POLL_SECONDS)

    async def catch_up(self, count: int) -> None:
        """Wait until there are so many changes, or none comes any more."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(self.changes) < count and time.monotonic() < deadline:  # noqa: ASYNC110 - a journal is asked, not told
            await asyncio.sleep(_POLL_SECONDS)


def main() -> int:
    """Run the demo; give the exit code."""
    parser = argparse.ArgumentParser(description="A real API server, the exporter, and a scripted day.")
    parser.add_argument("--once", action="store_true", help="end after the day, instead of staying up until Ctrl-C")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster the day passes")
    options = parser.parse_args()
    if not options.speed > 0:
        parser.error("--speed must be above 0")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console.print(
        "customresource-exporter: a real API server, a scripted day, and all that is seen of it\n", style="bold"
    )
    try:
        with TemporaryDirectory(prefix="customresource-exporter-demo-", ignore_cleanup_errors=True) as folder:
            code = _demo(Path(folder), options)
    except (BuildError, StartError, ExporterError) as error:
        console.print(f"✗ {error}", style="red")
        return 1
    except KeyboardInterrupt:
        console.print("\ninterrupted; everything is stopped and removed")
        return _INTERRUPTED
    _done("everything is stopped and removed")
    return code


def _demo(folder: Path, options: argparse.Namespace) -> int:
    version = build.PROGRAMS["kube-apiserver"].module.version
    cluster = Cluster(folder / "cluster")
    exporter = ExporterProcess(folder / "exporter")
    with cluster:
        _done(f"kube-apiserver {version} and etcd are up")
        try:
            code = asyncio.run(_day(cluster, exporter, options))
        finally:
            ended = exporter.stop()
    if not ended:
        console.print("✗ the exporter did not end in order", style="red")
        return 1
    return code


async def _day(cluster: Cluster, exporter: ExporterProcess, options: argparse.Namespace) -> int:
    async with reach(str(cluster.kubeconfig)) as hands:
        await prepare(hands, tell=_done)
        await asyncio.to_thread(exporter.start, cluster.kubeconfig)
        _done(f"the exporter is ready: {exporter.address('/metrics')}")
        if delivery := exporter.said("delivering log records"):
            _done(f"log records go to {delivery['endpoint']}")
        with closing(open_reader(exporter.data_dir)) as reader:
            window = Window(reader)
            follower = asyncio.create_task(window.follow(exporter))
            story = asyncio.create_task(_story(hands, cluster, exporter, window, options))
            try:
                # The follower ends only if the exporter does, and then there is no story any more.
                await asyncio.wait({follower, story}, return_when=asyncio.FIRST_COMPLETED)
                if follower.done():
                    follower.result()
                return story.result()
            finally:
                follower.cancel()
                story.cancel()
                await asyncio.gather(follower, story, return_exceptions=True)


async def _story(
    hands: Hands, cluster: Cluster, exporter: ExporterProcess, window: Window, options: argparse.Namespace
) -> int:
    summary = await play(hands, speed=options.speed, tell=window.title)
    await window.catch_up(len(summary.deeds))
    window.title("The day is over. Who changed what, how often")
    for line in report(window.changes):
        console.print(f"  {line}".rstrip())
    console.print()
    wrong = await asyncio.to_thread(_wrong, summary, window.changes, exporter.address("/metrics"))
    for sentence in wrong:
        console.print(f"  ✗ {sentence}", style="red")
    if not wrong:
        _done(
            f"{len(summary.deeds)} versions were made, {len(window.changes)} seen: each once, with its word and writer"
        )
        _done(f"/metrics counts the same {len(window.changes)} changes, and no secret is in the history")
    if not options.once:
        await _stay(cluster, exporter)
    return 1 if wrong else 0


def _wrong(summary: Summary, changes: list[Change], metrics: str) -> list[str]:
    """Say what was not seen as it was done."""
    wrong = differences(summary, changes)
    try:
        counted = _counted(metrics)
        if counted != len(summary.deeds):
            wrong.append(f"{len(summary.deeds)} versions were made, and /metrics counts {counted:g} changes")
    except OSError as error:
        wrong.append(f"{metrics} does not answer: {error}")
    history = b"".join(map(encode, changes)).decode()
    if any(secret in history for secret in SECRETS):
        wrong.append("the text of a secret is in the history")
    return wrong


def _counted(metrics: str) -> float:
    with urllib.request.urlopen(metrics, timeout=10) as response:  # noqa: S310 - the exporter's own page
        page = response.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "customresource_changes_total"
    )


async def _stay(cluster: Cluster, exporter: ExporterProcess) -> None:
    """Leave everything up until Ctrl-C; what anybody changes meanwhile is shown."""
    kubectl = build.required("kubectl")
    quoted = [shlex.quote(str(path)) for path in (kubectl, cluster.kubeconfig, PROGRAM, exporter.data_dir)]
    console.print("\n▸ Everything stays up until Ctrl-C: change something yourself, it appears below", style="bold")
    console.print(f"  metrics   {exporter.address('/metrics')}")
    console.print(f"  change    {quoted[0]} --kubeconfig={quoted[1]} -n shop edit database orders")
    console.print(f"  history   {quoted[2]} changes --data-dir {quoted[3]} --writer human\n")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    console.print()


def _done(text: str) -> None:
    console.print(f"  ✓ {text}", style="green")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
