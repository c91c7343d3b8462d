"""Sets of fields and ownership: the laws of sets, what must hold after any writes, and the shape of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sandbox.apiserver.bodies import APPLY
from exporter.sandbox.apiserver.fields import difference, intersection, paths, union, without
from exporter.sandbox.apiserver.merging import compare, fields_of, merge
from exporter.sandbox.apiserver.ownership import HeldError, Writer, apply, update
from exporter.sandbox.apiserver.refusals import Refused
from exporter.sandbox.apiserver.shapes import Shape, whole
from tests.sandbox.gadget import SPACE, SPEC, SPECS, STATUS, WRITES, gadget, of, stocked


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.store import Store

Object = dict[str, Any]

SHAPE = whole(of(spec=SPEC, status=STATUS))
TREES: st.SearchStrategy[Object] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", 'k:{"n":"x"}', 'v:"y"', "."]), inner, max_size=3),
    max_leaves=8,
)


def _tidy(tree: Object) -> Object:
    """Bring a random tree to the form that sets have: below "." is nothing, and it is nowhere alone, nor at the top."""
    found = {key: {} if key == "." else _tidy(below) for key, below in tree.items()}
    return {} if list(found) == ["."] else found


SETS = TREES.map(_tidy).map(lambda tree: {key: below for key, below in tree.items() if key != "."})


@given(left=SETS, right=SETS)
def test_sets_of_fields_obey_the_laws_of_sets(left: Object, right: Object) -> None:
    """Union, difference and intersection are those of the paths, and each result is in the one form of its set."""
    mine, theirs = set(paths(left)), set(paths(right))
    for found, expected in (
        (union(left, right), mine | theirs),
        (difference(left, right), mine - theirs),
        (intersection(left, right), mine & theirs),
    ):
        assert set(paths(found)) == expected
        assert found == _tidy(found)
    assert union(difference(left, right), intersection(left, right)) == left


def test_a_path_is_told_as_errors_tell_it() -> None:
    """Fields have dots, entries of lists their keys or their value in brackets."""
    fields: Object = {"f:a": {".": {}, 'k:{"n":"x","p":1}': {"f:b": {}}, 'v:"y"': {}}}
    assert list(paths(fields)) == [".a", '.a[n="x",p=1].b', '.a[="y"]']


def test_a_root_is_left_out_with_all_below() -> None:
    """What a request cannot write goes with everything below it."""
    assert without({"f:spec": {"f:a": {}}, "f:status": {".": {}, "f:b": {}}}, ("f:status",)) == {"f:spec": {"f:a": {}}}


# The schema, then two values of a field, and what the comparison finds: added, removed, modified.
ATOMIC: Object = {"type": "array", "items": {"type": "string"}}
AS_A_SET = ATOMIC | {"x-kubernetes-list-type": "set"}
OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DIFFERENCES: dict[str, tuple[Object, Any, Any, tuple[list[str], list[str], list[str]]]] = {
    "list-as-a-whole": (ATOMIC, ["a"], ["a", "b"], ([], [], [".x"])),
    "list-as-a-set": (AS_A_SET, ["a", "c"], ["a", "b"], (['.x[="b"]'], ['.x[="c"]'], [])),
    "map-as-a-whole": (OPEN | {"x-kubernetes-map-type": "atomic"}, {"a": 1}, {"b": 1}, ([], [], [".x"])),
    "true-is-not-one": (OPEN, {"a": True}, {"a": 1}, ([], [], [".x.a"])),
    "one-is-one": (OPEN, {"a": 1.0}, {"a": 1}, ([], [], [])),
    "emptied": (OPEN, {"a": 1}, {}, ([], [".x.a"], [])),
    "filled": (OPEN, {}, {"a": 1}, ([".x.a"], [], [])),
    "null-filled": (OPEN, {"a": None}, {"a": {"b": 1}}, ([".x.a.b"], [], [])),
    "another-sort": (OPEN, {"a": {"b": 1}}, {"a": [1]}, ([], [".x.a.b"], [".x.a"])),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_comparison_goes_as_deep_as_the_schema_says(case: str) -> None:
    """Lists are one thing unless the schema says otherwise, objects are by field unless it says otherwise."""
    schema, old, new, expected = DIFFERENCES[case]
    found = compare({"x": old}, {"x": new}, whole(of(x=schema)))
    assert tuple(list(paths(part)) for part in (found.added, found.removed, found.modified)) == expected


@pytest.mark.parametrize(
    ("live", "config", "expected"),
    [("abc", "ca", "bca"), ("ab", "xa", "xab"), ("abc", "x", "abcx"), ("abcd", "dxb", "acdxb"), ("", "ba", "ba")],
)
def test_entries_are_merged_in_the_order_of_the_declaration(live: str, config: str, expected: str) -> None:
    """Entries that only the live list has stay near their neighbours, as upstream orders them."""
    shape = Shape("list", element=Shape("leaf"))
    assert "".join(merge(list(live), list(config), shape)) == expected


def test_what_has_no_name_in_the_schema_is_owned_as_a_place() -> None:
    """Fields with a name in the schema are owned through what is in them, all others by themselves as well."""
    spec = {"limits": {"low": 1}, "open": {"a": {"b": 1}}, "notes": {}, "ports": [{"name": "k"}], "remark": None}
    assert fields_of({"spec": spec}, SHAPE)["f:spec"] == {
        "f:limits": {"f:low": {}},
        "f:open": {"f:a": {".": {}, "f:b": {}}},
        "f:notes": {},
        "f:ports": {'k:{"name":"k"}': {".": {}, "f:name": {}}},
        "f:remark": {},
    }


def test_a_key_that_is_left_out_is_its_default() -> None:
    """An entry is named by the default of a key that it does not give."""
    keyed: Object = {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": of(port={"type": "integer"}, protocol={"type": "string", "default": "TCP"}),
    }  # fmt: skip
    fields = fields_of({"x": [{"port": 1}]}, whole(of(x=keyed)))
    assert list(fields["f:x"]) == ['k:{"port":1,"protocol":"TCP"}']


def _writer(manager: str, second: int = 0, **more: Any) -> Writer:
    return Writer(
        manager, "g/v1", more.get("subresource", ""), f"2026-01-01T00:00:{second:02}Z", more.get("ignored", ())
    )


def test_an_apply_against_another_value_is_refused_with_each_path() -> None:
    """Without force nothing is taken; the error names owner and paths, and equal values are shared."""
    live: Object = {"spec": {"size": 1, "color": "red", "tags": ["a"]}}
    entries = update((), {}, live, SHAPE, _writer("editor"))
    wanted: Object = {"spec": {"size": 2, "color": "red", "tags": []}}
    with pytest.raises(HeldError) as raised:
        apply(entries, live, wanted, SHAPE, _writer("applier"), force=False)
    (held,) = raised.value.held
    assert (held.owner, sorted(held.fields)) == (
        '"editor" using g/v1 at 2026-01-01T00:00:00Z', [".spec.size", ".spec.tags"],
    )  # fmt: skip
    new, entries = apply(entries, live, wanted, SHAPE, _writer("applier"), force=True)
    assert new == wanted
    assert [(entry["manager"], set(paths(entry["fieldsV1"]))) for entry in entries] == [
        ("applier", {".spec.size", ".spec.color", ".spec.tags"}),
        ("editor", {".spec", ".spec.color"}),
    ]


def test_what_is_shared_without_a_change_has_no_time() -> None:
    """An applier that only joins in owning what is there writes nothing: its entry has no time, as upstream."""
    live: Object = {"spec": {"size": 1}}
    entries = update((), {}, live, SHAPE, _writer("editor"))
    _, entries = apply(entries, live, {"spec": {"size": 1}}, SHAPE, _writer("applier", 1), force=False)
    assert [(entry["manager"], entry.get("time", "none")[-3:]) for entry in entries] == [
        ("applier", "one"), ("editor", "00Z"),
    ]  # fmt: skip


def test_more_than_ten_updaters_are_joined() -> None:
    """The oldest entries of updates become one, so that there are never more than ten."""
    live: Object = {"spec": {"notes": {}}}
    entries: list[Object] = []
    for number in range(13):
        notes = live["spec"]["notes"] | {f"n{number:02}": "x"}
        new: Object = {"spec": {"notes": notes}}
        entries = update(entries, live, new, SHAPE, _writer(f"writer-{number:02}", number))
        live = new
    assert [entry["manager"] for entry in entries] == ["ancient-changes", *(f"writer-{n:02}" for n in range(4, 13))]
    assert set(paths(entries[0]["fieldsV1"])) == {f".spec.notes.n{n:02}" for n in range(4)}
    assert entries[0]["time"] == "2026-01-01T00:00:03Z"


def test_who_comes_before_the_first_apply_has_a_name() -> None:
    """An object without any owners gets one for all that is in it when somebody applies."""
    live: Object = {"spec": {"size": 1, "color": "red"}}
    _, entries = apply((), live, {"spec": {"size": 2}}, SHAPE, _writer("applier"), force=True)
    assert [(entry["manager"], entry["operation"], set(paths(entry["fieldsV1"]))) for entry in entries] == [
        ("applier", "Apply", {".spec.size"}),
        ("before-first-apply", "Update", {".spec", ".spec.color"}),
    ]


@given(writes=st.lists(WRITES, min_size=1, max_size=8))
def test_ownership_is_sound_after_any_writes(writes: list[Any]) -> None:
    """What is owned is there; no place is owned by two updates; an entry owns something; status stays apart."""
    store, kind = stocked()
    for write in writes:
        _write(store, kind, write)
        for obj in store.list(kind, None):
            entries = obj["metadata"].get("managedFields", [])
            for entry in entries:
                assert entry["fieldsV1"]
                assert all(_there(obj, steps) for steps in _steps(entry["fieldsV1"])), (entry, obj)
                assert ("f:status" in entry["fieldsV1"]) == (entry.get("subresource") == "status")
            updates = [entry["fieldsV1"] for entry in entries if entry["operation"] == "Update"]
            for number, one in enumerate(updates):
                assert not any(intersection(one, other) for other in updates[:number])


@given(before=st.lists(WRITES, max_size=4), spec=SPECS)
def test_a_forced_apply_gets_what_it_declares(before: list[Any], spec: Object) -> None:
    """Afterwards the applier owns all that it declared, with the values that it declared, and again changes nothing."""
    store, kind = stocked()
    for write in before:
        _write(store, kind, write)
    body = gadget("one", spec)
    obj, _ = store.patch(kind, SPACE, "one", body, APPLY, "applier", force=True)
    owned = [entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", []) if entry["manager"] == "applier"]
    declared = fields_of({"spec": spec}, SHAPE)
    assert owned == [declared]
    assert store.patch(kind, SPACE, "one", body, APPLY, "applier", force=True) == (obj, False)


@given(spec=SPECS, writes=st.lists(WRITES, max_size=3))
def test_who_applies_nothing_any_more_leaves_nothing_behind(spec: Object, writes: list[Any]) -> None:
    """With an empty declaration an applier owns nothing, and no leaf stays that it alone had made."""
    store, kind = stocked()
    for write in writes:
        _write(store, kind, write)
    (live,) = store.list(kind, None) or [{}]
    before = set(paths(fields_of(live, SHAPE)))
    store.patch(kind, SPACE, "one", gadget("one", spec), APPLY, "applier", force=True)
    try:
        obj, _ = store.patch(kind, SPACE, "one", gadget("one"), APPLY, "applier")
    except Refused as refused:
        # An object of which somebody else owns only the place is left as null, which upstream refuses as well.
        assert ': Invalid value: "null": ' in refused.message  # noqa: PT017 - the property is about the rest
        return
    assert "applier" not in {entry["manager"] for entry in obj["metadata"].get("managedFields", [])}
    more = set(paths(fields_of({key: obj[key] for key in obj if key == "spec"}, SHAPE))) - before
    # A default that the schema filled in belongs to nobody, and stays with what it is in.
    assert not [path for path in more if ".ports" not in path], obj


def test_keys_are_written_as_upstream_writes_them() -> None:
    """A key is compact JSON with its fields in order."""
    keyed = Shape("list", element=Shape("any"), keys=("b", "a"))
    fields = fields_of({"x": [{"b": 1, "a": "é"}]}, Shape("map", fields={"x": keyed}))
    assert list(fields["f:x"]) == ['k:{"a":"é","b":1}']


def _write(store: Store, kind: Kind, write: Any) -> None:
    who, media, body, subresource = write
    if media == APPLY:
        body = gadget() | body | {"metadata": {"name": "one"} | body.get("metadata", {})}
    try:
        store.patch(kind, SPACE, "one", body, media, who, force=True, subresource=subresource)
    except Refused as refused:
        assert refused.status in {404, 422}  # noqa: PT017 - any other refusal is a bug


def _steps(fields: Object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, below in fields.items():
        if key == ".":
            yield above
        elif below:
            yield from _steps(below, (*above, key))
        else:
            yield (*above, key)


def _there(value: Any, steps: tuple[str, ...]) -> bool:
    """Follow a path of fieldsV1 by hand, knowing nothing of shapes."""
    if not steps:
        return True
    sort, _, text = steps[0].partition(":")
    if sort == "f":
        return isinstance(value, dict) and text in value and _there(value[text], steps[1:])
    if not isinstance(value, list):
        return False
    wanted = msgspec.json.decode(text)
    if sort == "v":
        return wanted in value
    return any(all(one.get(key) == held for key, held in wanted.items()) and _there(one, steps[1:]) for one in value)
