"""The history for people: nothing in it can steer a terminal, nothing is cut in a pipe, and columns stay columns."""

from __future__ import annotations

import io
import re
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from rich.cells import cell_len
from rich.text import Text

from exporter.config import Changes, Config, JournalLimits, Watch, Writers
from exporter.drift.rules import IgnoreRule
from exporter.drift.settings import Applied, Directory, DriftSettings
from exporter.model import UNRESOLVED, Change, FieldChange, Writer
from exporter.rollout.rules import Rules
from exporter.rollout.settings import RolloutSettings
from exporter.tables import Table, describe, row, shown, visible, what, when, who
from exporter.timestamps import Timestamp


TODAY = date(2026, 1, 31)
CHANGE = Change(
    id="0",
    observed=Timestamp("2026-01-31T12:00:00.999999Z"),
    event="modified",
    change="spec",
    group="example.com",
    version="v1",
    kind="Widget",
    namespace="team-a",
    name="web",
    uid="1",
    fields=(FieldChange("/spec/replicas", "replace", 1, 3),),
    writer=Writer(name="kubectl-edit", class_="human", source="managed_fields"),
)
TWO = (FieldChange("/spec/a", "replace", 1, 2), FieldChange("/b", "add", UNSET, 1))
HOSTILE = "a\x1b]0;owned\x07b\nc\u202ed\x9be\u2028f\rg\x00h\U000e0041"


def replaced(**parts: Any) -> Change:
    """Give the change with other parts."""
    return msgspec.structs.replace(CHANGE, **parts)


def printed(*changes: Change, terminal: bool = False) -> str:
    """Give what a table of these changes prints."""
    out = io.StringIO()
    Table(out, terminal=terminal).add(changes)
    return out.getvalue()


# -- hostile values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [False, True])
def test_a_hostile_object_writes_nothing_to_the_terminal(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an object, a field or a writer is called, one change is one line of visible characters."""
    change = replaced(
        kind=HOSTILE,
        namespace=HOSTILE,
        name=HOSTILE,
        fields=(FieldChange(HOSTILE, "replace", {HOSTILE: HOSTILE}, [HOSTILE]),),
        writer=Writer(name=HOSTILE, class_="human", source="managed_fields"),
    )
    monkeypatch.setenv("COLUMNS", "2000")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed(change, terminal=terminal)).removesuffix("\n").split("\n")
    assert [line.isprintable() for line in lines] == [True, True]


def test_candidates_are_made_visible_too() -> None:
    """Those who may have written are no more to be trusted than those who did."""
    assert who(Writer(source="unresolved", candidates=("a\x1b", "b"))) == r"unresolved (a\x1b|b)"


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_visible_is_printable(text: str) -> None:
    """Any text becomes printable, and printable text stays as it is."""
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)


def test_markup_is_only_text() -> None:
    """What the library that colours would read as markup or as an emoji is printed as it is."""
    name = "[red]x[/red]:smile:"
    assert name in Text.from_ansi(printed(replaced(name=name), terminal=True)).plain


# -- cells ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "truncated", "expected"),
    [
        ((), False, ""),
        ((), True, "…"),
        ((FieldChange("/spec/a", "add", UNSET, None),), False, "/spec/a + null"),
        ((FieldChange("/spec/a", "remove", "x"),), False, '/spec/a - "x"'),
        ((FieldChange("/spec/a", "remove"),), False, "/spec/a - …"),
        ((FieldChange("/spec/a", "replace", 1, "1"),), False, '/spec/a 1 → "1"'),
        (
            TWO,
            False,
            "/spec/a 1 → 2, +1 more",
        ),
        (
            TWO,
            True,
            "/spec/a 1 → 2, +1 more …",
        ),
    ],
)
def test_what_moved(fields: tuple[FieldChange, ...], truncated: bool, expected: str) -> None:
    """The first field from what to what, how many more, and whether something was cut before it was stored."""
    assert expected == what(fields, truncated=truncated)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 38, '"' + "x" * 38 + '"'),
        ("x" * 39, '"' + "x" * 38 + "…"),
        ("漢" * 30, '"' + "漢" * 19 + "…"),
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
        (1.5, "1.5"),
    ],
)
def test_a_value_is_shown_as_json(value: object, expected: str) -> None:
    """Long values are shortened to 40 columns, wide characters counted as the two that they take."""
    assert expected == shown(value)


@pytest.mark.parametrize(
    ("writer", "expected"),
    [
        (UNRESOLVED, "unresolved"),
        (Writer(source="unresolved", candidates=("a", "b")), "unresolved (a|b)"),
        (Writer(name="x", source="managed_fields"), "x"),
        (Writer(name="x", class_="gitops", source="managed_fields"), "x (gitops)"),
    ],
)
def test_who_wrote(writer: Writer, expected: str) -> None:
    """Name and class, or who may have."""
    assert expected == who(writer)


@pytest.mark.parametrize(
    ("gap", "happened", "expected"),
    [
        (True, UNSET, "2026-01-31 12:00:00Z"),
        (True, Timestamp("2026-02-01T00:00:00.000000Z"), "2026-01-31 12:00:00Z"),
        (False, Timestamp("2026-01-31T09:30:00.000000Z"), "2026-01-31 12:00:00Z"),
        (True, Timestamp("2026-01-31T09:30:00.000000Z"), "2026-01-31 09:30:00Z"),
    ],
)
def test_when(gap: bool, happened: Any, expected: str) -> None:
    """As it was seen; what was found only after an interruption as the object tells, if that can be."""
    assert expected == when(replaced(gap=gap, happened=happened))


def test_a_row_of_what_has_no_namespace() -> None:
    """A cluster-scoped object is named without one, and a heartbeat is called so."""
    change = replaced(namespace="", change="status", heartbeat=True, fields=(), writer=UNRESOLVED)
    expected = ("modified", "status (heartbeat)", "Widget web", "2026-01-31 12:00:00Z", "unresolved", "")
    assert expected == row(change)


# -- the table ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [False, True])
def test_no_changes_print_nothing(terminal: bool) -> None:
    """Without a row there is no heading."""
    assert printed(terminal=terminal) == ""


def test_a_pipe_gets_plain_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe the columns stand under their headings, and nothing is cut, however narrow the window."""
    monkeypatch.setenv("COLUMNS", "40")
    long_name = "n" * 300
    text = printed(CHANGE, replaced(name=long_name, event="deleted", change="deleted", fields=(), writer=UNRESOLVED))
    heading, first, second = text.splitlines()
    assert first[:38] == "modified  spec       Widget team-a/web"
    assert first[38:].strip() == "2026-01-31 12:00:00Z  kubectl-edit (human)  /spec/replicas 1 → 3"
    assert f"deleted   deleted    Widget team-a/{long_name}  2026-01-31 12:00:00Z  unresolved" == second
    places = [heading.index(word) for word in ("EVENT", "CHANGE", "RESOURCE", "TIME", "WHO", "FIELD")]
    words = ("modified", "spec", "Widget", "2026", "kubectl-edit", "/spec/replicas")
    assert places == [first.index(word) for word in words]


def test_the_heading_comes_once() -> None:
    """What comes in later stands below it, in columns that only grow."""
    out = io.StringIO()
    table = Table(out, terminal=False)
    table.add([CHANGE])
    table.add([])
    table.add([CHANGE, CHANGE])
    lines = out.getvalue().splitlines()
    assert (len(lines), out.getvalue().count("EVENT")) == (4, 1)
    assert lines[1] == lines[2] == lines[3]


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a terminal of 80 columns that knows colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("_terminal")
def test_a_narrow_terminal_loses_no_writer_and_no_field() -> None:
    """Where a row does not fit, who wrote and what moved go below; only what is too long for that is cut."""
    long_path = FieldChange("/spec/" + "x" * 100, "add", UNSET, 1)
    text = printed(CHANGE, replaced(fields=()), replaced(fields=(long_path,), name="n" * 80), terminal=True)
    plain = Text.from_ansi(text).plain.splitlines()
    assert [line for line in plain if cell_len(line) > 80] == []
    assert plain.count("          kubectl-edit (human)  /spec/replicas 1 → 3") == 1
    assert len(plain) == 2 + 2 + 2 + 2
    assert "n…" in plain[-2]
    assert plain[-2].rstrip().endswith("Z")
    assert plain[-1] == "          kubectl-edit (human)  /spec/" + "x" * 41 + "…"


@pytest.mark.usefixtures("_terminal")
def test_a_wide_terminal_shows_a_row_as_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is room, a terminal shows what a pipe gets."""
    monkeypatch.setenv("COLUMNS", "120")
    assert Text.from_ansi(printed(CHANGE, terminal=True)).plain.rstrip() == printed(CHANGE).rstrip()


@pytest.mark.usefixtures("_terminal")
def test_each_sort_of_change_has_its_colour() -> None:
    """A terminal shows at a glance what was deleted and whose spec moved."""
    text = printed(CHANGE, replaced(change="deleted", event="deleted"), terminal=True)
    assert "\x1b[33mspec" in text
    assert "\x1b[31mdeleted" in text


def test_wide_characters_keep_the_columns() -> None:
    """A character that takes two columns is counted as two."""
    wide, narrow = printed(replaced(name="漢字"), replaced(name="abcd")).splitlines()[1:]
    assert wide.replace("漢字", "abcd") == narrow


# -- a configuration ------------------------------------------------------------------------------------------


def test_a_configuration_is_described() -> None:
    """What is selected and kept, a line for each thing that is said."""
    config = Config(
        cluster="prod\x1b",
        watch=Watch(include=("*.example.com/*",), exclude=(), namespaces=("a", "b"), label_selector="app=web"),
        changes=Changes(writers=Writers(human=("me-*",)), redact=("/spec/key",), ignore_paths=("/status/at",)),
        journal=JournalLimits(retention_ns=129_600 * 10**9, size_bytes=1536 * 1024**2),
    )
    expected = """\
cluster         prod\\x1b
include         *.example.com/*
exclude         nothing
namespaces      a, b
label selector  app=web
human           me-*
redact          /spec/key
ignore paths    /status/at
retention       1d12h, 1.5 GiB
drift           after 2m, over after 1m, flapping at 3 in 1h, controllers: report
ignored         by the shipped rules
rollouts        up to 1h, over after 5s"""
    assert expected == "\n".join(describe(config, TODAY))


def test_the_judgement_of_drift_is_described() -> None:
    """What is compared, how long it has to last, and how much is ignored; or that nothing is."""
    drift = DriftSettings(
        settle_ns=0,
        default_rules=False,
        declared=(Directory(path="/declared/prod", declarer="argocd", exclusive=True), Directory(path="/b")),
        last_applied=(Applied("example.com/applied"),),
        declarers={"ours": ("our-*", "portal")},
        ignore=tuple(IgnoreRule(reason="a", expires=day) for day in (None, TODAY, date(2026, 1, 30))),
    )
    expected = """\
drift           after 0s, over after 1m, flapping at 3 in 1h, controllers: report
declared        /declared/prod (default, argocd, exclusive), /b (default)
last applied    example.com/applied
declarers       ours: our-* portal
ignored         by 3 rules of the file, 1 of them expired"""
    assert expected.splitlines() == describe(Config(drift=drift), TODAY)[-6:-1]
    assert describe(Config(drift=DriftSettings(enabled=False)), TODAY)[-2] == "drift           off"


def test_how_rollouts_are_followed_is_described() -> None:
    """How long one may take, how long it has to stay ready, and by whose rules; or that nothing is followed."""
    rules = (Rules(kinds=("example.com/*",)),)
    rollout = RolloutSettings(timeout_ns=90 * 10**9, settle_ns=0, rules=rules)
    expected = "rollouts        up to 1m30s, over after 0s, by 1 rules of the file and the shipped ones"
    assert expected == describe(Config(rollout=rollout), TODAY)[-1]
    assert describe(Config(rollout=RolloutSettings(enabled=False)), TODAY)[-1] == "rollouts        off"


def test_the_field_that_tells_something_is_shown() -> None:
    """A time, and what moves along with something else, is shown only where nothing more telling moved."""
    time = FieldChange(
        "/status/conditions/0/lastTransitionTime", "replace", "2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z"
    )
    phase = FieldChange("/status/phase", "replace", "Ready", "Upgrading")
    grace = FieldChange("/metadata/deletionGracePeriodSeconds", "add", new=0)
    deletion = FieldChange("/metadata/deletionTimestamp", "add", new="2026-03-01T10:00:00Z")

    assert what([time, phase]) == '/status/phase "Ready" → "Upgrading", +1 more'
    assert what([grace, deletion]).startswith("/metadata/deletionTimestamp + ")
    assert what([time]).startswith(time.path)
