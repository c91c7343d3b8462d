"""Merge patches and JSON patches: the examples of their RFCs, and laws that hold for any value."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sandbox.apiserver.patch import PatchError, UnreadableError, json_patch, merge_patch, same


LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
KEYS = st.sampled_from(["a", "b", "c/d", "e~f", "0", "-", ""])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)

BAD_STEPS: dict[str, Any] = {
    "no-path": [{"op": "remove"}],
    "path-of-a-number": [{"op": "remove", "path": 1}],
    "path-without-slash": [{"op": "remove", "path": "a"}],
    "unknown-op": [{"op": "twist", "path": "/a"}],
    "no-op": [{"path": "/a"}],
    "add-without-value": [{"op": "add", "path": "/a"}],
    "add-below-nothing": [{"op": "add", "path": "/x/y", "value": 1}],
    "add-below-a-leaf": [{"op": "add", "path": "/a/y", "value": 1}],
    "add-behind-the-end": [{"op": "add", "path": "/list/3", "value": 1}],
    "add-at-a-leading-zero": [{"op": "add", "path": "/list/01", "value": 1}],
    "add-at-a-foreign-digit": [{"op": "add", "path": "/list/\N{ARABIC-INDIC DIGIT ONE}", "value": 1}],
    "replace-behind-the-end": [{"op": "replace", "path": "/list/2", "value": 1}],
    "remove-what-is-not-there": [{"op": "remove", "path": "/x"}],
    "remove-behind-the-end": [{"op": "remove", "path": "/list/-"}],
    "remove-the-whole": [{"op": "remove", "path": ""}],
    "move-into-itself": [{"op": "move", "from": "/deep", "path": "/deep/er"}],
    "copy-from-nowhere": [{"op": "copy", "from": "/x/y", "path": "/a"}],
    "move-from-nowhere": [{"op": "move", "from": "/x", "path": "/a"}],
    "test-fails": [{"op": "test", "path": "/a", "value": 2}],
    "true-is-not-one": [{"op": "test", "path": "/a", "value": True}],
}
# RFC 6902, appendix A, where it is about what the others are not.
STEPS: dict[str, tuple[Any, Any, Any]] = {
    "nested": ({"a": "b"}, [{"op": "add", "path": "/c", "value": {"d": ["e"]}}], {"a": "b", "c": {"d": ["e"]}}),
    "in-a-list": ({"a": [1, 2]}, [{"op": "add", "path": "/a/1", "value": 9}], {"a": [1, 9, 2]}),
    "behind-a-list": ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": [2]}], {"a": [1, [2]]}),
    "move-in-a-list": ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
    "escaped": ({"~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"~1": 10}),
    "the-empty-key": ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
    "numbers-are-compared-by-value": ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
    "the-whole": ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    "replace-of-nothing-adds": ({}, [{"op": "replace", "path": "/a", "value": 1}], {"a": 1}),
    "copy-of-nothing-is-null": ({}, [{"op": "copy", "from": "/b", "path": "/a"}], {"a": None}),
    "nothing-tests-as-null": ({}, [{"op": "test", "path": "/a", "value": None}], {}),
}
# RFC 7386, appendix A: original, patch, result.
MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize("case", BAD_STEPS)
def test_a_step_that_cannot_be_done_ends_the_patch(case: str) -> None:
    """A patch with a step that cannot be done, or that makes no sense, is refused, and the value is as it was."""
    value = {"a": 1, "list": [1, 2], "deep": {"er": 1}}
    with pytest.raises(PatchError):
        json_patch(value, [{"op": "add", "path": "/new", "value": 1}, *BAD_STEPS[case]])
    assert value == {"a": 1, "list": [1, 2], "deep": {"er": 1}}


@pytest.mark.parametrize("steps", [{}, None, "add", [1], [[]]])
def test_what_is_no_list_of_steps_cannot_be_read(steps: object) -> None:
    """A JSON patch is a list of objects."""
    with pytest.raises(UnreadableError):
        json_patch({}, steps)


@pytest.mark.parametrize("case", STEPS)
def test_a_patch_does_its_steps(case: str) -> None:
    """A JSON patch does what RFC 6902 says, and is as lenient as kube-apiserver about members that are not there."""
    value, steps, expected = STEPS[case]
    assert same(json_patch(value, steps), expected)


@pytest.mark.parametrize(("value", "patch", "expected"), MERGES)
def test_a_merge_patch_does_what_the_rfc_shows(value: object, patch: object, expected: object) -> None:
    """Each of the RFC's examples comes out as it is there."""
    assert same(merge_patch(value, patch), expected)


@given(value=VALUES, patch=VALUES)
def test_a_merge_patch_twice_is_a_merge_patch_once(value: Any, patch: Any) -> None:
    """Merging the same again changes nothing, and neither the value nor the patch is touched."""
    before = copy.deepcopy((value, patch))
    once = merge_patch(value, patch)
    assert same(merge_patch(once, patch), once)
    assert same(list(before), [value, patch])


@given(value=OBJECTS, patch=OBJECTS)
def test_a_merge_patch_leaves_alone_what_it_does_not_name(value: Any, patch: Any) -> None:
    """Members that a patch does not name are the very same things as before."""
    merged = merge_patch(value, patch)
    assert all(merged[key] is value[key] for key in value if key not in patch)
    assert all(key not in merged for key, one in patch.items() if one is None)


@given(value=OBJECTS, key=KEYS, new=VALUES)
def test_what_is_added_can_be_removed(value: Any, key: str, new: Any) -> None:
    """An add of a new member followed by a remove leaves what was there."""
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    added = json_patch(value, [{"op": "add", "path": path, "value": new}])
    assert same(added[key], new)
    rest = {name: one for name, one in value.items() if name != key}
    assert same(json_patch(added, [{"op": "remove", "path": path}]), rest)


@given(values=st.lists(VALUES, max_size=4), at=st.integers(0, 4), new=VALUES)
def test_what_is_put_into_a_list_can_be_taken_out(values: list[Any], at: int, new: Any) -> None:
    """An add into a list moves what is behind it, and a remove moves that back."""
    at = min(at, len(values))
    added = json_patch(values, [{"op": "add", "path": f"/{at}", "value": new}])
    assert same(added, [*values[:at], new, *values[at:]])
    assert same(json_patch(added, [{"op": "remove", "path": f"/{at}"}]), values)


@given(value=VALUES, other=VALUES)
def test_same_is_what_a_test_step_finds(value: Any, other: Any) -> None:
    """A `test` passes exactly where the values are the same, whichever comes first."""
    assert same(value, copy.deepcopy(value))
    assert same(value, other) == same(other, value)
    step = [{"op": "test", "path": "", "value": other}]
    if same(value, other):
        assert json_patch(value, step) is value
    else:
        with pytest.raises(PatchError):
            json_patch(value, step)
