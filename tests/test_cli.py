"""The command line: exit codes, one line for each error, flags, and how reading a history ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import types
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter import __version__, cli
from exporter.changes.batch import Batch
from exporter.errors import ClusterError, JournalError
from exporter.journal import read
from exporter.journal.store import Journal
from exporter.model import UNRESOLVED, Change, encode
from exporter.options import RunOptions
from exporter.timestamps import Timestamp, from_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = 1_769_860_800 * 10**9
AT = Timestamp("2026-01-31T12:00:00.000000Z")
CHANGE = Change(
    id="0", observed=AT, event="modified", change="spec", group="example.com", version="v1", kind="Widget",
    namespace="team-a", name="a", uid="1", writer=UNRESOLVED,
)  # fmt: skip


def named(name: str, **parts: Any) -> Change:
    """Give a change of an object of that name."""
    return msgspec.structs.replace(CHANGE, name=name, **parts)


class FakeReader:
    """Stands for the reader of a journal: a history, then what comes in, and then Ctrl-C."""

    def __init__(self, history: list[Change], *coming: list[Change]) -> None:
        self.rows = list(enumerate(history, start=1))
        self.coming = list(coming)
        self.asked: list[Timestamp | None] = []
        self.asked_after: list[int] = []
        self.closed = False

    def head(self) -> int:
        return len(self.rows)

    def scan(self, since: Timestamp | None = None) -> Iterator[tuple[int, Change]]:
        self.asked.append(since)
        return iter([row for row in self.rows if since is None or row[1].observed >= since])

    def after(self, seq: int, limit: int) -> list[tuple[int, Change]]:
        self.asked_after.append(seq)
        if not self.coming:
            raise KeyboardInterrupt
        for change in self.coming.pop(0):
            self.rows.append((len(self.rows) + 1, change))
        return [row for row in self.rows if row[0] > seq][:limit]

    def close(self) -> None:
        self.closed = True


def reading(monkeypatch: pytest.MonkeyPatch, reader: object) -> None:
    """Let the command line find this reader in any directory."""
    monkeypatch.setattr(read, "open_reader", lambda _: reader)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, stdout, stderr."""
    try:
        code = cli.main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def names(lines: str) -> list[str]:
    """Give the names of the objects in lines of JSON."""
    return [json.loads(line)["name"] for line in lines.splitlines()]


# -- wrong usage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["walk"],
        ["version", "more"],
        ["run", "--web.listen", ":1"],
        ["run", "--log.level", "loud"],
        ["run", "--log.format", "xml"],
        ["changes", "-o", "yaml"],
        ["changes", "--foll"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is not a command or a flag, also one that is only begun, is explained on stderr."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: customresource-exporter")


@pytest.mark.parametrize(
    "text",
    ["", "5", "5x", "h", "-1h", "1.5h", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "9999-12-31T23:59:59-23:59"],
)
def test_what_is_no_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A time needs its zone, a duration its unit; the message shows both forms."""
    code, _, err = run(capsys, "changes", f"--since={text}")
    expected = (
        f"customresource-exporter changes: error: argument --since: {text!r} is neither a duration (30s, 15m, 1h, 7d) "
        "nor a time with its zone (2026-01-31T12:00:00Z)"
    )
    assert (2, expected) == (code, err.splitlines()[-1])


def test_a_change_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt word would silently select nothing; the words that exist are named."""
    expected = (
        "customresource-exporter: --change specs: no change is called that; write one of created, recreated, deleted, "
        "deleting, spec, schema, metadata, status, ownership, noop\n"
    )
    assert (2, "", expected) == run(capsys, "changes", "--change", "specs")


def test_a_bad_configuration_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence of the configuration's error is the only line."""
    path = tmp_path / "none.yml"
    expected = (
        f"customresource-exporter: {path}: cannot be read (No such file or directory); "
        "give the path of a configuration file\n"
    )
    assert (2, "", expected) == run(capsys, "check-config", str(path))


# -- failures -------------------------------------------------------------------------------------------------


def test_a_directory_without_a_journal_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the directory and the remedy."""
    code, out, err = run(capsys, "changes", "--data-dir", str(tmp_path))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert str(tmp_path) in err
    assert "--data-dir" in err


def test_a_journal_that_cannot_be_reached_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the system says, as of a directory that belongs to somebody else, comes with the remedy."""
    (tmp_path / read.FILE_NAME).symlink_to(tmp_path / read.FILE_NAME)
    code, out, err = run(capsys, "changes", "--data-dir", str(tmp_path))
    assert (code, out) == (1, "")
    assert err.endswith("run this as the user that the exporter runs as\n")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], "no change yet"),
        ([CHANGE], "1 change since 2026-01-31T12:00:00Z (--all shows heartbeats and no-ops too)"),
        ([CHANGE, CHANGE], "2 changes since 2026-01-31T12:00:00Z (--all shows heartbeats and no-ops too)"),
    ],
)
def test_nothing_found_is_said(
    changes: list[Change], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table without rows says on stderr what there would be; a script's JSON stays silent."""
    journal = Journal.open(tmp_path)
    journal.commit(Batch(changes=changes))
    journal.close()
    arguments = ["changes", "--data-dir", str(tmp_path), "--kind", "Nosuchkind"]
    sentence = f"customresource-exporter: nothing matches; the journal holds {expected}\n"
    assert run(capsys, *arguments) == (0, "", sentence)
    assert run(capsys, *arguments, "-o", "json") == (0, "", "")


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_name_that_nobody_knows_is_an_error(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name is not the news that nothing has changed; one that is known and has not changed is no error."""
    journal = Journal.open(tmp_path)
    journal.commit(Batch(changes=[CHANGE]))
    journal.close()
    arguments = ["changes", "--data-dir", str(tmp_path), "--since", "1h", "-o", form, "--name"]
    expected = (
        f"customresource-exporter: no object */b in the namespace 'team-a' is known to the journal in {tmp_path}: see "
        "with kubectl get how it is spelt, and with check-config whether it is followed\n"
    )

    assert run(capsys, *arguments, "b", "--namespace", "team-a") == (1, "", expected)
    assert run(capsys, *arguments, "b*")[:2] == (0, "")
    assert run(capsys, *arguments, CHANGE.name)[:2] == (0, "")


def test_a_damaged_journal_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no database ends the command with one line."""
    (tmp_path / read.FILE_NAME).write_bytes(b"nothing of the kind" * 1000)
    code, out, err = run(capsys, "changes", "--data-dir", str(tmp_path))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("customresource-exporter: cannot read the journal")


def test_a_row_that_cannot_be_read_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure in the middle of the history ends the command with one line, and the journal is closed."""

    class Damaged(FakeReader):
        def scan(self, since: Timestamp | None = None) -> Iterator[tuple[int, Change]]:
            yield from super().scan(since)
            msgspec.json.decode(b"{", type=Change)

    reader = Damaged([CHANGE])
    reading(monkeypatch, reader)
    code, _, err = run(capsys, "changes", "--data-dir", "D")
    expected = (
        "customresource-exporter: cannot read the journal in D: Input data was truncated; is the file damaged, or its "
        "disk full?\n"
    )
    assert (1, expected, True) == (code, err, reader.closed)


@pytest.mark.parametrize(("error", "expected"), [(ClusterError("no way there"), 1), (JournalError("no room"), 1)])
def test_a_failed_run_is_one_line(
    error: Exception, expected: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error on purpose is its sentence, without a traceback."""

    def fail(_: RunOptions) -> int:
        raise error

    monkeypatch.setitem(sys.modules, "exporter.app", types.SimpleNamespace(run=fail))
    monkeypatch.setattr("exporter.app", sys.modules["exporter.app"], raising=False)
    assert (expected, "", f"customresource-exporter: {error}\n") == run(capsys, "run")


# -- run, version, check-config -------------------------------------------------------------------------------


def test_there_has_to_be_something_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    """Without any file the sentence names what can be checked."""
    expected = (
        "customresource-exporter: there is nothing to check: name a configuration file, or one with --web.config.file\n"
    )
    assert (2, "", expected) == run(capsys, "check-config")


def test_a_bad_web_configuration_is_refused_as_by_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The certificates that it names are read, too."""
    path = tmp_path / "web.yaml"
    path.write_text("tls_server_config: {cert_file: a.pem, key_file: b.pem}")
    expected = (
        f"customresource-exporter: {path}: tls_server_config.cert_file: '{tmp_path / 'a.pem'}' cannot be read "
        "(No such file or directory); give the path of a PEM file that we may read\n"
    )
    for arguments in (["check-config"], ["run"]):
        assert (2, "", expected) == run(capsys, *arguments, "--web.config.file", str(path))


def test_a_web_configuration_is_told_beside_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each in its own lines; or alone."""
    web, config = tmp_path / "web.yaml", tmp_path / "config.yaml"
    web.write_text("{}")
    config.write_text("cluster: prod")
    told = "served as  plain HTTP/1.1\nusers      everybody\n"
    assert (0, told, "") == run(capsys, "check-config", "--web.config.file", str(web))
    code, out, err = run(capsys, "check-config", str(config), "--web.config.file", str(web))
    assert (code, err, out.startswith("cluster"), out.endswith(told)) == (0, "", True, True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], RunOptions()),
        (
            ["--kubeconfig", "k", "--context", "c", "--config", "f", "--data-dir", "d", "--web.listen-address", ":1",
             "--log.level", "debug", "--log.format", "json"],
            RunOptions(kubeconfig="k", context="c", config="f", data_dir="d", listen_address=":1", log_level="debug",
                       log_format="json"),
        ),
    ],
)  # fmt: skip
def test_run_hands_over_its_flags(
    arguments: list[str], expected: RunOptions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each flag arrives, what is not given is the default, and the exit code is the program's."""
    given: list[RunOptions] = []

    def note(options: RunOptions) -> int:
        given.append(options)
        return 7

    fake = types.SimpleNamespace(run=note)
    monkeypatch.setitem(sys.modules, "exporter.app", fake)
    monkeypatch.setattr("exporter.app", fake, raising=False)
    assert run(capsys, "run", *arguments) == (7, "", "")
    assert given == [expected]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """One line with name and version."""
    assert run(capsys, "version") == (0, f"customresource-exporter {__version__}\n", "")


def test_a_good_configuration_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it selects is printed."""
    path = tmp_path / "good.yml"
    path.write_text('watch: {include: ["*.example.com/*"], exclude: []}\n')
    expected = """\
include       *.example.com/*
exclude       nothing
namespaces    all
retention     7d, 1 GiB
drift         after 2m, over after 1m, flapping at 3 in 1h, controllers: report
ignored       by the shipped rules
rollouts      up to 1h, over after 5s
"""
    code, out, err = run(capsys, "check-config", str(path))
    assert (0, re.sub(" +", " ", expected), "") == (code, re.sub(" +", " ", out), err)


@pytest.mark.parametrize("command", ["version", "changes"])
def test_what_people_wait_for_imports_little(command: str, tmp_path: Path) -> None:
    """Neither the web nor the cluster's library is imported to print a version or a history."""
    program = (
        "import sys; from exporter import cli; "
        f"cli.main(['version'] if {command!r} == 'version' else ['changes', '--data-dir', sys.argv[1]]); "
        "print(sorted({'aiohttp', 'kubernetes', 'grpc', 'opentelemetry', 'uvloop', 'structlog'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines()[-1] == "[]"


# -- changes --------------------------------------------------------------------------------------------------


def test_an_empty_history_prints_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No change, no heading."""
    reading(monkeypatch, FakeReader([]))
    assert run(capsys, "changes") == (0, "", "")


def test_heartbeats_and_noops_are_for_who_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table leaves them out unless asked; JSON prints every version."""
    history = [named("a"), named("b", change="status", heartbeat=True), named("c", change="noop")]
    reading(monkeypatch, FakeReader(history))
    _, table, _ = run(capsys, "changes")
    assert [f"Widget team-a/{name}" in table for name in "abc"] == [True, False, False]
    _, table, _ = run(capsys, "changes", "--all")
    assert [f"Widget team-a/{name}" in table for name in "abc"] == [True, True, True]
    _, out, _ = run(capsys, "changes", "-o", "json")
    assert names(out) == ["a", "b", "c"]


def test_json_is_the_line_of_the_journal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is the encoded change, nothing more and nothing less."""
    history = [named("a"), named("b\u202e\x9b")]
    reading(monkeypatch, FakeReader(history))
    expected = "".join(encode(change).decode() + "\n" for change in history)
    assert (0, expected, "") == run(capsys, "changes", "-o", "json")


def test_json_in_a_terminal_steers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at, the same JSON has its invisible characters escaped."""

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    name = "b\u202e\x9b\U000e0041"
    reading(monkeypatch, FakeReader([named(name)]))
    assert cli.main(["changes", "-o", "json"]) == 0
    line = out.getvalue()[:-1]
    assert line.isprintable()
    assert names(line) == [name]


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--kind", "gadgets.example.com"),
        ("--namespace", "team-*"),
        ("--name", "b"),
        ("--writer", "unresolved"),
        ("--change", "status"),
    ],
)
def test_each_filter_is_heeded(
    flag: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two changes that differ in everything, each filter selects the one."""
    other = named("a", namespace="x", writer=msgspec.structs.replace(UNRESOLVED, name="w", source="managed_fields"))
    reading(monkeypatch, FakeReader([other, named("b", kind="Gadget", change="status")]))
    _, out, _ = run(capsys, "changes", "-o", "json", flag, value)
    assert names(out) == ["b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", NOON - 30 * 10**9),
        ("15m", NOON - 900 * 10**9),
        ("1h", NOON - 3600 * 10**9),
        ("7d", NOON - 7 * 86_400 * 10**9),
        ("99999w", 0),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31T12:00:00.25Z", NOON + 250_000_000),
    ],
)
def test_since(text: str, expected: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A duration is counted back from now, a time is brought to UTC; the journal is asked from there."""
    reader = FakeReader([])
    reading(monkeypatch, reader)
    monkeypatch.setattr(time, "time_ns", lambda: NOON)
    assert run(capsys, "changes", "--since", text) == (0, "", "")
    assert [from_nanoseconds(expected)] == reader.asked


def test_follow_goes_on_until_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The history, then each change once as it comes in; a pause only when nothing did; Ctrl-C is a good end."""
    reader = FakeReader([named("a")], [], [named("b"), named("c", change="status")], [], [], [named("d")])
    reading(monkeypatch, reader)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    code, out, err = run(capsys, "changes", "--follow", "-o", "json", "--change", "spec")
    assert (code, names(out), err) == (0, ["a", "b", "d"], "")
    assert (pauses, reader.closed) == (3 * [0.5], True)


def test_follow_does_not_begin_again_where_nothing_is_recent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --since later than the whole history, only what comes in is printed, and only that is read."""
    reader = FakeReader([named("a"), named("b")], [named("c", observed="2026-02-02T00:00:00.000000Z")])
    reading(monkeypatch, reader)
    _, out, _ = run(capsys, "changes", "--follow", "-o", "json", "--since", "2026-02-01T00:00:00Z")
    assert names(out) == ["c"]
    assert reader.asked_after == [2, 3]


def test_a_long_history_is_printed_as_it_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """More changes than one chunk all come, once, in order, under one heading."""
    history = [named(f"n{number}") for number in range(1203)]
    reading(monkeypatch, FakeReader(history))
    _, out, _ = run(capsys, "changes")
    assert [f"team-a/n{number}" for number in range(1203)] == [line.split()[3] for line in out.splitlines()[1:]]


ENDLESS = """
import itertools, sys
from exporter import cli
from exporter.journal import read
from exporter.journal.store import Journal
from exporter.model import UNRESOLVED, Change
change = Change(id="0", observed="2026-01-31T12:00:00.000000Z", event="modified", change="spec", version="v1",
                kind="Widget", name="a", uid="1", writer=UNRESOLVED)
class Reader:
    def head(self): return 0
    def scan(self, since): return ((number, change) for number in itertools.count())
    def close(self): pass
read.open_reader = lambda _: Reader()
sys.exit(cli.main(["changes", "-o", sys.argv[1]]))
"""


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_closed_pipe_is_a_good_end(form: str) -> None:
    """When `head` has enough, the command ends with 0 and says nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, form], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline()
        program.stdout.close()
        assert (program.wait(timeout=30), program.stderr.read()) == (0, b"")


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_full_output_is_one_sentence(form: str) -> None:
    """Where nothing more can be written, the command says so and ends with 1."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", ENDLESS, form], stdout=full, stderr=subprocess.PIPE, check=False, timeout=30
        )
    said = b"customresource-exporter: cannot write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_an_output_that_knows_few_characters_gets_their_numbers() -> None:
    """A terminal without Unicode is no reason to fail."""
    program = ENDLESS.replace("itertools.count()", "[1]").replace('name="a"', 'name="é→"')
    done = subprocess.run(
        [sys.executable, "-c", program, "table"],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert rb"Widget \xe9\u2192" in done.stdout
