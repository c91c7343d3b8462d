"""Rollouts for people: a line for each, one drawn as a waterfall, and nothing that could steer a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from rich.cells import cell_len

from exporter.model import Writer
from exporter.rollout_view import duration, table, waterfall, why
from exporter.timestamps import Timestamp
from tests.otlp.test_spans import rollout, stage
from tests.test_tables import HOSTILE


if TYPE_CHECKING:
    from collections.abc import Iterable

SECOND = 10**9


def at(seconds: float) -> Timestamp:
    """Give a time so long after the beginning."""
    return Timestamp(f"2026-11-23T12:00:{seconds:09.6f}Z")


def text(lines: Iterable[list[tuple[str, str]]]) -> list[str]:
    """Leave the styles out."""
    return ["".join(piece for piece, _ in line).rstrip() for line in lines]


@pytest.mark.parametrize(
    ("nanoseconds", "told"),
    [
        (0, "0.00s"),
        (420_000_000, "0.42s"),
        (4_249_000_000, "4.2s"),
        (12 * SECOND, "12s"),
        (59 * SECOND, "59s"),
        (192 * SECOND, "3m12s"),
        (7500 * SECOND, "2h5m"),
        (97_200 * SECOND, "1d3h"),
    ],
)
def test_durations_are_told_as_far_as_they_matter(nanoseconds: int, told: str) -> None:
    """Parts of a second only where they say something, and never more than two units."""
    assert told == duration(nanoseconds)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (("", "", "", ""), ""),
        (("Ready", "False", "", ""), "Ready=False"),
        (("Ready", "False", "Pending", "no issuer"), "Ready=False Pending: no issuer"),
        (("Ready", "False", "", "m" * 200), "Ready=False: " + "m" * 66 + "…"),
    ],
)
def test_why(parts: tuple[str, str, str, str], told: str) -> None:
    """What a condition says is cut to what a line has room for."""
    assert told == why(*parts)


def test_nothing_makes_no_table() -> None:
    """Without rollouts there is no heading either."""
    assert text(table([])) == []


def test_a_table_of_what_goes_on_and_what_is_overdue() -> None:
    """Each has its state, what it is, since when and for how long, who began it and what it waits for."""
    waits = {
        "result": "open",
        "condition": "Ready",
        "status": "False",
        "reason": "Off",
        "started": at(0),
        "ended": at(42),
    }
    part = {"kind": "Part", "namespace": "", "name": "p", "generation": 1, "writer": UNSET}
    late = {"result": "overdue", "started": at(0), "ended": at(9), **part}

    assert text(table([rollout(**waits), rollout(**late)])) == [
        "STATE    RESOURCE           GENERATION  SINCE                 FOR   WHO                   WAITS FOR",
        "open     Widget team-a/web  4           2026-11-23 12:00:00Z  42s   kubectl-edit (human)  Ready=False Off",
        "overdue  Part p             1           2026-11-23 12:00:00Z  9.0s",
    ]


def test_a_waterfall() -> None:
    """Everything that the rollout waited for is a bar below it, at its time, with what it holds indented."""
    child = rollout(kind="Part", name="p", span="1" * 16, parent="b" * 16, started=at(4), ended=at(6), stages=(
        stage(started=at(4), ended=at(6), before="", reason=""),
    ))  # fmt: skip
    stages = (
        stage(condition="", status="4", before="", started=at(0), ended=at(1)),
        stage(started=at(1), ended=at(8)),
        stage(condition="Issuing", before="True", status="", reason="", started=at(1), ended=at(7)),
    )
    lines = text(waterfall(rollout(started=at(0), ended=at(8), stages=stages, children=(child,))))

    assert lines == [
        "Widget team-a/web: converged",
        "  generation  4",
        "  began       2026-11-23 12:00:00Z, for 8.0s",
        "  by          kubectl-edit (human)",
        "  changed     /spec/a, +1 more",
        "  trace       " + "a" * 32,
        "",
        "Widget web                   ████████████████████████████████  8.0s",
        "  seen by its controller     ████                              1.0s",
        "  Issuing gone                   ████████████████████████      6.0s",
        "  Ready False → True Issued      ████████████████████████████  7.0s",
        "  Part p                                     ████████          2.0s",
        "    Ready → True                             ████████          2.0s",
    ]


def test_what_it_failed_at_is_told_and_drawn() -> None:
    """A rollout that timed out says why, and the stage that it waited in is the last bar."""
    parts = {"condition": "Ready", "status": "False", "reason": "Pending", "message": "no issuer"}
    waiting = stage(**parts, open=True, before="False", started=at(1), ended=at(9))
    lines = text(waterfall(rollout(**parts, result="timed_out", started=at(0), ended=at(9), stages=(waiting,))))

    assert "  because     Ready=False Pending: no issuer" in lines
    assert lines[-1].startswith("  Ready=False Pending")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"settled": True}, "  began       2026-11-23 12:00:00Z, not known how long it took"),
        ({"ordinal": 2}, "  generation  4 (readiness lost, no. 2)"),
        ({"result": "open", "condition": "Ready", "status": "Unknown"}, "  waits for   Ready=Unknown"),
        ({"fields": ("/spec/a",), "truncated": True}, "  changed     /spec/a …"),
    ],
)
def test_what_is_rarely_there(parts: dict[str, Any], told: str) -> None:
    """What holds only of some rollouts is told of those."""
    assert told in text(waterfall(rollout(started=at(0), **parts)))


texts = st.text(max_size=12) | st.just(HOSTILE)


@given(
    st.builds(
        rollout, kind=texts, name=texts, namespace=texts, condition=texts, reason=texts, message=texts,
        fields=st.lists(texts, max_size=2).map(tuple),
        writer=st.builds(Writer, name=texts, source=st.just("managed_fields")),
        stages=st.lists(st.builds(stage, condition=texts, reason=texts, open=st.booleans()), max_size=3).map(tuple),
        result=st.sampled_from(["open", "converged", "timed_out"]),
    )
)  # fmt: skip
def test_no_value_of_an_object_steers_a_terminal(one: Any) -> None:
    """Whatever an object says is written out as visible characters, and bars stand below each other."""
    lines = [*text(table([one])), *text(waterfall(one))]

    assert all(line.isprintable() for line in lines)
    bars = [line for line in lines if "█" in line]
    assert len(bars) >= 1 + len(one.stages)
    assert len({cell_len(line.partition("█")[0].rstrip(" ")) <= 50 for line in bars}) == 1
