"""The command `changes`: reads the history beside a running exporter, or of one that has ended, and shows it.

Must never judge: what a change is, and whether it matters, was decided when it was seen.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from exporter import PROGRAM
from exporter.errors import UsageError
from exporter.history import CHANGE_TYPES, Filters, changes_like, query
from exporter.journal.read import reading
from exporter.known import expect
from exporter.model import encode
from exporter.tables import Table, json_line


if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from exporter.journal.read import Reader
    from exporter.model import Change

_POLL_SECONDS = 0.5
_CHUNK = 500


def show(options: argparse.Namespace) -> int:
    """Show the changes that the options ask for.

    Returns:
        the exit code

    Raises:
        JournalError: there is no journal, or it cannot be read
        UnknownError: no object has the name that is asked for
        UsageError: no change is called what is asked for

    """
    if options.change is not None and not changes_like(options.change):
        msg = f"--change {options.change}: no change is called that; write one of {', '.join(CHANGE_TYPES)}"
        raise UsageError(msg)
    asked = Filters(**{name: getattr(options, name) for name in Filters.__struct_fields__})
    add = _form(options)
    told = 0
    with reading(options.data_dir) as reader:
        for changes in _batches(reader, asked, follow=options.follow):
            wanted = [change for change in changes if options.output == "json" or options.all or change.matters]
            told += len(wanted)
            add(wanted)
        if not told:
            expect(reader, options.data_dir, asked)
        if not told and options.output == "table":
            sys.stderr.write(f"{PROGRAM}: nothing matches; the journal holds {_held(reader)}\n")
    return 0


def _batches(reader: Reader, asked: Filters, *, follow: bool) -> Iterator[list[Change]]:
    """Give what is wanted of the history, and then, if asked, of what comes in."""
    seen = reader.head()  # before the scan: with --since that may find nothing, and must not be begun again
    batch = []
    for number, change in query(reader.scan(asked.since), asked):
        seen = max(seen, number)
        batch.append(change)
        if len(batch) == _CHUNK:
            yield batch
            batch = []
    yield batch
    while follow:
        rows = reader.after(seen, _CHUNK)
        if rows:
            seen = rows[-1][0]
            yield [change for _, change in query(rows, asked)]
        else:
            time.sleep(_POLL_SECONDS)


def _form(options: argparse.Namespace) -> Callable[[Iterable[Change]], None]:
    """Choose how changes are printed."""
    terminal = sys.stdout.isatty()
    if options.output == "json":
        return lambda changes: _print_json(changes, terminal=terminal)
    return Table(sys.stdout, terminal=terminal).add


def _print_json(changes: Iterable[Change], *, terminal: bool) -> None:
    for change in changes:
        sys.stdout.write(f"{json_line(encode(change), terminal=terminal)}\n")
    sys.stdout.flush()


def _held(reader: Reader) -> str:
    """Say what there is to be asked for."""
    first = next(iter(reader.after(0, 1)), None)
    if first is None:
        return "no change yet"
    number, change = first
    count = reader.head() - number + 1
    some = "1 change" if count == 1 else f"{count} changes"
    return f"{some} since {change.observed[:19]}Z (--all shows heartbeats and no-ops too)"
