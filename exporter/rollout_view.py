"""Rollouts for people: a line for each that goes on, or one drawn as a waterfall of what it waited for.

Gives lines of styled pieces, and knows neither the terminal nor the journal. Must never let a value of an object write
to a terminal: what is no visible character is written out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from rich.cells import cell_len, set_cell_size

from exporter.records import Rollout
from exporter.tables import cut, visible, who
from exporter.timestamps import Timestamp, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exporter.records import Stage

    # A text and its style, of which a line is made.
    Piece = tuple[str, str]

HEADINGS = ("STATE", "RESOURCE", "GENERATION", "SINCE", "FOR", "WHO", "WAITS FOR")
_GAP = "  "
_DIM = "bright_black"
COLOURS = {
    "open": "yellow",
    "overdue": "red",
    "converged": "green",
    "failed": "red",
    "timed_out": "red",
    "superseded": _DIM,
    "deleted": _DIM,
}
_BAR = 32
_MAX_LABEL = 48
_MAX_TEXT = 80


def why(condition: str, status: str, reason: str, message: str) -> str:
    """Say what a condition says: `Ready=False Pending: no such issuer`."""
    if not condition:
        return ""
    text = f"{condition}={status} {reason}".rstrip() + (f": {message}" if message else "")
    return visible(text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…")


def table(rollouts: Iterable[Rollout]) -> Iterator[list[Piece]]:
    """Make a line for each rollout, below a heading; none where there is none."""
    told = [(_cells(one), COLOURS[one.result]) for one in rollouts]
    if not told:
        return
    widths = [max(map(cell_len, column)) for column in zip(HEADINGS, *(cells for cells, _ in told), strict=True)]
    yield _line(HEADINGS, ("bold",) * len(HEADINGS), widths)
    for cells, colour in told:
        yield _line(cells, (colour, "", _DIM, _DIM, "", "", ""), widths)


def waterfall(rollout: Rollout) -> Iterator[list[Piece]]:
    """Draw a rollout: what happened when, each stage and each rollout that it holds below it."""
    title = f"{visible(rollout.kind)} {_place(rollout)}"
    yield [(title, "bold"), (": ", ""), (rollout.result, COLOURS[rollout.result])]
    for name, text in _facts(rollout):
        yield [(f"  {name:<12}", _DIM), (text, "")]
    yield [("", "")]
    lines = list(_lines(rollout, 0))
    start = min(to_nanoseconds(began) for _, began, _, _ in lines)
    whole = max(1, max(to_nanoseconds(ended) for _, _, ended, _ in lines) - start)
    width = min(_MAX_LABEL, max(cell_len(label) for label, _, _, _ in lines))
    for label, began, ended, colour in lines:
        at, length = to_nanoseconds(began) - start, to_nanoseconds(ended) - to_nanoseconds(began)
        skipped = min(_BAR - 1, at * _BAR // whole)
        cells = max(1, min(_BAR - skipped, -(-length * _BAR // whole)))
        bar = " " * skipped + "█" * cells
        yield [
            (cut(label, width) if cell_len(label) > width else set_cell_size(label, width), ""),
            (_GAP + bar.ljust(_BAR) + _GAP, colour),
            (duration(length), ""),
        ]


def duration(nanoseconds: int) -> str:
    """Say how long something took: `0.42s`, `4.2s`, `12s`, `3m12s`, `2h5m`, `1d3h`."""
    seconds = nanoseconds / 1e9
    if seconds < 10:  # noqa: PLR2004 - from there on parts of a second say little
        return f"{seconds:.2f}s" if seconds < 1 else f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, length, lesser, part in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length}{unit}{whole % length // part}{lesser}"
    return f"{whole}s"


def _facts(rollout: Rollout) -> Iterator[tuple[str, str]]:
    lost = f" (readiness lost, no. {rollout.ordinal})" if rollout.ordinal else ""
    yield "generation", f"{rollout.generation}{lost}"
    took = duration(to_nanoseconds(rollout.ended) - to_nanoseconds(rollout.started))
    yield "began", f"{_time(rollout.started)}, " + ("not known how long it took" if rollout.settled else f"for {took}")
    if rollout.writer is not UNSET:
        yield "by", who(rollout.writer)
    if rollout.fields:
        more = f", +{len(rollout.fields) - 1} more" if len(rollout.fields) > 1 else ""
        yield "changed", visible(rollout.fields[0]) + more + (" …" if rollout.truncated else "")
    if rollout.condition:
        yield (
            "waits for" if rollout.result == "open" else "because",
            why(rollout.condition, rollout.status, rollout.reason, rollout.message),
        )
    yield "trace", rollout.trace


def _lines(rollout: Rollout, depth: int) -> Iterator[tuple[str, Timestamp, Timestamp, str]]:
    """Give a line for each span: label, when it began and ended, colour."""
    indent = "  " * depth
    title = f"{indent}{visible(rollout.kind)} {visible(rollout.name)}"
    yield title, rollout.started, rollout.ended, COLOURS[rollout.result]
    below: list[Stage | Rollout] = [*rollout.stages, *rollout.children]
    for one in sorted(below, key=lambda one: (one.started, one.ended)):
        if isinstance(one, Rollout):
            yield from _lines(one, depth + 1)
        else:
            yield f"{indent}  {_stage(one)}", one.started, one.ended, "red" if one.open else "blue"


def _stage(stage: Stage) -> str:
    if not stage.condition:
        return "seen by its controller"
    if stage.open:
        text = f"{stage.condition}={stage.status}"
    elif stage.status:
        text = f"{stage.condition} {stage.before} → {stage.status}".replace("  ", " ")
    else:
        text = f"{stage.condition} gone"
    return visible(f"{text} {stage.reason}".rstrip())


def _cells(rollout: Rollout) -> tuple[str, ...]:
    return (
        rollout.result,
        f"{visible(rollout.kind)} {_place(rollout)}",
        str(rollout.generation or ""),
        _time(rollout.started),
        duration(to_nanoseconds(rollout.ended) - to_nanoseconds(rollout.started)),
        "" if rollout.writer is UNSET else who(rollout.writer),
        why(rollout.condition, rollout.status, rollout.reason, rollout.message),
    )


def _place(rollout: Rollout) -> str:
    return visible(f"{rollout.namespace}/{rollout.name}" if rollout.namespace else rollout.name)


def _time(timestamp: Timestamp) -> str:
    return f"{timestamp[:10]} {timestamp[11:19]}Z"


def _line(cells: Sequence[str], styles: Sequence[str], widths: Sequence[int]) -> list[Piece]:
    padded = [set_cell_size(cell, width) + _GAP for cell, width in zip(cells[:-1], widths, strict=False)]
    return list(zip((*padded, cells[-1]), styles, strict=True))
