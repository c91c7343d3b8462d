"""The history for people: a table in a terminal, plain aligned text in a pipe.

It is written as it goes, a few hundred lines at a time, so that a long history needs no memory and `--follow` works
the same. Must never let a value of an object write to the terminal: what is not a visible character is written out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from rich.cells import cell_len, set_cell_size

from exporter.timestamps import normalise


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from typing import TextIO

    from rich.console import Console

    from exporter.config import Config
    from exporter.drift.settings import DriftSettings
    from exporter.model import Change, ChangeType, FieldChange, Writer
    from exporter.rollout.settings import RolloutSettings


HEADINGS = ("EVENT", "CHANGE", "RESOURCE", "TIME", "WHO", "FIELD")
_GAP = "  "
_VALUE_CELLS = 40
# From the start as wide as the usual words, so that the lines printed later stand under those printed before.
_WIDTHS = (len("modified"), len("recreated"), 24, len("2026-01-31 23:59:59Z"), 16)
COLOURS: dict[ChangeType, str] = {
    "created": "green",
    "recreated": "green",
    "deleted": "red",
    "deleting": "red",
    "spec": "yellow",
    "schema": "magenta",
    "metadata": "cyan",
    "status": "blue",
    "ownership": "bright_black",
    "noop": "bright_black",
}
_DIM = "bright_black"
_ELLIPSIS = "…"


class Table:
    """A table that grows: the heading comes with the first rows.

    Args:
        out: where it goes
        terminal: colours, and lines cut at the window's edge; else plain text, never cut

    """

    def __init__(self, out: TextIO, *, terminal: bool) -> None:
        self._out = out
        self._console = _console(out) if terminal else None
        self._widths = list(_WIDTHS)
        self._headed = False

    def add(self, changes: Iterable[Change]) -> None:
        """Print changes below those printed before."""
        rows = [(row(change), COLOURS[change.change]) for change in changes]
        if not rows:
            return
        for cells, _ in rows:
            self._widths = [max(width, cell_len(cell)) for width, cell in zip(self._widths, cells, strict=False)]
        if not self._headed:
            self._print(HEADINGS, ("bold",) * len(HEADINGS))
            self._headed = True
        for cells, colour in rows:
            self._print(cells, ("", colour, "", _DIM, "", ""))
        self._out.flush()

    def _print(self, cells: Sequence[str], styles: Sequence[str]) -> None:
        padded = [set_cell_size(cell, width) for cell, width in zip(cells, self._widths, strict=False)]
        whole = (*padded, cells[-1])
        if self._console is None:
            self._out.write(_GAP.join(whole).rstrip() + "\n")
            return
        # What moved and who did it is what people look for: in a narrow window it gets a line of its own.
        width = self._console.width
        first = next((count for count in (len(whole), len(padded)) if cell_len(_GAP.join(whole[:count])) <= width), 4)
        if first == 4:  # noqa: PLR2004 - up to TIME
            room = max(_WIDTHS[2], width - cell_len(_GAP.join((padded[0], padded[1], "", padded[3]))))
            padded[2] = cut(cells[2], min(room, self._widths[2]))
            whole = (*padded, cells[-1])
        _print_line(self._console, whole[:first], styles)
        rest = (cells[4].ljust(_WIDTHS[4]), cells[-1])[first - 4 :]
        if any(rest):
            _print_line(self._console, (" " * self._widths[0], *rest), ("", *styles[first:]))


def cut(text: str, cells: int) -> str:
    """Make a text exactly so many cells wide; what is cut off shows."""
    return set_cell_size(text, cells) if cell_len(text) <= cells else set_cell_size(text, cells - 1) + _ELLIPSIS


def _console(out: TextIO) -> Console:
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only terminals need it

    return Console(file=out, force_terminal=True, highlight=False, markup=False, emoji=False)


def print_pieces(out: TextIO, lines: Iterable[Iterable[tuple[str, str]]], *, terminal: bool) -> None:
    """Print lines of (text, style): in a terminal with colours and cut at the window's edge, else plain and whole."""
    console = _console(out) if terminal else None
    for line in lines:
        if console is None:
            out.write("".join(text for text, _ in line).rstrip() + "\n")
        else:
            from rich.text import Text  # noqa: PLC0415 - as above

            console.print(Text.assemble(*line), no_wrap=True, overflow="ellipsis", crop=True)
    out.flush()


def json_line(line: bytes, *, terminal: bool) -> str:
    """Give a line of JSON as it may be printed: what it need not escape may still steer a terminal."""
    text = line.decode()
    if not terminal or text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _print_line(console: Console, cells: Sequence[str], styles: Sequence[str]) -> None:
    from rich.text import Text  # noqa: PLC0415 - as above

    line = Text(no_wrap=True, overflow="ellipsis")
    for cell, style in zip(cells, styles, strict=False):
        line.append(cell + _GAP, style)
    line.rstrip()
    console.print(line, no_wrap=True, overflow="ellipsis", crop=True)


def row(change: Change) -> tuple[str, str, str, str, str, str]:
    """Say a change in six cells."""
    place = f"{change.namespace}/{change.name}" if change.namespace else change.name
    return (
        change.event,
        change.change + (" (heartbeat)" if change.heartbeat else ""),
        visible(f"{change.kind} {place}"),
        when(change),
        who(change.writer),
        what(change.fields, truncated=change.truncated),
    )


def when(change: Change) -> str:
    """Say when, in UTC to the second: as seen, or for what was found only later as the object itself tells."""
    told = change.happened
    known = told if change.gap and told is not UNSET and told < change.observed else change.observed
    return f"{known[:10]} {known[11:19]}Z"


def who(writer: Writer) -> str:
    """Say who wrote, with the class; where that is not known, who may have."""
    if not writer.name:
        candidates = "|".join(map(visible, writer.candidates))
        return f"unresolved ({candidates})" if candidates else "unresolved"
    return visible(writer.name) + (f" ({writer.class_})" if writer.class_ is not UNSET else "")


# They move along with something that says more.
_BESIDES = ("/metadata/deletionGracePeriodSeconds", "/observedGeneration", "last-applied-configuration")


def what(fields: Sequence[FieldChange], *, truncated: bool = False) -> str:
    """Say the first field that moved and tells something, from what to what, and how many more there are."""
    cut = f" {_ELLIPSIS}" if truncated else ""
    if not fields:
        return cut.strip()
    first = min(fields, key=_says_little)
    path = visible(first.path)
    if first.op == "add":
        moved = f"{path} + {shown(first.new)}"
    elif first.op == "remove":
        moved = f"{path} - {shown(first.old)}"
    else:
        moved = f"{path} {shown(first.old)} → {shown(first.new)}"
    more = f", +{len(fields) - 1} more" if len(fields) > 1 else ""
    return moved + more + cut


def _says_little(field: FieldChange) -> int:
    """Rank a field: a time, or a number that the server counts, is shown only where nothing else moved."""
    if field.path.endswith(_BESIDES):
        return 3
    if field.path == "/metadata/deletionTimestamp":
        return 0
    return 2 if normalise(field.new) or normalise(field.old) else 1


def shown(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Write a value as JSON, shortened to what a table has room for."""
    if value is UNSET:
        return _ELLIPSIS
    text = visible(msgspec.json.encode(value).decode())
    return text if cell_len(text) <= _VALUE_CELLS else set_cell_size(text, _VALUE_CELLS - 1).rstrip() + _ELLIPSIS


def visible(text: str) -> str:
    r"""Write out what is no visible character (`\x1b`, `\n`, `\u202e`), so that it cannot steer a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def describe(config: Config, today: date) -> list[str]:
    """Say what a configuration selects and keeps on a day, a line for each thing."""
    watch, limits = config.watch, config.journal
    facts = {
        "cluster": config.cluster,
        "include": ", ".join(watch.include),
        "exclude": ", ".join(watch.exclude) or "nothing",
        "namespaces": ", ".join(watch.namespaces) or "all",
        "label selector": watch.label_selector,
        "field selector": watch.field_selector,
        "metadata only": ", ".join(watch.metadata_only),
        "human": ", ".join(config.changes.writers.human),
        "gitops": ", ".join(config.changes.writers.gitops),
        "controller": ", ".join(config.changes.writers.controller),
        "redact": ", ".join(config.changes.redact),
        "ignore paths": ", ".join(config.changes.ignore_paths),
        "retention": f"{_duration(limits.retention_ns)}, {_size(limits.size_bytes)}",
        **_drift(config.drift, today),
        "rollouts": _rollouts(config.rollout),
    }
    return facts_as_lines(facts)


def facts_as_lines(facts: Mapping[str, str]) -> list[str]:
    """Write facts for people, one below the other; what says nothing is left out."""
    width = max(map(len, facts)) + len(_GAP)
    return [f"{name:<{width}}{visible(fact)}" for name, fact in facts.items() if fact]


def _drift(drift: DriftSettings, today: date) -> dict[str, str]:
    """Say how drift is judged, what it is judged by, and what is left out of it."""
    if not drift.enabled:
        return {"drift": "off"}
    flapping = drift.flapping
    expired = sum(rule.expires is not None and rule.expires < today for rule in drift.ignore)
    ignored = [f"by {len(drift.ignore)} rules of the file, {expired} of them expired"] if drift.ignore else []
    ignored += ["by the shipped rules"] if drift.default_rules else []
    return {
        "drift": (
            f"after {_duration(drift.settle_ns)}, over after {_duration(drift.clear_ns)}, "
            f"flapping at {flapping.flips} in {_duration(flapping.window_ns)}, controllers: {drift.controllers}"
        ),
        "declared": ", ".join(
            f"{one.path} ({', '.join(filter(None, (one.namespace, one.declarer, 'exclusive' * one.exclusive)))})"
            for one in drift.declared
        ),
        "last applied": ", ".join(one.annotation for one in drift.last_applied),
        "declarers": ", ".join(f"{name}: {' '.join(globs)}" for name, globs in drift.declarers.items()),
        "ignored": ", ".join(ignored) or "nothing",
    }


def _rollouts(rollout: RolloutSettings) -> str:
    """Say how rollouts are followed."""
    if not rollout.enabled:
        return "off"
    rules = f", by {len(rollout.rules)} rules of the file and the shipped ones" if rollout.rules else ""
    return f"up to {_duration(rollout.timeout_ns)}, over after {_duration(rollout.settle_ns)}{rules}"


def _duration(nanoseconds: int) -> str:
    seconds = nanoseconds // 10**9
    parts = []
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _size(count: int) -> str:
    for unit, length in (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2)):
        if count >= length:
            return f"{count / length:g} {unit}"
    return f"{count} bytes"
