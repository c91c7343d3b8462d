"""The key of the redaction: made once, whole, for nobody else, and never empty."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from exporter import key_file
from exporter.errors import JournalError


if TYPE_CHECKING:
    from pathlib import Path

NAME = "redaction.key"


def test_a_directory_that_is_none_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """The sentence names the file and the flag."""
    with pytest.raises(JournalError, match=r"cannot read or make .*redaction\.key: .*; give --data-dir"):
        key_file.read(str(tmp_path / "gone"))


def test_an_empty_file_is_no_key(tmp_path: Path) -> None:
    """As a disk that was full left it: with no key whatever was replaced could be found out by guessing."""
    (tmp_path / NAME).touch()
    key = key_file.read(str(tmp_path))
    assert len(key) == 32
    assert key_file.read(str(tmp_path)) == key


def test_the_key_stays_and_is_for_nobody_else(tmp_path: Path) -> None:
    """It is read again as it was made, also over one that is known; nothing else is left in the directory."""
    key = key_file.read(str(tmp_path))
    assert len(key) == 32
    assert key_file.read(str(tmp_path), b"known" * 8) == key
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [NAME]


def test_a_known_key_is_written_where_the_file_is_gone(tmp_path: Path) -> None:
    """Else the same value would look like another from then on."""
    key = key_file.read(str(tmp_path))
    (tmp_path / NAME).unlink()
    assert key_file.read(str(tmp_path), key) == key
    assert (tmp_path / NAME).read_bytes() == key
