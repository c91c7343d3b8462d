"""The managedFields of a version, entry by entry."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.changes.entries import Entries, Entry


def read(*entries: Any) -> list[Entry]:
    """Read what a server may have sent."""
    return list(Entries(msgspec.json.encode(entries)))


def entry(time: str, *fields: str, **more: Any) -> Entry:
    """Make an entry that owns some fields of the spec."""
    return {"manager": "helm", "time": time, "fieldsV1": {"f:spec": {f"f:{name}": {} for name in fields}}, **more}


@pytest.mark.parametrize("wrong", ["helm", 1, None, [], ["helm"]])
def test_what_is_no_entry_is_left_out(wrong: Any) -> None:
    """One of them does not cost the others."""
    assert read(wrong, entry("10:00")) == [entry("10:00")]


@pytest.mark.parametrize("fields", ["cut off", 1, [], None])
def test_fields_that_are_no_map_are_given_as_they_are(fields: Any) -> None:
    """Of an entry that was nested too deeply a part was cut off."""
    assert read({"manager": "helm", "fieldsV1": fields}) == [{"manager": "helm", "fieldsV1": fields}]


def test_an_entry_without_a_part_is_given_without_it() -> None:
    """A server leaves out the time of some; what it says beside the known parts nobody asks for."""
    assert read({"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1"}) == [
        {"operation": "Apply", "apiVersion": "v1"}
    ]


def test_entries_with_the_same_fields_share_them() -> None:
    """The fields of an owner are one thing, whenever and in whatever object it writes; those of others are another."""
    (before,), (after, grown) = read(entry("10:00", "a", "b")), read(entry("11:00", "a", "b"), entry("11:00", "a"))

    assert before["fieldsV1"] is after["fieldsV1"]
    assert grown["fieldsV1"] == {"f:spec": {"f:a": {}}}


@pytest.mark.parametrize(
    ("old", "new", "came", "went"),
    [
        ("ab", "ab", [], []),
        ("", "ab", [0, 1], []),
        ("ab", "", [], [0, 1]),
        ("abc", "bca", [], []),
        ("abc", "adc", [1], [1]),
        ("abc", "bcd", [2], [0]),
        ("aab", "ab", [], []),
        ("ab", "bba", [], []),
    ],
)
def test_what_came_and_what_went_are_found_wherever_they_are(
    old: str, new: str, came: list[int], went: list[int]
) -> None:
    """The server puts what is written to another place; what is the same is given as if it had been decoded."""
    before, after = (Entries(msgspec.json.encode([entry("10:00", name) for name in names])) for names in (old, new))
    assert list(before) == [entry("10:00", name) for name in old]
    assert after.moved(before) == (came, went)
    assert list(after) == [entry("10:00", name) for name in new]


@given(
    old=st.lists(st.sampled_from("abc"), max_size=6),
    new=st.lists(st.sampled_from("abc"), max_size=6),
    read=st.sets(st.integers(0, 5)),
)
def test_what_came_and_what_went_is_what_a_search_of_all_finds(old: list[str], new: list[str], read: set[int]) -> None:
    """Whatever moved, and whichever of the version before were decoded: each place holds its own entry."""
    before, after = (Entries(msgspec.json.encode([entry("10:00", name) for name in names])) for names in (old, new))
    before.at(read & set(range(len(old))))
    came, went = after.moved(before)

    assert came == [place for place, name in enumerate(new) if name not in old]
    assert went == [place for place, name in enumerate(old) if name not in new]
    assert list(after) == [entry("10:00", name) for name in new]


def test_very_many_fields_are_not_kept() -> None:
    """What is kept at hand is bounded by its size too."""
    names = [f"setting{number:04}" for number in range(1000)]
    one, other = read(entry("10:00", *names), entry("11:00", *names))

    assert one["fieldsV1"] == other["fieldsV1"]
    assert one["fieldsV1"] is not other["fieldsV1"]
