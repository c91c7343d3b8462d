"""When the keepers are told of the steps of a batch, and how often the journal fails meanwhile, is not to be seen."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.changes.redact import Redactor
from exporter.changes.schema import Schema
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.drift.keeper import DriftKeeper
from exporter.drift.settings import DriftSettings
from exporter.drift.surroundings import Surroundings
from exporter.journal.store import Journal
from exporter.keepers import Keepers
from exporter.metrics.health import Health
from exporter.records import kind_of
from exporter.rollout.keeper import RolloutKeeper
from exporter.rollout.lifecycle import Place
from exporter.rollout.settings import RolloutSettings
from tests.changes.objects import KEY, WIDGET, at, entry, seen, widget


if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from exporter.changes.observation import Mode, Observation
    from exporter.model import ObjectKey
    from exporter.records import State

NAMES = ("a", "b")


class Flaky:
    """The states of a journal, of which some reads fail."""

    def __init__(self, journal: Journal, failing: frozenset[int]) -> None:
        self._states = journal.states
        self._failing = failing
        self._reads = 0

    def state(self, keeper: str, key: ObjectKey) -> State | None:
        self._reads += 1
        if self._reads in self._failing:
            msg = "disk I/O error"
            raise sqlite3.OperationalError(msg)
        return self._states.state(keeper, key)

    def foresee(self, keepers: Collection[str], keys: Iterable[ObjectKey]) -> None:
        """Look up nothing: it is the single reads that fail here."""

    def due(self, at: int, limit: int) -> list[tuple[str, ObjectKey]]:
        return self._states.due(at, limit)


def conclude(sights: list[Any], told_after: frozenset[int], failing: frozenset[int]) -> Any:
    """Let some sights be taken in, in one batch after a committed one, and give all that becomes of it."""
    journal = Journal.open(None)
    journal.register(WIDGET)
    settings = DriftSettings(settle_ns=0, clear_ns=0)
    surroundings = Surroundings(settings, WriterTable(), lambda _: Schema(known=True), lambda _, obj: obj)
    keepers = Keepers(
        (
            DriftKeeper(settings, surroundings, lambda: ("cluster-1", 0), lambda _: None),
            RolloutKeeper(RolloutSettings(), lambda: Place("cluster-1")),
        ),
        Flaky(journal, failing),
        Health(),
    )
    tracker = Tracker(
        cluster_uid="cluster-1", redactor=Redactor(b"key"), writers=WriterTable(), stored=journal.object,
        buried=journal.tombstone, schema=lambda _: Schema(known=True),
    )  # fmt: skip

    def follow(batch: Batch) -> None:
        while batch.steps:
            try:
                keepers.follow(batch)
            except sqlite3.OperationalError:
                continue

    first = Batch()
    for name in NAMES:
        tracker.observe(seen(_object(name, 1, 1, 1, {}), "added", "baseline"), first)
    follow(first)
    journal.commit(first)
    batch = Batch()
    for number, sight in enumerate(sights):
        if isinstance(sight, str):
            tracker.review(WIDGET, replace(KEY, name=sight), at("10:01:00"), batch)
        else:
            tracker.observe(sight, batch)
        if number in told_after:
            follow(batch)
    follow(batch)
    records = {kind: [one for one in batch.records if kind_of(one) == kind] for kind in ("drift", "rollout")}
    journal.commit(batch)
    return batch.changes, records, batch.states, {key: by for key, by in batch.tallied.items() if by}


def _object(name: str, version: int, generation: int, size: int, status: dict[str, Any], uid: str = "1") -> Any:
    owners = [entry("helm", "spec.name", *(["spec.size"] if size == 1 else []), operation="Apply")]
    if size > 1:
        owners.append(entry("kubectl-edit", "spec.size", time=f"2026-03-01T10:00:{version:02}Z"))
    meta = {"name": name, "managedFields": owners}
    return widget(
        version, uid=f"{name}-{uid}", generation=generation, meta=meta, spec={"name": "x", "size": size}, status=status
    )


@st.composite
def sights(draw: st.DrawFn) -> list[Observation | str]:
    """Draw what is seen of a few objects, one after the other."""
    made: list[Observation | str] = []
    generations = dict.fromkeys(NAMES, 1)
    uids = dict.fromkeys(NAMES, 1)
    gone: set[str] = set()
    for version in range(2, draw(st.integers(3, 12))):
        name = draw(st.sampled_from(NAMES))
        what = draw(st.sampled_from(["spec", "status", "ready", "unready", "deleted", "review", "left", "same"]))
        if what == "review":
            made.append(name)
            continue
        if name in gone:
            gone.discard(name)
            uids[name] += draw(st.integers(0, 1))
            what = "added"
        generations[name] += what == "spec"
        generation = generations[name]
        observed = generation - draw(st.integers(0, 1))
        ready = {"type": "Ready", "status": "False" if what == "unready" else "True"}
        status = {} if what == "same" else {"observedGeneration": observed, "conditions": [ready], "n": version}
        size = draw(st.integers(1, 2))
        obj = _object(name, version, generation, size, status, str(uids[name]))
        clock = f"10:00:{version:02}"
        mode: Mode = draw(st.sampled_from(["live", "catch_up", "baseline"]))
        if what in ("deleted", "left"):
            gone.add(name)
            made.append(seen(obj, "deleted", "live" if what == "deleted" else "left", clock))
        else:
            made.append(seen(obj, "added" if what == "added" else "modified", mode, clock))
    return made


@given(sights=sights(), after=st.frozensets(st.integers(0, 9)), failing=st.frozensets(st.integers(1, 30)))
def test_what_is_concluded_does_not_depend_on_when_the_keepers_are_told(
    sights: list[Any], after: frozenset[int], failing: frozenset[int]
) -> None:
    """Told of each step at once, of several together or after failures: the keepers see the same in the same order."""
    at_once = conclude(sights, frozenset(range(99)), frozenset())

    assert conclude(sights, after, failing) == at_once


@pytest.mark.parametrize("failing", range(1, 20))
def test_no_read_that_fails_loses_what_was_learned_of_a_type(failing: int) -> None:
    """Each of the reads that one change needs, also those of a keeper that has begun to write."""
    ready = {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}
    change = [seen(_object("a", 2, 2, 2, ready), clock="10:00:02")]

    assert conclude(change, frozenset(), frozenset({failing})) == conclude(change, frozenset(), frozenset())
