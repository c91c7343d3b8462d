"""The page on declared manifests: what can be wrong, the limits, and how scalars are read."""

from __future__ import annotations

from typing import get_args

import pytest

from exporter.declared.directories import MAX_BYTES, MAX_FILE_BYTES
from exporter.declared.manifests import ProblemKind
from exporter.declared.tree import MAX_FILES, SUFFIXES
from tests.declared.traps import TRAPS
from tests.docs.pages import first_column, page, section


PAGE = page("docs/how-to/declared-manifests.md")


def test_every_problem_has_its_row() -> None:
    """The page lists the kinds of problems, and no others."""
    assert sorted(get_args(ProblemKind)) == sorted(first_column(section(PAGE, "## When something is wrong")))


def test_the_limits_are_as_told() -> None:
    """How large a file and all of them may be, and how many they are."""
    told = f"larger than {MAX_FILE_BYTES // 1024**2} MiB, or the directories hold more than {MAX_FILES:,} files"
    assert told in PAGE
    assert f"or {MAX_BYTES // 1024**2} MiB" in PAGE
    assert all(f"`{suffix}`" in PAGE for suffix in SUFFIXES)


@pytest.mark.parametrize(
    ("text", "value"),
    [("12:30", "12:30"), ("2024-01-01", "2024-01-01"), ("010", 8), ("0o17", 15), ("y", True), ("yes", True)],
)
def test_scalars_are_read_as_told(text: str, value: object) -> None:
    """The scalars that the page names are what the tests hold against kubectl."""
    assert f"`{text}`" in section(PAGE, "## What is read")
    assert TRAPS[text] == value
