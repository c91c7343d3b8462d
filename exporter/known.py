"""Whether an object that somebody asks for by its name is known at all: a misspelt name is no empty answer.

What globs choose, or a kind alone, may be nothing. Must never decide what is shown of an object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import UnknownError
from exporter.history import Filters, changes


if TYPE_CHECKING:
    from pathlib import Path

    from exporter.journal.read import Reader


def expect(reader: Reader, data_dir: str | Path, asked: Filters) -> None:
    """Make sure that an object is known, or was, as far back as the history goes.

    Args:
        reader: of the journal
        data_dir: where the journal is
        asked: which object; nothing is expected without a name, nor of globs

    Raises:
        UnknownError: it is not
        sqlite3.Error: the journal cannot be read

    """
    name = asked.name
    if not name or any(sign in name for sign in "*?["):
        return
    asked = Filters(
        kind=asked.kind or None, namespace=asked.namespace, name=name
    )  # whenever, and whatever was done to it
    if any(asked.covers(*place, name) for place in reader.called(name)):
        return
    if any(asked.selects(change) for change in changes(reader.scan())):
        return
    place = "" if asked.namespace is None else f" in the namespace {asked.namespace!r}"
    msg = (
        f"no object {asked.kind or '*'}/{name}{place} is known to the journal in {data_dir}: see with kubectl get how "
        "it is spelt, and with check-config whether it is followed"
    )
    raise UnknownError(msg)
