"""The table of a run: what ran last counts, and what differs by its seed alone is one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.table import Row, read, record


if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_rows_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds are added up, a row that was recorded again stands in the place of the one before."""
    monkeypatch.setenv("FAULTS_TABLE", str(tmp_path / "rows"))
    wrong = Row("kill", "idle", True, 99, 9, 9, 9, 9, 9, 9.0, 5, 1)
    for row in (
        wrong,
        wrong._replace(fault="cut", seed=0, history=False),
        Row("kill", "idle", True, 10, 0, 0, 1, 0, 2, 1.5, 5, 1),
        Row("kill", "idle", True, 20, 1, 0, 0, 0, 0, 0.5, 4, 2),
    ):
        record(row)

    assert read(tmp_path / "rows") == [
        Row("cut", "idle", False, 99, 9, 9, 9, 9, 9, 9.0, 5),
        Row("kill", "idle", True, 30, 1, 0, 1, 0, 2, 1.5, 9, 1),
    ]
