"""The command `drift`: what is asked for, in which form, and how it ends."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.changes.batch import Batch
from exporter.drift.evaluate import NO_MEMORY
from exporter.drift.held import Episode, Held
from exporter.drift.keeper import NAME
from exporter.drift.values import Evaluation
from exporter.journal.read import FILE_NAME
from exporter.journal.store import Journal
from exporter.model import ObjectKey, ResourceType, Stored
from exporter.records import Finding
from exporter.timestamps import Timestamp
from tests.journal.test_store import FIXTURES
from tests.test_cli import CHANGE, run


if TYPE_CHECKING:
    from exporter.records import DriftState

AT = Timestamp("2026-01-31T12:00:00.000000Z")
FINDING = Finding(path="/spec/a", finding="changed", declared=1, live="\x1b]0;owned\x07")
WIDGETS = ResourceType("example.com", "v1", "widgets", "Widget")
POLICIES = ResourceType("other.org", "v1", "policies", "Policy", namespaced=False)


def held(state: DriftState, kind: str = "Widget", **found: Any) -> Held:
    """Keep something of an object."""
    episode = Episode(AT, "observed", 1, 2, cause="human") if state in ("drifted", "flapping") else None
    evaluation = {"declarer": "argocd", "baseline": "last_applied", "findings": (FINDING,) if episode else ()} | found
    return Held("u", kind, state, Evaluation(**evaluation), NO_MEMORY, episode)


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Give a directory whose journal holds some verdicts."""
    journal = Journal.open(tmp_path)
    for one in (WIDGETS, POLICIES):
        journal.register(one)
    kept = {
        (WIDGETS, "team-a", "web"): held("drifted"),
        (WIDGETS, "team-a", "db"): held("in_sync"),
        (WIDGETS, "team-b", "web"): held("pending", findings=(FINDING,)),
        (POLICIES, "", "strict"): held("flapping", "Policy"),
        (POLICIES, "", "loose"): held("ignored", "Policy"),
    }
    batch = Batch()
    for (of, namespace, name), what in kept.items():
        batch.states[NAME, ObjectKey(*of.identity, namespace, name)] = what.keep(None)
    journal.commit(batch)
    journal.close()
    return str(tmp_path)


def named(lines: str) -> list[str]:
    """Name the objects of some lines of JSON."""
    found = [json.loads(line) for line in lines.splitlines()]
    return [f"{one['kind']} {one.get('namespace', '')}/{one['name']}" for one in found]


# -- where nothing can be said ---------------------------------------------------------------------------------------


def test_a_directory_without_a_journal_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which flag to give."""
    code, out, err = run(capsys, "drift", "--data-dir", str(tmp_path))

    assert (code, out) == (1, "")
    assert "--data-dir" in err


@pytest.mark.parametrize("fixture", ["schema-1.db", "schema-3.db"])
def test_a_journal_of_an_older_program_has_no_verdicts(
    fixture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is no error, and nothing is wrong as far as anybody knows."""
    (tmp_path / FILE_NAME).write_bytes((FIXTURES / fixture).read_bytes())

    assert run(capsys, "drift", "--fail", "--data-dir", str(tmp_path)) == (
        0, "", "nothing that is declared, as far as was asked\n",
    )  # fmt: skip


def test_a_state_that_cannot_be_read_is_no_traceback(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what, and where."""
    connection = sqlite3.connect(f"{data}/{FILE_NAME}")
    with connection:
        connection.execute("UPDATE states SET line = x'ff'")
    connection.close()
    code, out, err = run(capsys, "drift", "--data-dir", data)

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert data in err


# -- what is asked for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["Widget team-a/db", "Widget team-a/web", "Widget team-b/web", "Policy /loose", "Policy /strict"]),
        (["widget"], ["Widget team-a/db", "Widget team-a/web", "Widget team-b/web"]),
        (["widgets.example.com/web"], ["Widget team-a/web", "Widget team-b/web"]),
        (["Policies"], ["Policy /loose", "Policy /strict"]),
        (["pol*/s*"], ["Policy /strict"]),
        (["*/w?b"], ["Widget team-a/web", "Widget team-b/web"]),
        (["/web"], ["Widget team-a/web", "Widget team-b/web"]),
        (["gadget"], []),
        (["--namespace", "team-a"], ["Widget team-a/db", "Widget team-a/web"]),
        (["--namespace", "*-b", "widget"], ["Widget team-b/web"]),
        (["--namespace", ""], ["Policy /loose", "Policy /strict"]),
        (["[/["], []),
    ],
)
def test_json_holds_every_verdict_that_is_asked_for(
    arguments: list[str], expected: list[str], data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By kind as people type it, by globs of name and namespace, in the order of their places; stderr stays empty."""
    code, out, err = run(capsys, "drift", "-o", "json", "--data-dir", data, *arguments)

    assert (code, named(out), err) == (0, expected, "")


def test_json_is_the_verdict(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is absent is left out."""
    _, out, _ = run(capsys, "drift", "widget/web", "--namespace", "team-a", "-o", "json", "--data-dir", data)

    assert json.loads(out) == {
        "group": "example.com", "kind": "Widget", "namespace": "team-a", "name": "web", "uid": "u", "state": "drifted",
        "since": AT, "since_source": "observed", "cause": "human", "baseline": "last_applied", "declarer": "argocd",
        "fields": [{"path": "/spec/a", "finding": "changed", "declared": 1, "live": "\x1b]0;owned\x07"}],
    }  # fmt: skip


@pytest.mark.parametrize(("arguments", "count"), [([], 3), (["--all"], 5)])
def test_the_table_leaves_out_what_is_as_declared_unless_it_is_asked_for(
    arguments: list[str], count: int, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was left out is counted all the same."""
    code, out, err = run(capsys, "drift", "--data-dir", data, *arguments)

    assert (code, len(out.splitlines())) == (0, count + 1)
    assert sorted(err.strip().split(", ")) == ["1 drifted", "1 flapping", "1 ignored", "1 in_sync", "1 pending"]
    assert "\x1b" not in out


def test_who_asks_for_an_object_gets_it_explained(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with everything about it, also what is as declared; with a line between them."""
    code, out, _ = run(capsys, "drift", "widget/*", "--namespace", "team-a", "--data-dir", data)
    first, second = out.split("\n\nWidget ")

    assert (code, first.splitlines()[0]) == (0, "Widget team-a/db: in_sync")
    assert second.splitlines()[0] == "team-a/web: drifted"
    assert "    - 1" in second


UNKNOWN = (
    "customresource-exporter: no object {0} is known to the journal in {1}: see with kubectl get how it is spelt, and "
    "with check-config whether it is followed\n"
)


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["widget/WEB"], "widget/WEB"),
        (["gadgets/web", "--fail"], "gadgets/web"),
        (["widget/db", "--namespace", "team-b"], "widget/db in the namespace 'team-b'"),
        (["policy/db"], "policy/db"),
        (["/db", "--namespace", ""], "*/db in the namespace ''"),
    ],
)
def test_a_name_that_nobody_knows_is_an_error(
    form: str, arguments: list[str], named: str, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt name is not the good news that nothing has drifted."""
    expected = (1, "", UNKNOWN.format(named, data))
    assert run(capsys, "drift", "-o", form, "--data-dir", data, *arguments) == expected


def test_an_object_that_nobody_declares_is_known(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So is one that there was: of both there is nothing to be told, and that is no error."""
    journal = Journal.open(Path(data))
    journal.commit(Batch(objects={ObjectKey(*WIDGETS.identity, "team-a", "plain"): Stored("u", "1", b"")}))
    journal.commit(Batch(changes=[CHANGE]))
    journal.close()

    for name in ("plain", CHANGE.name):
        code, out, err = run(capsys, "drift", "--fail", "--data-dir", data, f"widget/{name}")
        assert (code, out, err) == (0, "", "nothing that is declared, as far as was asked\n")


# -- exit codes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], 1),
        (["widget/web"], 1),
        (["policy"], 1),
        (["widget", "--namespace", "team-b"], 0),
        (["widget/db"], 0),
        (["policy/loose"], 0),
        (["nothing"], 0),
    ],
)
def test_fail_is_for_what_is_drifted_among_what_is_asked_for(
    form: str, arguments: list[str], expected: int, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What may still be a rollout, or is excused, breaks no pipeline; and without the flag nothing does."""
    code, _, _ = run(capsys, "drift", "--fail", "-o", form, "--data-dir", data, *arguments)

    assert code == expected
    assert run(capsys, "drift", "-o", form, "--data-dir", data, *arguments)[0] == 0
