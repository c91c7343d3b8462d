"""What each request but a watch does to the store, and how it is answered.

Pure, as the store is: values in, a value out. Must never decide what an object may hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter.sandbox.apiserver.bodies import APPLY, MERGE, check_name, check_place, read_object, read_patch
from exporter.sandbox.apiserver.faults import Verb
from exporter.sandbox.apiserver.kinds import Kind
from exporter.sandbox.apiserver.options import invalid_options, read_options
from exporter.sandbox.apiserver.paths import Place
from exporter.sandbox.apiserver.refusals import method_not_allowed
from exporter.sandbox.apiserver.views import View, negotiate


if TYPE_CHECKING:
    from exporter.sandbox.apiserver.lists import Lists
    from exporter.sandbox.apiserver.store import Store

Object = dict[str, Any]

OK, CREATED = 200, 201
_OF_COLLECTION: dict[str, Verb] = {"GET": "list", "POST": "create", "DELETE": "delete"}
_OF_OBJECT: dict[str, Verb] = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OF_PART: dict[str, Verb] = {"GET": "get", "PUT": "update", "PATCH": "patch"}
_LONGEST_MANAGER = 128


class Asked(Struct, frozen=True):
    """A request that names a type which is served.

    Attributes:
        verb: of the request
        kind: the type
        place: what the path names
        query: of the URL
        accept: media types that are wanted
        media: type of the body, without parameters
        agent: the User-Agent
        body: as it was sent

    """

    verb: Verb
    kind: Kind
    place: Place
    query: Mapping[str, str]
    accept: str
    media: str
    agent: str
    body: bytes

    @property
    def manager(self) -> str:
        """Who writes: the fieldManager, else what the User-Agent begins with."""
        return self.query.get("fieldManager") or self.agent.partition("/")[0][:_LONGEST_MANAGER] or "unknown"

    @property
    def view(self) -> View:
        """How to show what is answered; raises 406 where the client takes nothing that there is."""
        return negotiate(self.accept, self.kind, self.place)


class Answer(Struct, frozen=True):
    """Status and body of what is answered."""

    status: int
    body: Object


def verb_of(method: str, place: Place, *, watch: bool) -> Verb:
    """Say what a request wants to do.

    Raises:
        Refused: 405, its path has no such method

    """
    table = _OF_PART if place.subresource else _OF_OBJECT if place.name else _OF_COLLECTION
    if method not in table:
        raise method_not_allowed()
    verb = table[method]
    return "watch" if verb == "list" and watch else verb


def answer(asked: Asked, store: Store, lists: Lists) -> Answer:
    """Do what is asked.

    Raises:
        Refused: it cannot be done

    """
    view = asked.view
    match asked.verb:
        case "list":
            page = lists.page(asked.kind, asked.place.namespace, read_options(asked.query))
            return Answer(OK, view.list(page.objects, page.version, page.token, page.remaining))
        case "get":
            obj, status = store.read(asked.kind, asked.place.namespace, asked.place.name), OK
        case "create":
            obj, status = _create(asked, store), CREATED
        case "update":
            obj, status = _update(asked, store), OK
        case "patch":
            obj, created = _patch(asked, store)
            status = CREATED if created else OK
        case "delete" if asked.place.name:
            return _delete(asked, store, view)
        case _:
            return _delete_collection(asked, store, view)
    return Answer(status, view.show(obj))


def _create(asked: Asked, store: Store) -> Object:
    body = check_place(read_object(asked.body, asked.media, asked.kind), asked.kind, asked.place, name=False)
    dry_run = _dry_run(asked.query, "CreateOptions")
    return store.create(asked.kind, asked.place.namespace, body, asked.manager, dry_run=dry_run)


def _update(asked: Asked, store: Store) -> Object:
    place = asked.place
    body = check_place(read_object(asked.body, asked.media, asked.kind), asked.kind, place, name=True)
    return store.update(
        asked.kind, place.namespace, place.name, body, asked.manager,
        subresource=place.subresource, version=place.version, dry_run=_dry_run(asked.query, "UpdateOptions"),
    )  # fmt: skip


def _patch(asked: Asked, store: Store) -> tuple[Object, bool]:
    place, query = asked.place, asked.query
    patch, media = read_patch(asked.body, asked.media, asked.kind)
    if media == APPLY:
        if not query.get("fieldManager"):
            raise invalid_options("PatchOptions", "fieldManager", "FieldValueRequired", "is required for apply patch")
        patch = check_place(patch, asked.kind, place, name=True)
    elif "force" in query:
        raise invalid_options(
            "PatchOptions", "force", "FieldValueForbidden", "may not be specified for non-apply patch"
        )
    elif media == MERGE:
        check_name(patch.get("metadata"), place)
    return store.patch(
        asked.kind, place.namespace, place.name, patch, media, asked.manager,
        force=query.get("force") == "true", subresource=place.subresource, version=place.version,
        dry_run=_dry_run(query, "PatchOptions"),
    )  # fmt: skip


def _delete(asked: Asked, store: Store, view: View) -> Answer:
    place, kind = asked.place, asked.kind
    options = read_object(asked.body, asked.media) if asked.body else {}
    conditions = options.get("preconditions") or {}
    obj, gone = store.delete(
        kind, place.namespace, place.name,
        uid=conditions.get("uid"), resource_version=conditions.get("resourceVersion"),
        dry_run=_dry_run(asked.query, "DeleteOptions", options.get("dryRun")),
    )  # fmt: skip
    if not gone:
        return Answer(OK, view.show(obj))
    details = {"name": place.name, "kind": kind.resource, "uid": obj["metadata"]["uid"]}
    if kind.group:
        details["group"] = kind.group
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return Answer(OK, body)


def _delete_collection(asked: Asked, store: Store, view: View) -> Answer:
    kind = asked.kind
    options = read_options(asked.query)
    dry_run = _dry_run(asked.query, "DeleteOptions")
    found = [one for one in store.list(kind, asked.place.namespace or None) if options.selection.accepts(one)]
    for obj in found:
        store.delete(kind, asked.place.namespace, obj["metadata"]["name"], dry_run=dry_run)
    return Answer(OK, view.list(found, store.version))


def _dry_run(query: Mapping[str, str], kind: str, said: object = None) -> bool:
    """Tell whether nothing is to be stored; raises 422 where it is asked for in another way than `All`."""
    wanted = query.get("dryRun") or said
    if wanted in (None, [], "All", ["All"]):
        return bool(wanted)
    raise invalid_options(kind, "dryRun", "FieldValueNotSupported", f'Unsupported value: {wanted}: supported: "All"')
