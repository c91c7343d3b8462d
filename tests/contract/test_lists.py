"""Lists on either API server: pages, selectors, versions, and lists of metadata alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.gadgets import CONFIG_MAP, GADGET, GROUP, made


if TYPE_CHECKING:
    from tests.contract.conftest import Place
    from tests.contract.wire import Answer

LABELS: dict[str, dict[str, str]] = {
    "a": {"team": "x", "tier": "front"},
    "b": {"team": "y", "tier": "front"},
    "c": {"team": "x", "tier": "back"},
    "d": {},
}
SELECTED = {
    "team=x": "ac",
    "team==x": "ac",
    "team!=x": "bd",
    "team": "abc",
    "!team": "d",
    "team in (x,y)": "abc",
    "team in (y)": "b",
    "team notin (x)": "bd",
    "team=x,tier=front": "a",
    "team, tier notin (front)": "c",
    "team=z": "",
    "": "abcd",
}
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# Query; then status and reason.
REFUSED = {
    "bad-label-selector": ({"labelSelector": "team in x"}, (400, "BadRequest")),
    "bad-field-selector": ({"fieldSelector": "metadata.name>a"}, (400, "BadRequest")),
    "unknown-field": ({"fieldSelector": "spec.size=1"}, (400, "BadRequest")),
    "bad-limit": ({"limit": "many"}, (400, "BadRequest")),
    "bad-continue": ({"continue": "nonsense"}, (400, "BadRequest")),
    "bad-version": ({"resourceVersion": "nonsense"}, (400, "BadRequest")),
    "match-without-version": ({"resourceVersionMatch": "NotOlderThan"}, (422, "Invalid")),
    "unknown-match": ({"resourceVersion": "1", "resourceVersionMatch": "Nearly"}, (422, "Invalid")),
    "initial-events-without-watch": ({"sendInitialEvents": "true"}, (422, "Invalid")),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_list_that_makes_no_sense_is_refused(place: Place, case: str) -> None:
    """A query that cannot be read, or that contradicts itself, is refused with a Status."""
    query, expected = REFUSED[case]
    answer = await place.wire.get(place.path(GADGET), **query)
    assert expected == (answer.status, answer.body.get("reason"))


async def test_an_empty_list_is_a_list(place: Place) -> None:
    """Nothing is an empty list of items, with a version."""
    answer = await place.wire.get(place.path(GADGET))
    assert ([], "GadgetList", f"{GROUP}/v1") == tuple(answer.body[key] for key in ("items", "kind", "apiVersion"))
    assert {"continue": "", "resourceVersion": answer.version} == {"continue": ""} | answer.body["metadata"]
    assert int(answer.version) > 0


async def test_a_list_is_in_the_order_of_names(place: Place) -> None:
    """Items are sorted by name, each is whole, and the list's version is none older than any of theirs."""
    made_as = {name: (await place.wire.post(place.path(GADGET), made(name))).body for name in ("c", "a", "b")}
    answer = await place.wire.get(place.path(GADGET))
    assert [made_as[name] for name in "abc"] == answer.body["items"]
    assert int(answer.version) >= max(int(one["metadata"]["resourceVersion"]) for one in answer.body["items"])


async def test_a_list_over_namespaces_is_in_their_order(place: Place) -> None:
    """A list without a namespace has the objects of all, sorted by namespace, then by name."""
    other = f"a-{place.namespace}"
    await place.wire.post("/api/v1/namespaces", {"metadata": {"name": other}})
    labels = {"test": place.namespace}
    for namespace, name in ((place.namespace, "a"), (other, "b"), (other, "a")):
        await place.wire.post(GADGET.path(namespace), made(name, labels=labels))
    listed = (await place.wire.get(GADGET.path(), labelSelector=f"test={place.namespace}")).body
    assert [(other, "a"), (other, "b"), (place.namespace, "a")] == [
        (one["metadata"]["namespace"], one["metadata"]["name"]) for one in listed["items"]
    ]


async def test_items_of_core_types_do_not_say_what_they_are(place: Place) -> None:
    """In a list of a built-in type only the list has kind and apiVersion; an object read alone has its own."""
    await place.wire.post(place.path(CONFIG_MAP), made(resource_type=CONFIG_MAP))
    listed = (await place.wire.get(place.path(CONFIG_MAP), fieldSelector="metadata.name=one")).body
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert [{"metadata"}] == [set(one) for one in listed["items"]]
    one = (await place.wire.get(place.path(CONFIG_MAP, "one"))).body
    assert (one["kind"], one["apiVersion"]) == ("ConfigMap", "v1")


@pytest.mark.parametrize("selector", SELECTED)
async def test_a_label_selector_selects(place: Place, selector: str) -> None:
    """Equality and sets, alone and together; what has no such label is unequal to every value."""
    for name, labels in LABELS.items():
        await place.wire.post(place.path(GADGET), made(name, labels=labels))
    assert SELECTED[selector] == "".join(names(await place.wire.get(place.path(GADGET), labelSelector=selector)))


async def test_a_field_selector_selects_by_name_and_namespace(place: Place) -> None:
    """metadata.name and metadata.namespace can be asked for, with = and !=."""
    for name in ("a", "b"):
        await place.wire.post(place.path(GADGET), made(name))
    of = {"": place.path(GADGET), "all": GADGET.path()}
    here = f"metadata.namespace={place.namespace}"
    asked = [
        ("", "metadata.name=a"), ("", "metadata.name!=a"), ("", f"metadata.name=a,{here}"), ("", "metadata.name=c"),
        ("", "metadata.namespace=nowhere"), ("all", here), ("all", f"metadata.name=b,{here}"),
    ]  # fmt: skip
    assert ["".join(names(await place.wire.get(of[where], fieldSelector=selector))) for where, selector in asked] == [
        "a",
        "b",
        "a",
        "",
        "",
        "ab",
        "b",
    ]


async def test_pages_are_one_list(place: Place) -> None:
    """Pages show the list as it was at the first one, say how many are left, and end without a token."""
    for name in "abcde":
        await place.wire.post(place.path(GADGET), made(name))
    first = await place.wire.get(place.path(GADGET), limit="2")
    await place.wire.delete(place.path(GADGET, "c"))
    await place.wire.post(place.path(GADGET), made("bb"))
    second = await place.wire.get(place.path(GADGET), **{"limit": "2", "continue": token(first)})
    last = await place.wire.get(place.path(GADGET), **{"limit": "2", "continue": token(second)})
    assert [names(page) for page in (first, second, last)] == [["a", "b"], ["c", "d"], ["e"]]
    assert [page.body["metadata"].get("remainingItemCount") for page in (first, second, last)] == [3, 1, None]
    assert {first.version} == {page.version for page in (first, second, last)}
    assert token(last) == ""


async def test_pages_of_a_selection_do_not_say_how_many_are_left(place: Place) -> None:
    """With a selector the server does not know how many more there are; a page is full while there are any."""
    for name, labels in LABELS.items():
        await place.wire.post(place.path(GADGET), made(name, labels=labels))
    first = await place.wire.get(place.path(GADGET), limit="1", labelSelector="team=x")
    assert (names(first), "remainingItemCount" in first.body["metadata"]) == (["a"], False)
    query = {"limit": "1", "labelSelector": "team=x", "continue": token(first)}
    assert names(await place.wire.get(place.path(GADGET), **query)) == ["c"]


async def test_a_continuation_takes_no_version(place: Place) -> None:
    """A token and a resourceVersion in one request contradict each other."""
    for name in "ab":
        await place.wire.post(place.path(GADGET), made(name))
    first = await place.wire.get(place.path(GADGET), limit="1")
    answer = await place.wire.get(
        place.path(GADGET), **{"limit": "1", "continue": token(first), "resourceVersion": first.version}
    )
    assert (answer.status, answer.reason) == (400, "BadRequest")


async def test_a_token_that_is_too_old_can_be_exchanged(place: Place) -> None:
    """Once the list is forgotten its token is 410 Expired, with another token that goes on in what is there now."""
    for name in "abc":
        await place.wire.post(place.path(GADGET), made(name))
    first = await place.wire.get(place.path(GADGET), limit="1")
    await place.wire.post(place.path(GADGET), made("aa"))
    place.server.forget()
    expired = await place.wire.get(place.path(GADGET), **{"limit": "1", "continue": token(first)})
    assert (expired.status, expired.reason) == (410, "Expired")
    rest = await place.wire.get(place.path(GADGET), **{"continue": token(expired)})
    assert (rest.status, names(rest)) == (200, ["aa", "b", "c"])


async def test_a_version_ahead_of_the_server_is_too_large(place: Place) -> None:
    """A list not older than a version that does not exist yet is 504, and says why for programs."""
    answer = await place.wire.get(
        place.path(GADGET), limit="1", resourceVersion=str(10**9), resourceVersionMatch="NotOlderThan"
    )
    assert (answer.status, answer.reason) == (504, "Timeout")
    assert [cause["reason"] for cause in answer.body["details"]["causes"]] == ["ResourceVersionTooLarge"]
    assert "Too large resource version" in answer.body["message"]
    assert "Retry-After" in answer.headers


async def test_a_version_that_was_reached_is_answered(place: Place) -> None:
    """NotOlderThan a version of the past, any version at all (0), and exactly the newest one are answered."""
    version = (await place.wire.post(place.path(GADGET), made("a"))).version
    newer = (await place.wire.post(place.path(GADGET), made("b"))).version
    path = place.path(GADGET)
    not_older = await place.wire.get(path, resourceVersion=version, resourceVersionMatch="NotOlderThan")
    exact = await place.wire.get(path, resourceVersion=newer, resourceVersionMatch="Exact", limit="5")
    any_version = await place.wire.get(path, resourceVersion="0")
    assert [one.status for one in (not_older, exact, any_version)] == [200, 200, 200]
    assert (newer, ["a", "b"]) == (exact.version, names(exact))
    assert int(not_older.version) >= int(version)


async def test_an_exact_version_that_is_forgotten_is_expired(place: Place) -> None:
    """A list at exactly a version that the server has forgotten is 410."""
    version = (await place.wire.post(place.path(GADGET), made("a"))).version
    await place.wire.post(place.path(GADGET), made("b"))
    place.server.forget()
    answer = await place.wire.get(place.path(GADGET), resourceVersion=version, resourceVersionMatch="Exact", limit="1")
    assert (answer.status, answer.reason) == (410, "Expired")


async def test_metadata_can_be_had_alone(place: Place) -> None:
    """Asked for as PartialObjectMetadata, objects and lists come with all of their metadata and nothing else."""
    whole = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}, labels={"a": "b"}))).body
    one = (await place.wire.get(place.path(GADGET, "one"), accept=PARTIAL)).body
    listed = (await place.wire.get(place.path(GADGET), accept=PARTIAL_LIST)).body
    expected = {
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": whole["metadata"]
    }  # fmt: skip
    assert expected == one
    assert ("PartialObjectMetadataList", "meta.k8s.io/v1", [expected]) == (
        listed["kind"], listed["apiVersion"], listed["items"]
    )  # fmt: skip


def names(answer: Answer) -> list[str]:
    """The names in a list."""
    items: list[dict[str, Any]] = answer.body["items"]
    return [one["metadata"]["name"] for one in items]


def token(answer: Answer) -> str:
    """Where a list goes on, empty at its end."""
    return str(answer.body["metadata"].get("continue", ""))
