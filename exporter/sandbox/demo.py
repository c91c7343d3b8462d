"""The demo: an API server, the exporter beside it, the scripted day played to both, and what was seen of it.

It ends with a comparison: what was seen must be what was done, version by version, else the exit code is 1. Everything
is on loopback and below one temporary directory, which is gone afterwards. Must never touch a cluster of the user's.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import sys
import urllib.request
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from exporter import PROGRAM
from exporter.journal.read import open_reader
from exporter.records import encode_record
from exporter.sandbox.apiserver.server import emulate
from exporter.sandbox.closing import by_writer, came_back, drift
from exporter.sandbox.comparing import differences, disagreements
from exporter.sandbox.crds import DATABASE
from exporter.sandbox.day import play, prepare
from exporter.sandbox.exporter_process import PORT, exporting
from exporter.sandbox.hands import reach
from exporter.sandbox.script import IGNORE, SECRETS
from exporter.sandbox.window import Window


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from exporter.records import Record
    from exporter.sandbox.day import Summary
    from exporter.sandbox.exporter_process import ExporterProcess
    from exporter.sandbox.hands import Hands
    from exporter.sandbox.screen import Screen

INTERRUPTED = 130
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTRODUCTION = (
    "A shop's cluster for a day: people, GitOps and operators change its databases, caches and routes, "
    "and this is what the exporter sees of it."
)
_ORDERS = DATABASE.path("shop", "orders")


class Ground(Struct, frozen=True):
    """A running API server on which the day can be played.

    Attributes:
        name: what it is
        kubeconfig: the file with the way to it
        kubectl: a kubectl for whoever wants to change something
        address: where it is, if it asks nobody who they are

    """

    name: str
    kubeconfig: Path
    kubectl: str = "kubectl"
    address: str = ""


@asynccontextmanager
async def emulated(folder: Path) -> AsyncIterator[Ground]:
    """Run the emulated API server until the block ends, with its kubeconfig in a folder."""
    async with emulate() as sandbox:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(sandbox.kubeconfig(), encoding="utf-8")
        yield Ground("an emulated API server", kubeconfig, address=sandbox.address)


def run(
    screen: Screen,
    *,
    once: bool,
    speed: float,
    ground: Callable[[Path], AbstractAsyncContextManager[Ground]] = emulated,
) -> int:
    """Tell the day on an API server that is started for it.

    Args:
        screen: where it is told
        once: end after the day, instead of staying up until Ctrl-C
        speed: how many times faster than in about 25 s
        ground: starts the server in a directory of its own, and ends it with its block

    Returns:
        the exit code: 0 what was seen is what was done, 1 it is not, 130 interrupted before that was known

    Raises:
        ExporterError: the server or the exporter could not be started, or ended by itself

    """
    return asyncio.run(_until_interrupted(_show(screen, ground, once=once, speed=speed), screen))


async def _until_interrupted(work: Coroutine[None, None, int], screen: Screen) -> int:
    """Work until it is done or Ctrl-C comes. A second Ctrl-C does not disturb the cleaning up after the first."""
    task = asyncio.create_task(work)
    signals: list[int] = []

    def end(number: int) -> None:
        if not signals:
            task.cancel()
        signals.append(number)

    for number in _ENDING:
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        code = await task
    except asyncio.CancelledError:
        screen.line()
        screen.aside("interrupted; everything is stopped and removed")
        return INTERRUPTED
    screen.good("everything is stopped and removed")
    return code


async def _show(
    screen: Screen, ground: Callable[[Path], AbstractAsyncContextManager[Ground]], *, once: bool, speed: float
) -> int:
    with TemporaryDirectory(prefix=f"{PROGRAM}-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        screen.paragraph("", _INTRODUCTION, "bold")
        screen.line()
        async with ground(folder) as server, reach(str(server.kubeconfig)) as hands:
            screen.good(f"{server.name} is up")
            await prepare(hands, tell=screen.good)
            settle, clear = times(speed)
            config = {"drift": {"settle": f"{settle}s", "clear": f"{clear}s", "ignore": IGNORE}}
            async with exporting(server.kubeconfig, folder, config) as exporter:
                await exporter.ready()
                _introduce(exporter, screen)
                screen.good(f"drift counts after {settle} s and is over after {clear} s (usually 2 min and 1 min)")
                with closing(open_reader(exporter.data_dir)) as reader, screen.with_status():
                    window = Window(reader, screen, exporter.address("/metrics"))
                    code = await _beside(_story(hands, exporter, window, screen, speed), window, exporter)
                    if not once:
                        _invite(server, exporter, screen)
                        with suppress(asyncio.CancelledError):  # Ctrl-C is how it is meant to end
                            await _beside(exporter.gone(), window, exporter)
                if not await exporter.stop():
                    screen.bad("the exporter did not end in order")
                    return 1
    return code


async def _beside(story: Coroutine[None, None, int], window: Window, exporter: ExporterProcess) -> int:
    """Give what the story gives, while the window is looked through and the exporter lives."""
    tasks = [asyncio.create_task(one) for one in (story, window.follow(), exporter.gone())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()  # but for the story, they end only with an error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def times(speed: float) -> tuple[int, int]:
    """Give the seconds after which drift counts on a day of so many times the speed, and after which it is over."""
    return round(2 / speed), round(1 / speed)


def _introduce(exporter: ExporterProcess, screen: Screen) -> None:
    address = exporter.address("/metrics")
    taken = "" if f":{PORT}/" in address else f" (port {PORT} is taken)"
    screen.good(f"the exporter is ready: {address}{taken}")
    if delivery := exporter.said("delivering log records"):
        screen.good(f"log records go to {delivery['endpoint']}")


async def _story(hands: Hands, exporter: ExporterProcess, window: Window, screen: Screen, speed: float) -> int:
    summary = await play(hands, speed=speed, begin=window.scene, concluded=window.concluded)
    await window.scene("The day is over. Who changed what, how often", len(summary.deeds))
    verdicts = window.verdicts()
    facts = came_back(window.changes) + drift(window.told, verdicts)
    for part in (by_writer(window.changes), facts):
        screen.facts(part)
        screen.line()
    wrong = await asyncio.to_thread(_wrong, summary, window, exporter.address("/metrics"))
    wrong += disagreements(summary, window.told, verdicts)
    for sentence in wrong:
        screen.bad(sentence)
    if wrong:
        return 1
    count = len(window.changes)
    screen.good(f"{len(summary.deeds)} versions were made, {count} seen: each once, with its word and writer")
    screen.good(f"{len(window.told)} conclusions on drift and fights: each as it was to be expected, and none beside")
    screen.good(f"/metrics counts the same {count} changes, and no secret is in the history")
    return 0


def _wrong(summary: Summary, window: Window, metrics: str) -> list[str]:
    """Say what was not seen as it was done."""
    wrong = differences(summary, window.changes)
    try:
        counted = _counted(metrics)
        if counted != len(summary.deeds):
            wrong.append(f"{len(summary.deeds)} versions were made, and /metrics counts {counted:g} changes")
    except OSError as error:
        wrong.append(f"{metrics} does not answer: {error}")
    records: list[Record] = [*window.changes, *window.told]
    history = b"".join(map(encode_record, records)).decode()
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


def _invite(server: Ground, exporter: ExporterProcess, screen: Screen) -> None:
    """Say how to look, and how to change something."""
    kubeconfig, data_dir = (shlex.quote(str(path)) for path in (server.kubeconfig, exporter.data_dir))
    screen.scene("Everything stays up until Ctrl-C: change something, it appears below")
    screen.command("metrics", exporter.address("/metrics"))
    screen.command("kubectl", f"{server.kubectl} --kubeconfig={kubeconfig} -n shop edit database orders")
    if server.address:
        patch = """-H 'Content-Type: application/merge-patch+json' -d '{"spec":{"replicas":7}}'"""
        screen.command("or curl", f"curl -sX PATCH {patch} {server.address}{_ORDERS}")
    screen.command("history", f"{_program()} changes --data-dir={data_dir} --writer=human")
    screen.command("drift", f"{_program()} drift --data-dir={data_dir}")
    screen.line()


def _program() -> str:
    """Give the word that calls this program in the user's shell."""
    return PROGRAM if shutil.which(PROGRAM) else shlex.quote(str(Path(sys.executable).with_name(PROGRAM)))
