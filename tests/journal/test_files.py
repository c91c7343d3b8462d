"""The journal's files: what is moved aside, what is kept, and what readers are told."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from exporter.changes.batch import Batch
from exporter.errors import DamagedError, JournalError
from exporter.journal.files import COPIES
from exporter.journal.read import FILE_NAME, open_reader
from exporter.journal.schema import STEPS
from exporter.journal.store import Journal
from tests.journal.test_store import change, opened


if TYPE_CHECKING:
    from pathlib import Path

GARBAGE = b"garbage" * 4000


def written(directory: Path, count: int = 300) -> bytes:
    """Write a journal of some changes, of which a consumer has read none, and close it; the file."""
    journal = opened(directory)
    journal.bind("cluster")
    journal.cursor("otlp")
    journal.commit(Batch(changes=[change(number) for number in range(count)]))
    journal.close()
    return (directory / FILE_NAME).read_bytes()


def write_newer(path: Path) -> None:
    """Make a journal that of a newer program."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()


def test_a_file_that_is_no_journal_is_moved_aside(tmp_path: Path) -> None:
    """Garbage in place of the journal is kept under another name, and a journal of its own begins."""
    (tmp_path / FILE_NAME).write_bytes(GARBAGE)
    journal = opened(tmp_path)

    assert journal.reset is not None
    assert journal.reset.copy is not None
    assert (journal.reset.reason, journal.reset.copy.read_bytes()) == ("corrupt", GARBAGE)
    assert (journal.head(), journal.scopes()) == (0, [])
    journal.close()


def test_a_journal_of_a_newer_program_is_moved_aside(tmp_path: Path) -> None:
    """A schema that we do not know is left as it is, under another name, and what was not delivered is counted."""
    written(tmp_path)
    write_newer(tmp_path / FILE_NAME)
    journal = opened(tmp_path)

    assert journal.reset is not None
    assert (journal.reset.reason, journal.reset.undelivered) == ("newer", {"otlp": 300})
    assert journal.head() == 0
    journal.close()


@pytest.mark.parametrize("pages", [[0], [1], [5, 6, 7], list(range(8))])
def test_damaged_pages_are_found_at_the_start_or_when_they_are_read(pages: list[int], tmp_path: Path) -> None:
    """A page of garbage is never passed off as history: opening moves the file aside, or reading tells of damage."""
    content = bytearray(written(tmp_path))
    for page in pages:
        content[page * 4096 : (page + 1) * 4096] = GARBAGE[:4096]
    (tmp_path / FILE_NAME).write_bytes(content)
    journal = opened(tmp_path)

    if journal.reset is None:
        with pytest.raises(sqlite3.DatabaseError):
            list(journal.reader.scan())
        with pytest.raises(sqlite3.DatabaseError):
            journal.after(0, 1000)
        assert journal.care.damage is not None
    else:
        assert journal.reset.reason == "corrupt"
    journal.close()


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    """A file of no bytes begins anew, and whoever emptied it is heard of."""
    written(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"")
    journal = opened(tmp_path)

    assert journal.reset is not None
    assert (journal.reset.reason, journal.reset.copy) == ("empty", None)
    journal.close()


@pytest.mark.parametrize("damage", ["cut", "garbage", "no shm", "garbage shm"])
def test_a_damaged_log_rolls_back_to_an_earlier_commit(damage: str, tmp_path: Path) -> None:
    """What a log no longer tells is as if it was never committed: the checkpoint goes back with the changes."""
    journal = opened(tmp_path / "one")
    for number in range(1, 4):
        journal.commit(Batch(changes=[change(number)]))
    other = tmp_path / "two"
    other.mkdir()
    for file in (tmp_path / "one").iterdir():  # as after a power cut: nobody has closed it
        (other / file.name).write_bytes(file.read_bytes())
    journal.close()
    log = other / f"{FILE_NAME}-wal"
    if damage == "cut":
        log.write_bytes(log.read_bytes()[:-100])
    elif damage == "garbage":
        log.write_bytes(GARBAGE)
    else:
        (other / f"{FILE_NAME}-shm").write_bytes(GARBAGE if damage == "garbage shm" else b"")
    if damage == "no shm":
        (other / f"{FILE_NAME}-shm").unlink()
    journal = opened(other)

    held = [number for number, _ in journal.after(0, 10)]
    assert held == {"cut": [1, 2], "garbage": []}.get(damage, [1, 2, 3])
    journal.close()


def test_a_bounded_number_of_copies_is_kept(tmp_path: Path) -> None:
    """Of journals that were moved aside the oldest go, and that is counted."""
    removed = 0
    for number in range(COPIES + 2):
        (tmp_path / FILE_NAME).write_bytes(GARBAGE + bytes([number]))
        journal = opened(tmp_path)
        assert journal.reset is not None
        removed += journal.reset.removed
        journal.close()

    kept = sorted(file.read_bytes()[-1] for file in tmp_path.glob(f"{FILE_NAME}.corrupt-*"))
    assert (kept, removed) == ([2, 3, 4], 2)


def test_copies_take_no_more_than_the_journal_may(tmp_path: Path) -> None:
    """Copies are bounded by size, too; the newest is kept in any case."""
    for size in (700_000, 700_000, 3_000_000):
        (tmp_path / FILE_NAME).write_bytes(b"x" * size)
        Journal.open(tmp_path, size=1 << 20).close()

    assert [file.stat().st_size for file in tmp_path.glob(f"{FILE_NAME}.corrupt-*")] == [3_000_000]


def test_a_new_journal_goes_on_with_the_epoch(tmp_path: Path) -> None:
    """A journal that is begun anew gives no id that another change may have, and is nobody else's continuation."""
    journal = opened(tmp_path)
    journal.next_epoch()
    former = journal.id
    journal.close()
    (tmp_path / FILE_NAME).write_bytes(GARBAGE)
    journal = opened(tmp_path)

    assert journal.epoch == 1
    assert journal.id != former
    journal.close()


@pytest.mark.parametrize("what", ["removed", "replaced", "log removed"])
async def test_files_that_go_away_are_noticed_and_written_anew(what: str, tmp_path: Path) -> None:
    """No commit goes to a file that nobody will find: it is told before, and everything can still be saved."""
    journal = opened(tmp_path)
    journal.commit(Batch(changes=[change(1)]))
    assert not journal.care.swollen()
    (tmp_path / (f"{FILE_NAME}-wal" if what == "log removed" else FILE_NAME)).unlink()
    if what == "replaced":
        (tmp_path / FILE_NAME).write_bytes(GARBAGE)

    with pytest.raises(DamagedError, match="while it was in use"):
        journal.care.swollen()
    saved = await journal.care.rescue()
    journal.close()
    assert saved is not None
    with sqlite3.connect(saved) as connection:
        assert connection.execute("SELECT count(*) FROM changes").fetchone() == (1,)
    connection.close()


def prepare(state: str, directory: Path) -> None:
    """Bring a journal into a state that a reader may find."""
    path = directory / FILE_NAME
    content = written(directory)
    if state == "newer":
        write_newer(path)
    elif state == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(GARBAGE if state == "garbage" else GARBAGE[:4096] + content[4096:])


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("newer", "was written by a newer version of this program: read it with that one"),
        ("empty", "is empty: no exporter has written to it"),
        ("garbage", "it is damaged or no journal; an exporter that is started on it moves it aside"),
        ("malformed", "it is damaged or no journal; an exporter that is started on it moves it aside"),
    ],
)
def test_a_reader_is_told_what_the_journal_is(state: str, sentence: str, tmp_path: Path) -> None:
    """Each state that a journal can be found in gives one sentence with its name and what to do."""
    prepare(state, tmp_path)

    with pytest.raises(JournalError, match=sentence):
        open_reader(tmp_path)


@pytest.mark.parametrize("replaced", [True, False])
def test_a_reader_that_waits_is_told_that_the_journal_has_gone(replaced: bool, tmp_path: Path) -> None:
    """Whoever follows a file that was moved away would wait for ever."""
    written(tmp_path)
    reader = open_reader(tmp_path)
    assert len(reader.after(0, 10)) == 10
    assert reader.after(1000, 10) == []
    (tmp_path / FILE_NAME).rename(tmp_path / "else")
    if replaced:
        written(tmp_path)

    with pytest.raises(JournalError, match="was removed or begun anew while it was read: run the command again"):
        reader.after(1000, 10)
    reader.close()
