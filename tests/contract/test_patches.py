"""Patches and server-side apply on either API server: what they make of an object, and whom they make its owner."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.gadgets import GADGET, GROUP, made
from tests.contract.wire import APPLY, JSON_PATCH, MERGE


if TYPE_CHECKING:
    from tests.contract.conftest import Place
    from tests.contract.wire import Answer, Object

SPEC = {"size": 1, "color": "red", "limits": {"low": 1, "high": 2}, "tags": ["a", "b"]}

MERGES: dict[str, tuple[Object, Object]] = {
    "a-leaf": ({"size": 2}, SPEC | {"size": 2}),
    "null-removes": (
        {"size": None, "limits": {"low": None}}, {"color": "red", "limits": {"high": 2}, "tags": ["a", "b"]},
    ),
    "null-for-what-is-not-there": ({"notes": {"a": None, "b": "c"}}, SPEC | {"notes": {"b": "c"}}),
    "a-list-is-replaced": ({"tags": ["c"]}, SPEC | {"tags": ["c"]}),
    "unknown-is-dropped": ({"bogus": 1, "size": 3}, SPEC | {"size": 3}),
}  # fmt: skip
JSON_PATCHES: dict[str, tuple[list[Object], Object]] = {
    "add": ([{"op": "add", "path": "/spec/limits/low", "value": 9}], SPEC | {"limits": {"low": 9, "high": 2}}),
    "add-in-front": ([{"op": "add", "path": "/spec/tags/0", "value": "z"}], SPEC | {"tags": ["z", "a", "b"]}),
    "add-behind": ([{"op": "add", "path": "/spec/tags/-", "value": "z"}], SPEC | {"tags": ["a", "b", "z"]}),
    "remove": ([{"op": "remove", "path": "/spec/tags/0"}], SPEC | {"tags": ["b"]}),
    "replace": ([{"op": "replace", "path": "/spec/color", "value": "blue"}], SPEC | {"color": "blue"}),
    "replace-what-is-not-there": (
        [{"op": "replace", "path": "/spec/notes", "value": {"a": "b"}}], SPEC | {"notes": {"a": "b"}},
    ),
    "move": (
        [{"op": "move", "from": "/spec/limits/low", "path": "/spec/size"}],
        SPEC | {"size": 1, "limits": {"high": 2}},
    ),
    "copy": ([{"op": "copy", "from": "/spec/limits/high", "path": "/spec/size"}], SPEC | {"size": 2}),
    "test-and-replace": (
        [{"op": "test", "path": "/spec/size", "value": 1}, {"op": "replace", "path": "/spec/size", "value": 5}],
        SPEC | {"size": 5},
    ),
    "escaped": (
        [{"op": "add", "path": "/metadata/labels", "value": {}}, {"op": "add", "path": "/spec/notes", "value": {}},
         {"op": "add", "path": "/spec/notes/a~1b~0c", "value": "d"}],
        SPEC | {"notes": {"a/b~c": "d"}},
    ),
}  # fmt: skip
# media type, body; then status and reason.
BAD: dict[str, tuple[str, object, tuple[int, str]]] = {
    "merge-no-object": (MERGE, [], (400, "BadRequest")),
    "merge-no-json": (MERGE, b"{nonsense", (400, "BadRequest")),
    "merge-another-name": (MERGE, {"metadata": {"name": "two"}}, (400, "BadRequest")),
    "json-no-list": (JSON_PATCH, {"op": "add"}, (400, "BadRequest")),
    "json-test-fails": (
        JSON_PATCH, [{"op": "test", "path": "/spec/size", "value": 7}], (422, "Invalid")
    ),
    "json-no-such-place": (JSON_PATCH, [{"op": "remove", "path": "/spec/notes/a"}], (422, "Invalid")),
    "json-unknown-op": (JSON_PATCH, [{"op": "twist", "path": "/spec"}], (422, "Invalid")),
    "apply-another-name": (APPLY, made("two"), (400, "BadRequest")),
    "apply-no-kind": (APPLY, {"metadata": {"name": "one"}}, (400, "BadRequest")),
    "apply-managed-fields": (APPLY, made("one", managedFields=[{"manager": "x"}]), (400, "BadRequest")),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_a_patch_that_makes_no_sense_is_refused(place: Place, case: str) -> None:
    """What cannot be read is 400, what cannot be applied 422, and the object stays as it was."""
    media, body, expected = BAD[case]
    before = (await place.wire.post(place.path(GADGET), made("one", SPEC))).body
    forced = {"force": "true"} if media == APPLY else {}
    answer = await place.wire.call("PATCH", place.path(GADGET, "one"), body, media=media, **forced)
    assert expected == (answer.status, answer.body.get("reason"))
    assert before == (await place.wire.get(place.path(GADGET, "one"))).body


async def test_an_apply_declares_only_what_the_schema_knows(place: Place) -> None:
    """A field that other writes drop cannot be applied, so that nobody owns what is not there."""
    path = place.path(GADGET, "one")
    before = (await place.wire.post(place.path(GADGET), made("one", SPEC))).body
    refused = await place.wire.apply(path, made("one", {"bogus": 1}), force="true")
    assert (refused.status, refused.body.get("reason", "")) == (500, "")
    assert ".spec.bogus: field not declared in schema" in refused.body["message"]
    assert before == (await place.wire.get(path)).body
    below = await place.wire.apply(path, made("one", {"open": {"any": 1}}))
    assert below.status == 200


async def test_an_apply_says_who_applies(place: Place) -> None:
    """An apply without a fieldManager is invalid, and so is force for a patch that is no apply."""
    path = place.path(GADGET, "one")
    nobody = await place.wire.apply(path, made("one"), who="")
    forced = await place.wire.merge(path, {}, force="true")
    causes = [one.body["details"]["causes"][0] for one in (nobody, forced)]
    assert [
        (one.status, cause["field"], cause["reason"]) for one, cause in zip((nobody, forced), causes, strict=True)
    ] == [(422, "fieldManager", "FieldValueRequired"), (422, "force", "FieldValueForbidden")]


@pytest.mark.parametrize("case", MERGES)
async def test_a_merge_patch_merges(place: Place, case: str) -> None:
    """A merge patch does what RFC 7386 says."""
    patch, expected = MERGES[case]
    await place.wire.post(place.path(GADGET), made("one", SPEC))
    answer = await place.wire.merge(place.path(GADGET, "one"), {"spec": patch})
    assert (200, expected) == (answer.status, answer.body["spec"])


@pytest.mark.parametrize("case", JSON_PATCHES)
async def test_a_json_patch_is_done_step_by_step(place: Place, case: str) -> None:
    """A JSON patch does what RFC 6902 says, but that a replace need not find what it replaces."""
    patch, expected = JSON_PATCHES[case]
    await place.wire.post(place.path(GADGET), made("one", SPEC))
    answer = await place.wire.json_patch(place.path(GADGET, "one"), patch)
    assert (200, expected) == (answer.status, answer.body["spec"])


async def test_an_apply_creates_and_then_changes(place: Place) -> None:
    """The first apply answers 201, the next 200, and one that changes nothing makes no version."""
    path = place.path(GADGET, "one")
    first = await place.wire.apply(path, made("one", {"size": 1}))
    second = await place.wire.apply(path, made("one", {"size": 2}))
    third = await place.wire.apply(path, made("one", {"size": 2}))
    assert [first.status, second.status, third.status] == [201, 200, 200]
    assert [one.body["metadata"]["generation"] for one in (first, second, third)] == [1, 2, 2]
    assert second.body == third.body


async def test_an_apply_may_be_yaml(place: Place) -> None:
    """What is applied may be written as YAML."""
    text = f"apiVersion: {GROUP}/v1\nkind: Gadget\nmetadata:\n  name: one\nspec:\n  size: 1\n  tags: [a, b]\n"
    answer = await place.wire.apply(place.path(GADGET, "one"), text.encode())
    assert (answer.status, answer.body["spec"]) == (201, {"size": 1, "tags": ["a", "b"]})


async def test_an_apply_against_another_owner_is_a_conflict(place: Place) -> None:
    """A value that somebody else holds is 409 with a cause for each field; with force it is taken over."""
    path = place.path(GADGET, "one")
    await place.wire.apply(path, made("one", {"size": 1, "color": "red"}), who="first")
    await place.wire.merge(path, {"spec": {"color": "blue"}}, who="editor")
    wanted = made("one", {"size": 2, "color": "green"})
    refused = await place.wire.apply(path, wanted, who="second")
    assert (refused.status, refused.reason) == (409, "Conflict")
    assert sorted(
        (cause["reason"], cause["message"].partition(" at ")[0], cause["field"])
        for cause in refused.body["details"]["causes"]
    ) == [
        ("FieldManagerConflict", 'conflict with "editor" using contract.example.com/v1', ".spec.color"),
        ("FieldManagerConflict", 'conflict with "first"', ".spec.size"),
    ]
    forced = await place.wire.apply(path, wanted, who="second", force="true")
    assert forced.body["spec"] == {"size": 2, "color": "green"}
    assert owners(forced) == [("second", "Apply", ["spec.color", "spec.size"])]


async def test_an_equal_value_is_shared_until_one_lets_go(place: Place) -> None:
    """Two who apply the same value both own it; it goes with the last one who drops it."""
    path = place.path(GADGET, "one")
    await place.wire.apply(path, made("one", {"size": 1, "color": "red"}), who="first")
    shared = await place.wire.apply(path, made("one", {"color": "red"}), who="second")
    assert owners(shared) == [("first", "Apply", ["spec.color", "spec.size"]), ("second", "Apply", ["spec.color"])]
    one_left = await place.wire.apply(path, made("one", {"size": 1}), who="first")
    assert one_left.body["spec"] == {"size": 1, "color": "red"}
    assert owners(one_left) == [("first", "Apply", ["spec.size"]), ("second", "Apply", ["spec.color"])]
    none_left = await place.wire.apply(path, made("one"), who="second")
    assert (none_left.body["spec"], owners(none_left)) == ({"size": 1}, [("first", "Apply", ["spec.size"])])


async def test_what_an_update_changes_it_takes_away(place: Place) -> None:
    """An update owns what it changed and nobody else does; what it wrote unchanged stays where it was."""
    path = place.path(GADGET, "one")
    first = await place.wire.apply(path, made("one", {"size": 1, "color": "red"}), who="first")
    changed = first.body | {"spec": {"size": 2, "color": "red"}}
    answer = await place.wire.put(path, changed, who="editor")
    assert owners(answer) == [("editor", "Update", ["spec.size"]), ("first", "Apply", ["spec.color"])]
    removed = await place.wire.merge(path, {"spec": {"color": None}}, who="editor")
    assert owners(removed) == [("editor", "Update", ["spec.size"])]


async def test_entries_of_a_keyed_list_have_owners_of_their_own(place: Place) -> None:
    """Two who apply entries of one list do not meet; an entry goes with its owner's."""
    path = place.path(GADGET, "one")
    await place.wire.apply(path, made("one", {"ports": [{"name": "a", "port": 1}]}), who="first")
    both = await place.wire.apply(path, made("one", {"ports": [{"name": "b", "port": 2}]}), who="second")
    assert both.body["spec"]["ports"] == [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    a, b = 'spec.ports.k:{"name":"a"}', 'spec.ports.k:{"name":"b"}'
    assert [
        ("first", "Apply", [a, f"{a}.name", f"{a}.port"]),
        ("second", "Apply", [b, f"{b}.name", f"{b}.port"]),
    ] == owners(both)
    left = await place.wire.apply(path, made("one", {"ports": []}), who="first")
    assert left.body["spec"]["ports"] == [{"name": "b", "port": 2}]


async def test_a_list_without_keys_is_owned_as_a_whole(place: Place) -> None:
    """Another list is a conflict, whatever is the same in it."""
    path = place.path(GADGET, "one")
    first = await place.wire.apply(path, made("one", {"tags": ["a"]}), who="first")
    assert owners(first) == [("first", "Apply", ["spec.tags"])]
    refused = await place.wire.apply(path, made("one", {"tags": ["a", "b"]}), who="second")
    assert (refused.status, [one["field"] for one in refused.body["details"]["causes"]]) == (409, [".spec.tags"])


async def test_a_status_has_owners_of_its_own(place: Place) -> None:
    """A write of status is an entry with the subresource; it owns nothing beside status."""
    path = place.path(GADGET, "one")
    await place.wire.apply(path, made("one", {"size": 1}), who="deployer")
    updated = await place.wire.merge(f"{path}/status", {"status": {"phase": "Ready"}}, who="operator")
    applied = await place.wire.apply(
        f"{path}/status", made("one") | {"status": {"conditions": [{"type": "Up", "status": "True"}]}}, who="prober"
    )
    key = 'status.conditions.k:{"type":"Up"}'
    expected = [
        ("deployer", "Apply", "", ["spec.size"]),
        ("operator", "Update", "status", ["status", "status.phase"]),
        ("prober", "Apply", "status", [key, f"{key}.status", f"{key}.type"]),
    ]
    assert expected[:2] == owners_by_subresource(updated)
    assert expected == owners_by_subresource(applied)


async def test_who_writes_is_the_user_agent_where_nothing_else_says(place: Place) -> None:
    """Without a fieldManager the manager is what the User-Agent begins with."""
    answer = await place.wire.post(place.path(GADGET), made("one", {"size": 1}), who="")
    assert owners(answer) == [("contract", "Update", ["spec", "spec.size"])]


async def test_the_entries_of_managed_fields_are_whole(place: Place) -> None:
    """An entry has manager, operation, apiVersion, time, fieldsType and fieldsV1, and a subresource where it is one."""
    path = place.path(GADGET, "one")
    await place.wire.post(place.path(GADGET), made("one", {"limits": {"low": 1}}, labels={"a/b": "c"}), who="maker")
    answer = await place.wire.merge(f"{path}/status", {"status": {"phase": "Ready"}}, who="operator")
    entries = answer.body["metadata"]["managedFields"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.pop("time")) for entry in entries)
    labels: Object = {"f:metadata": {"f:labels": {".": {}, "f:a/b": {}}}}
    assert [
        {
            "manager": "maker", "operation": "Update", "apiVersion": f"{GROUP}/v1", "fieldsType": "FieldsV1",
            "fieldsV1": labels | {"f:spec": {".": {}, "f:limits": {".": {}, "f:low": {}}}},
        },
        {
            "manager": "operator", "operation": "Update", "apiVersion": f"{GROUP}/v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:status": {".": {}, "f:phase": {}}}, "subresource": "status",
        },
    ] == entries  # fmt: skip


def owners(answer: Answer) -> list[tuple[str, str, list[str]]]:
    """Who owns what of an object: (manager, operation, paths)."""
    return [(manager, operation, paths) for manager, operation, _, paths in owners_by_subresource(answer)]


def owners_by_subresource(answer: Answer) -> list[tuple[str, str, str, list[str]]]:
    """Who owns what of an object: (manager, operation, subresource, paths), in the order of the names."""
    assert answer.status in (200, 201), answer
    return sorted(
        (entry["manager"], entry["operation"], entry.get("subresource", ""), sorted(_paths(entry["fieldsV1"])))
        for entry in answer.body["metadata"]["managedFields"]
    )


def _paths(fields: Any, above: str = "") -> list[str]:
    """The places that an entry of managedFields owns, `k:` kept as it is."""
    found = []
    for key, below in fields.items():
        place = above if key == "." else f"{above}.{key.removeprefix('f:')}".removeprefix(".")
        found += _paths(below, place) if below else [place]
    return found
