"""The small pure parts: waiting, times, ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.backoff import Backoff
from exporter.model import change_id, decode, encode
from exporter.timestamps import from_nanoseconds, normalise, to_nanoseconds
from tests.journal.test_store import change


@pytest.mark.parametrize(
    "text",
    [None, 5, "", "yesterday", "2026-03-01T10:00:00", "2026-13-01T10:00:00Z", "9999-12-31T23:59:59-23:59"],
)
def test_what_is_no_time_is_none(text: object) -> None:
    """Only RFC 3339 with a zone is a time."""
    assert normalise(text) is None


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000000Z", "2026-03-01T11:00:00+01:00", "2026-03-01T10:00:00.0Z"],
)
def test_every_form_of_a_time_becomes_one(text: str) -> None:
    """Times come out in UTC with six decimals."""
    assert normalise(text) == "2026-03-01T10:00:00.000000Z"


@given(st.integers(0, 2**60))
def test_times_keep_their_microseconds(nanoseconds: int) -> None:
    """A time comes back as it was, to the microsecond."""
    assert to_nanoseconds(from_nanoseconds(nanoseconds)) == nanoseconds // 1000 * 1000


@given(st.integers(0, 2**40), st.floats(0, 1, exclude_max=True))
def test_waiting_is_bounded_and_never_shorter_than_asked(failures: int, draw: float) -> None:
    """However often it failed, the wait is within the cap with its jitter, and not below what the other side asked."""
    delay = Backoff(first=0.8, factor=2.0, cap=30.0, jitter=1.0).delay(failures, draw, at_least=3.0)

    assert 3.0 <= delay <= 60.0


def test_waiting_doubles_up_to_the_cap() -> None:
    """Without jitter the waits are those of the policy; without a failure there is none."""
    policy = Backoff(first=1.0, factor=2.0, cap=5.0, jitter=0.0)

    assert [policy.delay(failures, 0.5) for failures in range(5)] == [0.0, 1.0, 2.0, 4.0, 5.0]


def test_ids_tell_versions_apart_but_not_how_a_deletion_was_found() -> None:
    """An id depends on cluster, epoch, object, version and event; that of a deletion on no version."""
    ids = [
        change_id("c", 0, "u", "1", "modified"),
        change_id("d", 0, "u", "1", "modified"),
        change_id("c", 1, "u", "1", "modified"),
        change_id("c", 0, "v", "1", "modified"),
        change_id("c", 0, "u", "2", "modified"),
        change_id("c", 0, "u", "1", "added"),
        change_id("c", 0, "u", "1", "deleted"),
    ]

    assert (len(set(ids)), {len(one) for one in ids}) == (7, {32})
    assert change_id("c", 0, "u", "2", "deleted") == ids[-1]


def test_a_change_survives_being_written() -> None:
    """What the journal stores comes back equal."""
    assert decode(encode(change(1))) == change(1)
