"""The command `rollouts`: reads what goes on, and what has ended, beside a running exporter, and shows it.

Must never judge: a rollout has ended when the exporter says so.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from exporter.history import Filters
from exporter.journal.read import reading
from exporter.known import expect
from exporter.records import Rollout
from exporter.rollout.keeper import NAME
from exporter.rollout.telling import overdue, so_far
from exporter.rollout.values import decode
from exporter.rollout_view import table, waterfall
from exporter.tables import json_line, print_pieces
from exporter.timestamps import from_nanoseconds


if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from exporter.journal.read import Reader
    from exporter.timestamps import Timestamp


def show(options: argparse.Namespace) -> int:
    """Show the rollouts that the options ask for.

    Returns:
        the exit code

    Raises:
        JournalError: there is no journal, or it cannot be read
        UnknownError: no object has the name that is asked for

    """
    asked = Filters.of(options.object, options.namespace)
    now = from_nanoseconds(time.time_ns())
    terminal = sys.stdout.isatty()
    with reading(options.data_dir) as reader:
        going_on = list(_open(reader, now))
        late = [one for one in _overdue(reader, now) if _covers(asked, one)]
        ended = [one for one in _ended(reader, options) if _covers(asked, one)]
        open_ = [one for one in going_on if _covers(asked, one)]
        if not (open_ or late or ended):
            expect(reader, options.data_dir, asked)
    if options.output == "json":
        for one in (*ended, *late, *open_):
            sys.stdout.write(json_line(msgspec.json.encode(one), terminal=terminal) + "\n")
    elif options.object is not None:
        drawn = _last([*ended, *(_whole(one, going_on) for one in open_)])
        for number, one in enumerate(drawn):
            print_pieces(sys.stdout, [*([[("", "")]] if number else []), *waterfall(one)], terminal=terminal)
        if not drawn:
            sys.stderr.write(f"no rollout of {options.object} is known\n")
    else:
        print_pieces(sys.stdout, table([*ended, *late, *open_]), terminal=terminal)
        sys.stderr.write(f"{len(open_)} open, {len(late)} overdue\n")
    return 0


def _open(reader: Reader, now: Timestamp) -> Iterator[Rollout]:
    """Give the rollouts that go on, as they stand, the oldest first."""
    found = []
    for key, _, state in reader.states(NAME):
        kept = decode(state.line) if key.name else None
        if kept is not None and kept.open is not None and kept.open.speaks:
            found.append(so_far(kept.open, now))
    yield from sorted(found, key=lambda one: one.started)


def _overdue(reader: Reader, now: Timestamp) -> Iterator[Rollout]:
    """Give the rollouts that have ended without coming true, where the object's last one did."""
    for key, _, state in reader.states(NAME):
        late = overdue(decode(state.line), now) if key.name else None
        if late is not None:
            yield late


def _ended(reader: Reader, options: argparse.Namespace) -> Iterator[Rollout]:
    """Give the rollouts that have ended, those that another one holds as well, in the order in which they were told."""
    if options.since is None and options.object is None:
        return
    for _, record in reader.scan(options.since):
        if isinstance(record, Rollout):
            yield from record.all()


def _whole(rollout: Rollout, open_: list[Rollout]) -> Rollout:
    """Put what goes on below a rollout that goes on into it, at any depth."""
    below = tuple(_whole(one, open_) for one in open_ if one.parent == rollout.span)
    return replace(rollout, children=(*rollout.children, *below))


def _last(rollouts: list[Rollout]) -> list[Rollout]:
    """Choose the last rollout of each object."""
    return list({(one.kind, one.uid): one for one in rollouts}.values())


def _covers(asked: Filters, one: Rollout) -> bool:
    return asked.covers(one.group, one.kind, one.namespace, one.name)
