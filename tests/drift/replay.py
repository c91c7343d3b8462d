"""Plays a recording to the judgement, as the program would: with or without the tracker and the keeper around it.

The clock is the recording's own: each version comes when it came, and every time that was named is kept in between.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import msgspec

from exporter.changes.batch import Batch
from exporter.changes.observation import Observation, read_head
from exporter.changes.redact import Redactor
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.drift.held import held
from exporter.drift.keeper import DriftKeeper
from exporter.drift.settings import DriftSettings
from exporter.drift.surroundings import Surroundings
from exporter.kube.schema import Definition, read_definition
from exporter.model import Event, ObjectKey, Scope
from exporter.records import State, Transition
from exporter.timestamps import from_nanoseconds
from tests.drift.truth import pump


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.changes.observation import Mode
    from exporter.model import Stored, Tombstone
    from exporter.records import Record, Verdict
    from tests.drift.truth import recorded

_SECOND = 10**9
# Longer than any row takes, so that what was put right within it is nothing to tell of.
SETTINGS = DriftSettings(settle_ns=60 * _SECOND, clear_ns=_SECOND)
_EVENTS: dict[str, Event] = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}


def _definition() -> Definition:
    """Read the type as the API server serves it."""
    crd = deepcopy(pump.CRD)
    crd["metadata"]["uid"] = "uid-of-the-crd"
    crd["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
    found = read_definition(crd)
    assert found is not None
    return found


PUMPS = _definition()


SURROUNDINGS = Surroundings(SETTINGS, WriterTable(), lambda _: PUMPS.schema)


def _nobody(_places: object) -> None:
    """Have nothing judged again: no tool tells of these objects."""


class Replay:
    """One object's life, and what is kept and told of it.

    Args:
        settings: times

    """

    def __init__(self, settings: DriftSettings = SETTINGS) -> None:
        self._settings = settings
        self.told: list[Record] = []
        self._state: State | None = None
        self._key = ObjectKey("", "", "", "")
        self._stored: dict[ObjectKey, Stored] = {}
        self._buried: dict[ObjectKey, Tombstone] = {}
        self._keeper = DriftKeeper(settings, SURROUNDINGS, lambda: ("cluster-1", 0), _nobody)
        self._tracker = Tracker(
            cluster_uid="cluster-1",
            redactor=Redactor(b"key"),
            writers=WriterTable(),
            stored=self._stored.get,
            buried=self._buried.get,
            schema=lambda _: PUMPS.schema,
        )

    def play(self, events: Iterable[recorded.Event], mode: Mode = "live") -> Verdict | None:
        """See all this, then nothing for longer than it takes to settle; the verdict, None where there is none."""
        at = 0
        for event in events:
            at = int(event.observed * _SECOND)
            self._wait(at)
            self._see(event, at, mode)
        self._wait(at + 2 * (self._settings.settle_ns + self._settings.clear_ns))
        return held(self._state).verdict(self._key) if self._state is not None else None

    @property
    def transitions(self) -> list[Transition]:
        """What was told, in its order."""
        return [one for one in self.told if isinstance(one, Transition)]

    def _see(self, event: recorded.Event, at: int, mode: Mode) -> None:
        raw = msgspec.json.encode(event.object)
        scope = Scope(pump.GROUP, "pumps")
        batch = Batch()
        seen = Observation(PUMPS.type, scope, _EVENTS[event.type], read_head(raw), raw, from_nanoseconds(at), mode)
        self._tracker.observe(seen, batch)
        for key, stored in batch.objects.items():
            if stored is None:
                self._stored.pop(key, None)
            else:
                self._stored[key] = stored
        self._buried.update(batch.tombstones)
        for step, _ in batch.steps:
            self._key = step.key
            self._keeper.step(step, self)

    def _wait(self, until: int) -> None:
        asked = 0
        while (due := self._due()) is not None and due <= until:
            assert due > asked, "it would be asked for ever"
            asked = due
            self._keeper.time(self._key, due, self)

    def _due(self) -> int | None:
        return self._state.due if self._state is not None else None

    # -- the book of one object -------------------------------------------------------------------------------

    def get(self, _key: ObjectKey) -> State | None:
        """Give what is kept of it."""
        return self._state

    def keep(self, _key: ObjectKey, state: State | None) -> None:
        """Keep this of it."""
        self._state = state

    def tell(self, record: Record) -> None:
        """Note what is told."""
        self.told.append(record)
