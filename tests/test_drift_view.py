"""Drift for people: what each sort of verdict says, and that no object can steer a terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from exporter.drift_view import COLOURS, explain, matters, table
from exporter.model import Writer
from exporter.records import DRIFT_STATES, DriftState, Finding, Verdict
from exporter.tables import print_pieces
from exporter.timestamps import Timestamp


AT = Timestamp("2026-01-31T12:00:00.999999Z")
HOSTILE = "a\x1b]0;owned\x07b\nc\u202ed\x9be\u2028f\rg\x00h\U000e0041"
EDIT = Writer(name="kubectl-edit", class_="human", source="managed_fields")
FINDING = Finding(path="/spec/replicas", finding="changed", declared=2, live=5, writer=EDIT, at=AT)
VERDICT = Verdict(
    group="example.com", kind="Widget", namespace="team-a", name="web", uid="u", state="drifted", since=AT,
    since_source="observed", cause="human", baseline="last_applied", confidence="high", declarer="argocd",
    fields=(FINDING,),
)  # fmt: skip


def lines(pieces: Any) -> list[str]:
    """Give what is printed in a pipe."""
    out = io.StringIO()
    print_pieces(out, pieces, terminal=False)
    return out.getvalue().splitlines()


def finding(**parts: Any) -> str:
    """Give the last cell of a table with a verdict of one finding."""
    return lines(table([replace(VERDICT, fields=(replace(FINDING, **parts),))]))[1].split("argocd")[1].strip()


# -- what is worth a line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", DRIFT_STATES)
def test_what_is_as_declared_is_not_told_unasked(state: DriftState) -> None:
    """Nor what a rule excuses, or nobody declares; but a flag is."""
    quiet = state in ("in_sync", "ignored", "unmanaged")

    assert matters(replace(VERDICT, state=state)) is not quiet
    assert matters(replace(VERDICT, state=state, flags=("orphan",)))
    assert state in COLOURS


def test_nothing_is_printed_where_nothing_is() -> None:
    """Not even a heading."""
    assert lines(table([])) == []


# -- the table ---------------------------------------------------------------------------------------------------------


def test_a_line_says_what_since_when_and_by_whom() -> None:
    """Columns are as wide as what is in them."""
    small = Verdict(kind="Gadget", name="x", state="in_sync")

    assert lines(table([VERDICT, small])) == [
        "STATE    RESOURCE           SINCE                 CAUSE  DECLARER  FINDING",
        "drifted  Widget team-a/web  2026-01-31 12:00:00Z  human  argocd    /spec/replicas 2 → 5",
        "in_sync  Gadget x",
    ]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, "/spec/replicas 2 → 5"),
        ({"finding": "missing"}, "/spec/replicas is missing"),
        ({"finding": "missing", "path": ""}, "the object is missing"),
        ({"finding": "stale_owned", "declared": Finding(path="").declared}, "/spec/replicas + 5"),
        ({"declared": None, "live": {"a": 1}}, '/spec/replicas null → {"a":1}'),
        ({"live": Finding(path="").live}, "/spec/replicas 2 → …"),
    ],
)
def test_a_finding_is_told_by_its_sort(parts: dict[str, Any], expected: str) -> None:
    """What is missing has no live value, and what is too much has no declared one."""
    assert finding(**parts) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"fields": (FINDING, FINDING)}, "/spec/replicas 2 → 5, +1 more"),
        ({"fields": (), "additions": (replace(FINDING, path="/spec/b"),)}, "/spec/b + 5"),
        ({"additions": (FINDING,), "ignored": (FINDING,)}, "/spec/replicas 2 → 5, +2 more"),
        ({"fields": (), "reason": "another version"}, "another version"),
        ({"fields": ()}, ""),
    ],
)
def test_the_last_column_says_the_first_thing(parts: dict[str, Any], expected: str) -> None:
    """And how many more there are, or why there is no telling."""
    assert lines(table([replace(VERDICT, **parts)]))[1].split("argocd")[1].strip() == expected


def test_wide_characters_keep_the_columns() -> None:
    """A column is counted in cells."""
    told = [list(line) for line in table([VERDICT, replace(VERDICT, name="網頁", declarer="宣言")])]
    starts = [[cell_len("".join(text for text, _ in line[:number])) for number in range(6)] for line in told]

    assert starts[0] == starts[1] == starts[2]


# -- everything about one ----------------------------------------------------------------------------------------------


def test_an_explanation_says_everything_that_is_known() -> None:
    """Facts, then field by field: what was declared, what is live, who and when; then what is beside."""
    verdict = replace(
        VERDICT, since_source="managed_fields", flags=("additions", "lagging"),
        additions=(Finding(path="/spec/b", live=True),),
        ignored=(Finding(path="/spec/c", finding="missing", declared=1, rule="late init"),),
    )  # fmt: skip

    assert lines(explain(verdict)) == [
        "Widget team-a/web: drifted",
        "  since     2026-01-31 12:00:00Z at the latest",
        "  cause     human",
        "  declared  by argocd",
        "  baseline  last_applied (confidence high)",
        "  flags     additions, lagging",
        "",
        "  not as declared",
        "  /spec/replicas  changed  by kubectl-edit (human), 2026-01-31 12:00:00Z",
        "    - 2",
        "    + 5",
        "",
        "  nobody declared",
        "  /spec/b",
        "    + true",
        "",
        "  ignored",
        "  /spec/c  missing",
        "    - 1",
        "    late init",
    ]


def test_an_explanation_of_what_is_right_is_short() -> None:
    """What is not known is not said."""
    verdict = Verdict(kind="Gadget", name="x", state="unknown", reason="too large")

    assert lines(explain(verdict)) == ["Gadget x: unknown", "  reason    too large"]


# -- hostile values ----------------------------------------------------------------------------------------------------


def hostile(text: str) -> Verdict:
    """Put a text everywhere where an object has a say."""
    writer = Writer(name=text, class_="human", source="managed_fields")
    candidates = Writer(source="unresolved", candidates=(text,))
    one = Finding(path=f"/{text}", finding="changed", declared=text, live={text: [text]}, writer=writer, rule=text)
    more = (replace(one, writer=candidates),)
    return replace(
        VERDICT, group=text, kind=text, namespace=text, name=text, declarer=text, reason=text, fields=(one,),
        additions=more, ignored=more,
    )  # fmt: skip


@pytest.mark.parametrize("terminal", [False, True])
def test_a_hostile_object_writes_nothing_to_the_terminal(terminal: bool) -> None:
    """Every line is printable but for the colours that are ours, and there are no more lines than there should be."""
    for lines_of in (lambda one: table([one]), explain):
        good, bad = io.StringIO(), io.StringIO()
        print_pieces(good, lines_of(hostile("x")), terminal=terminal)
        print_pieces(bad, lines_of(hostile(HOSTILE)), terminal=terminal)
        for sequence in ("\x1b]", "\x07", "\u202e", "\x9b", "\u2028", "\r", "\x00", "\U000e0041"):
            assert sequence not in bad.getvalue()
        assert bad.getvalue().count("\n") == good.getvalue().count("\n")


@given(st.text(max_size=30))
def test_any_text_is_one_line_of_printable_characters(text: str) -> None:
    """Whatever it is, and wherever it stands."""
    for pieces in (*table([hostile(text)]), *explain(hostile(text))):
        assert "".join(one for one, _ in pieces).isprintable()
