"""Types on either API server: installed, discovered, changed and removed while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.model import ResourceType
from tests.contract.gadgets import CRDS, GROUP, SPEC, crd, made, version
from tests.contract.installing import conditions, install, remove, until, usable


if TYPE_CHECKING:
    from tests.contract.conftest import Place

VERBS = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
BAD: dict[str, tuple[dict[str, object], str]] = {
    "another-name": ({"metadata": {"name": "others.bad.example.com"}}, "metadata.name"),
    "no-schema": (
        {"versions": [{"name": "v1", "served": True, "storage": True}]}, "spec.versions[0].schema.openAPIV3Schema",
    ),
    "no-storage": ({"versions": [version("v1", storage=False)]}, "spec.versions"),
    "no-scope": ({"scope": "Anywhere"}, "spec.scope"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_a_crd_that_is_invalid_is_refused(place: Place, case: str) -> None:
    """A CRD that could not be served is 422 with the place, and nothing is installed."""
    change, field = BAD[case]
    body = crd(ResourceType("bad.example.com", "v1", "things", "Thing"))
    body = body | change if "metadata" in change else body | {"spec": body["spec"] | change}
    answer = await place.wire.post(CRDS, body)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert field in {cause["field"] for cause in answer.body["details"]["causes"]}
    assert (await place.wire.get("/apis/bad.example.com")).status == 404


async def test_a_type_is_served_from_its_installation_to_its_removal(place: Place) -> None:
    """A new type becomes Established and takes objects; with it its objects go, and installed again it has none."""
    thing = ResourceType("things.example.com", "v1", "things", "Thing")
    body = crd(thing)
    assert (await place.wire.get(place.path(thing))).status == 404
    for _ in range(2):
        await install(place.wire, thing, body)
        installed = (await place.wire.get(f"{CRDS}/{thing}")).body
        assert {"NamesAccepted", "Established"} == conditions(installed)
        assert body["spec"]["names"] | {"listKind": "ThingList"} == installed["status"]["acceptedNames"]
        assert installed["status"]["storedVersions"] == ["v1"]
        assert (await place.wire.get(place.path(thing))).body["items"] == []
        assert (await place.wire.post(place.path(thing), made(resource_type=thing))).status == 201
        await remove(place.wire, thing)
        await until(lambda: place.wire.get(place.path(thing)), lambda answer: answer.status == 404)


async def test_the_watch_of_a_type_tells_that_its_objects_go_with_it(place: Place) -> None:
    """When a CRD is removed, a watch of its objects is told of each as DELETED, and ends."""
    thing = ResourceType("watched.example.com", "v1", "things", "Thing")
    await install(place.wire, thing, crd(thing))
    created = await place.wire.post(place.path(thing), made(resource_type=thing))
    async with place.wire.watch(place.path(thing), resourceVersion=created.version) as stream:
        await remove(place.wire, thing)
        events = await stream.rest()
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [("DELETED", "one")]


async def test_the_watch_of_types_tells_of_them(place: Place) -> None:
    """A CRD is ADDED, MODIFIED until it is Established, and at last DELETED."""
    thing = ResourceType("told.example.com", "v1", "things", "Thing")
    begin = (await place.wire.get(CRDS)).version
    name = f"metadata.name={thing}"
    async with place.wire.watch(CRDS, resourceVersion=begin, fieldSelector=name) as stream:
        await install(place.wire, thing, crd(thing))
        await remove(place.wire, thing)
        events = [await stream.next()]
        while events[-1]["type"] != "DELETED":
            events.append(await stream.next())
    assert events[0]["type"] == "ADDED"
    assert {"MODIFIED"} == {event["type"] for event in events[1:-1]}
    assert any("Established" in conditions(event["object"]) for event in events)
    assert {str(thing)} == {event["object"]["metadata"]["name"] for event in events}


async def test_a_name_that_is_taken_is_not_accepted(place: Place) -> None:
    """A second type of the same group and kind is stored, but neither accepted nor served."""
    first = ResourceType("names.example.com", "v1", "firsts", "Same")
    second = ResourceType("names.example.com", "v1", "seconds", "Same")
    await install(place.wire, first, crd(first))
    await place.wire.post(CRDS, crd(second, singular="another"))
    answer = await until(
        lambda: place.wire.get(f"{CRDS}/{second}"), lambda answer: bool(answer.body.get("status", {}).get("conditions"))
    )
    assert {one["type"]: one["status"] for one in answer.body["status"]["conditions"]} == {
        "Established": "False",
        "NamesAccepted": "False",
    }
    assert (await place.wire.get(place.path(second))).status == 404


async def test_a_default_of_the_schema_shows_in_what_is_there(place: Place) -> None:
    """A default that the schema gains is in every read, without a new version, and is stored with the next write."""
    thing = ResourceType("defaults.example.com", "v1", "things", "Thing")
    await install(place.wire, thing, crd(thing))
    path = place.path(thing, "one")
    before = await place.wire.post(place.path(thing), made("one", {"size": 1}, resource_type=thing))
    spec = SPEC | {"properties": SPEC["properties"] | {"grade": {"type": "string", "default": "plain"}}}
    held = (await place.wire.get(f"{CRDS}/{thing}")).body
    changed = held | {"spec": held["spec"] | {"versions": [version("v1", spec)]}}
    assert (await place.wire.put(f"{CRDS}/{thing}", changed)).status == 200
    shown = {"size": 1, "grade": "plain"}
    read = await until(lambda: place.wire.get(path), lambda answer: answer.body.get("spec") == shown)
    assert (before.version, 1) == (read.version, read.body["metadata"]["generation"])
    listed = await until(lambda: place.wire.get(place.path(thing)), lambda answer: answer.status == 200)
    assert [shown] == [one["spec"] for one in listed.body["items"]]
    new = await place.wire.post(place.path(thing), made("two", {"size": 2, "grade": "fine"}, resource_type=thing))
    assert new.body["spec"] == {"size": 2, "grade": "fine"}
    written = await place.wire.merge(path, {"spec": {"size": 3}})
    assert (written.body["spec"], written.body["metadata"]["generation"]) == ({"size": 3, "grade": "plain"}, 2)


async def test_a_version_can_be_added(place: Place) -> None:
    """A version that a CRD gains is served, and the one that it had goes on."""
    thing = ResourceType("versions.example.com", "v1", "things", "Thing")
    await install(place.wire, thing, crd(thing))
    await place.wire.post(place.path(thing), made(resource_type=thing))
    versions = {"spec": {"versions": [version("v1"), version("v2", storage=False)]}}
    assert (await place.wire.merge(f"{CRDS}/{thing}", versions)).status == 200
    newer = ResourceType(thing.group, "v2", thing.resource, thing.kind)
    answer = await until(lambda: place.wire.get(place.path(newer, "one")), lambda answer: answer.status == 200)
    assert answer.body["apiVersion"] == "versions.example.com/v2"
    assert (await place.wire.get(place.path(thing, "one"))).status == 200
    await usable(place.wire, newer)


async def test_a_group_can_be_discovered(place: Place) -> None:
    """/apis lists the group with its versions in order; /apis/GROUP/VERSION its types and what they are called."""
    groups = {one["name"]: one for one in (await place.wire.get("/apis")).body["groups"]}
    assert {"groupVersion": f"{GROUP}/v2", "version": "v2"} == groups[GROUP]["preferredVersion"]
    assert [one["version"] for one in groups[GROUP]["versions"]] == ["v2", "v1"]
    assert groups[GROUP] | {"kind": "APIGroup", "apiVersion": "v1"} == (await place.wire.get(f"/apis/{GROUP}")).body
    listed = (await place.wire.get(f"/apis/{GROUP}/v1")).body
    assert ("APIResourceList", f"{GROUP}/v1") == (listed["kind"], listed["groupVersion"])
    found = {one["name"]: one for one in listed["resources"]}
    assert {"boxes", "gadgets", "gadgets/status", "vaults", "vaults/status"} == set(found)
    gadgets = found["gadgets"]
    assert (
        gadgets["kind"], gadgets["singularName"], gadgets["namespaced"], gadgets["shortNames"], set(gadgets["verbs"])
    ) == ("Gadget", "gadget", True, ["gd"], VERBS)  # fmt: skip
    assert ({"get", "patch", "update"}, False) == (
        set(found["gadgets/status"]["verbs"]), found["vaults"]["namespaced"]
    )  # fmt: skip


async def test_the_core_can_be_discovered(place: Place) -> None:
    """/api says v1; /api/v1 lists the core types; apiextensions.k8s.io is among the groups."""
    assert (await place.wire.get("/api")).body["versions"] == ["v1"]
    found = {one["name"]: one for one in (await place.wire.get("/api/v1")).body["resources"]}
    assert [(found[name]["kind"], found[name]["namespaced"]) for name in ("namespaces", "configmaps", "secrets")] == [
        ("Namespace", False),
        ("ConfigMap", True),
        ("Secret", True),
    ]
    assert "apiextensions.k8s.io" in {one["name"] for one in (await place.wire.get("/apis")).body["groups"]}
    types = {one["name"] for one in (await place.wire.get("/apis/apiextensions.k8s.io/v1")).body["resources"]}
    assert "customresourcedefinitions" in types


async def test_a_server_says_which_it_is(place: Place) -> None:
    """/version names a Kubernetes version, and /readyz, /livez and /healthz say ok."""
    answer = (await place.wire.get("/version")).body
    assert answer["gitVersion"].startswith(f"v{answer['major']}.{answer['minor']}.")
    for path in ("/readyz", "/livez", "/healthz"):
        assert (await place.wire.get(path, accept="*/*"))[::2] == (200, "ok")
