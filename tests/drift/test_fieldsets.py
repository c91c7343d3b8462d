"""Which fields a manager owns, as managedFields tell it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.changes.entries import FieldsV1
from exporter.changes.schema import Schema
from exporter.changes.writer import is_item, owns
from exporter.drift.fieldsets import Tree, count, fits, has, leaves, list_keys, place_of, resolve, tree, values
from tests.drift.objects import fields


LIVE: dict[str, Any] = {
    "metadata": {"labels": {"a": "b"}, "finalizers": ["x/y"]},
    "spec": {
        "size": 1,
        "ports": [{"port": 80, "protocol": "TCP", "name": "http"}, {"port": 53, "protocol": "UDP"}],
        "zones": ["a", 1],
        "box": {"x": 1},
        "empty": {},
        "args": ["one", "two"],
    },
}
PORT = '/spec/ports/{"port":53,"protocol":"UDP"}'


@pytest.mark.parametrize(
    ("key", "item"),
    [
        ('k:{"port":80}', {"port": 81}),
        ('k:{"port":80}', {"name": "x"}),
        ('k:{"port":80}', 80),
        ('k:{"port":1}', {"port": True}),
        ("k:\uf8f5redacted:0123456789abcdef\uf8f5", {"port": 80}),
        ("k:[1]", {"port": 80}),
        ('v:"a"', "b"),
        ("v:1", True),
        ("i:1", "a"),
    ],
)
def test_a_key_that_stands_for_another_item_does_not_match(key: str, item: Any) -> None:
    """Every field of a key has to be that of the item, true is not 1, and of a secret nothing can be said."""
    assert not is_item(key, item, 0)


@pytest.mark.parametrize(
    ("key", "item"),
    [
        ('k:{"port":80,"protocol":"TCP"}', {"port": 80, "protocol": "TCP", "name": "x"}),
        ('k:{"port":80,"protocol":"TCP"}', {"port": 80}),
        ('v:"a"', "a"),
        ('v:{"x":1}', {"x": 1}),
        ("i:0", "anything"),
    ],
)
def test_a_key_matches_its_item(key: str, item: Any) -> None:
    """What an item leaves out of its key the server fills in."""
    assert is_item(key, item, 0)


@pytest.mark.parametrize(
    "path",
    ["/spec/size", "/spec/ports/0", "/spec/ports/0/port", "/spec/ports/1/name", "/spec/ports/9", "/spec/zones/1", "/x"],
)
def test_what_an_entry_does_not_name_it_does_not_own(path: str) -> None:
    """With the object at hand the item of a list is the one that is meant."""
    entry = {"fieldsV1": fields(f"{PORT}/port", '/spec/zones/="a"')}

    assert not owns(entry, path, LIVE)


@pytest.mark.parametrize("path", ["/spec/ports/1", "/spec/ports/1/port", "/spec/zones/0"])
def test_an_item_is_owned_wherever_it_is(path: str) -> None:
    """An item is found by its key."""
    entry = {"fieldsV1": fields(f"{PORT}/port", '/spec/zones/="a"')}

    assert owns(entry, path, LIVE)


def test_status_and_what_the_server_sets_are_left_aside() -> None:
    """Nobody declares them."""
    entry = {
        "fieldsV1": FieldsV1(fields("/status/x", "/metadata/uid", "/metadata/labels/a", "/apiVersion", "/spec/size"))
    }

    assert tree(entry) == fields("/metadata/labels/a", "/spec/size")
    assert (tree({}), tree({"fieldsV1": "cut"})) == ({}, {})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/spec/gone", []),
        ("/spec/size/below", [("/spec/size", 1)]),
        ("/spec/size", [("/spec/size", 1)]),
        (f"{PORT}/port", [("/spec/ports/1/port", 53)]),
        ('/spec/ports/{"port":9}/port', []),
        ('/spec/zones/="a"', [("/spec/zones/0", "a")]),
        ("/spec/zones/=true", []),
        ("/spec/args", [("/spec/args", ["one", "two"])]),
        ("/spec/box", []),
        ("/spec/empty", [("/spec/empty", {})]),
        ("/metadata/labels", []),
        ('/metadata/finalizers/="x~1y"', [("/metadata/finalizers/0", "x/y")]),
    ],
)
def test_fields_are_found_in_the_object(path: str, expected: Any) -> None:
    """A leaf of an entry is told with its place and value; a map that was emptied is owned by nobody."""
    assert [(leaf.path, leaf.value) for leaf in leaves(Tree(fields(path)), LIVE, Schema(known=True))] == expected


def test_an_atomic_map_is_owned_with_all_that_is_in_it() -> None:
    """What the schema calls atomic is one field; where it is not known, what is named without fields is."""
    atomic = Schema(known=True, atomics=frozenset({("spec", "box")}))

    for schema in (atomic, Schema()):
        assert [leaf.value for leaf in leaves(Tree(fields("/spec/box")), LIVE, schema)] == [{"x": 1}]


def test_labels_and_annotations_are_never_owned_as_a_whole() -> None:
    """An entry that has lost all labels still names them, in every type."""
    assert leaves(Tree(fields("/metadata/labels")), LIVE, Schema()) == []


def test_a_whole_item_is_one_leaf_where_it_is_asked_for() -> None:
    """An item that is owned as such can be told at once."""
    node = fields(f"{PORT}/port", f"{PORT}/protocol")
    node["f:spec"]["f:ports"]['k:{"port":53,"protocol":"UDP"}']["."] = {}

    assert [leaf.path for leaf in leaves(Tree(node), LIVE, Schema(known=True))] == [
        "/spec/ports/1/port",
        "/spec/ports/1/protocol",
    ]
    assert [leaf.path for leaf in leaves(Tree(node), LIVE, Schema(known=True), until=lambda _: True)] == [
        "/spec/ports/1"
    ]


def test_a_name_leads_as_far_as_it_goes() -> None:
    """What is left of a name says what is missing, and what is in its place."""
    name = '/f:spec/f:ports/k:{"port":53}/f:name'

    assert resolve(name, LIVE) == ("/spec/ports/1", LIVE["spec"]["ports"][1], ("f:name",))
    assert (has(name, LIVE), has("/f:spec/f:size", LIVE), has("/f:spec/f:size/f:x", LIVE)) == (False, True, True)
    assert place_of(name) == ("spec", "ports", "*", "name")


def test_lists_show_their_keys() -> None:
    """Who owns items tells what kind of list it is."""
    assert dict(list_keys(fields(f"{PORT}/port", '/spec/zones/="a"', "/spec/args"))) == {
        ("spec", "ports"): ("port", "protocol"),
        ("spec", "zones"): (),
    }


@pytest.mark.parametrize(("path", "expected"), [("/spec/size", True), (f"{PORT}/port", True), ("/spec/gone", False)])
def test_an_entry_fits_the_version_whose_fields_it_names(path: str, expected: bool) -> None:
    """A field that is not there shows another version of the type."""
    assert fits(fields("/spec/size", path), LIVE) is expected
    assert count(fields("/spec/size", PORT)) == 2


_NAMES = st.sampled_from(["a", "b", "c", "metadata"])
_LIVE = st.dictionaries(
    _NAMES,
    st.recursive(
        st.none() | st.integers(0, 2) | st.just({}),
        lambda inner: st.dictionaries(_NAMES, inner) | st.lists(inner, max_size=2),
        max_leaves=8,
    ),
)
_KEYS = _NAMES.map(lambda name: f"f:{name}") | st.sampled_from([".", "i:0", "v:1", 'k:{"a":1}'])
_FIELDS = st.dictionaries(_KEYS, st.recursive(st.just({}), lambda inner: st.dictionaries(_KEYS, inner), max_leaves=8))


@given(node=_FIELDS, live=_LIVE, atomic=st.booleans(), known=st.booleans())
def test_the_values_of_fields_are_those_of_the_leaves(node: Any, live: Any, atomic: bool, known: bool) -> None:
    """Whatever is owned of whatever object, in the same order."""
    schema = Schema(known=known, atomics=frozenset({("a",), ("a", "b")}) if atomic else frozenset())
    owned = Tree(node)

    assert list(values(owned, live, schema).items()) == [
        (leaf.name, leaf.value) for leaf in leaves(owned, live, schema)
    ]
