"""Follows every object's drift: looks at each version that can matter, and again when the time has come.

The keeper of the name `drift`; see `exporter.keepers`. What it knows beside the objects (rules, manifests, what other
tools say) is handed to it and may change: then whoever changed it has the objects reviewed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from exporter.drift.episodes import gone, look
from exporter.drift.evaluate import NO_MEMORY, evaluate, needs_evaluation
from exporter.drift.fights import Fights
from exporter.drift.held import Held, held
from exporter.drift.surroundings import TOOLS
from exporter.drift.telling import Telling
from exporter.drift.values import Evaluation, Subject
from exporter.records import Finding
from exporter.timestamps import from_nanoseconds, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.changes.step import Step
    from exporter.changes.version import Version
    from exporter.drift.episodes import Turn
    from exporter.drift.settings import DriftSettings
    from exporter.drift.surroundings import Surroundings
    from exporter.drift.tools import Place
    from exporter.drift.values import Declared, Memory
    from exporter.model import Change, ObjectKey
    from exporter.records import Record, ResolvedBy, State

NAME = "drift"
_NOTHING = Evaluation()
# Versions in which somebody may have taken a field from somebody else.
_TAKING = frozenset({"spec", "metadata"})
_WHOLE = ""


class _Status(Struct, gc=False):
    """All of a status that has to be known of every version."""

    seen: Any = msgspec.field(default=None, name="observedGeneration")


_decode_status = msgspec.json.Decoder(_Status).decode


class Book(Protocol):
    """What is needed to look things up and to write; see `exporter.keepers.Book`."""

    def get(self, key: ObjectKey) -> State | None:
        """Give what is kept of an object."""

    def keep(self, key: ObjectKey, state: State | None) -> None:
        """Keep something of an object, or nothing any more."""

    def tell(self, record: Record) -> None:
        """Tell what was concluded."""


class DriftKeeper:
    """Keeps the drift of every object.

    Args:
        settings: how drift is judged
        surroundings: what is known beside the objects
        identity: gives the cluster's uid and the epoch, for the ids of what is told
        review: has objects judged again, by group, kind, namespace and name

    """

    name = NAME

    def __init__(
        self,
        settings: DriftSettings,
        surroundings: Surroundings,
        identity: Callable[[], tuple[str, int]],
        review: Callable[[Iterable[Place]], None],
    ) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self._telling = Telling(identity)
        self._review = review

    def step(self, step: Step, book: Book) -> None:
        """Take in what became of an object."""
        if (step.type.group, step.type.kind) in TOOLS:
            self._review(self._surroundings.said(step.type, step.key, step.new))
        if step.new is None:
            self._absent(step, book)
            return
        judged = needs_evaluation(step.change, step.old, step.new)
        lagging = _is_lagging(step.new)
        if not judged and step.old is not None and lagging == _is_lagging(step.old):
            return
        before = self._held(step.key, book)
        if before is None or before.uid != step.uid:
            # An object that was made anew keeps nothing but the episode of a declaration that was without one.
            missing = before.episode if before is not None and not before.uid else None
            before = Held(step.uid, step.type.kind, "unmanaged", _NOTHING, NO_MEMORY, missing)
        found, memory = before.evaluation, before.memory
        if judged:
            found, memory = self._evaluate(step, step.new, memory)
        at = to_nanoseconds(step.observed)
        fights = before.fights.after(step.change, at) if step.change and _takes(step) else before.fights
        now = replace(before, kind=step.type.kind, memory=memory, fights=fights, lagging=lagging)
        self._turn(step.key, before, now, found, at, book, step.change)

    def time(self, key: ObjectKey, at: int, book: Book) -> None:
        """Look again, since the time has come that was named."""
        before = self._held(key, book)
        if before is not None:
            found = before.evaluation
            if found.suspended_until and found.suspended_until <= from_nanoseconds(at):
                found = replace(found, suspended="", suspended_until="")
            self._turn(key, before, replace(before, fights=before.fights.at(at)), found, at, book, None)

    # -- parts ------------------------------------------------------------------------------------------------

    def _held(self, key: ObjectKey, book: Book) -> Held | None:
        """Read what is kept of an object."""
        state = book.get(key)
        return None if state is None else held(state)

    def _absent(self, step: Step, book: Book) -> None:
        """The object is gone, or was never there: if it is declared, that is drift."""
        before = self._held(step.key, book)
        at = to_nanoseconds(step.observed)
        declared = self._surroundings.declared(step.type, step.key)
        was_seen = before is not None and bool(before.uid)
        left = step.change is None and bool(step.uid)
        if before is not None and was_seen and step.uid:
            turn = gone(replace(before, fights=Fights()), at, "unknown" if left else "deleted")
            self._tell(step.key, before, turn, at, book, step.change)
        if declared is None or left:
            book.keep(step.key, None)
            return
        if before is None or was_seen:
            before = Held("", step.type.kind, "unmanaged", _NOTHING, NO_MEMORY)
        self._turn(step.key, before, before, _missing(declared), at, book, step.change)

    def _evaluate(self, step: Step, version: Version, memory: Memory) -> tuple[Evaluation, Memory]:
        subject = Subject(step.type, step.key, step.uid, version, step.observed)
        found, memory = evaluate(subject, memory, self._surroundings.of(subject))
        if self._settings.controllers == "ignore":
            by_controllers = tuple(one for one in found.findings if _class(one) == "controller")
            if by_controllers:
                kept = tuple(one for one in found.findings if one not in by_controllers)
                told = tuple(replace(one, rule="a controller wrote it") for one in by_controllers)
                found = replace(found, findings=kept, ignored=found.ignored + told)
        return found, memory

    def _righter(self, change: Change | None, found: Evaluation) -> ResolvedBy:
        """Say who wrote a version, with a word for whoever declares the object."""
        if change is None or not change.writer.name:
            return "unknown"
        name = change.writer.name
        tool = self._surroundings.tools.of(name)
        if found.declarer in (name, tool.name if tool is not None else ""):
            return "declarer"
        return "unknown" if change.writer.class_ is UNSET else change.writer.class_

    def _turn(
        self, key: ObjectKey, before: Held, now: Held, found: Evaluation, at: int, book: Book, change: Change | None
    ) -> None:
        led = change.id if change is not None else ""
        turn = look(now, found, at, self._settings, self._righter(change, found), led)
        self._tell(key, before, turn, at, book, change)
        after = turn.held
        dues = [due for due in (turn.due, after.fights.due()) if due is not None]
        if after.state == "unmanaged" and not dues and not after.flags and after.memory == NO_MEMORY:
            book.keep(key, None)
        else:
            book.keep(key, after.keep(min(dues, default=None)))

    def _tell(self, key: ObjectKey, before: Held, turn: Turn, at: int, book: Book, change: Change | None) -> None:
        for record in self._telling.of(key, before, turn, at, change.id if change is not None else ""):
            book.tell(record)


def _missing(declared: Declared) -> Evaluation:
    return Evaluation(
        declarer=declared.declarer or "directory",
        baseline=declared.source,
        confidence=declared.confidence,
        findings=(Finding(path=_WHOLE, finding="missing"),),
        flags=("missing",),
        declared_at=declared.at,
    )


def _class(finding: Finding) -> str:
    writer = finding.writer
    return "unknown" if writer is UNSET or writer.class_ is UNSET else writer.class_


def _is_lagging(version: Version) -> bool:
    """Tell whether the controller says that it has not looked at the newest generation yet."""
    status = version.fields.get("status")
    if status is None:
        return False
    try:
        seen = _decode_status(status).seen
    except msgspec.ValidationError:
        return False
    generation = version.metadata.get("generation")
    return isinstance(seen, int) and isinstance(generation, int) and seen < generation


def _takes(step: Step) -> bool:
    """Tell whether in a step somebody took a field from somebody else: an entry that is not the writer's lost some."""
    change = step.change
    if change is None or change.change not in _TAKING or not change.fields:
        return False
    name = change.writer.name
    return bool(name) and any(entry.get("manager") != name for entry in step.went)
