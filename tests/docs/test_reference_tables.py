"""The tables that `make docs` writes are up to date, and whoever forgets to write them hears of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT


if TYPE_CHECKING:
    from pathlib import Path


def reference(docs: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the program that writes the tables, on a copy of the pages or on the pages."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts/reference.py", *flags, docs],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The pages, to be spoilt."""
    return shutil.copytree(ROOT / "docs", tmp_path / "docs")


@pytest.mark.parametrize(
    ("page", "right", "wrong", "complaint"),
    [
        ("cli.md", "| `:9838` |", "| `:9839` |", "is not up to date"),
        ("metrics.md", "| gauge | `consumer` |", "| counter | `consumer` |", "is not up to date"),
        ("metrics.md", "generated: metrics customresource_exporter_delivery_*", "generated: metrics x", "in 0 tables"),
        ("metrics.md", "metrics customresource_exporter_journal_*", "metrics customresource_*", "in 2 tables"),
        ("silence-drift.md", "`/spec/replicas`", "`/spec/size`", "is not up to date"),
        ("silence-drift.md", "generated: ignored", "generated: commands", "the shipped ignore rules have 0 tables"),
        ("cli.md", "generated: flags changes", "generated: flags run", "the flags of changes have 0 tables"),
    ],
)
def test_what_is_wrong_is_found(copy: Path, page: str, right: str, wrong: str, complaint: str) -> None:
    """A table that says something else than the program, is missing, or is there twice ends the check with 1."""
    (file,) = copy.rglob(page)
    text = file.read_text(encoding="utf-8")
    assert right in text
    file.write_text(text.replace(right, wrong), encoding="utf-8")

    checked = reference(copy, "--check")

    assert checked.returncode == 1
    assert complaint in checked.stderr
    assert file.read_text(encoding="utf-8") == text.replace(right, wrong)


def test_a_table_is_written_anew(copy: Path) -> None:
    """What was spoilt is right again after the program has written, and the prose is as it was."""
    (file,) = copy.rglob("metrics.md")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("| gauge |", "| counter |"), encoding="utf-8")

    written = reference(copy)

    assert written.returncode == 0, written.stderr
    assert text == file.read_text(encoding="utf-8")


def test_the_tables_are_up_to_date() -> None:
    """Every table is what the program would write, and everything has one: else run `make docs`."""
    checked = reference(ROOT / "docs", "--check")
    assert checked.returncode == 0, checked.stderr
