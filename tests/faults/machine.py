"""A server, the whole exporter on a real file, somebody who writes, and whatever can go wrong: steps in any order.

What a step does is drawn, or chosen by a test; what must hold is asked at every commit (`tests.faults.witness`) and at
the end. Must never look at how the exporter came to what it tells.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from exporter import app
from exporter.app import Exporter
from exporter.config import Config, Watch
from exporter.kube.audit import Audit
from exporter.metrics.changes import ChangeMetrics
from tests.faults.life import Clock, Life
from tests.faults.model import GADGET, LABEL, TYPES, WIDGET, Server
from tests.faults.model_api import ANY, LISTING, PAGES, WATCH
from tests.faults.witness import Witness


if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.faults.model import Place

# By short names, in which a failing example can be read.
PLACES: dict[str, Place] = {
    "a/x": (WIDGET, "a", "x"),
    "a/y": (WIDGET, "a", "y"),
    "b/x": (WIDGET, "b", "x"),
    "x": (GADGET, "", "x"),
    "y": (GADGET, "", "y"),
}
KINDS = {"widgets": WIDGET, "gadgets": GADGET}
SELECTIONS = {
    "everything": Watch(),
    "a": Watch(namespaces=("a",)),
    "a and b": Watch(namespaces=("a", "b")),
    "widgets": Watch(exclude=("other.example.com/*",)),
    "labelled": Watch(label_selector=LABEL),
}
WRITES = ("spec", "status", "label", "same", "finalizer", "delete")
WRITING = st.lists(st.tuples(st.sampled_from(sorted(PLACES)), st.sampled_from(WRITES)), max_size=4)
# Virtual seconds after the last fault within which the journal holds what the server has. A stream that is silent for
# ever is given up after its own time, at most eleven minutes, where no bookmark was ever seen; a history that was
# replaced and has grown past our place is found out by the audit.
_CONVERGED, _SILENT, _DECEIVED = 120.0, 1500.0, 2000.0


class Model(RuleBasedStateMachine):
    """A server, an exporter that may die at any moment, and somebody who writes."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.clock = Clock()
        for name, module in sys.modules.items():
            if name.startswith("exporter.") and getattr(module, "time", None) is time:
                self.patch.setattr(module, "time", self.clock)
        self.patch.setattr(Exporter, "_tell_ready", self.say_nothing)
        # Every few minutes instead of hours, which would be many steps of the upkeep.
        self.patch.setattr(app, "Audit", partial(Audit, every=(300.0, 600.0)))
        # A place that is empty is shown no longer after a while; then its totals begin anew.
        self.patch.setattr(ChangeMetrics, "expire", lambda *_: [])
        self.logged: list[str] = []
        structlog.configure(processors=[self.log])
        self.directory = Path(tempfile.mkdtemp())
        self.server = Server()
        self.server.now = self.clock.text
        self.witness = Witness(self.server)
        self.config = Config()
        self.coalesced = self.counted_gaps = 0.0
        self.written = 0
        self.stalled = False
        self.life = self.born()

    def log(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        """Keep what only a bug brings out; a failing disk is none."""
        if "internal error" in str(event["event"]) and "OperationalError" not in str(event.get("error")):
            self.logged.append(str(dict(event)))
        raise structlog.DropEvent

    @staticmethod
    async def say_nothing(_: Exporter) -> None:
        """Stand in for what looks twenty times a second whether there is something to say."""

    def born(self) -> Life:
        return Life(self.server, self.clock, self.directory, self.config, self.witness)

    # -- time, and the exporter's life ------------------------------------------------------------------------

    def passes(self, seconds: float) -> None:
        self.life.passes(seconds)
        self.look()

    def look(self) -> None:
        """Raise what was found, and bring a dead exporter back."""
        if self.witness.error:
            raise self.witness.error
        if self.life.dead:
            self.again()
        assert not self.life.over
        assert not self.life.troubles + self.logged, self.life.troubles + self.logged

    def again(self, watch: Watch | None = None, *, in_order: bool = False) -> None:
        """Let the life end, and another begin."""
        self.coalesced += self.life.counted("versions_coalesced_total")
        self.counted_gaps += self.life.counted("gaps_total")
        if in_order:
            self.life.disk.failures = 0
            self.life.end()
        self.life.die()
        if watch is not None:
            self.config = Config(watch=watch)
        self.life = self.born()
        self.compare_totals()

    @rule(seconds=st.sampled_from((0.02, 0.3, 1.5, 6.0, 70.0, 400.0)))
    def time_passes(self, seconds: float) -> None:
        self.passes(seconds)

    @rule(count=st.integers(1, 20))
    def some_turns(self, count: int) -> None:
        self.life.turns(count)
        self.look()

    @rule()
    def is_killed(self) -> None:
        self.again()

    @rule(good=st.integers(0, 12))
    def will_be_killed_writing(self, good: int) -> None:
        self.life.disk.failures, self.life.disk.good, self.life.disk.dies = 1, good, True

    @rule(good=st.integers(0, 12), failures=st.integers(1, 6))
    def the_disk_will_fail(self, good: int, failures: int) -> None:
        self.life.disk.failures, self.life.disk.good, self.life.disk.dies = failures, good, False

    @rule(selection=st.sampled_from(sorted(SELECTIONS)), in_order=st.booleans())
    def is_started_with(self, selection: str, in_order: bool) -> None:
        self.again(SELECTIONS[selection], in_order=in_order)

    # -- who writes -------------------------------------------------------------------------------------------

    @rule(
        where=st.sampled_from(sorted(PLACES)),
        what=st.sampled_from(("spec", "status", "label", "same", "finalizer", "delete")),
    )
    def write(self, where: str, what: str) -> None:
        place = PLACES[where]
        if not self.server.defined(place[0]):
            return
        self.written += 1
        number = self.written
        there = self.server.objects.get(place)
        if there is None:
            labels = {"keep": "yes"} if number % 3 else None
            self.server.create(place, {"spec": {"size": number, "deep": {"a": number % 2}}}, labels)
        elif what == "spec":
            self.server.update(place, {"spec": {"size": number, "deep": {"a": number % 2, "b": {"c": number}}}})
        elif what == "status":
            self.server.update(place, {"status": {"phase": str(number % 3)}})
        elif what == "label":
            labels = there.body["metadata"].get("labels")
            self.server.update(place, {}, labels={} if labels else {"keep": "yes"})
        elif what == "same":
            self.server.update(place, {})
        elif what == "finalizer":
            self.server.update(place, {}, finalizers=["example.com/wait"])
        else:
            self.server.delete(place)

    @rule(where=st.sampled_from(sorted(PLACES)))
    def recreate(self, where: str) -> None:
        for _ in range(2):  # what has a finalizer goes the second time
            if PLACES[where] in self.server.objects:
                self.server.delete(PLACES[where])
        self.write(where, "spec")

    @rule(kind=st.sampled_from(sorted(KINDS)), seconds=st.sampled_from((0.0, 1.0, 20.0)))
    def is_removed_and_installed_again(self, kind: str, seconds: float) -> None:
        self.is_removed(kind)
        self.passes(seconds)
        self.server.define(KINDS[kind])

    @rule(kind=st.sampled_from(sorted(KINDS)))
    def is_removed(self, kind: str) -> None:
        if self.server.defined(KINDS[kind]):
            self.server.undefine(KINDS[kind])

    # -- what goes wrong on the way ---------------------------------------------------------------------------

    @rule(
        fault=st.sampled_from(ANY + WATCH + LISTING + PAGES),
        count=st.integers(0, 3),
        times=st.integers(1, 8),
        at_once=st.booleans(),
        kind=st.sampled_from(("", *sorted(KINDS))),
    )
    def next_answers_are_wrong(
        self, fault: str, count: int, times: int, *, at_once: bool = False, kind: str = ""
    ) -> None:
        self.stalled = self.stalled or fault in ("stall", "endless")
        self.server.faults += [(fault, count, KINDS.get(kind))] * times
        if at_once:
            self.connections_break()

    @rule()
    def connections_break(self) -> None:
        self.life.api.break_streams()

    @rule(size=st.sampled_from((60, 333, 65536)))
    def pieces_are(self, size: int) -> None:
        self.life.api.chunk = size

    @rule(seconds=st.sampled_from((0.5, 8.0, 200.0)), forgets=st.booleans(), writes=WRITING)
    def the_server_is_away(self, seconds: float, forgets: bool, writes: list[tuple[str, str]]) -> None:
        self.server.down = True
        self.life.api.break_streams()
        for where, what in writes:
            self.write(where, what)
        self.passes(seconds)
        if forgets:
            self.server.forget()
        self.server.down = False

    @rule()
    def the_server_forgets(self) -> None:
        self.server.forget()

    @precondition(lambda self: self.server.restores)
    @rule(seconds=st.sampled_from((0.02, 1.5, 70.0)), lost=WRITING, away=st.sampled_from((5.0, 90.0)), writes=WRITING)
    def a_snapshot_is_restored(
        self, seconds: float, lost: list[tuple[str, str]], away: float, writes: list[tuple[str, str]]
    ) -> None:
        snapshot = self.server.snapshot()
        for where, what in lost:
            self.write(where, what)
        self.passes(seconds)
        self.server.down = True
        self.life.api.break_streams()
        self.passes(away)
        self.server.restore(snapshot)
        self.server.down = False
        for where, what in writes:
            self.write(where, what)

    # -- the end ----------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """The faults stop; then the journal comes to hold what there is, and its totals are those of its changes."""
        try:
            if sys.exc_info()[0] is None:
                self.ends()
        finally:
            self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        self.life.die()
        structlog.reset_defaults()
        self.patch.undo()
        shutil.rmtree(self.directory)

    def ends(self) -> None:
        self.server.faults.clear()
        self.server.down = False
        self.life.disk.failures = 0
        began = self.clock.monotonic()
        while self.held() != self.there() and self.clock.monotonic() - began < self.bound:
            self.passes(60.0 if self.server.deceived else 1.0)
        assert self.held() == self.there(), f"not within {self.bound} s: {self.held()} is not {self.there()}"
        self.passes(1.0)
        self.coalesced += self.life.counted("versions_coalesced_total")
        self.counted_gaps += self.life.counted("gaps_total")
        assert self.coalesced <= self.witness.untold()
        assert self.counted_gaps or not self.witness.gaps
        assert not self.life.counted("objects_skipped_total", reason="internal_error")
        self.compare_totals()

    @property
    def bound(self) -> float:
        """How long it may take, in seconds, after what happened."""
        if self.server.deceived:
            return _DECEIVED
        return _SILENT if self.stalled or self.server.timeline else _CONVERGED

    def held(self) -> dict[Any, tuple[str, str]]:
        """What the journal holds."""
        scopes = [(scope.group, scope.resource, scope.namespace) for scope in self.life.scopes]
        rows = [row for scope in scopes for row in self.life.journal.objects(*scope)]
        return {(key.resource, key.namespace, key.name): (uid, version) for key, uid, version in rows}

    def there(self) -> dict[Any, tuple[str, str]]:
        """What the server has, as far as it is selected."""
        return {
            (scope.resource, version.namespace, version.name): (version.uid, str(version.rv))
            for scope in self.life.scopes
            for one in TYPES
            if one.identity == (scope.group, scope.resource) and self.followed(one)
            for version in self.server.there(one, scope.namespace, self.config.watch.label_selector)
        }

    def followed(self, resource_type: Any) -> bool:
        return not (resource_type is GADGET and self.config.watch.exclude == SELECTIONS["widgets"].exclude)

    def compare_totals(self) -> None:
        """What /metrics shows is what the journal has."""
        kinds = {one.kind for one in TYPES} - {kind for _, kind in self.witness.removed}
        expected = {
            f'customresource_changes_total{{customresource_group="{group}",customresource_kind="{kind}",'
            f'namespace="{namespace}",event="{event}",change="{change}"}} {count}'
            for (group, kind, namespace, event, change), count in self.witness.places.items()
            if kind in kinds
        }
        shown = {
            one
            for one in self.life.shown().splitlines()
            if one.startswith("customresource_changes_total") and not one.endswith(" 0")
            and any(f'kind="{kind}"' in one for kind in kinds)
        }  # fmt: skip
        assert shown == expected
