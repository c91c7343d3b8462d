"""Drift for people: a line for each object that is not as declared, or everything about one, field by field.

Gives lines of styled pieces, and knows neither the terminal nor the journal. Must never let a value of an object write
to a terminal: what is no visible character is written out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from rich.cells import cell_len, set_cell_size

from exporter.tables import shown, visible, who


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exporter.records import DriftState, Finding, Verdict
    from exporter.timestamps import Timestamp

    # A text and its style, of which a line is made.
    Piece = tuple[str, str]

HEADINGS = ("STATE", "RESOURCE", "SINCE", "CAUSE", "DECLARER", "FINDING")
_GAP = "  "
_DIM = "bright_black"
COLOURS: dict[DriftState, str] = {
    "drifted": "red",
    "flapping": "magenta",
    "pending": "yellow",
    "unknown": "cyan",
    "suspended": "blue",
    "ignored": _DIM,
    "in_sync": "green",
    "unmanaged": _DIM,
}
# Of these nobody needs to hear unasked.
_QUIET = frozenset({"in_sync", "unmanaged", "ignored"})


def matters(verdict: Verdict) -> bool:
    """Tell whether a verdict is worth a line unasked."""
    return verdict.state not in _QUIET or bool(verdict.flags)


def table(verdicts: Iterable[Verdict]) -> Iterator[list[Piece]]:
    """Make a line for each verdict, below a heading; none where there is none."""
    rows = [(_row(one), COLOURS[one.state]) for one in verdicts]
    if not rows:
        return
    widths = [max(map(cell_len, column)) for column in zip(HEADINGS, *(cells for cells, _ in rows), strict=True)]
    yield _line(HEADINGS, ("bold",) * len(HEADINGS), widths)
    for cells, colour in rows:
        yield _line(cells, (colour, "", _DIM, "", "", ""), widths)


def explain(verdict: Verdict) -> Iterator[list[Piece]]:
    """Say everything about one object."""
    yield [(f"{visible(verdict.kind)} {_place(verdict)}", "bold"), (": ", ""), (verdict.state, COLOURS[verdict.state])]
    for name, text in _facts(verdict):
        yield [(f"  {name:<10}", _DIM), (text, "")]
    for title, findings in (
        ("not as declared", verdict.fields),
        ("nobody declared", verdict.additions),
        ("ignored", verdict.ignored),
    ):
        if findings:
            yield [("", "")]
            yield [(f"  {title}", "bold")]
            for one in findings:
                yield from _explain(one)


def _facts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    if verdict.reason:
        yield "reason", visible(verdict.reason)
    if verdict.since is not UNSET:
        known = " at the latest" if verdict.since_source == "managed_fields" else ""
        yield "since", f"{_time(verdict.since)}{known}"
    if verdict.cause is not UNSET:
        yield "cause", verdict.cause
    if verdict.declarer:
        yield "declared", f"by {visible(verdict.declarer)}"
    if verdict.baseline is not UNSET:
        confidence = f" (confidence {verdict.confidence})" if verdict.confidence is not UNSET else ""
        yield "baseline", f"{verdict.baseline}{confidence}"
    if verdict.flags:
        yield "flags", ", ".join(verdict.flags)
    for problem in verdict.problems:
        yield "problem", visible(problem)
    if verdict.left_out:
        yield "left out", f"{verdict.left_out} more"


def _explain(finding: Finding) -> Iterator[list[Piece]]:
    kind = "" if finding.finding is UNSET else f"  {finding.finding}"
    yield [(f"  {_path(finding)}", ""), (kind, _DIM), (_by(finding), "")]
    if finding.declared is not UNSET:
        yield [(f"    - {_value(finding.declared)}", "red")]
    if finding.live is not UNSET:
        yield [(f"    + {_value(finding.live)}", "green")]
    if finding.rule:
        yield [(f"    {visible(finding.rule)}", _DIM)]


def _by(finding: Finding) -> str:
    if finding.writer is UNSET:
        return ""
    at = f", {_time(finding.at)}" if finding.at is not UNSET else ""
    return f"  by {who(finding.writer)}{at}"


def _row(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.state,
        f"{visible(verdict.kind)} {_place(verdict)}",
        _time(verdict.since) if verdict.since is not UNSET else "",
        verdict.cause if verdict.cause is not UNSET else "",
        visible(verdict.declarer),
        _first(verdict),
    )


def _first(verdict: Verdict) -> str:
    """Say the first thing that is wrong, and how many more there are."""
    told = (*verdict.fields, *verdict.additions, *verdict.ignored)
    if not told:
        return visible(verdict.reason)
    first = told[0]
    moved = f"{_path(first)} " + (_moved(first) if verdict.fields else f"+ {shown(first.live)}")
    return moved.rstrip() + (f", +{len(told) - 1} more" if len(told) > 1 else "")


def _moved(finding: Finding) -> str:
    if finding.finding == "missing":
        return "is missing"
    if finding.declared is UNSET:
        return f"+ {shown(finding.live)}"
    return f"{shown(finding.declared)} → {shown(finding.live)}"


def _path(finding: Finding) -> str:
    return visible(finding.path) or "the object"


def _value(value: Any) -> str:  # noqa: ANN401 - any JSON
    return visible(msgspec.json.encode(value).decode())


def _place(verdict: Verdict) -> str:
    return visible(f"{verdict.namespace}/{verdict.name}" if verdict.namespace else verdict.name)


def _time(timestamp: Timestamp) -> str:
    return f"{timestamp[:10]} {timestamp[11:19]}Z"


def _line(cells: Sequence[str], styles: Sequence[str], widths: Sequence[int]) -> list[Piece]:
    padded = [set_cell_size(cell, width) + _GAP for cell, width in zip(cells[:-1], widths, strict=False)]
    return list(zip((*padded, cells[-1]), styles, strict=True))
