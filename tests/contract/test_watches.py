"""Watches on either API server: what they tell, where they begin, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.gadgets import CONFIG_MAP, GADGET, GROUP, made
from tests.contract.test_lists import PARTIAL


if TYPE_CHECKING:
    from tests.contract.conftest import Place
    from tests.contract.wire import Object

END = {"k8s.io/initial-events-end": "true"}
WATCH_LIST = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
REFUSED = {
    "watch-list-without-match": (WATCH_LIST | {"resourceVersionMatch": ""}, (422, "Invalid")),
    "watch-list-with-exact": (WATCH_LIST | {"resourceVersionMatch": "Exact"}, (422, "Invalid")),
    "match-without-watch-list": ({"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1"}, (422, "Invalid")),
    "bad-selector": ({"labelSelector": "team in x"}, (400, "BadRequest")),
    "continue": ({"continue": "nonsense"}, (422, "Invalid")),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_watch_that_makes_no_sense_is_refused(place: Place, case: str) -> None:
    """A contradiction is refused before the stream begins."""
    query, expected = REFUSED[case]
    answer = await place.wire.get(place.path(GADGET), watch="true", timeoutSeconds="1", **query)
    assert answer.status >= 400, answer
    assert expected == (answer.status, answer.body.get("reason"))


async def test_a_version_that_is_too_old_ends_the_stream(place: Place) -> None:
    """A watch from a version that is forgotten is answered 200; its one event is an ERROR of 410, and it ends."""
    await place.wire.post(place.path(GADGET), made())
    place.server.forget()
    async with place.wire.watch(place.path(GADGET), resourceVersion="1") as stream:
        (event,) = await stream.rest()
    assert (stream.status, event["type"], event["object"]["kind"]) == (200, "ERROR", "Status")
    assert tuple(event["object"][key] for key in ("code", "reason", "status")) == (410, "Expired", "Failure")
    assert "too old resource version" in event["object"]["message"]


async def test_a_version_that_is_not_reached_is_silent(place: Place) -> None:
    """A watch from a version ahead of the server is answered 200 and tells nothing, not even what happens then."""
    async with place.wire.watch(
        place.path(GADGET), resourceVersion=str(10**9), allowWatchBookmarks="true", timeoutSeconds="2"
    ) as stream:
        await place.wire.post(place.path(GADGET), made())
        assert (stream.status, await stream.rest()) == (200, [])


async def test_a_watch_tells_what_happens_after_its_version(place: Place) -> None:
    """Each version is one event, in order and whole; the object of a deletion carries the deletion's version."""
    path = place.path(GADGET, "one")
    begin = (await place.wire.post(place.path(GADGET), made("before"))).version
    created = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}))).body
    resized = (await place.wire.merge(path, {"spec": {"size": 2}})).body
    await place.wire.merge(path, {"spec": {"size": 2}})
    ready = (await place.wire.merge(f"{path}/status", {"status": {"phase": "Ready"}})).body
    await place.wire.delete(path)
    async with place.wire.watch(place.path(GADGET), resourceVersion=begin) as stream:
        events = await stream.take(4)
        assert [("ADDED", created), ("MODIFIED", resized), ("MODIFIED", ready)] == _pairs(events[:3])
        gone = events[3]
        assert ("DELETED", ready) == (gone["type"], _at(gone["object"], _version(ready)))
        assert int(_version(gone["object"])) > int(_version(ready))
        after = (await place.wire.post(place.path(GADGET), made("after"))).body
        assert [("ADDED", after)] == _pairs([await stream.next()])
    async with place.wire.watch(place.path(GADGET), resourceVersion=_version(resized)) as stream:
        assert [("MODIFIED", ready), ("DELETED", gone["object"])] == _pairs(await stream.take(2))


@pytest.mark.parametrize("version", [None, "0"])
async def test_a_watch_from_nowhere_begins_with_what_is_there(place: Place, version: str | None) -> None:
    """Without a version, or with 0, what is there comes first as ADDED, then what happens."""
    there = [(await place.wire.post(place.path(GADGET), made(name))).body for name in ("a", "b")]
    query = {} if version is None else {"resourceVersion": version}
    async with place.wire.watch(place.path(GADGET), **query) as stream:
        assert [("ADDED", one) for one in there] == sorted(
            _pairs(await stream.take(2)), key=lambda pair: str(pair[1]["metadata"]["name"])
        )
        labelled = (await place.wire.merge(place.path(GADGET, "a"), {"metadata": {"labels": {"a": "b"}}})).body
        assert [("MODIFIED", labelled)] == _pairs([await stream.next()])


async def test_a_finalizer_makes_a_deletion_two_events(place: Place) -> None:
    """First MODIFIED with the deletionTimestamp; when the last finalizer goes, DELETED alone."""
    path = place.path(GADGET, "one")
    begin = (await place.wire.post(place.path(GADGET), made("one", finalizers=["example.com/wait"]))).version
    deleting = (await place.wire.delete(path)).body
    await place.wire.merge(path, {"metadata": {"finalizers": None}})
    async with place.wire.watch(place.path(GADGET), resourceVersion=begin) as stream:
        first, second = await stream.take(2)
    assert [("MODIFIED", deleting)] == _pairs([first])
    assert ("DELETED", deleting["metadata"]["uid"]) == (second["type"], second["object"]["metadata"]["uid"])
    assert int(_version(second["object"])) > int(_version(deleting))


async def test_a_watch_list_ends_its_first_part_with_a_bookmark(place: Place) -> None:
    """With sendInitialEvents what is there comes as ADDED, then an annotated bookmark; then the same stream is live."""
    there = [(await place.wire.post(place.path(GADGET), made(name))).body for name in ("a", "b")]
    async with place.wire.watch(place.path(GADGET), **WATCH_LIST) as stream:
        initial = await stream.take(3)
        live = (await place.wire.merge(place.path(GADGET, "a"), {"spec": {"size": 2}})).body
        assert [("MODIFIED", live)] == _pairs([await stream.next()])
    assert [("ADDED", one) for one in there] == sorted(
        _pairs(initial[:2]), key=lambda pair: str(pair[1]["metadata"]["name"])
    )
    bookmark = initial[2]
    assert ("BOOKMARK", "Gadget", f"{GROUP}/v1", END) == (
        bookmark["type"], bookmark["object"]["kind"], bookmark["object"]["apiVersion"],
        bookmark["object"]["metadata"]["annotations"],
    )  # fmt: skip
    assert int(_version(bookmark["object"])) >= max(int(_version(one)) for one in there)
    assert int(_version(bookmark["object"])) < int(_version(live))


async def test_a_watch_list_of_nothing_is_a_bookmark_alone(place: Place) -> None:
    """Where nothing is selected the end comes at once, and a watch can go on from its version."""
    async with place.wire.watch(place.path(GADGET), **WATCH_LIST) as stream:
        bookmark = await stream.next()
    assert (bookmark["type"], bookmark["object"]["metadata"]["annotations"]) == ("BOOKMARK", END)
    created = (await place.wire.post(place.path(GADGET), made())).body
    async with place.wire.watch(place.path(GADGET), resourceVersion=_version(bookmark["object"])) as stream:
        assert [("ADDED", created)] == _pairs([await stream.next()])


async def test_a_watch_list_without_bookmarks_has_no_end_mark(place: Place) -> None:
    """Who does not allow bookmarks is not sent the one that ends the first part either."""
    there = (await place.wire.post(place.path(GADGET), made())).body
    query = {key: value for key, value in WATCH_LIST.items() if key != "allowWatchBookmarks"}
    async with place.wire.watch(place.path(GADGET), **query) as stream:
        live = await stream.next()
        resized = (await place.wire.merge(place.path(GADGET, "one"), {"spec": {"size": 2}})).body
        assert [("ADDED", there), ("MODIFIED", resized)] == _pairs([live, await stream.next()])


async def test_a_bookmark_comes_before_a_watch_times_out(place: Place) -> None:
    """A stream ends after timeoutSeconds; shortly before, who allows bookmarks is told how far it is."""
    begin = (await place.wire.post(place.path(GADGET), made())).version
    # The bookmark comes two seconds before the end: until then there is time for what it has to count.
    query = {"resourceVersion": begin, "timeoutSeconds": "6"}
    async with (
        place.wire.watch(place.path(GADGET), **query, allowWatchBookmarks="true") as stream,
        place.wire.watch(place.path(GADGET), **query) as without,
    ):
        elsewhere = (await place.wire.post(GADGET.path("default"), made(f"of-{place.namespace}"))).version
        events = await stream.rest()
        assert await without.rest() == []
    assert {event["type"] for event in events} == {"BOOKMARK"}
    bookmark = events[-1]["object"]
    assert (f"{GROUP}/v1", "Gadget", None) == (
        bookmark["apiVersion"],
        bookmark["kind"],
        bookmark["metadata"].get("annotations"),
    )
    assert int(_version(bookmark)) >= int(elsewhere)
    assert {key for key, value in bookmark["metadata"].items() if value is not None} == {"resourceVersion"}


async def test_what_crosses_a_selection_comes_and_goes(place: Place) -> None:
    """Under a label selector what begins to match is ADDED, and what no longer does is DELETED, as it last matched."""
    path = place.path(GADGET, "one")
    begin = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}))).version

    async def label(value: str | None) -> Object:
        body: Object = (await place.wire.merge(path, {"metadata": {"labels": {"team": value}}})).body
        return body

    entered = await label("x")
    stayed = (await place.wire.merge(path, {"spec": {"size": 2}})).body
    left = await label("y")
    await label(None)
    back = await label("x")
    await place.wire.delete(path)
    async with place.wire.watch(place.path(GADGET), resourceVersion=begin, labelSelector="team=x") as stream:
        events = await stream.take(5)
    assert [
        ("ADDED", entered), ("MODIFIED", stayed), ("DELETED", _at(stayed, _version(left))), ("ADDED", back)
    ] == _pairs(events[:4])  # fmt: skip
    assert ("DELETED", back) == (events[4]["type"], _at(events[4]["object"], _version(back)))


async def test_a_watch_can_be_of_one_object(place: Place) -> None:
    """With a field selector of metadata.name only that object is told of."""
    begin = (await place.wire.post(place.path(GADGET), made("a"))).version
    await place.wire.post(place.path(GADGET), made("b"))
    again = (await place.wire.merge(place.path(GADGET, "a"), {"spec": {"size": 1}})).body
    async with place.wire.watch(place.path(GADGET), resourceVersion=begin, fieldSelector="metadata.name=a") as stream:
        assert [("MODIFIED", again)] == _pairs([await stream.next()])


async def test_a_watch_of_a_namespace_tells_of_no_other(place: Place) -> None:
    """What happens to the same type in another namespace is not told; a watch over all of them tells of both."""
    begin = (await place.wire.get(place.path(GADGET))).version
    elsewhere = (await place.wire.post(GADGET.path("default"), made(f"of-{place.namespace}"))).body
    here = (await place.wire.post(place.path(GADGET), made())).body
    async with place.wire.watch(place.path(GADGET), resourceVersion=begin) as stream:
        assert [("ADDED", here)] == _pairs([await stream.next()])
    async with place.wire.watch(GADGET.path(), resourceVersion=begin) as stream:
        assert [("ADDED", elsewhere), ("ADDED", here)] == _pairs(await stream.take(2))


async def test_metadata_can_be_watched_alone(place: Place) -> None:
    """Asked for as PartialObjectMetadata, events and bookmarks carry metadata alone."""
    there = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}))).body
    async with place.wire.watch(place.path(GADGET), accept=PARTIAL, **WATCH_LIST) as stream:
        first, bookmark = await stream.take(2)
        resized = (await place.wire.merge(place.path(GADGET, "one"), {"spec": {"size": 2}})).body
        second = await stream.next()
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    assert [
        ("ADDED", partial | {"metadata": there["metadata"]}),
        ("MODIFIED", partial | {"metadata": resized["metadata"]}),
    ] == _pairs([first, second])
    assert ("BOOKMARK", partial, END) == (
        bookmark["type"], {key: bookmark["object"][key] for key in partial},
        bookmark["object"]["metadata"]["annotations"],
    )  # fmt: skip


async def test_a_watch_of_another_version_shows_that_version(place: Place) -> None:
    """Under v2 the same events come with objects of v2."""
    begin = (await place.wire.get(place.path(GADGET))).version
    await place.wire.post(place.path(GADGET), made())
    path = place.path(GADGET).replace("/v1/", "/v2/")
    async with place.wire.watch(path, resourceVersion=begin) as stream:
        event = await stream.next()
    assert ("ADDED", f"{GROUP}/v2") == (event["type"], event["object"]["apiVersion"])


async def test_core_types_are_watched_too(place: Place) -> None:
    """In a watch objects of a built-in type say what they are."""
    begin = (await place.wire.get(place.path(CONFIG_MAP))).version
    created = (await place.wire.post(place.path(CONFIG_MAP), made(resource_type=CONFIG_MAP))).body
    async with place.wire.watch(place.path(CONFIG_MAP), resourceVersion=begin) as stream:
        assert [("ADDED", created)] == _pairs([await stream.next()])


async def test_a_stream_is_json_line_by_line(place: Place) -> None:
    """The stream is application/json in chunks, without a length, and every event is one line."""
    await place.wire.post(place.path(GADGET), made())
    answer = await place.wire.get(place.path(GADGET), watch="true", timeoutSeconds="1")
    assert tuple(answer.headers.get(name) for name in ("Content-Type", "Transfer-Encoding", "Content-Length")) == (
        "application/json",
        "chunked",
        None,
    )
    assert {"type", "object"} == set(answer.body)


def _pairs(events: list[Object]) -> list[tuple[str, Any]]:
    return [(event["type"], event["object"]) for event in events]


def _version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])


def _at(obj: Object, version: str) -> Object:
    """The object, as if it were of another version."""
    return obj | {"metadata": obj["metadata"] | {"resourceVersion": version}}
