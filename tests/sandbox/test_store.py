"""The store: what it refuses, what it keeps of a write, versions and events, types that come and go, and going back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.sandbox.apiserver.bodies import APPLY, JSON_PATCH, MERGE
from exporter.sandbox.apiserver.kinds import CONFIG_MAP, DEFINITION, NAMESPACE, SECRET
from exporter.sandbox.apiserver.refusals import Refused
from tests.sandbox.gadget import (
    GROUP,
    SPACE,
    SPEC,
    START,
    Clock,
    definition,
    gadget,
    of,
    stocked,
    version,
)


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.store import Store

Object = dict[str, Any]
HELD = ["example.com/wait"]

# What is tried on a store with one gadget; the status, the reason, and the fields that are named.
REFUSED: dict[str, tuple[Callable[[Store, Kind], object], tuple[int, str, list[str]]]] = {
    "create-twice": (lambda store, kind: store.create(kind, SPACE, gadget(), "x"), (409, "AlreadyExists", [])),
    "create-nowhere": (lambda store, kind: store.create(kind, "nowhere", gadget("two"), "x"), (404, "NotFound", [])),
    "create-without-name": (
        lambda store, kind: store.create(kind, SPACE, gadget(""), "x"), (422, "Invalid", ["metadata.name"]),
    ),
    "create-with-a-version": (
        lambda store, kind: store.create(kind, SPACE, gadget("two", resourceVersion="1"), "x"),
        (400, "BadRequest", []),
    ),
    "create-of-another-kind": (
        lambda store, kind: store.create(kind, SPACE, gadget("two") | {"kind": "Box"}, "x"), (422, "Invalid", ["kind"]),
    ),
    "labels-that-are-none": (
        lambda store, kind: store.create(kind, SPACE, gadget("two", labels=["a"]), "x"), (400, "BadRequest", []),
    ),
    "update-of-nothing": (
        lambda store, kind: store.update(kind, SPACE, "two", gadget("two"), "x"), (404, "NotFound", []),
    ),
    "update-without-version": (
        lambda store, kind: store.update(kind, SPACE, "one", gadget(), "x"),
        (422, "Invalid", ["metadata.resourceVersion"]),
    ),
    "update-of-an-old-version": (
        lambda store, kind: store.update(kind, SPACE, "one", gadget(resourceVersion="1"), "x"), (409, "Conflict", []),
    ),
    "update-of-another": (
        lambda store, kind: store.update(kind, SPACE, "one", gadget(uid="other"), "x"), (409, "Conflict", []),
    ),
    "a-time-of-deletion": (
        lambda store, kind: _merge(store, kind, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        (422, "Invalid", ["metadata.deletionTimestamp"]),
    ),
    "another-name": (lambda store, kind: _merge(store, kind, {"metadata": {"name": "b"}}), (400, "BadRequest", [])),
    "no-metadata": (lambda store, kind: _merge(store, kind, {"metadata": None}), (400, "BadRequest", [])),
    "labels-of-numbers": (
        lambda store, kind: _merge(store, kind, {"metadata": {"labels": {"a": 1}}}), (422, "Invalid", ["patch"]),
    ),
    "below-the-minimum": (
        lambda store, kind: _merge(store, kind, {"spec": {"size": -1}}), (422, "Invalid", ["spec.size"]),
    ),
    "not-in-the-enum": (
        lambda store, kind: _merge(store, kind, {"spec": {"color": "green"}}), (422, "Invalid", ["spec.color"]),
    ),
    "of-another-type": (
        lambda store, kind: _merge(store, kind, {"spec": {"tags": ["a", 1], "limits": 3}}),
        (422, "Invalid", ["spec.limits", "spec.tags[1]"]),
    ),
    "the-same-word-twice": (
        lambda store, kind: _merge(store, kind, {"spec": {"words": ["a", "a"]}}), (422, "Invalid", ["spec.words[1]"]),
    ),
    "a-merge-of-no-object": (
        lambda store, kind: store.patch(kind, SPACE, "one", [], MERGE, "x"), (400, "BadRequest", []),
    ),
    "a-step-that-fails": (
        lambda store, kind: store.patch(kind, SPACE, "one", [{"op": "remove", "path": "/x"}], JSON_PATCH, "x"),
        (422, "Invalid", []),
    ),
    "a-patch-that-is-none": (
        lambda store, kind: store.patch(kind, SPACE, "one", {}, JSON_PATCH, "x"), (400, "BadRequest", []),
    ),
    "another-media-type": (
        lambda store, kind: store.patch(kind, SPACE, "one", {}, "text/plain", "x"), (415, "UnsupportedMediaType", []),
    ),
    "apply-what-others-hold": (
        lambda store, kind: store.patch(kind, SPACE, "one", gadget("one", {"size": 9}), APPLY, "x"),
        (409, "Conflict", [".spec.size"]),
    ),
    "apply-an-unknown-field": (
        lambda store, kind: store.patch(kind, SPACE, "one", gadget("one", {"bogus": 1}), APPLY, "x"), (500, "", []),
    ),
    "apply-another-sort": (
        lambda store, kind: store.patch(kind, SPACE, "one", gadget("one", {"size": "x"}), APPLY, "x"), (500, "", []),
    ),
    "apply-a-key-twice": (
        lambda store, kind: store.patch(
            kind, SPACE, "one", gadget("one", {"ports": [{"name": "a"}, {"name": "a"}]}), APPLY, "x"
        ),
        (500, "", []),
    ),
    "apply-managed-fields": (
        lambda store, kind: store.patch(kind, SPACE, "one", gadget(managedFields=[]), APPLY, "x"),
        (400, "BadRequest", []),
    ),
    "apply-to-a-status-of-nothing": (
        lambda store, kind: store.patch(kind, SPACE, "two", gadget("two"), APPLY, "x", subresource="status"),
        (404, "NotFound", []),
    ),
    "delete-another": (lambda store, kind: store.delete(kind, SPACE, "one", uid="other"), (409, "Conflict", [])),
    "delete-an-old-version": (
        lambda store, kind: store.delete(kind, SPACE, "one", resource_version="1"), (409, "Conflict", []),
    ),
    "delete-nothing": (lambda store, kind: store.delete(kind, SPACE, "two"), (404, "NotFound", [])),
}  # fmt: skip


def _merge(store: Store, kind: Kind, patch: Object, **more: Any) -> Object:
    return store.patch(kind, SPACE, "one", patch, MERGE, "x", **more)[0]


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_changes_nothing(case: str) -> None:
    """A refusal has status and reason and names the fields; there is no new version, and nobody is told."""
    store, kind = stocked()
    before = store.create(kind, SPACE, gadget("one", {"size": 1}), "maker")
    told: list[object] = []
    store.listeners.append(told.append)
    attempt, (status, reason, fields) = REFUSED[case]
    with pytest.raises(Refused) as raised:
        attempt(store, kind)
    body = raised.value.body()
    assert (body["code"], body.get("reason", "")) == (status, reason)
    assert sorted(cause["field"] for cause in body.get("details", {}).get("causes", [])) == fields
    assert (store.list(kind, None), str(store.version), told) == ([before], before["metadata"]["resourceVersion"], [])


@pytest.mark.parametrize("verb", ["create", "update", "merge", "apply", "delete", "define"])
def test_a_dry_run_stores_nothing(verb: str) -> None:
    """A dry run answers what would be, and there is no new version."""
    store, kind = stocked()
    before = store.create(kind, SPACE, gadget("one", {"size": 1}), "maker")
    now = store.version
    changed: Object = {"spec": {"size": 2}}
    answers: dict[str, Callable[[], Object]] = {
        "create": lambda: store.create(kind, SPACE, gadget("two", {"size": 2}), "x", dry_run=True),
        "update": lambda: store.update(kind, SPACE, "one", before | changed, "x", dry_run=True),
        "merge": lambda: _merge(store, kind, changed, dry_run=True),
        "apply": lambda: store.patch(kind, SPACE, "three", gadget("three", {"size": 2}), APPLY, "x", dry_run=True)[0],
        "delete": lambda: store.delete(kind, SPACE, "one", dry_run=True)[0] | changed,
        "define": lambda: (
            store.create(DEFINITION, "", definition(plural="boxes", kind="Box"), "x", dry_run=True) | changed
        ),
    }
    assert answers[verb]()["spec"] == {"size": 2}
    assert (store.version, store.list(kind, None), store.kind(GROUP, "boxes")) == (now, [before], None)


def test_every_write_is_a_version_of_one_counter_and_an_event() -> None:
    """Versions rise by one over all types; events carry the object, the one before, and a deletion its own version."""
    store, kind = stocked()
    begin = store.version
    told: list[Any] = []
    store.listeners.append(told.append)
    made = store.create(kind, SPACE, gadget("one", {"size": 1}), "maker")
    store.create(CONFIG_MAP, SPACE, {"metadata": {"name": "c"}}, "maker")
    changed = _merge(store, kind, {"spec": {"size": 2}})
    gone, at_once = store.delete(kind, SPACE, "one")
    assert (at_once, gone["metadata"]["resourceVersion"]) == (True, str(begin + 4))
    events = store.events(kind, begin)
    assert [(event.type, event.version - begin) for event in events] == [("ADDED", 1), ("MODIFIED", 3), ("DELETED", 4)]
    assert [event.object for event in events] == [made, changed, gone]
    assert [event.previous for event in events] == [None, made, changed]
    assert [event.version - begin for event in told] == [1, 2, 3, 4]
    assert store.events(kind, begin + 3) == events[2:]


def test_a_snapshot_of_an_object_is_never_changed() -> None:
    """What was given out stays as it was, whatever is written later; what a write does not touch is shared."""
    store, kind = stocked()
    made = store.create(kind, SPACE, gadget("one", {"size": 1, "open": {"a": {"b": 1}}}), "maker")
    copy = repr(made)
    changed = _merge(store, kind, {"spec": {"size": 2}})
    store.patch(kind, SPACE, "one", gadget("one", {"open": {"a": {"c": 1}}}), APPLY, "x")
    store.delete(kind, SPACE, "one")
    assert (repr(made), changed["spec"]["open"] is made["spec"]["open"]) == (copy, True)


def test_lists_are_by_namespace_and_name() -> None:
    """A list is in order, of all namespaces or of one, and a namespace that another's name begins with is not it."""
    store, kind = stocked()
    for namespace in ("b", "a", "a-b"):
        store.create(NAMESPACE, "", {"metadata": {"name": namespace}}, "maker")
        for name in ("y", "x"):
            store.create(kind, namespace, gadget(name), "maker")
    where = [(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in store.list(kind, None)]
    assert where == sorted(where)
    assert [obj["metadata"]["namespace"] for obj in store.list(kind, "a")] == ["a", "a"]
    assert store.list(kind, "nowhere") == []


def test_times_are_those_of_the_clock() -> None:
    """Times are of the second; an entry's time moves with what its owner writes, and with nothing else."""
    clock = Clock()
    store, kind = stocked(clock=clock)
    store.create(kind, SPACE, gadget("one", {"size": 1}), "maker")
    clock.seconds = START + 5
    store.patch(kind, SPACE, "one", {"spec": {"size": 2}}, MERGE, "editor")
    clock.seconds = START + 9
    unchanged = store.patch(kind, SPACE, "one", {"spec": {"size": 2}}, MERGE, "maker")[0]
    metadata = unchanged["metadata"]
    assert metadata["creationTimestamp"] == "2027-01-15T08:00:00Z"
    assert [(entry["manager"], entry["time"]) for entry in metadata["managedFields"]] == [
        ("maker", "2027-01-15T08:00:00Z"), ("editor", "2027-01-15T08:00:05Z"),
    ]  # fmt: skip


def test_an_apply_that_only_renews_its_time_makes_no_version() -> None:
    """The same declaration again, later, answers the object as it was."""
    clock = Clock()
    store, kind = stocked(clock=clock)
    first = store.patch(kind, SPACE, "one", gadget("one", {"size": 1}), APPLY, "x")
    clock.seconds += 60
    assert (first[1], store.patch(kind, SPACE, "one", gadget("one", {"size": 1}), APPLY, "x")) == (
        True,
        (first[0], False),
    )


def test_a_reset_of_ownership_is_taken_at_its_word() -> None:
    """One empty entry takes all ownership away and starts none; the next apply names who came before."""
    store, kind = stocked()
    held = store.create(kind, SPACE, gadget("one", {"size": 1}), "maker")
    reset = held | {"metadata": held["metadata"] | {"managedFields": [{}]}}
    assert "managedFields" not in store.update(kind, SPACE, "one", reset, "x")["metadata"]
    assert "managedFields" not in _merge(store, kind, {"spec": {"size": 2}})["metadata"]
    applied = store.patch(kind, SPACE, "one", gadget("one", {"color": "red"}), APPLY, "x")[0]
    assert [entry["manager"] for entry in applied["metadata"]["managedFields"]] == ["x", "before-first-apply"]


def test_defaults_are_filled_in_at_any_depth() -> None:
    """A default stands for what is missing, and for a null that may not be one; who creates it owns it."""
    store, kind = stocked()
    made = store.create(kind, SPACE, gadget("one", {"ports": [{"name": "a"}, {"name": "b", "grade": None}]}), "maker")
    assert [port["grade"] for port in made["spec"]["ports"]] == ["plain", "plain"]
    assert "f:grade" in made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"]['k:{"name":"a"}']
    applied = store.patch(kind, SPACE, "two", gadget("two", {"ports": [{"name": "a"}]}), APPLY, "x")[0]
    assert applied["spec"]["ports"] == [{"name": "a", "grade": "plain"}]
    assert "f:grade" not in applied["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"]['k:{"name":"a"}']


def test_the_last_finalizer_takes_the_object_along() -> None:
    """A held deletion marks once; the write that takes the last finalizer is the deletion, of the object as it was."""
    store, kind = stocked()
    store.create(kind, SPACE, gadget("one", {"size": 1}, finalizers=HELD), "maker")
    marked, gone = store.delete(kind, SPACE, "one")
    assert (gone, marked["metadata"]["generation"]) == (False, 2)
    assert store.delete(kind, SPACE, "one") == (marked, False)
    answer = _merge(store, kind, {"metadata": {"finalizers": None}, "spec": {"size": 2}})
    assert ("finalizers" in answer["metadata"], answer["spec"]) == (False, {"size": 2})
    (event,) = store.events(kind, int(marked["metadata"]["resourceVersion"]))
    assert (event.type, event.object["metadata"]["finalizers"], event.object["spec"]) == ("DELETED", HELD, {"size": 1})
    assert store.list(kind, None) == []


def test_a_namespace_goes_when_nothing_is_in_it() -> None:
    """Its objects are deleted, nothing new is taken, and what a finalizer holds holds the namespace too."""
    store, kind = stocked()
    store.create(kind, SPACE, gadget("held", finalizers=HELD), "maker")
    store.create(kind, SPACE, gadget("free"), "maker")
    store.create(CONFIG_MAP, SPACE, {"metadata": {"name": "c"}}, "maker")
    marked, gone = store.delete(NAMESPACE, "", SPACE)
    assert (gone, marked["status"]["phase"]) == (False, "Terminating")
    assert [obj["metadata"]["name"] for obj in store.list(kind, SPACE)] == ["held"]
    with pytest.raises(Refused) as raised:
        store.create(kind, SPACE, gadget("new"), "maker")
    assert raised.value.status == 403
    store.patch(NAMESPACE, "", SPACE, {"metadata": {"labels": {"a": "b"}}}, MERGE, "x")
    assert store.read(NAMESPACE, "", SPACE)["metadata"]["labels"]["a"] == "b"
    store.patch(kind, SPACE, "held", {"metadata": {"finalizers": []}}, MERGE, "x")
    assert SPACE not in {obj["metadata"]["name"] for obj in store.list(NAMESPACE, None)}


def test_a_type_goes_when_its_objects_are_gone() -> None:
    """A definition waits for its last object, is told as DELETED behind it, and is served no more."""
    store, kind = stocked()
    store.create(kind, SPACE, gadget("held", finalizers=HELD), "maker")
    store.create(kind, SPACE, gadget("free"), "maker")
    _, gone = store.delete(DEFINITION, "", f"gadgets.{GROUP}")
    assert (gone, store.kind(GROUP, "gadgets")) == (False, kind)
    told: list[Any] = []
    store.listeners.append(told.append)
    store.patch(kind, SPACE, "held", {"metadata": {"finalizers": []}}, MERGE, "x")
    assert [(event.type, event.object["kind"]) for event in told] == [
        ("DELETED", "Gadget"), ("DELETED", "CustomResourceDefinition"),
    ]  # fmt: skip
    assert store.kind(GROUP, "gadgets") is None


def test_a_name_that_becomes_free_is_given_to_who_waits_for_it() -> None:
    """A second definition of a kind is not served until the first is gone."""
    store, _ = stocked()
    store.create(DEFINITION, "", definition(plural="others"), "maker")
    assert store.kind(GROUP, "others") is None
    store.delete(DEFINITION, "", f"gadgets.{GROUP}")
    served = store.kind(GROUP, "others")
    assert served is not None
    assert served.kind == "Gadget"


def test_a_changed_schema_shows_at_once_and_makes_no_version() -> None:
    """New defaults and new pruning are in every read, at the old version; a write of the rest owns none of it."""
    store, kind = stocked()
    made = store.create(kind, SPACE, gadget("one", {"size": 1, "color": "red"}), "maker")
    properties = {key: one for key, one in SPEC["properties"].items() if key != "color"}
    graded = of(**properties, grade={"type": "string", "default": "plain"})
    store.patch(DEFINITION, "", f"gadgets.{GROUP}", {"spec": {"versions": [version(spec=graded)]}}, MERGE, "x")
    read = store.read(kind, SPACE, "one")
    assert (read["spec"], read["metadata"]) == ({"size": 1, "grade": "plain"}, made["metadata"])
    now = store.kind(GROUP, "gadgets")
    assert now is not None
    changed = _merge(store, now, {"spec": {"size": 2}})
    assert (changed["spec"], changed["metadata"]["generation"]) == ({"size": 2, "grade": "plain"}, 2)


def test_a_new_storage_version_is_what_objects_are_in() -> None:
    """Objects follow their definition to another storage version, and both are noted as stored."""
    store, kind = stocked(definition(version("v1"), version("v2", storage=False)))
    store.create(kind, SPACE, gadget(), "maker")
    moved = [version("v1", storage=False), version("v2")]
    store.patch(DEFINITION, "", f"gadgets.{GROUP}", {"spec": {"versions": moved}}, MERGE, "x")
    assert store.read(kind, SPACE, "one")["apiVersion"] == f"{GROUP}/v2"
    assert store.read(DEFINITION, "", f"gadgets.{GROUP}")["status"]["storedVersions"] == ["v1", "v2"]


def test_what_is_forgotten_is_said_to_be() -> None:
    """Events before a compaction, and more of them than are kept, are 410 Expired; from the oldest on all are there."""
    store, kind = stocked(history=10)
    for size in range(12):
        store.patch(kind, SPACE, "one", gadget("one", {"size": size}), APPLY, "x")
    assert len(store.events(kind, store.oldest)) == 10
    with pytest.raises(Refused, match="too old resource version") as raised:
        store.events(kind, store.oldest - 1)
    assert (raised.value.status, raised.value.reason) == (410, "Expired")
    store.compact()
    assert (store.oldest, store.events(kind, store.version)) == (store.version, [])
    with pytest.raises(Refused):
        store.events(kind, store.version - 1)


def test_history_can_go_back() -> None:
    """A restored store is as it was, types and events too; its versions are given out again, to other things."""
    store, kind = stocked()
    store.create(kind, SPACE, gadget("one", {"size": 1}), "maker")
    snapshot = store.snapshot()
    then, before, known = store.version, store.list(kind, None), store.events(kind, 0)
    store.create(DEFINITION, "", definition(plural="boxes", kind="Box"), "maker")
    _merge(store, kind, {"spec": {"size": 2}})
    store.create(kind, SPACE, gadget("two"), "maker")
    for _ in range(2):
        store.restore(snapshot)
        assert (store.version, store.list(kind, None), store.events(kind, 0)) == (then, before, known)
        assert store.kind(GROUP, "boxes") is None
        again = store.create(kind, SPACE, gadget("three"), "maker")
        assert again["metadata"]["resourceVersion"] == str(then + 1)


def test_secrets_and_namespaces_have_what_the_server_adds() -> None:
    """Text of a Secret is kept as base64, under its type; a namespace has its name as a label, which its maker owns."""
    store, _ = stocked()
    secret = store.create(SECRET, SPACE, {"metadata": {"name": "s"}, "stringData": {"a": "b"}}, "maker")
    assert (secret["data"], secret["type"], "stringData" in secret) == ({"a": "Yg=="}, "Opaque", False)
    namespace = store.read(NAMESPACE, "", SPACE)
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": SPACE}
    assert "f:labels" in namespace["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]
    assert {"default", "kube-system"} < {obj["metadata"]["name"] for obj in store.list(NAMESPACE, None)}
