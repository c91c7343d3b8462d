"""Where the demo is told: a terminal with colours and a line at the bottom that says how it stands, or a plain pipe.

Must never write a colour, a control character or a cut line into a pipe, and must never be given a value of an object
that `tables` has not made visible.
"""

from __future__ import annotations

from contextlib import contextmanager
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.text import Text


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

Part = tuple[str, str]  # text, and its style in a terminal

# In a pipe nothing is cut, so there is room for everything.
_ROOM = 200
# In a window narrower than this, words are cut at its edge.
_LEAST = 30
_BAD, _DIM, _GOOD = "red", "bright_black", "green"


class Screen:
    """Writes lines, one below the other.

    Args:
        out: where to
        console: what stands between us and a terminal; None makes one if `out` is a terminal

    """

    def __init__(self, out: TextIO, console: Console | None = None) -> None:
        if console is None and out.isatty():
            console = Console(file=out, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._out = out
        self._console = console
        self._live: Live | None = None

    @property
    def width(self) -> int:
        """The room in a line, in cells; it moves with the window."""
        return self._console.width if self._console is not None else _ROOM

    def line(self, *parts: Part) -> None:
        """Write one line, cut at the edge of a window."""
        self._write(Text.assemble(*parts))

    def paragraph(self, start: str, text: str, style: str = "") -> None:
        """Write a sentence beside its start, in a window broken between words."""
        lines = [text]
        if self._console is not None:
            room = max(self.width - cell_len(start), _LEAST)
            lines = wrap(text, room, break_on_hyphens=False, break_long_words=False) or [""]
        for number, line in enumerate(lines):
            self.line((start if number == 0 else " " * cell_len(start), style), (line, style))

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Write sentences, each beside what it is about."""
        width = max((cell_len(about) for about, _ in facts), default=0)
        for about, sentence in facts:
            self.paragraph(f"  {about:<{width}}  ", sentence)

    def command(self, name: str, text: str) -> None:
        """Write something that is to be copied: never cut, never broken by us."""
        line = Text.assemble((f"  {name:<9}", _DIM), text)
        self._write(line, whole=True)

    def scene(self, text: str) -> None:
        """Begin something new."""
        self.line()
        self.paragraph("▸ ", text, "bold")

    def good(self, text: str) -> None:
        """Say what went well."""
        self.paragraph("  ✓ ", text, _GOOD)

    def bad(self, text: str) -> None:
        """Say what did not."""
        self.paragraph("  ✗ ", text, _BAD)

    def aside(self, text: str) -> None:
        """Say something by the way."""
        self.paragraph("", text, _DIM)

    @contextmanager
    def with_status(self) -> Iterator[None]:
        """Keep a line at the bottom of a terminal for `status`; it is gone at the end."""
        if self._console is None or self._console.record:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def status(self, text: str) -> None:
        """Say how it stands, in place of what was said before."""
        if self._live is not None:
            self._live.update(Text(text, _DIM, no_wrap=True, overflow="ellipsis"), refresh=True)

    def _write(self, line: Text, *, whole: bool = False) -> None:
        line.rstrip()
        if self._console is None:
            self._out.write(f"{line.plain}\n")
            self._out.flush()
        elif whole:
            self._console.print(line, soft_wrap=True)
        else:
            self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
