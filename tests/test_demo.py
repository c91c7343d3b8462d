"""The demo as its users run it: a process that tells the day, holds it to what was done, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import http.client
import io
import os
import pty
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from exporter import cli
from exporter.errors import ExporterError
from exporter.model import UNRESOLVED, Change, FieldChange, Writer
from exporter.records import Finding, Transition, Verdict
from exporter.sandbox import demo, exporter_process
from exporter.sandbox.apiserver.server import emulate
from exporter.sandbox.closing import drift, say
from exporter.sandbox.comparing import disagreements
from exporter.sandbox.day import Summary
from exporter.sandbox.exporter_process import PORT, exporting
from exporter.sandbox.screen import Screen
from exporter.sandbox.script import DAY, EXCUSED, ORDERS, SECRETS, UNDECLARED, Conclusion
from exporter.sandbox.window import Window, cells
from exporter.timestamps import Timestamp
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.journal.read import Reader
    from exporter.records import DriftState, Record
    from exporter.sandbox.script import Place

pytestmark = pytest.mark.timeout(240)  # longer than each of them waits for a demo
COMMAND = [sys.executable, "-m", "exporter.cli", "demo", "--speed=50"]
STEPS = [step for scene in DAY for step in scene.steps]
CONCLUSIONS = [step.concludes for step in STEPS if step.concludes is not None]
# What a developer has set for other programs must not reach this one.
FOREIGN = ("OTEL_", "FORCE_COLOR", "NO_COLOR", "COLUMNS")
_SECONDS = 90


def environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment in which temporary directories are made in a folder of the test's."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return ours | {"TMPDIR": str(folder), "PYTHONUTF8": "1"} | more


def processes(folder: Path) -> list[str]:
    """The command lines of the processes that know a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:  # gone meanwhile
            continue
        if str(folder) in line:
            found.append(line)
    return found


@dataclass
class Running:
    """A demo that runs, and what it wrote so far."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def text(self) -> str:
        """What it wrote so far; its last character may be written only in part."""
        return self.file.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until it has written something."""
        eventually(lambda: text in self.text or self.process.poll() is not None, _SECONDS)
        assert text in self.text

    def end(self, number: signal.Signals) -> int:
        """Send it a signal; give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[Running]:
    """Run a demo in a folder, with its output in a file beside it."""
    folder.mkdir()
    file = folder.with_suffix(".out")
    with (
        file.open("wb") as out,
        subprocess.Popen([*COMMAND, *flags], stdout=out, stderr=out, env=environment(folder)) as process,
    ):
        try:
            yield Running(process, file)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A demo that was run once into a pipe."""
    folder = tmp_path_factory.mktemp("told")
    answer = subprocess.run(
        [*COMMAND, "--once"], capture_output=True, text=True, env=environment(folder), timeout=_SECONDS, check=False
    )
    assert list(folder.iterdir()) == []
    assert processes(folder) == []
    return answer


# -- wrong usage and trouble ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "fast", ""])
def test_a_speed_that_is_none_is_refused(speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A speed is a number above 0; anything else is wrong usage, and nothing is started."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", f"--speed={speed}"])
    assert ended.value.code == 2
    assert f"argument --speed: {speed!r} is not a number above 0" in capsys.readouterr().err


def test_an_exporter_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    """Where the exporter cannot run, the demo fails with what it said, and leaves nothing behind."""
    answer = subprocess.run(
        [*COMMAND, "--once"],
        capture_output=True,
        text=True,
        env=environment(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="ftp://nowhere"),
        timeout=_SECONDS,
        check=False,
    )
    assert answer.returncode == 1
    assert "the exporter ended by itself, with exit code 2; the end of its log:" in answer.stderr
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in answer.stderr
    assert list(tmp_path.iterdir()) == []


async def test_an_exporter_that_is_killed_ends_the_wait_for_it(tmp_path: Path) -> None:
    """Whoever waits for the end that must not come is told of it."""
    (tmp_path / "kubeconfig").write_text("{}")
    async with exporting(tmp_path / "kubeconfig", tmp_path) as exporter:
        with pytest.raises(
            ExporterError, match=r"^the exporter ended by itself, with exit code 1; the end of its log:"
        ):
            await asyncio.wait_for(exporter.gone(), _SECONDS)
        assert not await exporter.stop()


def test_what_was_not_seen_as_it_was_done_is_said_and_the_exit_code_is_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A secret in the history, here a word that is no secret, is a failure that is told."""
    monkeypatch.setattr(demo, "SECRETS", ("storefront",))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    out = io.StringIO()
    assert demo.run(Screen(out), once=True, speed=50) == 1
    assert "  ✗ the text of a secret is in the history\n" in out.getvalue()
    assert "no secret is in the history" not in out.getvalue()


# -- the day ----------------------------------------------------------------------------------------------------------


def test_a_day_that_was_seen_as_it_was_done_ends_with_0(told: subprocess.CompletedProcess[str]) -> None:
    """The demo says that it holds, how much it was, and that it is gone; nothing is on stderr."""
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.endswith(
        f"  ✓ {len(STEPS)} versions were made, {len(STEPS)} seen: each once, with its word and writer\n"
        f"  ✓ {len(CONCLUSIONS)} conclusions on drift and fights: each as it was to be expected, and none beside\n"
        f"  ✓ /metrics counts the same {len(STEPS)} changes, and no secret is in the history\n"
        "  ✓ everything is stopped and removed\n"
    )


def test_every_scene_has_its_changes_below_its_title(told: subprocess.CompletedProcess[str]) -> None:
    """Below the title of each scene stand its own changes, in their order; of heartbeats there is a count."""
    parts = re.split(r"^▸ (.*)\n", told.stdout, flags=re.MULTILINE)
    scenes = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert [*(scene.title for scene in DAY), "The day is over. Who changed what, how often"] == list(scenes)
    for scene in DAY:
        lines = [line.split("  ")[0] for line in scenes[scene.title].splitlines() if not line.startswith("CHANGE")]
        rows = [line for line in lines if line[:2] not in ("! ", "✓ ")]
        beats = sum(step.verb == "beat" for step in scene.steps)
        expected = [step.change for step in scene.steps if step.verb != "beat"]
        said = [f"{beats} heartbeats: kept in the journal, left out here"] if beats else []
        # What was made together with a new type may be seen in another order.
        assert (sorted if scene.installs else list)([*expected, *said, ""]) == (sorted if scene.installs else list)(
            rows
        )
        concluded = [step.concludes.event.replace(".", " ") for step in scene.steps if step.concludes is not None]
        assert concluded == [line[2:] for line in lines if line not in rows]


def test_the_closing_counts_what_was_done(told: subprocess.CompletedProcess[str]) -> None:
    """Each writer is in the closing with as many changes as the script gives it; deletions have none."""
    closing = told.stdout.partition("how often\n")[2].partition("\n\n")[0]
    found = re.findall(r"^  ([\w-]+)(?: \(\w+\))? +(\d+)   ", closing, flags=re.MULTILINE)
    assert len(found) == len(closing.splitlines())
    counted = {name: int(count) for name, count in found}
    done = Counter("unresolved" if step.change in ("deleted", "deleting") else step.who for step in STEPS)
    assert done == counted


def test_a_hand_edit_is_found_with_its_field_and_author_and_over_when_git_wins(
    told: subprocess.CompletedProcess[str],
) -> None:
    """The day says who made which field what, who ended it and after how long, and what is not as declared still."""
    lines = told.stdout.splitlines()
    edit = "/spec/replicas 3 → 5"
    assert f"! drift opened  Database shop/orders by kubectl-edit (human): {edit}" in lines
    closed = rf"Database shop/orders by argocd after [\d.]+ s: {edit} by kubectl-edit \(human\)"
    assert re.search(rf"^✓ drift closed  {closed}$", told.stdout, flags=re.MULTILINE)
    assert re.search(rf"^  drift ended  {closed}, since \d\d:\d\d:\d\dZ$", told.stdout, flags=re.MULTILINE)
    lasts = r"^  drift lasts  Database shop/customers by kubectl-patch \(human\) since [\d:]+Z: /spec/admin/passcode "
    assert re.search(lasts, told.stdout, flags=re.MULTILINE)


def test_the_closing_tells_of_the_fight_and_of_what_came_back(told: subprocess.CompletedProcess[str]) -> None:
    """Who fights over which field, and what was deleted and made again."""
    fight = "Cache shop/sessions between cost-optimizer and latency-optimizer: /spec/replicas"
    assert f"! fight opened  {fight}\n" in told.stdout
    assert f"  fight        {fight}\n" in told.stdout
    assert re.search(r"came back .*search/search-api: deleted, and made again by argocd-controller", told.stdout)


def test_what_an_autoscaler_writes_is_ignored_and_told_to_nobody(told: subprocess.CompletedProcess[str]) -> None:
    """A declared field that an autoscaler moved is in the closing with the shipped rule, and opens nothing."""
    ignored = "by database-autoscaler (controller): /spec/replicas 3 → 6; an autoscaler owns the number of replicas\n"
    assert f"  ignored      Database shop/orders {ignored}" in told.stdout
    assert [line for line in told.stdout.splitlines() if line.startswith("! ") and "autoscaler" in line] == []


def test_a_pipe_gets_plain_text_and_no_secret(told: subprocess.CompletedProcess[str]) -> None:
    """There is no colour, no control character, no space at the end of a line, and no secret."""
    assert [line for line in told.stdout.splitlines() if not line.isprintable() or line != line.rstrip()] == []
    assert "…" not in re.sub(r'"[^"]*…', "", told.stdout)
    assert [secret for secret in SECRETS if secret in told.stdout] == []


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_gets_colours_and_lines_that_fit(width: int, tmp_path: Path) -> None:
    """No line is wider than the window, the words for changes are coloured, and the cursor is given back."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    environ = environment(tmp_path, TERM="xterm-256color")
    with subprocess.Popen([*COMMAND, "--once"], stdout=theirs, stderr=theirs, stdin=theirs, env=environ) as process:
        os.close(theirs)
        written = _all_of(ours)
        assert process.wait(_SECONDS) == 0, written
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rpartition("\r")[2] for line in written.split("\r\n")]
    assert [line for line in plain if cell_len(line) > width] == []
    assert "\x1b[33mspec" in written
    assert "scene 12 of 12" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert all(any(scene.title in line for line in plain) for scene in DAY)


def _all_of(descriptor: int) -> str:
    """What comes out of a terminal until its other side is closed."""
    pieces = []
    try:
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
    except OSError as error:
        if error.errno != errno.EIO:  # so Linux says that the other side is closed
            raise
    finally:
        os.close(descriptor)
    return b"".join(pieces).decode()


# -- after the day, and the end ---------------------------------------------------------------------------------------


def test_after_the_day_everything_stays_up_and_shows_what_is_changed(tmp_path: Path) -> None:
    """The printed command for curl changes an object, which appears; Ctrl-C then ends with 0 and leaves nothing."""
    folder = tmp_path / "demo"
    with running(folder) as one:
        one.wait_for("history  ")
        *_, body, url = shlex.split(one.text.partition("or curl")[2].splitlines()[0])
        address = urlsplit(url)
        connection = http.client.HTTPConnection(address.netloc, timeout=10)
        headers = {"Content-Type": "application/merge-patch+json", "User-Agent": "curl/8.5.0"}
        connection.request("PATCH", address.path, body, headers)
        assert connection.getresponse().status == 200
        connection.close()
        one.wait_for("curl (human)                      /spec/replicas 6 → 7")
        one.wait_for("! drift opened  Database shop/orders by curl (human): /spec/replicas 3 → 7")
        assert one.end(signal.SIGINT) == 0
    assert one.text.endswith("  ✓ everything is stopped and removed\n")
    assert list(folder.iterdir()) == []
    assert processes(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_the_middle_it_ends_in_order(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C during the day ends with 130, without a traceback, and leaves no process and no directory."""
    folder = tmp_path / "demo"
    with running(folder, "--once", "--speed=1") as one:
        one.wait_for("▸ ")
        assert processes(folder) != []
        assert one.end(number) == 130
    assert one.text.endswith("\n\ninterrupted; everything is stopped and removed\n")
    assert "Traceback" not in one.text
    assert list(folder.iterdir()) == []
    assert processes(folder) == []


def test_before_the_exporter_is_ready_it_ends_in_order(tmp_path: Path) -> None:
    """Ctrl-C while everything is still being started leaves no process and no directory."""
    folder = tmp_path / "demo"
    with running(folder) as one:
        eventually(lambda: processes(folder) != [], _SECONDS)
        assert one.end(signal.SIGINT) == 130
    assert "Traceback" not in one.text
    assert list(folder.iterdir()) == []
    assert processes(folder) == []


def test_the_exporter_ends_even_with_a_demo_that_is_killed(tmp_path: Path) -> None:
    """After SIGKILL nobody is left to end the exporter, and it ends by itself."""
    folder = tmp_path / "demo"
    with running(folder) as one:
        one.wait_for("▸ ")
        one.end(signal.SIGKILL)
    eventually(lambda: processes(folder) == [], _SECONDS)


def test_a_reader_that_has_enough_ends_it(tmp_path: Path) -> None:
    """A closed pipe (`| head`) ends the demo with 0, without a complaint, and leaves nothing behind."""
    with subprocess.Popen(
        [*COMMAND, "--once"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait(_SECONDS)) == (b"", 0)
    assert list(tmp_path.iterdir()) == []
    assert processes(tmp_path) == []


def test_a_port_that_is_taken_is_said_and_another_one_used(tmp_path: Path) -> None:
    """Where somebody listens on the usual port, the metrics are on another one."""
    folder = tmp_path / "demo"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def is_ours() -> bool:
            try:
                taken.bind(("127.0.0.1", PORT))
            except OSError:
                return False
            taken.listen()
            return True

        with suppress(AssertionError):  # who keeps it for so long will not give it back meanwhile
            eventually(is_ours, 30)
        with running(folder) as one:
            one.wait_for("ready: http://127.0.0.1:")
            one.wait_for("▸ ")
            found = re.search(r"ready: http://127\.0\.0\.1:(\d+)/metrics \(port 9838 is taken\)\n", one.text)
            assert found is not None, one.text
            assert int(found[1]) != PORT
            assert one.end(signal.SIGINT) == 130


async def test_a_port_that_is_taken_at_the_last_moment_is_no_reason_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look and the exporter's own another program may come: then it is another port, too."""
    looks, is_free = iter([True]), exporter_process.is_free
    monkeypatch.setattr(exporter_process, "is_free", lambda port: next(looks, False) or is_free(port))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(exporter_process, "PORT", port)
        async with emulate() as sandbox:
            (tmp_path / "kubeconfig").write_text(sandbox.kubeconfig())
            async with exporting(tmp_path / "kubeconfig", tmp_path) as exporter:
                await exporter.ready()
                assert urlsplit(exporter.address("/metrics")).port not in (None, port)
                assert await exporter.stop()


# -- parts ------------------------------------------------------------------------------------------------------------


CHANGE = Change(
    id="c",
    observed=Timestamp("2026-11-24T12:00:01.000000Z"),
    event="modified",
    change="status",
    group="g",
    version="v1",
    kind="Database",
    namespace="shop",
    name="orders",
    uid="u",
    resource_version="1",
    fields=(
        FieldChange("/status/conditions/0/reason", "replace", "Ready", "Scaling"),
        FieldChange("/status/phase", "replace", "Ready", "Scaling"),
    ),
    writer=Writer(name="database-operator", class_="controller", source="managed_fields"),
)
BY_GIT = Writer(name="argocd", class_="gitops", source="managed_fields")


def test_of_several_fields_the_one_nearest_to_the_root_is_shown() -> None:
    """A phase says more than the reason of a condition beside it."""
    assert cells(CHANGE, wide=True) == (
        "status",
        "Database shop/orders",
        "database-operator (controller)",
        '/status/phase "Ready" → "Scaling", +1 more',
    )


def test_where_there_is_little_room_kind_class_and_section_are_left_out() -> None:
    """What the other cells tell nearly as well gives its room to what moved."""
    assert cells(CHANGE, wide=False) == (
        "status",
        "shop/orders",
        "database-operator",
        'phase "Ready" → "Scaling", +1 more',
    )


class Rows:
    """A journal into which records are put by hand."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def head(self) -> int:
        return 0

    def after(self, seq: int, limit: int) -> list[tuple[int, Record]]:
        return list(enumerate(self.records, 1))[seq : seq + limit]


def test_columns_never_move_and_heartbeats_and_no_ops_are_left_out() -> None:
    """A name that is too long is cut at its column, with a sign; what is left out counts as seen all the same."""
    out, rows = io.StringIO(), Rows()
    window = Window(cast("Reader", rows), Screen(out), "http://metrics")
    rows.records = [
        CHANGE,
        replace(CHANGE, heartbeat=True),
        replace(CHANGE, change="noop"),
        replace(CHANGE, name="o" * 90),
    ]
    window.look()
    heading, first, second = out.getvalue().splitlines()
    assert heading.index("WHO") == first.index("database-operator") == second.index("database-operator")
    assert "ooo…  database-operator" in second
    assert rows.records == window.changes


@pytest.mark.parametrize("wide", [True, False])
def test_an_unknown_writer_and_a_name_that_steers_are_written_out(wide: bool) -> None:
    """What the server does not keep is unresolved, and no value of an object reaches the terminal as it is."""
    shown = cells(replace(CHANGE, name="or\x1b[2Jders", namespace="", writer=UNRESOLVED, fields=()), wide=wide)
    assert shown[1:] == (("Database " if wide else "") + r"or\x1b[2Jders", "unresolved", "")


BY_HAND = Writer(name="kubectl-edit", class_="human", source="managed_fields")
FOUND = Finding(path="/spec/replicas", finding="changed", declared=3, live=5, writer=BY_HAND)
VERDICT = Verdict(
    kind="Database", namespace="shop", name="orders", uid="u", state="drifted", declarer="argocd", fields=(FOUND,)
)
OPENED = Transition(id="o", event="drift.opened", observed=CHANGE.observed, verdict=VERDICT)
CLOSED = replace(OPENED, event="drift.closed", resolved_by="declarer", duration=4.26)
EDIT = Conclusion("drift.opened", "/spec/replicas", ("kubectl-edit",))


def standing(state: DriftState, *expected: tuple[Place, str, str]) -> list[Verdict]:
    """The verdicts with which the day ought to end; the given fields are in a state beside."""
    verdicts = []
    for place, path, who in expected:
        found = replace(FOUND, path=path, writer=replace(BY_HAND, name=who))
        verdicts.append(replace(VERDICT, kind=place.type.kind, name=place.name, state=state, fields=(found,)))
    for (place, path), who in (EXCUSED | UNDECLARED).items():
        found = replace(FOUND, path=path, writer=replace(BY_HAND, name=who))
        ignored, additions = ((found,), ()) if (place, path) in EXCUSED else ((), (found,))
        one = replace(VERDICT, kind=place.type.kind, name=place.name, state="in_sync", fields=())
        verdicts.append(replace(one, ignored=ignored, additions=additions))
    return verdicts


def test_what_is_concluded_and_was_not_so_is_a_difference_and_the_other_way_round() -> None:
    """An episode too many, one that is missing, another writer and a state that nobody made are each told."""
    sentence = "drift.opened: Database orders /spec/replicas by kubectl-edit"
    lasts = "Database orders /spec/replicas by kubectl-edit is drifted"
    still = (ORDERS, EDIT.path, "kubectl-edit")
    one = Summary((), ((ORDERS, EDIT),))
    assert disagreements(one, [OPENED], standing("drifted", still)) == []
    assert disagreements(Summary(()), [OPENED], standing("in_sync")) == [f"concluded but not so: {sentence}"]
    assert disagreements(one, [], standing("drifted", still)) == [f"so but not concluded: {sentence}"]
    assert disagreements(one, [OPENED], standing("pending", still)) == [
        f"concluded but not so: {lasts.replace('drifted', 'pending')}",
        f"so but not concluded: {lasts}",
    ]
    other = replace(OPENED, verdict=replace(VERDICT, fields=(replace(FOUND, writer=BY_GIT),)))
    assert disagreements(one, [other], standing("drifted", still)) == [
        f"concluded but not so: {sentence.replace('kubectl-edit', 'argocd')}",
        f"so but not concluded: {sentence}",
    ]


def test_what_has_ended_is_no_longer_expected_to_last() -> None:
    """An episode that was closed is to be closed by the same one, and the object to be as declared."""
    over = replace(EDIT, event="drift.closed", by="declarer")
    whole = Summary((), ((ORDERS, EDIT), (ORDERS, over)))
    sentence = "drift.closed: Database orders /spec/replicas by kubectl-edit, ended by"
    assert disagreements(whole, [OPENED, CLOSED], standing("in_sync")) == []
    assert disagreements(whole, [OPENED, replace(CLOSED, resolved_by="human")], standing("in_sync")) == [
        f"concluded but not so: {sentence} human",
        f"so but not concluded: {sentence} declarer",
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ((FOUND,), "by kubectl-edit (human): /spec/replicas 3 → 5"),
        ((FOUND, FOUND), "by kubectl-edit (human): /spec/replicas 3 → 5, +1 more"),
        ((Finding(path="/spec/pool", finding="missing", declared=1),), "/spec/pool - 1"),
        ((Finding(path="/spec/\x1bpool", finding="stale_owned", live=1),), r"/spec/\x1bpool + 1"),
        ((Finding(path="", finding="missing"),), "it is not there"),
    ],
)
def test_a_finding_is_said_with_whoever_wrote_it_if_that_is_known(fields: tuple[Finding, ...], said: str) -> None:
    """Of what is missing nobody is named, and nothing of an object reaches the terminal as it is."""
    assert say(replace(OPENED, verdict=replace(VERDICT, fields=fields))) == said


def test_an_end_names_who_declares_the_object_or_else_what_kind_of_writer_it_was() -> None:
    """Whoever declares an object is called by name; of anybody else the class is known."""
    assert say(CLOSED) == "by argocd after 4.3 s: /spec/replicas 3 → 5 by kubectl-edit (human)"
    assert say(replace(CLOSED, resolved_by="human"), wide=False) == (
        "by human after 4.3 s: /spec/replicas 3 → 5 by kubectl-edit"
    )


def test_what_lasts_is_told_before_what_is_only_noted() -> None:
    """The closing has the open episodes first, then what a rule covers and what nobody declared."""
    lasting = replace(VERDICT, since=CHANGE.observed, additions=(replace(FOUND, declared=UNSET),))
    covered = replace(VERDICT, state="ignored", fields=(), ignored=(replace(FOUND, rule="because"),))
    assert drift([], [covered, lasting]) == [
        ("drift lasts", "Database shop/orders by kubectl-edit (human) since 12:00:01Z: /spec/replicas 3 → 5"),
        ("ignored", "Database shop/orders by kubectl-edit (human): /spec/replicas 3 → 5; because"),
        ("undeclared", "Database shop/orders by kubectl-edit (human): /spec/replicas + 5"),
    ]


@pytest.mark.parametrize("width", [10, 40, 80])
def test_a_sentence_is_broken_between_words_and_hangs_below_its_start(width: int) -> None:
    """In a terminal a sentence that does not fit goes on below where it began."""
    out = io.StringIO()
    Screen(out, Console(file=out, width=width, force_terminal=True, no_color=True)).good("one two three four " * 4)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert lines[0].startswith("  ✓ one")
    assert all(line.startswith("    ") and line[4] != " " for line in lines[1:])
    assert all(cell_len(line) <= width for line in lines)
