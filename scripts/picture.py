"""Makes the picture of the demo for the README: its real output, in a terminal's colours, as SVG.

The demo is run for it, so the picture shows what it shows; what it cuts is said in it. Must never be drawn by hand.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from exporter.sandbox.demo import run
from exporter.sandbox.screen import Screen


WIDTH = 110
# The scenes that tell most, by the beginnings of their titles.
_SCENES = ("Git has", "Somebody scales", "Two controllers", "An autoscaler", "The operator looks", "Two secrets")
_LAST = "The day is over"
_MARK = "▸ "
_FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"


def main() -> int:
    """Run the demo and write the picture; give the exit code."""
    parser = argparse.ArgumentParser(description="Make the picture of the demo.")
    parser.add_argument("file", type=Path, help="where to")
    options = parser.parse_args()
    told = Console(file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, color_system="truecolor")
    code = run(Screen(sys.stdout, told), once=True, speed=1)
    if code:
        sys.stderr.write(told.export_text())
        return code
    picture = Console(file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, color_system="truecolor")
    for line in trimmed(told.export_text(styles=True).splitlines()):
        picture.print(Text.from_ansi(line), no_wrap=True, crop=True)
    svg = picture.export_svg(title="customresource-exporter demo", theme=SVG_EXPORT_THEME, unique_id="demo")
    options.file.write_text(_self_contained(svg), encoding="utf-8")
    return 0


def _self_contained(svg: str) -> str:
    """Take out the fonts that rich would load from elsewhere; the reader's own will do."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return svg.replace("font-family: Fira Code, monospace", f"font-family: {_FONTS}")


def trimmed(lines: list[str]) -> list[str]:
    """Leave out the scenes that tell less, and say how many they are."""
    kept: list[str] = []
    left_out = 0
    keeping = True
    for line in lines:
        title = Text.from_ansi(line).plain.partition(_MARK)[2]
        if title:
            keeping = title.startswith((*_SCENES, _LAST))
            left_out += not keeping
            if title.startswith(_LAST):
                kept += [f"\x1b[90m… and {left_out} scenes more\x1b[0m", ""]
        if keeping:
            kept.append(line)
    return kept


if __name__ == "__main__":
    sys.exit(main())
