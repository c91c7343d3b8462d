"""The versions that a real API server gave for each declarer and row: kept beside this, read here.

`recorded/DECLARER.jsonl.gz` holds one line for each row; `python -m tests.drift.truth.record` makes them anew.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct


DIRECTORY = Path(__file__).with_name("recorded")
# Without its time: the same recording is the same file.
_MODIFIED = 0


class Event(Struct, frozen=True):
    """One event of a watch of the object.

    Attributes:
        type: as the watch says it
        observed: when it arrived, seconds since the Unix epoch
        object: all of it, managedFields too

    """

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    observed: float
    object: dict[str, Any]


class Recording(Struct, frozen=True):
    """What one row gave.

    Attributes:
        row: its name
        events: in their order, from the object's creation
        moved: the fields that would change if the object were declared once more, by the API server's own answer to a
            dry run; None where there is no object any more

    """

    row: str
    events: list[Event]
    moved: list[str] | None


def read(declarer: str) -> dict[str, Recording]:
    """Read what was recorded of a declarer, by row."""
    text = gzip.decompress((DIRECTORY / f"{declarer}.jsonl.gz").read_bytes())
    recordings = [msgspec.json.decode(line, type=Recording) for line in text.splitlines()]
    return {one.row: one for one in recordings}


def write(declarer: str, recordings: list[Recording]) -> None:
    """Write what was recorded of a declarer."""
    text = b"".join(msgspec.json.encode(one) + b"\n" for one in recordings)
    DIRECTORY.mkdir(exist_ok=True)
    (DIRECTORY / f"{declarer}.jsonl.gz").write_bytes(gzip.compress(text, mtime=_MODIFIED))
