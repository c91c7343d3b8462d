"""Shows the table of a run of tests/faults, and writes it into docs/explanation/faults.md: `make faults`.

Must never judge: what is wrong has failed as a test already.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.faults.table import Row, read


if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parent.parent / "docs/explanation/faults.md"
COLUMNS = (
    "fault", "while", "times", "history", "versions", "lost", "invented", "twice", "out of order",
    "known to be lost", "seconds",
)  # fmt: skip
HEAD = """\
# What each fault costs

Every fault that the tests can produce, on a real kube-apiserver and etcd: what the exporter told, held against what
the server had assigned. `make faults` plays them all again and writes this page; the last time was {when}, on
{machine}, {count} faults.

* **times**: how often the fault came; each kill at a moment that was drawn.
* **history**: whether the server still held every version when the fault was over. Where it did, each must be told,
  once and in order. Where it did not, nobody can tell them: then what the exporter holds must be what the server has,
  and the gap must be counted.
* **twice**: told again under the same id. That happens to what was delivered, where the exporter could not know that it
  had arrived; in the history nothing is ever twice.
* **known to be lost**: the lower bound that the exporter itself counts
  (`customresource_exporter_versions_coalesced_total`).
* **seconds**: from the end of the fault until everything was told.

"""


def cells(row: Row) -> list[str]:
    """Write one row as text."""
    history = "held" if row.history else "gone"
    numbers = (row.versions, row.lost, row.invented, row.twice, row.disordered, row.coalesced)
    return [
        row.fault,
        row.phase,
        f"{row.times:,}",
        history,
        *(f"{number:,}" for number in numbers),
        f"{row.seconds:.1f}",
    ]


def page(rows: Iterable[Row], when: str, machine: str) -> str:
    """Write the page."""
    table = [list(COLUMNS), ["---"] * 4 + ["--:"] * (len(COLUMNS) - 4), *map(cells, rows)]
    lines = [f"| {' | '.join(line)} |" for line in table]
    return HEAD.format(when=when, machine=machine, count=len(lines) - 2) + "\n".join(lines) + "\n"


def main() -> None:
    """Read the rows, print the table, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the rows, as $FAULTS_TABLE got them")
    rows = read(parser.parse_args().file)
    shown = Table(*COLUMNS)
    for row in rows:
        shown.add_row(*cells(row), style=None if row.lost == row.invented == row.twice == 0 else "yellow")
    Console(width=None if sys.stdout.isatty() else 160).print(shown)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[2]
    machine = f"{cores} cores under a load of {load:.0f}, Python {platform.python_version()}"
    PAGE.write_text(page(rows, datetime.now(UTC).strftime("%Y-%m-%d"), machine), encoding="utf-8")


if __name__ == "__main__":
    main()
