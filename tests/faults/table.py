"""One row for each fault and phase: what was lost and what was made up, and how long it took to be right again.

Rows go to the file that $FAULTS_TABLE names, a JSON object a line, so that one run of all tests makes one table.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """What one fault did in one phase.

    Attributes:
        fault: what was done to the exporter or to what it needs
        phase: what the exporter was doing
        history: whether the server still held every version afterwards
        versions: how many the server assigned meanwhile
        lost: of those, how many were not told
        invented: told, but never assigned
        twice: told more than once
        disordered: objects whose versions were told in another order
        coalesced: versions that the exporter knows to be lost: its own lower bound
        seconds: from the end of the fault until everything was there
        times: how often the fault came
        seed: of the moments that were drawn for it

    """

    fault: str
    phase: str
    history: bool
    versions: int
    lost: int
    invented: int
    twice: int
    disordered: int
    coalesced: int
    seconds: float
    times: int = 1
    seed: int = 0


def record(row: Row) -> None:
    """Add a row to the table of this run, if one is wanted."""
    if file := os.environ.get("FAULTS_TABLE"):
        with Path(file).open("a", encoding="utf-8") as table:
            table.write(json.dumps(row._asdict()) + "\n")


def read(file: Path) -> list[Row]:
    """Give the rows of a table, in the order of their names; a fault that ran again counts as it ran last.

    Those that differ by their seed alone are one row: what they count is added up, and the longest time is shown.
    """
    rows = [Row(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    latest = {(row.fault, row.phase, row.seed): row for row in rows}
    found: dict[tuple[str, str], Row] = {}
    for (fault, phase, _), row in sorted(latest.items()):
        found[fault, phase] = _together(found[fault, phase], row) if (fault, phase) in found else row
    return list(found.values())


def _together(one: Row, other: Row) -> Row:
    counts = ("versions", "lost", "invented", "twice", "disordered", "coalesced", "times")
    sums = {name: getattr(one, name) + getattr(other, name) for name in counts}
    return one._replace(**sums, history=one.history and other.history, seconds=max(one.seconds, other.seconds))
