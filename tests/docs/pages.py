"""The pages and what is in them: sections, tables, words in backquotes, fenced blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def page(name: str) -> str:
    """The text of a page, by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    """The path of a page from the root: also how a test that is asked of each page is called."""
    return str(path.relative_to(ROOT))


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of the same or a higher level."""
    level = heading.partition(" ")[0]
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of the tables in a text whose first cell holds code."""
    for line in text.splitlines():
        if line.startswith("| ") and "`" in line.split("|")[1]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def code(text: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def first_column(text: str) -> list[str]:
    """What stands in backquotes in the first cells of tables."""
    return [name for cells in rows(text) for name in code(cells[0])]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, whatever stands behind its name."""
    return re.findall(rf"^```{language}\b[^\n]*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
