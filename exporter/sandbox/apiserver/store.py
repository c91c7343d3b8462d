"""The objects of an emulated cluster, with one version for all of them, and what happened to them.

Pure and synchronous: clock and uids are given, listeners are called within a write. An object is never changed once
it is here: what is given out is a snapshot that may be kept, and must not be changed. Must never know of requests.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from exporter.sandbox.apiserver import definitions, objects, ownership
from exporter.sandbox.apiserver.bodies import APPLY
from exporter.sandbox.apiserver.kinds import BUILT_IN, DEFINITION, NAMESPACE, Kind, from_crd
from exporter.sandbox.apiserver.log import Event, Log
from exporter.sandbox.apiserver.patch import same
from exporter.sandbox.apiserver.refusals import (
    already_exists,
    bad_request,
    forbidden,
    not_found,
    precondition_failed,
)  # fmt: skip
from exporter.sandbox.apiserver.shelf import Shelf
from exporter.sandbox.apiserver.writing import Request, applied, patched
from exporter.timestamps import from_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.sandbox.apiserver.patch import Json

__all__ = ["Event", "Snapshot", "Store"]

Object = dict[str, Any]
Objects = list[Object]  # here `list` is a method
Events = list[Event]
Type = tuple[str, str]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_SERVER = "kube-apiserver"
_HISTORY = 50_000
_SUFFIX = 5
_LONGEST_BASE = 58
_TRIES = 8


class Snapshot(Struct, frozen=True):
    """A store as it was."""

    version: int
    shelves: dict[Type, tuple[Kind, dict[tuple[str, str], Object]]]
    log: Log


class Store:
    """Holds objects.

    Args:
        clock: nanoseconds since the Unix epoch
        uids: makes another one with each call
        history: how many events are remembered

    """

    def __init__(
        self,
        clock: Callable[[], int] = time.time_ns,
        uids: Callable[[], str] = lambda: str(uuid.uuid4()),
        history: int = _HISTORY,
    ) -> None:
        self.version = 0
        self.listeners: list[Callable[[Event], None]] = []
        self._clock = clock
        self._uids = uids
        self._log = Log(history)
        self._shelves = {(kind.group, kind.resource): Shelf(kind) for kind in BUILT_IN}
        for name in NAMESPACES:
            self.create(NAMESPACE, "", {"metadata": {"name": name}}, _SERVER)

    @property
    def oldest(self) -> int:
        """The version from which on everything is remembered."""
        return self._log.oldest

    def kinds(self) -> list[Kind]:
        """Tell what is served."""
        return [shelf.kind for shelf in self._shelves.values()]

    def kind(self, group: str, resource: str) -> Kind | None:
        """Tell what is served under a name; None for nothing."""
        shelf = self._shelves.get((group, resource))
        return None if shelf is None else shelf.kind

    def read(self, kind: Kind, namespace: str, name: str) -> Object:
        """Give an object; raises `Refused` (404) where there is none."""
        shelf = self._shelf(kind)
        obj = shelf.objects.get(shelf.key(namespace, name))
        if obj is None:
            raise not_found(kind, name)
        return obj

    def list(self, kind: Kind, namespace: str | None) -> Objects:
        """Give all objects, or those of a namespace, by namespace and name."""
        return self._shelf(kind).all(namespace or "")

    def events(self, kind: Kind, after: int) -> Events:
        """Tell what happened to objects of a type after a version; raises `Refused` (410) where that is forgotten."""
        return self._log.after((kind.group, kind.resource), after)

    def create(self, kind: Kind, namespace: str, body: Object, manager: str, *, dry_run: bool = False) -> Object:
        """Store a new object.

        Args:
            kind: its type
            namespace: empty for a type that is in none
            body: as a client wrote it, in a version that it names
            manager: who writes
            dry_run: store nothing

        Returns:
            the object as it is now

        Raises:
            Refused: it may not be stored, or is there already

        """
        version = str(body.get("apiVersion", kind.api_version())).rpartition("/")[2]
        request = Request(self._shelf(kind), namespace, "", manager, version, "", dry_run)
        readied = objects.readied(kind, version, body)
        new = self._newborn(request, readied)
        return self._store_new(request, new, ownership.update((), {}, new, *request.writing(self._time())))

    def update(
        self, kind: Kind, namespace: str, name: str, body: Object, manager: str,
        *, subresource: str = "", version: str = "", dry_run: bool = False,
    ) -> Object:  # fmt: skip
        """Replace an object, or its status.

        Args:
            kind: its type
            namespace: empty for a type that is in none
            name: of the object
            body: as a client wrote it
            manager: who writes
            subresource: "status", or empty
            version: of the request; empty for the storage version
            dry_run: store nothing

        Returns:
            the object as it is now, or was when its last finalizer went

        Raises:
            Refused: it may not be stored, is not there, or somebody else wrote in between

        """
        version = version or kind.storage_version
        request = Request(self._shelf(kind), namespace, name, manager, version, subresource, dry_run)
        live = self.read(kind, namespace, name)
        new = objects.readied(kind, version, body)
        objects.check_meant(kind, live, new, must_say_version=True)
        return self._store_update(request, live, new)

    def patch(
        self, kind: Kind, namespace: str, name: str, patch: Json, media_type: str, manager: str,
        *, force: bool = False, subresource: str = "", version: str = "", dry_run: bool = False,
    ) -> tuple[Object, bool]:  # fmt: skip
        """Change an object by a merge patch, a JSON patch or a declaration; as `update`, and further.

        Args:
            kind: its type
            namespace: empty for a type that is in none
            name: of the object
            patch: decoded
            media_type: which sort it is
            manager: who writes
            force: a declaration takes what others hold
            subresource: "status", or empty
            version: of the request; empty for the storage version
            dry_run: store nothing

        Returns:
            the object, and whether it is new

        """
        version = version or kind.storage_version
        request = Request(self._shelf(kind), namespace, name, manager, version, subresource, dry_run)
        if media_type == APPLY:
            return self._apply(request, patch, force=force)
        live = self.read(kind, namespace, name)
        new = patched(request, live, patch, media_type)
        objects.check_meant(kind, live, new, must_say_version=False)
        return self._store_update(request, live, new), False

    def delete(
        self, kind: Kind, namespace: str, name: str,
        *, uid: str | None = None, resource_version: str | None = None, dry_run: bool = False,
    ) -> tuple[Object, bool]:  # fmt: skip
        """Delete an object, or begin to where finalizers or what is in it hold it.

        Args:
            kind: its type
            namespace: empty for a type that is in none
            name: of the object
            uid: that it must have
            resource_version: that it must have
            dry_run: delete nothing

        Returns:
            the object, and whether it is gone

        Raises:
            Refused: it is not there, or is another

        """
        live = self.read(kind, namespace, name)
        metadata = live["metadata"]
        for what, wanted, held in (
            ("UID", uid, metadata["uid"]),
            ("ResourceVersion", resource_version, metadata["resourceVersion"]),
        ):
            if wanted not in {None, held}:
                raise precondition_failed(kind, name, what, str(wanted), held)
        contains = kind in (NAMESPACE, DEFINITION)
        holds = contains or bool(metadata.get("finalizers"))
        if dry_run:
            return live, not holds
        obj, gone = self._end(self._shelf(kind), live)
        if gone:
            self._close_around(kind, obj)
        if contains:
            self._empty(kind, obj)
        return obj, gone

    def compact(self) -> None:
        """Forget what happened up to now."""
        self._log.forget(self.version)

    def snapshot(self) -> Snapshot:
        """Keep how things are, for `restore`."""
        shelves = {name: (shelf.kind, shelf.objects.copy()) for name, shelf in self._shelves.items()}
        return Snapshot(self.version, shelves, self._log.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to how things were; versions that were given out since are given out again. Nobody is told."""
        self.version = snapshot.version
        self._log = snapshot.log.copy()
        self._shelves = {name: Shelf(kind, held.copy()) for name, (kind, held) in snapshot.shelves.items()}

    def _shelf(self, kind: Kind) -> Shelf:
        shelf = self._shelves.get((kind.group, kind.resource))
        if shelf is None:
            raise not_found(kind, "")
        return shelf

    def _time(self) -> str:
        return f"{from_nanoseconds(self._clock())[:19]}Z"

    def _newborn(self, request: Request, readied: Object) -> Object:
        """Give identity to an object that may be created."""
        kind, metadata = request.kind, readied["metadata"]
        name, base = metadata.get("name", ""), metadata.get("generateName", "")
        taken = request.shelf.objects
        tries = _TRIES if base and not name else 0
        while tries and (not name or request.shelf.key(request.namespace, name) in taken):
            name = base[:_LONGEST_BASE] + self._uids().replace("-", "")[-_SUFFIX:]
            tries -= 1
        if kind.namespaced:
            found = self.read(NAMESPACE, "", request.namespace)
            if "deletionTimestamp" in found["metadata"]:
                why = f"unable to create new content in namespace {request.namespace} because it is being terminated"
                raise forbidden(kind, name, why)
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if request.shelf.key(request.namespace, name) in taken:
            raise already_exists(kind, name)
        return objects.newborn(kind, readied, request.namespace, name, self._uids(), self._time())

    def _store_new(self, request: Request, new: Object, entries: Objects) -> Object:
        new = objects.owned(new, entries)
        objects.check(request.kind, request.version, new)
        new = objects.settled(request.kind, new) | {"apiVersion": request.kind.api_version()}
        if request.dry_run:
            return new
        stored = self._commit(request.shelf, "ADDED", new, None)
        return self._defined(stored) if request.kind is DEFINITION else stored

    def _store_update(self, request: Request, live: Object, body: Object) -> Object:
        new = objects.restored(live, body)
        entries = objects.entries_before(live, body, request.subresource)
        # Who resets them, or never had them, goes without, as upstream.
        if entries:
            entries = ownership.update(entries, live, new, *request.writing(self._time()))
        return self._store_changed(request, live, objects.owned(new, entries))

    def _apply(self, request: Request, config: Json, *, force: bool) -> tuple[Object, bool]:
        kind = request.kind
        config = objects.declared(kind, request.version, config, request.name)
        live = request.shelf.objects.get(request.shelf.key(request.namespace, request.name))
        if live is None and request.subresource:
            raise not_found(kind, request.name)
        new, entries = applied(request, live, config, self._time(), force=force)
        body = objects.readied(kind, request.version, new, keep_nulls=True)
        if live is None:
            return self._store_new(request, self._newborn(request, body), entries), True
        objects.check_meant(kind, live, body, must_say_version=False)
        return self._store_changed(request, live, objects.owned(objects.restored(live, body), entries)), False

    def _store_changed(self, request: Request, live: Object, new: Object) -> Object:
        """Store another version of an object, if it is another; without its last finalizer it goes."""
        kind, shelf = request.kind, request.shelf
        new = objects.parted(kind, live, new, request.subresource)
        objects.check(kind, request.version, new, live)
        if objects.is_unchanged(live, new):
            return live
        new = new | {"apiVersion": kind.api_version()}
        if request.dry_run:
            return new
        if "deletionTimestamp" in live["metadata"] and not new["metadata"].get("finalizers") and kind is not NAMESPACE:
            self._commit(shelf, "DELETED", live, live)
            self._close_around(kind, live)
            return new
        stored = self._commit(shelf, "MODIFIED", new, live)
        return self._defined(stored) if kind is DEFINITION and not same(live["spec"], stored["spec"]) else stored

    def _commit(
        self, shelf: Shelf, word: Literal["ADDED", "MODIFIED", "DELETED"], obj: Object, previous: Object | None
    ) -> Object:
        """Give an object the next version, keep or drop it, and tell everybody."""
        self.version += 1
        obj = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(self.version)}}
        if word == "DELETED":
            shelf.take(obj)
        else:
            shelf.put(obj)
        event = Event(word, self.version, obj, previous)
        self._log.add((shelf.kind.group, shelf.kind.resource), event)
        for listener in self.listeners:
            listener(event)
        return obj

    def _end(self, shelf: Shelf, live: Object) -> tuple[Object, bool]:
        """Remove an object, or mark it where something holds it; tells whether it is gone."""
        kind, metadata = shelf.kind, live["metadata"]
        if not metadata.get("finalizers") and kind not in (NAMESPACE, DEFINITION):
            return self._commit(shelf, "DELETED", live, live), True
        if "deletionTimestamp" in metadata:
            return live, False
        return self._commit(shelf, "MODIFIED", objects.doomed(kind, live, self._time()), live), False

    def _contents(self, kind: Kind, obj: Object) -> Iterable[tuple[Shelf, Object]]:
        """Give what is in a namespace, or of a type."""
        if kind is NAMESPACE:
            name = obj["metadata"]["name"]
            shelves = [shelf for shelf in self._shelves.values() if shelf.kind.namespaced]
            return [(shelf, one) for shelf in shelves for one in shelf.all(name)]
        shelf = self._shelves.get((obj["spec"]["group"], obj["spec"]["names"]["plural"]))
        return [(shelf, one) for one in shelf.all()] if shelf and definitions.is_established(obj) else []

    def _empty(self, kind: Kind, obj: Object) -> None:
        """Delete what is in a namespace, or of a type, and the thing itself once nothing is."""
        for shelf, one in self._contents(kind, obj):
            self._end(shelf, one)
        self._close(kind, obj["metadata"]["name"])

    def _close_around(self, kind: Kind, gone: Object) -> None:
        """Remove what waited for an object to go."""
        self._close(NAMESPACE, gone["metadata"].get("namespace", ""))
        self._close(DEFINITION, f"{kind.resource}.{kind.group}")

    def _close(self, kind: Kind, name: str) -> None:
        """Remove a namespace or a type that waits for nothing any more."""
        shelf = self._shelf(kind)
        obj = shelf.objects.get(("", name))
        if obj is None or "deletionTimestamp" not in obj["metadata"] or self._contents(kind, obj):
            return
        rest = [one for one in obj["metadata"].get("finalizers", []) if one != definitions.FINALIZER]
        if rest:
            return
        if kind is DEFINITION and definitions.is_established(obj):
            del self._shelves[obj["spec"]["group"], obj["spec"]["names"]["plural"]]
        self._commit(shelf, "DELETED", obj, obj)
        if kind is DEFINITION:
            for other in shelf.all():
                if other["spec"]["group"] == obj["spec"]["group"]:
                    self._defined(other)  # a name may have become free

    def _defined(self, crd: Object) -> Object:
        """Say in a CRD's status what becomes of it, and serve it."""
        shelf = self._shelf(DEFINITION)
        others = [one for one in shelf.all() if one["metadata"]["name"] != crd["metadata"]["name"]]
        status = definitions.status_of(crd, others, self._time())
        settled = crd | {"status": status}
        if definitions.is_established(settled):
            kind = from_crd(settled)
            known = self._shelves.setdefault((kind.group, kind.resource), Shelf(kind))
            known.become(kind)
        if same(status, crd["status"]):
            return crd
        request = Request(shelf, "", crd["metadata"]["name"], _SERVER, "v1", "status", dry_run=False)
        entries = ownership.update(
            crd["metadata"].get("managedFields", []), crd, settled, *request.writing(self._time())
        )
        return self._commit(shelf, "MODIFIED", objects.owned(settled, entries), crd)
