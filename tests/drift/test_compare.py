"""What was declared, held against what is live."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from exporter.changes.pointer import escape
from exporter.changes.schema import Schema
from exporter.drift.compare import MAX_DIFFERENCES, Comparison, is_default
from exporter.kube.schema import read_schema


if TYPE_CHECKING:
    import random

PORTS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["port", "protocol"],
    "items": {
        "type": "object",
        "properties": {"port": {}, "protocol": {"default": "TCP"}, "name": {}},
    },
}
SCHEMA = read_schema(
    {
        "properties": {
            "ports": PORTS,
            "zones": {"x-kubernetes-list-type": "set"},
            "rules": {"items": {"properties": {"weight": {"default": 1}, "to": {}}}},
            "mode": {"default": "auto"},
            "box": {"default": {}, "properties": {"size": {"default": 3}}},
            "by": {"additionalProperties": {"properties": {"ports": PORTS, "mode": {"default": "slow"}}}},
        }
    }
)


def keys(place: tuple[str, ...]) -> tuple[str, ...] | None:
    """Look up the keys of a list as the schema has them."""
    place = SCHEMA.place(place)
    return SCHEMA.list_keys.get(place, () if place in SCHEMA.sets else None)


def compare(
    declared: Any, live: Any, *, touched: bool = True, replaces: bool = False, schema: Schema = SCHEMA
) -> list[Any]:
    """Compare, and give (path, kind, declared, live)."""
    comparison = Comparison(schema, keys, lambda _: touched, replaces=replaces)
    comparison.compare(declared, live)
    return [(one.path, one.kind, one.declared, one.live) for one in comparison.found]


@pytest.mark.parametrize(
    ("declared", "live"),
    [
        ({}, {"a": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": []}),
        ({"a": None}, {}),
        ({"a": {}}, {}),
        ({"a": []}, {}),
        ({"a": {"b": {"c": None}}}, {}),
        ({"a": []}, {"a": None}),
        ({"a": {}}, {"a": None}),
        ({"mode": None}, {"mode": "auto"}),
        ({"a": 1}, {"a": 1.0}),
        ({"zones": ["a", "b"]}, {"zones": ["b", "c", "a"]}),
        ({"ports": [{"port": 1}]}, {"ports": [{"port": 1, "protocol": "TCP"}]}),
        ({"ports": [{"port": 1}, {"port": 2}]}, {"ports": [{"port": 2, "x": 1}, {"port": 3}, {"port": 1}]}),
        ({"rules": [{"to": "a"}]}, {"rules": [{"to": "a", "weight": 1}]}),
        ({"rules": [{"to": "a"}]}, {"rules": [{"to": "a", "x": None, "y": {}}]}),
        ({"by": {"k": {"ports": [{"port": 1}, {"port": 2}]}}}, {"by": {"k": {"ports": [{"port": 2}, {"port": 1}]}}}),
    ],
)
def test_what_applying_would_not_change_is_no_difference(declared: Any, live: Any) -> None:
    """Maps are subsets, so are sets and lists with keys; nothings are absent; the server's defaults excuse."""
    assert compare(declared, live) == []


@pytest.mark.parametrize(
    ("declared", "live", "expected"),
    [
        ({"a": 1}, {"a": 2}, ("/a", "changed", 1, 2)),
        ({"a": True}, {"a": 1}, ("/a", "changed", True, 1)),
        ({"a": [True]}, {"a": [1]}, ("/a/0", "changed", True, 1)),
        ({"a": {"b": 0}}, {"a": {"b": False}}, ("/a/b", "changed", 0, False)),
        ({"a": 1}, {}, ("/a", "missing", 1, UNSET)),
        ({"a": False}, {}, ("/a", "missing", False, UNSET)),
        ({"a": {"b": 1}}, {}, ("/a/b", "missing", 1, UNSET)),
        ({"a": {"b": 1}}, {"a": None}, ("/a/b", "missing", 1, UNSET)),
        ({"a": {"b": 1}}, {"a": 1}, ("/a", "changed", {"b": 1}, 1)),
        ({"a": 1}, {"a": {"b": 1}}, ("/a", "changed", 1, {"b": 1})),
        ({"a": [1]}, {}, ("/a", "missing", [1], UNSET)),
        ({"a": [1]}, {"a": 1}, ("/a", "changed", [1], 1)),
        ({"a": None}, {"a": 1}, ("/a", "changed", None, 1)),
        ({"a": []}, {"a": [1]}, ("/a/0", "extra_in_list", UNSET, 1)),
        ({"mode": "auto"}, {}, ("/mode", "missing", "auto", UNSET)),
        ({"mode": "fast"}, {"mode": "auto"}, ("/mode", "changed", "fast", "auto")),
        ({"a/b": {"c~d": 1}}, {"a/b": {"c~d": 2}}, ("/a~1b/c~0d", "changed", 1, 2)),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, ("/a/2", "extra_in_list", UNSET, 3)),
        ({"a": [1, 2]}, {"a": [0, 1, 2]}, ("/a/0", "extra_in_list", UNSET, 0)),
        ({"a": [1, 2, 3]}, {"a": [1, 3]}, ("/a/1", "missing", 2, UNSET)),
        ({"a": [1, 2]}, {"a": [1, 3]}, ("/a/1", "changed", 2, 3)),
        ({"a": [{"x": 1}]}, {"a": [{"x": 2}]}, ("/a/0/x", "changed", 1, 2)),
        ({"a": [{"x": 1}]}, {"a": [{"x": 1, "y": 2}]}, ("/a/0/y", "extra_in_list", UNSET, 2)),
        ({"a": [[1]]}, {"a": [[1, 2]]}, ("/a/0/1", "extra_in_list", UNSET, 2)),
        ({"rules": [{"to": "a"}]}, {"rules": [{"to": "a", "weight": 2}]},
         ("/rules/0/weight", "extra_in_list", UNSET, 2)),
        ({"l": [{"name": "a"}, {"name": "b", "v": 1}]}, {"l": [{"name": "x"}, {"name": "a"}, {"name": "b", "v": 1}]},
         ("/l/0", "extra_in_list", UNSET, {"name": "x"})),
        ({"l": [{"name": "a", "v": 1}]}, {"l": [{"name": "a", "v": 2}]}, ("/l/0/v", "changed", 1, 2)),
        ({"l": [{"name": "a"}, {"name": "b"}]}, {"l": [{"name": "b"}, {"name": "a"}]},
         ("/l", "changed", [["a"], ["b"]], [["b"], ["a"]])),
        ({"zones": ["a", "b"]}, {"zones": ["b"]}, ("/zones/0", "missing", "a", UNSET)),
        ({"zones": [1]}, {"zones": [True]}, ("/zones/0", "missing", 1, UNSET)),
        ({"ports": [{"port": 1, "protocol": "UDP"}]}, {"ports": [{"port": 1, "protocol": "TCP"}]},
         ("/ports/0", "missing", {"port": 1, "protocol": "UDP"}, UNSET)),
        ({"ports": [{"port": 1, "name": "a"}]}, {"ports": [{"port": 2}, {"port": 1, "name": "b"}]},
         ("/ports/1/name", "changed", "a", "b")),
        ({"by": {"k": {"ports": [{"port": 1}]}}}, {"by": {"k": {"ports": [{"port": 2}]}}},
         ("/by/k/ports/0", "missing", {"port": 1}, UNSET)),
    ],
)  # fmt: skip
def test_one_difference_is_found_where_it_is(declared: Any, live: Any, expected: Any) -> None:
    """Each kind of difference is told once, with its path in the live object, or the declared one where it is gone."""
    assert compare(declared, live) == [expected]


@pytest.mark.parametrize(
    ("declared", "live"),
    [
        ({"rules": [{"to": "a"}]}, {"rules": [{"to": "a", "x": 2}]}),
        ({"a": None}, {"a": 1}),
    ],
)
def test_what_no_request_has_touched_was_filled_in(declared: Any, live: Any) -> None:
    """What is in a list that the declarer still owns, or in place of a null, came from a default or a webhook."""
    assert compare(declared, live, touched=False) == []


@pytest.mark.parametrize("value", [False, 0, ""])
def test_a_type_without_a_schema_may_leave_out_what_is_zero(value: Any) -> None:
    """Built-in types do not store zero values."""
    assert compare({"a": value}, {}, schema=Schema()) == []


@pytest.mark.parametrize(
    ("declared", "live", "path"),
    [
        ({"zones": ["a"]}, {"zones": ["b", "a"]}, "/zones/0"),
        ({"ports": [{"port": 1}]}, {"ports": [{"port": 1}, {"port": 2}]}, "/ports/1"),
    ],
)
def test_whoever_sends_lists_whole_would_take_out_what_was_added(declared: Any, live: Any, path: str) -> None:
    """To a merge patch a list with keys is a list, though its order says nothing."""
    assert [(one[0], one[1]) for one in compare(declared, live, replaces=True)] == [(path, "extra_in_list")]


def test_too_many_differences_are_counted() -> None:
    """No more than the limit is told, and the rest is not forgotten."""
    comparison = Comparison(SCHEMA, keys, lambda _: True)
    comparison.compare({str(number): 1 for number in range(MAX_DIFFERENCES + 7)}, {})

    assert (len(comparison.found), comparison.left_out) == (MAX_DIFFERENCES, 7)


@pytest.mark.parametrize(
    ("value", "place", "expected"),
    [
        ("auto", ("mode",), True),
        ("fast", ("mode",), False),
        ({"size": 3}, ("box",), True),
        ({"size": 4}, ("box",), False),
        ({"size": 3, "more": 1}, ("box",), False),
        ("slow", ("by", "any", "mode"), True),
        ("auto", ("by", "any", "mode"), False),
        (1, ("nowhere",), False),
    ],
)
def test_a_default_is_what_the_schema_fills_in(value: Any, place: tuple[str, ...], expected: bool) -> None:
    """Defaults of what is inside belong to the default of what it is in, and free keys find their place."""
    assert is_default(value, place, SCHEMA) is expected


# -- whatever the object ---------------------------------------------------------------------------------------------

_SCALARS = st.one_of(st.integers(-5, 5), st.text("ab", min_size=1, max_size=3), st.booleans())
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.dictionaries(st.text("xyz/~", min_size=1, max_size=3), inner, min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
_PORTS = st.lists(st.integers(1, 99), unique=True, min_size=1, max_size=4).map(
    lambda numbers: [{"port": number, "name": f"p{number}"} for number in numbers]
)
_DECLARED = st.fixed_dictionaries({"free": _VALUES, "ports": _PORTS, "zones": st.just(["a", "b", "c"])})


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Give the paths of the leaves of maps, a list being one."""
    if not isinstance(value, dict):
        return [path]
    return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]


def at(obj: Any, path: tuple[str, ...]) -> tuple[Any, str]:
    """Give what a leaf is in, and its key."""
    for key in path[:-1]:
        obj = obj[key]
    return obj, path[-1]


def pointer(path: tuple[str, ...]) -> str:
    """Write a path as a JSON Pointer."""
    return "".join(f"/{escape(key)}" for key in path)


@given(_DECLARED, st.randoms(use_true_random=False))
def test_what_others_add_and_lists_with_keys_in_another_order_stay_clean(declared: Any, draw: random.Random) -> None:
    """Defaults, fields of others and another order of a set or a list with keys are never a difference."""
    live = copy.deepcopy(declared)
    for port in live["ports"]:
        port["protocol"] = "TCP"
    draw.shuffle(live["ports"])
    draw.shuffle(live["zones"])
    live |= {"mode": "auto", "box": {"size": 3}, "theirs": {"x": 1}}

    assert compare(declared, live) == []


@given(_DECLARED, st.data())
def test_a_changed_or_removed_leaf_is_found_at_just_its_path(declared: Any, data: st.DataObject) -> None:
    """Whatever leaf moves, it is found, and nothing else is."""
    live = copy.deepcopy(declared)
    path = data.draw(st.sampled_from([leaf for leaf in leaves(declared) if leaf[0] == "free"]))
    around, key = at(live, path)
    was = around[key]
    expected: tuple[Any, ...]
    if data.draw(st.booleans()):
        around[key] = "another"
        expected = (pointer(path), "changed", was, "another")
    else:
        del around[key]
        expected = (pointer(path), "missing", was, UNSET)

    assert compare(declared, live) == [expected]


@given(st.lists(_SCALARS, max_size=5), st.data())
def test_an_item_that_was_put_into_a_list_is_found_where_it_is(items: list[Any], data: st.DataObject) -> None:
    """One item more in a list of one unit is one finding, with its index."""
    index = data.draw(st.integers(0, len(items)))

    assert compare({"l": items}, {"l": [*items[:index], "new", *items[index:]]}) == [
        (f"/l/{index}", "extra_in_list", UNSET, "new")
    ]
