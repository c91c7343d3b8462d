"""The command `rollouts`: what goes on, what is overdue, and what has ended, from the journal alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.changes.batch import Batch
from exporter.cli import main
from exporter.journal.store import Journal
from exporter.model import ObjectKey, ResourceType
from exporter.records import Begun, Rollout, State
from exporter.rollout.keeper import NAME
from exporter.rollout.readiness import Condition
from exporter.rollout.values import Kept, Open, encode
from exporter.timestamps import Timestamp
from tests.otlp.made import made
from tests.otlp.test_spans import rollout
from tests.test_cli_drift import UNKNOWN


if TYPE_CHECKING:
    from pathlib import Path

STARTED = Timestamp("2026-11-23T12:00:00.000000Z")
BAD = Condition("Ready", "False", "Creating", since=STARTED, good=False)


def begun(name: str, span: str, **parts: Any) -> Begun:
    """Make the beginning of a rollout."""
    usual: dict[str, Any] = {
        "id": span * 2, "trace": "f" * 32, "span": span, "version": "v1", "kind": "Widget", "namespace": "team-a",
        "name": name, "uid": name, "generation": 1, "opened": "created", "started": STARTED,
    }  # fmt: skip
    return Begun(**(usual | parts))


def open_(name: str, span: str, *, parent: str = "", speaks: bool = True) -> Kept:
    """Make what is kept of an object of which a rollout is open."""
    now = Open(begun=begun(name, span, parent=parent), timeout=1, speaks=speaks, blame=BAD, conditions=(BAD,))
    return Kept(uid=name, open=now)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A journal with two rollouts that have ended, three that go on, one below the other, and one that is overdue."""
    kept = {
        "app": open_("app", "1" * 16),
        "part": open_("part", "2" * 16, parent="1" * 16),
        "mute": open_("mute", "3" * 16, speaks=False),
        "late": Kept(uid="late", overdue=begun("late", "4" * 16), unready=(BAD,), trace="e" * 32, span="4" * 16),
    }
    states: dict[tuple[str, ObjectKey], State | None] = {
        (NAME, ObjectKey("example.com", "widgets", "team-a", name)): State(encode(one), one.tally, shown=True)
        for name, one in kept.items()
    }
    states[NAME, ObjectKey("example.com", "widgets", "", "")] = State(b"[true]", "type")
    child = rollout(name="child", uid="u-2", span="5" * 16, parent="b" * 16)
    late = rollout(observed=Timestamp("2099-01-01T00:00:00.000000Z"), generation=5, result="timed_out", reason="Slow")
    journal = Journal.open(tmp_path)
    journal.register(ResourceType("example.com", "v1", "widgets", "Widget"))
    journal.commit(Batch(changes=[made()], records=[rollout(children=(child,)), late], states=states))
    journal.close()
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], data_dir: Path, *flags: str) -> tuple[list[str], str]:
    """Run the command; give the lines that it prints, and what it says beside."""
    assert main(["rollouts", "--data-dir", str(data_dir), *flags]) == 0
    printed = capsys.readouterr()
    return printed.out.splitlines(), printed.err


def test_without_a_journal_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that holds no journal is said to hold none."""
    assert main(["rollouts", "--data-dir", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_what_goes_on_and_what_is_overdue(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unasked, what has ended is not shown, nor what has never said a word."""
    lines, beside = run(capsys, data_dir)

    assert [line.split()[:3] for line in lines[1:]] == [
        ["overdue", "Widget", "team-a/late"],
        ["open", "Widget", "team-a/app"],
        ["open", "Widget", "team-a/part"],
    ]
    assert beside == "2 open, 1 overdue\n"
    assert all("Ready=False Creating" in line for line in lines[1:])


def test_what_has_ended_since(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a time, what has ended since is shown as well."""
    lines, _ = run(capsys, data_dir, "--since", "2098-01-01T00:00:00Z")
    assert [line.split()[0] for line in lines[1:]] == ["timed_out", "overdue", "open", "open"]


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        (("--namespace", "team-b"), 0),
        (("--namespace", "team-*"), 3),
        (("Widget/late",), 0),
        (("Part",), 0),
    ],
)
def test_filters(data_dir: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], count: int) -> None:
    """Globs choose the objects; of what is overdue there is no drawing."""
    lines, _ = run(capsys, data_dir, *flags)
    assert max(0, len(lines) - 1) == count


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_name_that_nobody_knows_is_an_error(data_dir: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    """As for `drift`: a misspelt name is not the news that nothing goes on."""
    assert main(["rollouts", "Widget/nosuch", "--data-dir", str(data_dir), "-o", form]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", UNKNOWN.format("Widget/nosuch", data_dir))


def test_an_object_that_has_no_rollout_is_known(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That nothing is known of its rollouts is said, and no error."""
    assert run(capsys, data_dir, "Widget/mute") == ([], "no rollout of Widget/mute is known\n")


def test_one_that_goes_on_is_drawn_with_what_goes_on_below_it(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The waterfall of an open rollout holds the open rollouts that belong to it."""
    lines, _ = run(capsys, data_dir, "widgets/app")

    assert lines[0] == "Widget team-a/app: open"
    assert [line.partition("█")[0].rstrip() for line in lines if "█" in line] == [
        "Widget app",
        "  Ready=False Creating",
        "  Widget part",
        "    Ready=False Creating",
    ]


def test_the_last_rollout_of_an_object_is_drawn(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of those that have ended the last one is drawn, also where its owner's record holds it."""
    last, _ = run(capsys, data_dir, "Widget/web")
    held, _ = run(capsys, data_dir, "Widget/child")

    assert (last[0], held[0]) == ("Widget team-a/web: timed_out", "Widget team-a/child: converged")


def test_json_is_a_rollout_a_line(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is a rollout as the journal holds it; one that goes on is `open`, and one that is late `overdue`."""
    lines, beside = run(capsys, data_dir, "--since", "2020-01-01T00:00:00Z", "-o", "json")
    rollouts = [msgspec.json.decode(line, type=Rollout) for line in lines]

    assert [one.result for one in rollouts] == ["converged", "converged", "timed_out", "overdue", "open", "open"]
    assert all(one.ended > one.started for one in rollouts)
    assert (rollouts[3].name, rollouts[3].span, rollouts[3].reason) == ("late", "4" * 16, "Creating")
    assert beside == ""
