"""What either API server refuses, with which status, reason and details, and that nothing is done then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.gadgets import CONFIG_MAP, GADGET, GROUP, made
from tests.contract.wire import MERGE


if TYPE_CHECKING:
    from tests.contract.conftest import Place

ONE = {"group": GROUP, "kind": "gadgets", "name": "one"}
# What fails a precondition is named by its kind instead.
BY_KIND = ONE | {"kind": "Gadget"}

# method, what follows the collection's path, body, and more of the request; then status, reason and details.
REFUSED: dict[str, tuple[tuple[str, str, object, dict[str, str]], tuple[int, str, object]]] = {
    "twice": (("POST", "", made(), {}), (409, "AlreadyExists", ONE)),
    "another-namespace": (("POST", "", made(namespace="other"), {}), (400, "BadRequest", None)),
    "another-group": (
        ("POST", "", made("two") | {"apiVersion": "other.example.com/v1"}, {}),
        (400, "BadRequest", None),
    ),
    "no-json": (("POST", "", b"{nonsense", {}), (400, "BadRequest", None)),
    "no-kind": (("POST", "", {"metadata": {"name": "two"}}, {}), (400, "BadRequest", None)),
    "unknown-media-type": (("POST", "", b"size: 1", {"media": "text/plain"}), (415, "UnsupportedMediaType", None)),
    "unknown-accept": (("GET", "/one", None, {"accept": "text/plain"}), (406, "NotAcceptable", None)),
    "read-missing": (("GET", "/none", None, {}), (404, "NotFound", ONE | {"name": "none"})),
    "replace-missing": (
        ("PUT", "/none", made("none", resourceVersion="1"), {}),
        (404, "NotFound", ONE | {"name": "none"}),
    ),
    "patch-missing": (("PATCH", "/none", {}, {"media": MERGE}), (404, "NotFound", ONE | {"name": "none"})),
    "delete-missing": (("DELETE", "/none", None, {}), (404, "NotFound", ONE | {"name": "none"})),
    "status-of-missing": (("GET", "/none/status", None, {}), (404, "NotFound", ONE | {"name": "none"})),
    "replace-under-another-name": (("PUT", "/one", made("two", resourceVersion="1"), {}), (400, "BadRequest", None)),
    "replace-stale": (("PUT", "/one", made(resourceVersion="1"), {}), (409, "Conflict", ONE)),
    "replace-another-uid": (("PUT", "/one", made(resourceVersion="{now}", uid="1-2-3"), {}), (409, "Conflict", ONE)),
    "patch-stale": (
        ("PATCH", "/one", {"metadata": {"resourceVersion": "1"}, "spec": {"size": 3}}, {"media": MERGE}),
        (409, "Conflict", ONE),
    ),
    "status-stale": (("PUT", "/one/status", made(resourceVersion="1"), {}), (409, "Conflict", ONE)),
    "delete-another-uid": (("DELETE", "/one", {"preconditions": {"uid": "1-2-3"}}, {}), (409, "Conflict", BY_KIND)),
    "delete-stale": (
        ("DELETE", "/one", {"preconditions": {"resourceVersion": "1"}}, {}),
        (409, "Conflict", BY_KIND),
    ),
    "strategic-merge": (
        ("PATCH", "/one", {}, {"media": "application/strategic-merge-patch+json"}),
        (415, "UnsupportedMediaType", None),
    ),
}
# The same for what is invalid: the place of each cause and its word.
INVALID: dict[str, tuple[tuple[str, str, object, dict[str, str]], list[tuple[str, str]]]] = {
    "no-name": (
        ("POST", "", {"apiVersion": f"{GROUP}/v1", "kind": "Gadget"}, {}),
        [("metadata.name", "FieldValueRequired")],
    ),
    "bad-name": (("POST", "", made("Two"), {}), [("metadata.name", "FieldValueInvalid")]),
    "another-kind": (("POST", "", made("two") | {"kind": "Box"}, {}), [("kind", "FieldValueInvalid")]),
    "another-type": (("POST", "", made("two", {"size": "large"}), {}), [("spec.size", "FieldValueTypeInvalid")]),
    "null-where-none-may-be": (
        ("POST", "", made("two", {"tags": [None]}), {}),
        [("spec.tags[0]", "FieldValueTypeInvalid")],
    ),
    "entry-without-its-key": (
        ("POST", "", made("two", {"ports": [{"port": 1}]}), {}),
        [("spec.ports[0].name", "FieldValueRequired")],
    ),
    "same-key-twice": (
        ("POST", "", made("two", {"ports": [{"name": "a"}, {"name": "a"}]}), {}),
        [("spec.ports[1]", "FieldValueDuplicate")],
    ),
    "replace-without-version": (("PUT", "/one", made(), {}), [("metadata.resourceVersion", "FieldValueInvalid")]),
    "bad-label": (
        ("PATCH", "/one", {"metadata": {"labels": {"a": "not a value"}}}, {"media": MERGE}),
        [("metadata.labels", "FieldValueInvalid")],
    ),
    "unknown-status": (
        ("PATCH", "/one/status", {"status": {"phase": 1}}, {"media": MERGE}),
        [("status.phase", "FieldValueTypeInvalid")],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_done_is_refused_with_its_word(place: Place, case: str) -> None:
    """A refusal is a v1 Status with the code of HTTP, the reason and, where it is about one object, which one."""
    (method, rest, body, more), expected = REFUSED[case]
    now = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}))).version
    if isinstance(body, dict) and body.get("metadata", {}).get("resourceVersion") == "{now}":
        body = body | {"metadata": body["metadata"] | {"resourceVersion": now}}
    answer = await place.wire.call(method, place.path(GADGET) + rest, body, **more)
    status = {name: answer.body.get(name) for name in ("kind", "apiVersion", "status", "code")}
    assert {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": answer.status} == status
    assert expected == (answer.status, answer.reason, answer.body.get("details"))
    assert now == (await place.wire.get(place.path(GADGET, "one"))).version


@pytest.mark.parametrize("case", INVALID)
async def test_what_is_invalid_is_refused_with_the_places(place: Place, case: str) -> None:
    """422 Invalid tells each field that is wrong and how, and nothing is stored."""
    (method, rest, body, more), expected = INVALID[case]
    now = (await place.wire.post(place.path(GADGET), made("one", {"size": 1}))).version
    answer = await place.wire.call(method, place.path(GADGET) + rest, body, **more)
    assert (answer.status, answer.reason) == (422, "Invalid")
    causes = dict.fromkeys((cause["field"], cause["reason"]) for cause in answer.body["details"]["causes"])
    assert expected == list(causes)
    listed = (await place.wire.get(place.path(GADGET))).body["items"]
    assert [("one", now)] == [(one["metadata"]["name"], one["metadata"]["resourceVersion"]) for one in listed]


async def test_a_namespace_that_is_missing_takes_nothing(place: Place) -> None:
    """A create in a namespace that does not exist is 404, about the namespace; a list of it is empty."""
    answer = await place.wire.post(GADGET.path("nowhere"), made())
    assert (answer.status, answer.body["details"]) == (404, {"name": "nowhere", "kind": "namespaces"})
    assert (await place.wire.get(GADGET.path("nowhere"))).body["items"] == []


@pytest.mark.parametrize(
    "path", ["/nothing", "/apis/nowhere.example.com/v1/nothings", f"/apis/{GROUP}/v1/nothings", f"/apis/{GROUP}/v3"]
)
async def test_a_path_that_is_not_served_is_not_found(place: Place, path: str) -> None:
    """What no type has is 404 in plain text."""
    answer = await place.wire.get(path)
    assert (answer.status, str(answer.body).strip()) == (404, "404 page not found")


async def test_what_is_not_allowed_on_a_path_is_refused(place: Place) -> None:
    """A method that a path does not have is 405 MethodNotAllowed."""
    answers = [
        await place.wire.call("PUT", place.path(CONFIG_MAP), made(resource_type=CONFIG_MAP)),
        await place.wire.call("POST", place.path(CONFIG_MAP, "one"), made(resource_type=CONFIG_MAP)),
        await place.wire.call("POST", f"{place.path(GADGET, 'one')}/status", made()),
        await place.wire.call("DELETE", f"{place.path(GADGET, 'one')}/status"),
    ]
    assert [(one.status, one.body.get("reason")) for one in answers] == [(405, "MethodNotAllowed")] * 4
