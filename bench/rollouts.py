"""`python -m bench.rollouts`: what following rollouts costs, and what is left of one that was told.

Objects are edited, are not ready, become ready, and stay so: one rollout each, told when it has ended. The steps and
the journal (in a file) are the exporter's own; measured is the keeper with its states and records, committed in the
groups of the ingest, less what committing the same changes alone takes. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from bench import machine
from exporter.changes.batch import Batch
from exporter.changes.step import Step
from exporter.changes.version import Version
from exporter.ingest import GROUP_RECORDS
from exporter.journal.store import Journal
from exporter.keepers import Keepers
from exporter.metrics.health import Health
from exporter.model import UNRESOLVED, Change, ChangeType, FieldChange, ObjectKey, ResourceType
from exporter.otlp.envelope import Envelope
from exporter.otlp.settings import Settings
from exporter.otlp.spans import request
from exporter.records import Rollout, encode_record
from exporter.rollout.keeper import NAME, RolloutKeeper
from exporter.rollout.lifecycle import Place
from exporter.rollout.settings import RolloutSettings
from exporter.timestamps import from_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPE = ResourceType("bench.example.com", "v1", "benches", "Bench")
_SECOND, _BEGIN = 10**9, 1_760_000_000 * 10**9
_EDIT = (FieldChange("/spec/size", "replace", 1, 2),)
_SAID = (FieldChange("/status/conditions/0/status", "replace", "True", "False"),)


class Run(Struct, frozen=True, kw_only=True):
    """One round: µs of CPU for a rollout, followed and encoded; bytes of one as record, as spans, and kept of it."""

    follow: float
    encode: float
    record: int
    spans: int
    kept: int


def version(number: int, generation: int, seen: int, ready: str) -> Version:
    """Make a version of an object with two conditions."""
    told = {"reason": "Reconciled", "message": "3 of 3", "lastTransitionTime": "2026-03-01T10:00:00Z"}
    conditions = [{"type": "Ready", "status": ready, **told}, {"type": "Synced", "status": "True", **told}]
    meta = {"name": f"n{number}", "uid": f"u{number}", "namespace": "bench", "generation": generation}
    status = {"observedGeneration": seen, "conditions": conditions}
    return Version(msgspec.json.encode({"metadata": meta, "spec": {"size": generation}, "status": status}))


def steps(number: int) -> Iterator[Step]:
    """Edit an object: it is not ready, then it is, then it says so once more."""
    before, edited = version(number, 1, 1, "True"), version(number, 2, 1, "True")
    creating, done, later = (version(number, 2, 2, ready) for ready in ("False", "True", "True"))
    sorts: tuple[tuple[ChangeType, Any, Version, Version, int], ...] = (
        ("spec", _EDIT, before, edited, 0),
        ("status", _SAID, edited, creating, 1),
        ("status", _SAID, creating, done, 4),
        ("metadata", (), done, later, 20),
    )
    key = ObjectKey(*_TYPE.identity, "bench", f"n{number}")
    for place, (sort, fields, old, new, seconds) in enumerate(sorts):
        observed = from_nanoseconds(_BEGIN + (number * 7 + seconds) * _SECOND)
        change = Change(
            id=f"{number * 4 + place:032x}", observed=observed, event="modified", change=sort, group=_TYPE.group,
            version=_TYPE.version, kind=_TYPE.kind, namespace="bench", name=f"n{number}", uid=f"u{number}",
            resource_version=str(number * 4 + place), generation=2, fields=fields, writer=UNRESOLVED,
        )  # fmt: skip
        yield Step(_TYPE, key, f"u{number}", observed, change, old, new)


def follow(folder: Path, todo: list[Step], *, rollouts: bool) -> tuple[float, Journal]:
    """Take steps in, and commit; seconds of CPU."""
    journal = Journal.open(folder)
    journal.register(_TYPE)
    keeper = RolloutKeeper(RolloutSettings(), lambda: Place("bench"))
    keepers = Keepers([keeper] if rollouts else [], journal.states, Health())
    began = time.process_time()
    for first in range(0, len(todo), GROUP_RECORDS):
        batch = Batch()
        for step in todo[first : first + GROUP_RECORDS]:
            batch.take(step)
        keepers.follow(batch)
        journal.commit(batch)
    return time.process_time() - began, journal


def measure(count: int) -> Run:
    """Follow so many rollouts, and look at what was told and what is kept."""
    with tempfile.TemporaryDirectory(prefix="bench-rollouts-") as folder:
        # Versions remember what was decoded of them: each time others.
        todo, again = ([step for number in range(count) for step in steps(number)] for _ in range(2))
        bare, journal = follow(Path(folder) / "bare", todo, rollouts=False)
        journal.close()
        seconds, journal = follow(Path(folder) / "all", again, rollouts=True)
        told = [row for _, row in journal.after(0, 10 * count) if isinstance(row, Rollout)]
        kept = [state for key, _, state in journal.states.all(NAME) if key.name]
        journal.close()
    if len(told) != count or any(state.due for state in kept):
        raise AssertionError(f"{len(told)} rollouts were told, of {count}")
    envelope = Envelope(Settings(protocol="http/protobuf", endpoint="", insecure=True), journal_id="", cluster_uid="")
    began = time.process_time()
    encoded = request(envelope, told)
    encoding = time.process_time() - began
    return Run(
        follow=round((seconds - bare) / count * 1e6, 1),
        encode=round(encoding / count * 1e6, 1),
        record=len(encode_record(told[0])),
        spans=round(len(encoded) / count),
        kept=max(len(state.line) for state in kept),
    )


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.rollouts", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=5_000, help="in one round (%(default)d)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    machine.as_the_exporter_does()
    with machine.one_core():
        runs = [measure(options.rollouts) for _ in range(options.rounds)]
    sys.stdout.buffer.write(msgspec.json.encode(runs) + b"\n")


if __name__ == "__main__":
    main()
