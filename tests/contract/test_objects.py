"""Objects on either API server: made, read, replaced and removed, whole, by parts and in dry runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.gadgets import BOX, CONFIG_MAP, GADGET, GROUP, SECRET, VAULT, made


if TYPE_CHECKING:
    from tests.contract.conftest import Place

ONE = {"group": GROUP, "kind": "gadgets", "name": "one"}
WAITING = ["example.com/wait"]


async def test_what_is_created_gets_its_identity(place: Place) -> None:
    """A create answers 201 with the whole object: uid, resourceVersion, creationTimestamp, generation 1."""
    answer = await place.wire.post(place.path(GADGET), made("one", {"size": 1}, labels={"a": "b"}))
    meta = answer.body["metadata"]
    assert (answer.status, answer.headers["Content-Type"]) == (201, "application/json")
    assert (f"{GROUP}/v1", "Gadget", {"size": 1}) == tuple(answer.body[key] for key in ("apiVersion", "kind", "spec"))
    assert ("one", place.namespace, 1, {"a": "b"}) == tuple(
        meta[key] for key in ("name", "namespace", "generation", "labels")
    )
    assert {"creationTimestamp", "managedFields", "resourceVersion", "uid"} == set(meta) - {
        "name", "namespace", "generation", "labels"
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", meta["creationTimestamp"])
    assert int(meta["resourceVersion"]) > 0
    assert answer.body == (await place.wire.get(place.path(GADGET, "one"))).body


async def test_a_name_can_be_generated(place: Place) -> None:
    """With generateName the server makes a name of five more characters, another each time."""
    body = made(generateName="gadget-")
    del body["metadata"]["name"]
    names = [(await place.wire.post(place.path(GADGET), body)).body["metadata"]["name"] for _ in range(2)]
    assert names[0] != names[1]
    assert [(name[:7], len(name[7:])) for name in names] == [("gadget-", 5)] * 2


async def test_what_the_schema_does_not_know_is_dropped(place: Place) -> None:
    """Unknown fields are pruned at every level, except below one that preserves them; no owner is noted for them."""
    spec = {"size": 1, "bogus": 2, "limits": {"low": 1, "middle": 2}, "open": {"any": {"thing": [1]}}}
    answer = await place.wire.post(place.path(GADGET), made("one", spec) | {"extra": 1})
    kept = {"size": 1, "limits": {"low": 1}, "open": {"any": {"thing": [1]}}}
    assert (kept, False) == (answer.body["spec"], "extra" in answer.body)
    (entry,) = answer.body["metadata"]["managedFields"]
    assert {".", "f:size", "f:limits", "f:open"} == set(entry["fieldsV1"]["f:spec"])


async def test_an_unchanged_write_makes_no_version(place: Place) -> None:
    """A PUT and patches that change nothing answer the object at its old version."""
    made_as = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}))).body
    path = place.path(GADGET, "one")
    answers = [
        await place.wire.put(path, made_as),
        await place.wire.merge(path, {"spec": {"size": 1}}),
        await place.wire.merge(path, {"metadata": {"labels": {"absent": None}}}),
        await place.wire.json_patch(path, [{"op": "replace", "path": "/spec/size", "value": 1}]),
        await place.wire.put(f"{path}/status", made_as),
    ]
    assert [(200, made_as)] * 5 == [(answer.status, answer.body) for answer in answers]


async def test_generation_moves_with_the_content_alone(place: Place) -> None:
    """The generation grows by one where spec changes, and neither with metadata nor with status."""
    path = place.path(GADGET, "one")
    await place.wire.post(place.path(GADGET), made("one", {"size": 1}))
    answers = [
        await place.wire.merge(path, {"metadata": {"labels": {"a": "b"}}}),
        await place.wire.merge(f"{path}/status", {"status": {"phase": "Ready"}}),
        await place.wire.merge(path, {"spec": {"size": 2}}),
        await place.wire.merge(path, {"metadata": {"annotations": {"a": "b"}}, "spec": {"size": 3}}),
    ]
    assert [answer.body["metadata"]["generation"] for answer in answers] == [1, 1, 2, 3]
    versions = [int(answer.version) for answer in answers]
    assert sorted(set(versions)) == versions


async def test_status_is_apart_from_the_rest(place: Place) -> None:
    """Where status is a subresource each side ignores what a write to it says of the other, from the create on."""
    path = place.path(GADGET, "one")
    status = {"phase": "Ready"}
    created = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}) | {"status": status})).body
    assert "status" not in created
    changed = created | {"spec": {"size": 2}, "status": status}
    changed["metadata"] = changed["metadata"] | {"labels": {"a": "b"}}
    of_status = (await place.wire.put(f"{path}/status", changed)).body
    assert ({"size": 1}, status, False) == (of_status["spec"], of_status["status"], "labels" in of_status["metadata"])
    of_main = (await place.wire.put(path, of_status | {"spec": {"size": 2}, "status": {"phase": "Lost"}})).body
    assert ({"size": 2}, status) == (of_main["spec"], of_main["status"])
    patched = (await place.wire.merge(path, {"status": {"phase": "Lost"}})).body
    assert of_main == patched
    assert of_main == (await place.wire.get(f"{path}/status")).body


async def test_status_without_a_subresource_is_content(place: Place) -> None:
    """Where status is no subresource it is written with the rest, and moves the generation."""
    box = made("one", {"size": 1}, resource_type=BOX) | {"status": {"phase": "New"}}
    created = (await place.wire.post(place.path(BOX), box)).body
    assert created["status"] == {"phase": "New"}
    patched = (await place.wire.merge(place.path(BOX, "one"), {"status": {"phase": "Ready"}})).body
    assert patched["metadata"]["generation"] == 2
    assert (await place.wire.get(f"{place.path(BOX, 'one')}/status")).status == 404


async def test_a_replace_keeps_what_the_server_owns(place: Place) -> None:
    """uid, creationTimestamp and generation that a PUT leaves out or claims stay; labels that it leaves out go."""
    created = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}, labels={"a": "b"}))).body
    answer = await place.wire.put(
        place.path(GADGET, "one"),
        made("one", {"color": "red"}, resourceVersion=created["metadata"]["resourceVersion"], generation=9),
    )
    kept = ("uid", "creationTimestamp", "namespace")
    assert answer.status == 200
    assert [created["metadata"][key] for key in kept] == [answer.body["metadata"][key] for key in kept]
    assert (
        answer.body["metadata"]["generation"],
        answer.body["spec"],
        "labels" in answer.body["metadata"],
    ) == (2, {"color": "red"}, False)


@pytest.mark.parametrize("verb", ["create", "replace", "patch", "apply", "delete"])
async def test_a_dry_run_answers_and_stores_nothing(place: Place, verb: str) -> None:
    """dryRun=All answers as if it were done, and nothing was."""
    path = place.path(GADGET, "one")
    before = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}))).body
    changed = before | {"spec": {"size": 2}}
    match verb:
        case "create":
            answer = await place.wire.post(place.path(GADGET), made("two", {"size": 2}), dryRun="All")
        case "replace":
            answer = await place.wire.put(path, changed, dryRun="All")
        case "patch":
            answer = await place.wire.merge(path, {"spec": {"size": 2}}, dryRun="All")
        case "apply":
            answer = await place.wire.apply(path, made("one", {"size": 2}), dryRun="All", force="true")
        case _:
            answer = await place.wire.delete(path, dryRun="All")
    assert (201 if verb == "create" else 200) == answer.status
    if verb != "delete":
        assert answer.body["spec"] == {"size": 2}
    assert [before] == (await place.wire.get(place.path(GADGET))).body["items"]


async def test_what_is_deleted_is_gone(place: Place) -> None:
    """A delete answers 200 with a Status that names the object and its uid; then it is 404, and may be made anew."""
    path = place.path(GADGET, "one")
    uid = (await place.wire.post(place.path(GADGET), made())).body["metadata"]["uid"]
    answer = await place.wire.delete(path)
    assert (200, "Success", ONE | {"uid": uid}) == (answer.status, answer.body["status"], answer.body["details"])
    assert (await place.wire.get(path)).status == 404
    again = (await place.wire.post(place.path(GADGET), made())).body["metadata"]
    assert (uid == again["uid"], again["generation"]) == (False, 1)


@pytest.mark.parametrize("options", [{"propagationPolicy": "Background"}, {"gracePeriodSeconds": 0}])
async def test_a_delete_takes_the_options_of_kubectl(place: Place, options: dict[str, Any]) -> None:
    """What kubectl says with a delete, in the body or in the query, ends in the same deletion."""
    for name in ("one", "two"):
        await place.wire.post(place.path(GADGET), made(name))
    body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
    answers = [
        await place.wire.delete(place.path(GADGET, "one"), body),
        await place.wire.delete(place.path(GADGET, "two"), **{key: str(value) for key, value in options.items()}),
    ]
    assert [(answer.status, answer.body["status"]) for answer in answers] == [(200, "Success")] * 2
    assert (await place.wire.get(place.path(GADGET))).body["items"] == []


async def test_a_delete_may_say_which_version_it_means(place: Place) -> None:
    """With the right uid and resourceVersion as preconditions the object is deleted."""
    meta = (await place.wire.post(place.path(GADGET), made())).body["metadata"]
    options = {"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
    assert (await place.wire.delete(place.path(GADGET, "one"), options)).status == 200


async def test_a_finalizer_holds_a_deletion_until_it_goes(place: Place) -> None:
    """A delete sets deletionTimestamp and moves the generation, a second does nothing; the last finalizer ends it."""
    path = place.path(GADGET, "one")
    await place.wire.post(place.path(GADGET), made("one", {"size": 1}, finalizers=WAITING))
    deleting = await place.wire.delete(path)
    meta = deleting.body["metadata"]
    assert (
        deleting.status, deleting.body["kind"], meta["deletionGracePeriodSeconds"], meta["generation"]
    ) == (200, "Gadget", 0, 2)  # fmt: skip
    assert meta["deletionTimestamp"].endswith("Z")
    assert deleting.body == (await place.wire.delete(path)).body
    more = await place.wire.merge(path, {"metadata": {"finalizers": [*WAITING, "example.com/more"]}})
    assert (more.status, more.body["details"]["causes"][0]["field"]) == (422, "metadata.finalizers")
    resized = (await place.wire.merge(path, {"spec": {"size": 2}})).body
    assert (resized["metadata"]["generation"], resized["spec"]) == (3, {"size": 2})
    last = await place.wire.merge(path, {"metadata": {"finalizers": None}})
    assert (last.status, last.body["kind"], "finalizers" in last.body["metadata"]) == (200, "Gadget", False)
    assert (await place.wire.get(path)).status == 404


async def test_a_deletion_timestamp_is_not_a_clients_to_write(place: Place) -> None:
    """A deletionTimestamp in a create changes nothing; one in an update is refused."""
    claimed = made("one", {"size": 1}, deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=5)
    created = (await place.wire.post(place.path(GADGET), claimed)).body
    assert "deletionTimestamp" not in created["metadata"]
    patch = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    refused = await place.wire.merge(place.path(GADGET, "one"), patch)
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert "deletionTimestamp" not in (await place.wire.get(place.path(GADGET, "one"))).body["metadata"]


async def test_a_collection_can_be_deleted_by_label(place: Place) -> None:
    """A delete of the collection with a selector takes what it selects and leaves the rest."""
    for name, labels in (("a", {"team": "x"}), ("b", {"team": "y"}), ("c", {"team": "x"})):
        await place.wire.post(place.path(GADGET), made(name, labels=labels))
    answer = await place.wire.delete(place.path(GADGET), labelSelector="team=x")
    assert (answer.status, answer.body["kind"], _names(answer.body)) == (200, "GadgetList", ["a", "c"])
    assert _names((await place.wire.get(place.path(GADGET))).body) == ["b"]


async def test_a_type_need_not_be_in_a_namespace(place: Place) -> None:
    """An object of a cluster-scoped type has no namespace, and its name is the cluster's."""
    name = f"vault-of-{place.namespace}"
    created = await place.wire.post(VAULT.path(), made(name, {"size": 1}, resource_type=VAULT))
    assert (created.status, "namespace" in created.body["metadata"]) == (201, False)
    assert created.body == (await place.wire.get(VAULT.path(name=name))).body
    assert (await place.wire.delete(VAULT.path(name=name))).status == 200


async def test_another_served_version_shows_the_same_object(place: Place) -> None:
    """What was written as v1 can be read and written as v2, and is the same object with one history."""
    other = GADGET.path(place.namespace, "one").replace("/v1/", "/v2/")
    first = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}))).body
    read = (await place.wire.get(other)).body
    assert (f"{GROUP}/v2", first["metadata"]["uid"], first["metadata"]["resourceVersion"]) == (
        read["apiVersion"], read["metadata"]["uid"], read["metadata"]["resourceVersion"]
    )  # fmt: skip
    assert f"{GROUP}/v2" == (await place.wire.merge(other, {"spec": {"size": 2}})).body["apiVersion"]
    again = (await place.wire.get(place.path(GADGET, "one"))).body
    assert (f"{GROUP}/v1", {"size": 2}) == (again["apiVersion"], again["spec"])
    assert {f"{GROUP}/v1", f"{GROUP}/v2"} == {entry["apiVersion"] for entry in again["metadata"]["managedFields"]}


async def test_core_types_are_served_too(place: Place) -> None:
    """ConfigMaps and Secrets have no generation; what a Secret is given as text is kept as base64."""
    body: dict[str, Any] = made(resource_type=CONFIG_MAP) | {"data": {"a": "b"}}
    config = (await place.wire.post(place.path(CONFIG_MAP), body)).body
    assert (config["data"], "generation" in config["metadata"]) == ({"a": "b"}, False)
    body = made(resource_type=SECRET) | {"stringData": {"a": "b"}}
    secret = (await place.wire.post(place.path(SECRET), body)).body
    assert (secret["data"], secret["type"], "stringData" in secret) == ({"a": "Yg=="}, "Opaque", False)


async def test_the_namespaces_that_clients_know_are_there(place: Place) -> None:
    """kube-system, whose uid is a cluster's identity, and default exist, and a new namespace is Active."""
    listed = (await place.wire.get("/api/v1/namespaces")).body
    phases = {one["metadata"]["name"]: one["status"]["phase"] for one in listed["items"]}
    names = ("kube-system", "default", place.namespace)
    assert [phases[name] for name in names] == ["Active"] * 3


def _names(collection: dict[str, Any]) -> list[str]:
    return [one["metadata"]["name"] for one in collection["items"]]
