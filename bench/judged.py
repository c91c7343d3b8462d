"""`python -m bench.judged`: what the judgement of drift costs, beside the diff of the same pair of versions.

Each pair is what a watch shows one after the other. The versions are decoded and compared first, as the tracker does
before anybody judges them; then the judgement of the newer one is timed by itself. Prints one line of JSON: for each
case its rounds, in µs of CPU for one version.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from copy import deepcopy
from typing import Any

import msgspec
from msgspec import Struct

from bench import objects
from bench.objects import Json
from exporter.changes.classify import take_apart
from exporter.changes.diff import Diff
from exporter.changes.move import Move
from exporter.changes.schema import Schema
from exporter.changes.version import Version
from exporter.changes.writer import WriterTable
from exporter.drift.evaluate import NO_MEMORY, evaluate, needs_evaluation
from exporter.drift.known import LAST_APPLIED, Known
from exporter.drift.values import Subject
from exporter.model import Change, ChangeType, ObjectKey, ResourceType, Writer
from exporter.timestamps import now


_TYPE = ResourceType(objects.GROUP, "v1", objects.plural(0), objects.kind(0))
_KEY = ObjectKey(objects.GROUP, objects.plural(0), "team-a", "one-000000")
_KNOWN = Known(writers=WriterTable(), schema=Schema(known=True))
_DECLARED, _EDITED, _STATUS = 0, 2, 3  # places of the entries that `objects.shown` makes


class Case(Struct, frozen=True):
    """A pair of versions, and what kind of change lies between them."""

    word: ChangeType
    old: Json
    new: Json


class Round(Struct, frozen=True):
    """µs of CPU for one version: to judge it, and to find what moved in it."""

    judged: float
    diffed: float


def declared(size: int, baseline: str) -> Json:
    """Make an object that somebody declares, of so many bytes."""
    draw = random.Random(0)  # noqa: S311 - the same in every run
    # What was applied last holds the spec once more.
    one = objects.shown(0, 0, size if baseline == "projected" else size * 2 // 3, draw)
    entry = one["metadata"]["managedFields"][_DECLARED]
    entry["fieldsV1"]["f:spec"]["f:replicas"] = {}
    del one["metadata"]["managedFields"][_EDITED]
    if baseline == "projected":
        entry["operation"] = "Apply"
        return one
    entry["manager"] = "kubectl-client-side-apply"
    entry["fieldsV1"]["f:metadata"]["f:annotations"] = {".": {}, f"f:{LAST_APPLIED}": {}}
    apply(one)
    return one


def apply(one: Json) -> None:
    """Write what is live as what was applied last."""
    applied = {name: one[name] for name in ("apiVersion", "kind", "spec")}
    applied["metadata"] = {"name": one["metadata"]["name"], "namespace": one["metadata"]["namespace"]}
    one["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(applied, separators=(",", ":"))}


def cases(size: int) -> dict[str, Case]:
    """Make each pair, of about so many bytes."""
    found = {}
    for baseline in ("last_applied", "projected"):
        old = declared(size, baseline)
        rolled = deepcopy(old)
        rolled["spec"]["replicas"] = 7
        rolled["metadata"]["managedFields"][_DECLARED]["time"] = "2026-06-01T00:00:00Z"
        if baseline == "last_applied":
            apply(rolled)
        edited = deepcopy(old)
        edited["spec"]["replicas"] = 7
        entries = edited["metadata"]["managedFields"]
        del entries[_DECLARED]["fieldsV1"]["f:spec"]["f:replicas"]
        entries.append({**entries[_DECLARED], "manager": "kubectl-edit", "operation": "Update",
                        "fieldsV1": {"f:spec": {"f:replicas": {}}}})  # fmt: skip
        found[f"rollout, {baseline}"] = Case("spec", old, rolled)
        found[f"edit, {baseline}"] = Case("spec", old, edited)
    status = deepcopy(old)
    status["status"]["phase"] = "Progressing"
    status["metadata"]["managedFields"][_STATUS - 1]["time"] = "2026-06-01T00:00:00Z"
    found["status"] = Case("status", old, status)
    return found


def measure(case: Case, count: int) -> Round:
    """Measure one round of so many versions."""
    change = Change(
        id="", observed=now(), event="modified", change=case.word, version="v1", kind=_TYPE.kind, name=_KEY.name,
        uid="uid", writer=Writer(source="unresolved"),
    )  # fmt: skip
    raws = [msgspec.json.encode(one) for one in (case.old, case.new)]
    memory = evaluate(Subject(_TYPE, _KEY, "uid", Version(raws[0])), NO_MEMORY, _KNOWN)[1]
    began = time.process_time()
    pairs = [diffed(*raws) for _ in range(count)]
    middle = time.process_time()
    for old, new in pairs:
        if needs_evaluation(change, old, new):
            evaluate(Subject(_TYPE, _KEY, "uid", new), memory, _KNOWN)
    end = time.process_time()
    return Round((end - middle) / count * 1e6, (middle - began) / count * 1e6)


def diffed(*raws: bytes) -> tuple[Version, Version]:
    """Do with a pair of versions what the tracker does before anybody judges the newer one."""
    old, new = map(Version, raws)
    move = Move(old, new)
    move.decode()
    sections = take_apart(move)
    diff = Diff()
    pairs: tuple[tuple[Any, Any], ...] = (sections.content, sections.metadata, sections.status)
    for was, is_now in pairs:
        if was != is_now:
            diff.compare(was, is_now)
    return old, new


def main() -> None:
    """Measure every case, and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.judged", description=__doc__)
    parser.add_argument("--size", type=int, default=2, help="KiB of one object (%(default)d)")
    parser.add_argument("--changes", type=int, default=2_000, help="in one round (%(default)d)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    made = cases(options.size * objects.KIB)
    for case in made.values():
        measure(case, options.changes // 10)
    # Round by round, so that what slows the machine down for a while slows all of them.
    rounds = [{name: measure(case, options.changes) for name, case in made.items()} for _ in range(options.rounds)]
    told = {name: [one[name] for one in rounds] for name in made}
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


if __name__ == "__main__":
    main()
