"""A window on the journal: the changes of the day as they arrive, and what is concluded from them, a line for each.

Must never change the journal, nor hide that it left something out: heartbeats are counted below their scene.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from msgspec import UNSET

from exporter.drift.held import held
from exporter.drift.keeper import NAME
from exporter.model import Change
from exporter.records import Transition
from exporter.sandbox.closing import place_of, say
from exporter.sandbox.script import DAY, MORNING
from exporter.tables import COLOURS, cut, visible, what, who


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from exporter.journal.read import Reader
    from exporter.model import WriterClass
    from exporter.records import DriftEvent, Verdict
    from exporter.sandbox.screen import Part, Screen

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0
_CHUNK = 500
# From here on there is room for the kind of an object and the class of a writer.
_WIDE = 108
_GAP = "  "
_DIM = "bright_black"
_CLASSES: dict[WriterClass, str] = {"human": "bold magenta", "gitops": "cyan", "controller": "green", "unknown": ""}
# What asks for attention, and what needs none any more.
_MARKS: dict[DriftEvent, tuple[str, str]] = {
    "drift.opened": ("!", "bold red"),
    "drift.changed": ("!", "bold red"),
    "drift.closed": ("✓", "bold green"),
    "fight.opened": ("!", "bold magenta"),
    "fight.closed": ("✓", "bold green"),
}
# What the word for the change says already.
_SECTION = re.compile(r"^/(spec|status|metadata)/")
_PLACES = {*MORNING, *(step.place for scene in DAY for step in scene.steps)}
_ACTORS = {step.who for scene in DAY for step in scene.steps}
# Of an event without fields nothing moved that could be shown.
_WITHOUT_FIELDS = {"ownership": "no value: only who owns it"}


class Window:
    """Shows what is new in a journal.

    Args:
        reader: of the journal
        screen: where it is shown
        address: of the metrics, for the line at the bottom

    """

    def __init__(self, reader: Reader, screen: Screen, address: str) -> None:
        self._reader = reader
        self._screen = screen
        self._address = address
        self._began = time.monotonic()
        self._patience = _PATIENCE_SECONDS
        self._scenes = 0
        self._seen = reader.head()
        self._beats = 0
        self._headed = False
        self.changes: list[Change] = []
        self.told: list[Transition] = []

    def look(self) -> None:
        """Show what is new."""
        while rows := self._reader.after(self._seen, _CHUNK):
            self._seen = rows[-1][0]
            for _, record in rows:
                if isinstance(record, Transition):
                    self.told.append(record)
                    self._tell(record)
                if not isinstance(record, Change):
                    continue
                self.changes.append(record)
                if record.heartbeat:
                    self._beats += 1
                elif record.change != "noop":
                    self._show(record)
        scene = f"scene {self._scenes} of {len(DAY)}" if self._scenes <= len(DAY) else "the day is over"
        seconds = time.monotonic() - self._began
        changes = f"{len(self.changes)} changes"
        self._screen.status("  ".join((f"{seconds:.0f} s", scene, changes, self._address, "Ctrl-C ends")))

    async def scene(self, title: str, count: int) -> None:
        """Begin a scene, below all that is seen of those before it.

        Args:
            title: what happens
            count: how many changes those before it made; they are waited for, but over the whole day not for long

        """
        await self._until(lambda: len(self.changes) >= count)
        if self._beats:
            beats = "1 heartbeat" if self._beats == 1 else f"{self._beats} heartbeats"
            self._screen.aside(f"{beats}: kept in the journal, left out here")
            self._beats = 0
        self._scenes += 1
        self._screen.scene(title)

    async def concluded(self, count: int) -> None:
        """Wait until so much was concluded, but over the whole day not for long."""
        await self._until(lambda: len(self.told) >= count)

    def verdicts(self) -> list[Verdict]:
        """Give what is to be said now of each object."""
        return [held(state).verdict(key) for key, _, state in self._reader.states(NAME)]

    async def follow(self) -> NoReturn:
        """Look for ever."""
        while True:
            self.look()
            await asyncio.sleep(_POLL_SECONDS)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds() and self._patience > 0:
            self._patience -= _POLL_SECONDS
            await asyncio.sleep(_POLL_SECONDS)
            self.look()

    def _tell(self, told: Transition) -> None:
        mark, style = _MARKS[told.event]
        what = f"{mark} {told.event.replace('.', ' ')}"
        wide = self._screen.width >= _WIDE
        self._screen.line((what + _GAP, style), (f"{place_of(told.verdict, wide=wide)} {say(told, wide=wide)}", ""))

    def _show(self, change: Change) -> None:
        wide = self._screen.width >= _WIDE
        if not self._headed:
            self._headed = True
            self._screen.line(*_row(("CHANGE", "OBJECT", "WHO", "WHAT"), ("bold",) * 4, wide=wide))
        style = _CLASSES[change.writer.class_] if change.writer.class_ is not UNSET else _DIM
        self._screen.line(*_row(cells(change, wide=wide), (COLOURS[change.change], "", style, ""), wide=wide))


def cells(change: Change, *, wide: bool) -> tuple[str, str, str, str]:
    """Say a change in four cells; where there is little room, without what the others tell nearly as well."""
    # Of several fields the one nearest to the root says most: a phase more than the reason of a condition.
    fields = sorted(change.fields, key=lambda field: field.path.count("/"))
    moved = what(fields, truncated=change.truncated) or _WITHOUT_FIELDS.get(change.change, "")
    if wide:
        return change.change, place_of(change), who(change.writer), moved
    name = visible(change.writer.name) or "unresolved"
    return change.change, place_of(change, wide=False), name, _SECTION.sub("", moved)


def _widths(*, wide: bool) -> tuple[int, int, int]:
    """Give the width of the columns before the last one: those that the day needs, so that they never move."""
    places = (len(f"{one.type.kind} " if wide else "") + len(f"{one.namespace}/{one.name}") for one in _PLACES)
    names = max(map(len, _ACTORS))
    return max(map(len, COLOURS)), max(places), names + (len(" (controller)") if wide else 0)


def _row(texts: tuple[str, ...], styles: tuple[str, ...], *, wide: bool) -> Iterator[Part]:
    """Pad all cells but the last, and cut what is too wide for its column."""
    for text, style, width in zip(texts, styles, _widths(wide=wide), strict=False):
        yield cut(text, width) + _GAP, style
    yield texts[-1], styles[-1]
