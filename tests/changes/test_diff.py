"""Which fields moved between two versions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from exporter.changes.diff import MAX_FIELDS, MAX_VALUE, Diff
from exporter.changes.pointer import split


if TYPE_CHECKING:
    from exporter.model import FieldChange


def diff(old: Any, new: Any, **keys: tuple[str, ...]) -> list[tuple[str, str, Any, Any]]:
    """Compare, and give (path, op, old, new); `keys` names list-maps by their dotted place."""
    made = Diff({tuple(place.split("__")): names for place, names in keys.items()})
    made.compare(old, new)
    return [(one.path, one.op, one.old, one.new) for one in made.fields]


@pytest.mark.parametrize("value", [{}, {"a": None}, {"a": [1, {"name": "x"}]}, {"a": {"b": {}}}, {"a": [[], [1]]}])
def test_nothing_moved_between_equal_values(value: Any) -> None:
    """Two equal values have no fields that moved."""
    assert diff(value, copy.deepcopy(value)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, [("/a", "replace", 1, 2)]),
        ({"a": None}, {"a": 0}, [("/a", "replace", None, 0)]),
        ({}, {"a": None}, [("/a", "add", UNSET, None)]),
        ({"a": None}, {}, [("/a", "remove", None, UNSET)]),
        ({"a": {}}, {}, [("/a", "remove", {}, UNSET)]),
        ({"a": {}}, {"a": {"b": 1}}, [("/a/b", "add", UNSET, 1)]),
        ({}, {"a": {"b": {"c": 1, "d": 2}}}, [("/a/b/c", "add", UNSET, 1), ("/a/b/d", "add", UNSET, 2)]),
        ({"a": {"b": 1}}, {"a": 1}, [("/a", "replace", {"b": 1}, 1)]),
        ({"a": [1]}, {"a": {"b": 1}}, [("/a", "replace", [1], {"b": 1})]),
        ({"a/b": {"c~d": 1}}, {"a/b": {"c~d": 2}}, [("/a~1b/c~0d", "replace", 1, 2)]),
    ],
)
def test_objects_are_compared_leaf_by_leaf(old: Any, new: Any, expected: Any) -> None:
    """Each leaf of an object that moved is one field, its path a JSON Pointer, null a value like any other."""
    assert diff(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([1, 2, 3], [0, 1, 2, 3], [("/l/0", "add", UNSET, 0)]),
        ([1, 2, 3], [1, 3], [("/l/1", "remove", 2, UNSET)]),
        ([1, 2, 3], [1, 9, 3], [("/l/1", "replace", 2, 9)]),
        ([], [{"x": 1}], [("/l/0", "add", UNSET, {"x": 1})]),
        ([{"x": 1}, {"x": 2}], [{"x": 1}, {"x": 3}], [("/l/1/x", "replace", 2, 3)]),
        ([[1], [2]], [[1], [2, 3]], [("/l/1/1", "add", UNSET, 3)]),
    ],
)
def test_lists_without_keys_leave_common_ends_aside(old: Any, new: Any, expected: Any) -> None:
    """Of a list whose entries have no key, what is the same at both ends is not told."""
    assert diff({"l": old}, {"l": new}) == expected


def test_a_list_with_names_is_aligned_so_that_an_insertion_moves_nothing() -> None:
    """An entry inserted before others with unique names is one addition; a change in another has its new index."""
    old = [{"name": "a", "v": 1}, {"name": "b", "v": 1}]
    new = [{"name": "x", "v": 0}, {"name": "a", "v": 1}, {"name": "b", "v": 2}]

    assert diff({"l": old}, {"l": new}) == [
        ("/l/0", "add", UNSET, {"name": "x", "v": 0}),
        ("/l/2/v", "replace", 1, 2),
    ]


def test_a_removed_entry_has_its_index_in_the_old_list() -> None:
    """The path of a removal is where the entry was."""
    old = [{"type": "A"}, {"type": "B"}, {"type": "C"}]

    assert diff({"l": old}, {"l": [old[0], old[2]]}) == [("/l/1", "remove", {"type": "B"}, UNSET)]


def test_declared_list_keys_win_over_guessed_ones() -> None:
    """A list-map of the schema is aligned by its own keys, also where a key is left out of an entry."""
    old = [{"port": 80, "name": "n"}, {"port": 90, "name": "n"}]
    new = [{"port": 90, "name": "n"}, {"port": 80, "name": "m"}]

    assert diff({"l": old}, {"l": new}, l=("port", "protocol")) == [("/l/1/name", "replace", "n", "m")]


def test_a_list_that_is_only_reordered_is_told_once() -> None:
    """Reordering a keyed list is a change of the list, told by its keys."""
    assert diff({"l": [{"name": "a"}, {"name": "b"}]}, {"l": [{"name": "b"}, {"name": "a"}]}) == [
        ("/l", "replace", [["a"], ["b"]], [["b"], ["a"]])
    ]


def test_names_that_are_not_unique_align_nothing() -> None:
    """Entries with the same name are compared by position."""
    old = [{"name": "a", "v": 1}, {"name": "a", "v": 2}]

    assert diff({"l": old}, {"l": [old[0], {"name": "a", "v": 3}]}) == [("/l/1/v", "replace", 2, 3)]


def test_long_values_and_many_fields_are_cut_and_say_so() -> None:
    """What exceeds the limits is cut, and the diff is marked truncated."""
    long, many = Diff(), Diff()
    long.compare({"a": ""}, {"a": "x" * (MAX_VALUE + 1)})
    many.compare({}, {str(number): number for number in range(MAX_FIELDS + 1)})

    assert (len(long.fields[0].new), long.truncated) == (MAX_VALUE + 1, True)
    assert (len(many.fields), many.truncated) == (MAX_FIELDS, True)


json_values = st.recursive(
    st.none() | st.integers(-9, 9).filter(lambda n: n not in (0, 1)) | st.text("abc/~", max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=4),
    max_leaves=12,
)


def apply(document: Any, fields: list[FieldChange]) -> Any:
    """Apply additions and replacements of leaves outside of lists."""
    document = copy.deepcopy(document)
    for one in fields:
        *way, last = split(one.path)
        node = document
        for segment in way:
            node = node.setdefault(segment, {}) if isinstance(node.get(segment, {}), dict) else node[segment]
        if one.op == "remove":
            node.pop(last)
        else:
            node[last] = one.new
    return document


objects = st.recursive(
    st.integers(2, 9),
    lambda inner: st.dictionaries(st.text("ab/~", min_size=1, max_size=2), inner, min_size=1, max_size=3),
    max_leaves=10,
).filter(lambda value: isinstance(value, dict))


@given(old=json_values, new=json_values)
def test_fields_are_empty_exactly_when_nothing_moved(old: Any, new: Any) -> None:
    """Any two values that differ have a field that moved, and equal ones have none."""
    made = Diff()
    made.compare({"v": old}, {"v": new})

    assert bool(made.fields) == (old != new)
    assert all(one.path.startswith("/v") for one in made.fields)


@given(old=objects, new=objects)
def test_fields_of_objects_lead_from_the_old_to_the_new(old: Any, new: Any) -> None:
    """Applied to the old object, the fields give the new one, but for objects that became empty on the way."""
    made = Diff()
    made.compare(old, new)

    assert _without_empty(apply(old, made.fields)) == new


def _without_empty(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    cleaned = {key: _without_empty(item) for key, item in value.items()}
    return {key: item for key, item in cleaned.items() if item != {}}


def test_a_diff_can_always_be_encoded() -> None:
    """Whatever values moved, the fields become JSON."""
    made = Diff()
    made.compare({"a": [1, {"b": None}]}, {"a": [{"c": "\u2028"}], "d": 2**63})

    assert msgspec.json.decode(msgspec.json.encode(made.fields))[0]["path"].startswith("/a")
