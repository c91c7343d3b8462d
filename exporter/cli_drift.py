"""The command `drift`: reads the verdicts beside a running exporter, and shows them.

Must never judge: what a verdict says was decided when the object was looked at, or when its time had come.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from exporter.drift.held import held
from exporter.drift.keeper import NAME
from exporter.drift_view import explain, matters, table
from exporter.history import Filters
from exporter.journal.read import reading
from exporter.known import expect
from exporter.tables import json_line, print_pieces


if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from exporter.journal.read import Reader
    from exporter.records import Verdict

_WRONG = frozenset({"drifted", "flapping"})


def show(options: argparse.Namespace) -> int:
    """Show the verdicts that the options ask for.

    Returns:
        the exit code: 1 with `--fail` where something is not as declared, else 0

    Raises:
        JournalError: there is no journal, or it cannot be read
        UnknownError: no object has the name that is asked for

    """
    asked = Filters.of(options.object, options.namespace)
    with reading(options.data_dir) as reader:
        verdicts = [one for one in _verdicts(reader) if asked.covers(one.group, one.kind, one.namespace, one.name)]
        if not verdicts:
            expect(reader, options.data_dir, asked)
    if options.output == "json":
        for one in verdicts:
            sys.stdout.write(json_line(msgspec.json.encode(one), terminal=sys.stdout.isatty()) + "\n")
    elif options.object is not None:
        for number, one in enumerate(verdicts):
            print_pieces(sys.stdout, [*([[("", "")]] if number else []), *explain(one)], terminal=sys.stdout.isatty())
    else:
        told = verdicts if options.all else [one for one in verdicts if matters(one)]
        print_pieces(sys.stdout, table(told), terminal=sys.stdout.isatty())
    if options.output != "json":
        sys.stderr.write(f"{_counted(verdicts)}\n")
    return 1 if options.fail and any(one.state in _WRONG for one in verdicts) else 0


def _verdicts(reader: Reader) -> Iterator[Verdict]:
    for key, _, state in reader.states(NAME):
        yield held(state).verdict(key)


def _counted(verdicts: Iterable[Verdict]) -> str:
    counts: dict[str, int] = {}
    for one in verdicts:
        counts[one.state] = counts.get(one.state, 0) + 1
    if not counts:
        return "nothing that is declared, as far as was asked"
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items(), key=lambda item: -item[1]))
