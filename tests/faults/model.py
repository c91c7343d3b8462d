"""A model of the API server: what was ever written, what is remembered of it, and the bytes that a client gets.

One revision counts for everything, as etcd's does. After a restored snapshot it goes on from an older value; the
revisions of each such timeline are other numbers, so that a version always says to which one it belongs. The model
also judges its client: a list that nothing made necessary, or a request before the time that it was told to wait, is
an error of the client. It must never know how the client works, only what it was asked and what it answered.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.kube.discovery import CRD
from exporter.model import ResourceType
from tests.faults.model_wire import line


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.model import Event


WIDGET = ResourceType("example.com", "v1", "widgets", "Widget")
GADGET = ResourceType("other.example.com", "v2", "gadgets", "Gadget", namespaced=False)
TYPES = (WIDGET, GADGET)
LABEL = "keep=yes"

_TIMELINES = 3
_EVENTS = {"added": "ADDED", "modified": "MODIFIED", "deleted": "DELETED"}
# So many errors or empty streams in a row, or so many times 410, make a list the right thing to do.
_ERRORS, _GONE = 5, 2

Place = tuple[ResourceType, str, str]


class Version(NamedTuple):
    """One version of one object, or its deletion; `order` is its place in everything that ever happened."""

    order: int
    event: Event
    type: ResourceType
    namespace: str
    name: str
    uid: str
    rv: int
    body: dict[str, Any]
    before: Version | None

    @property
    def place(self) -> Place:
        """Where the object is."""
        return (self.type, self.namespace, self.name)

    @property
    def first(self) -> Version:
        """The version with which the object came."""
        version = self
        while version.before is not None:
            version = version.before
        return version


class Snapshot(NamedTuple):
    """What etcd held at a time."""

    rv: int
    objects: dict[Place, Version]
    log: list[Version]
    lineage: set[int]


class Asked:
    """What one client may do with one collection: whether it has a reason to list, and how long it is to wait."""

    def __init__(self, *, reason: bool) -> None:
        self.reason = reason
        self.gone = self.errors = 0
        self.not_before = 0.0
        self.listed = 0

    @property
    def may_list(self) -> bool:
        """Tell whether a list is the right thing to do."""
        return self.reason or self.gone >= _GONE or self.errors >= _ERRORS

    def went_well(self) -> None:
        """Something was delivered."""
        self.gone = self.errors = 0


class Server:
    """The server."""

    def __init__(self) -> None:
        self.rv, self.floor, self.timeline = 3, 3, 0
        self.lineage = {self.rv}
        self.objects: dict[Place, Version] = {}
        self.log: list[Version] = []
        self.truth: list[Version] = []
        self.by_version: dict[tuple[str, int], Version] = {}
        # What may be missing in a history of it: lists and restored snapshots swallow versions.
        self.swallowed: set[int] = set()
        # The client goes on in a history that is not the one it knows, and cannot know it.
        self.deceived = False
        self.changed: list[Callable[[], None]] = []  # of the open streams
        # What goes wrong with the next requests: which fault, after how many lines, and for which type alone.
        self.faults: list[tuple[str, int, ResourceType | None]] = []
        self.down = False
        self.now: Callable[[], str] = lambda: ""
        self._asked: dict[tuple[tuple[str, str], str], Asked] = {}
        self.uids = 0
        self._touched: set[ResourceType] = set()  # installed or removed while this client is there
        self.installed: Counter[ResourceType] = Counter()
        for resource_type in TYPES:
            self.define(resource_type)

    # -- writing ----------------------------------------------------------------------------------------------

    def define(self, resource_type: ResourceType) -> None:
        """Install a CRD."""
        served = {"name": resource_type.version, "served": True, "storage": True}
        spec = {
            "group": resource_type.group,
            "scope": "Namespaced" if resource_type.namespaced else "Cluster",
            "names": {"plural": resource_type.resource, "kind": resource_type.kind},
            "versions": [served],
        }
        established = {"conditions": [{"type": "Established", "status": "True"}]}
        self.create((CRD, "", str(resource_type)), {"spec": spec, "status": established})
        self.installed[resource_type] += 1
        self._touched.add(resource_type)
        self.excuse(resource_type)

    def undefine(self, resource_type: ResourceType) -> None:
        """Remove a CRD, and its objects before it."""
        for place in [place for place in self.objects if place[0] is resource_type]:
            self.delete(place)
            if place in self.objects:  # it had a finalizer
                self.delete(place)
        self.swallowed |= {version.order for version in self.log if version.type is resource_type}
        self.delete((CRD, "", str(resource_type)))
        self._touched.add(resource_type)
        self.excuse(resource_type)

    def definition(self, resource_type: ResourceType) -> str:
        """Give the uid of a type's CRD, empty where there is none."""
        version = self.objects.get((CRD, "", str(resource_type)))
        return version.uid if version else ""

    def defined(self, resource_type: ResourceType) -> bool:
        """Tell whether a type is served."""
        return resource_type is CRD or bool(self.definition(resource_type))

    def reinstalled(self, resource_type: ResourceType) -> bool:
        """Tell whether a type was installed more than once."""
        return self.installed[resource_type] > 1

    def create(self, place: Place, content: dict[str, Any], labels: dict[str, str] | None = None) -> None:
        """Make an object."""
        self.uids += 1
        meta = {"uid": f"uid-{self.uids}", "name": place[2], "generation": 1, "creationTimestamp": self.now()}
        if place[1]:
            meta["namespace"] = place[1]
        if labels:
            meta["labels"] = labels
        self._write("added", place, {"apiVersion": place[0].api_version, "kind": place[0].kind, **content}, meta, None)

    def update(self, place: Place, content: dict[str, Any], **meta: Any) -> None:
        """Change top-level fields or metadata of an object; another spec is another generation."""
        old = self.objects[place]
        body, before = {**old.body, **content}, old.body["metadata"]
        body.pop("metadata")
        grown = before["generation"] + (body.get("spec") != old.body.get("spec"))
        self._write("modified", place, body, {**before, **meta, "generation": grown}, old)

    def delete(self, place: Place) -> None:
        """Delete an object: what has a finalizer is only marked the first time."""
        old = self.objects[place]
        meta = dict(old.body["metadata"])
        if meta.pop("finalizers", None) and "deletionTimestamp" not in meta:
            self.update(place, {}, deletionTimestamp=self.now())
            return
        self._write("deleted", place, {key: old.body[key] for key in old.body if key != "metadata"}, meta, old)

    def _write(
        self, event: Event, place: Place, content: dict[str, Any], meta: dict[str, Any], before: Version | None
    ) -> None:
        self.rv += 1
        while self.rv % _TIMELINES != self.timeline:
            self.rv += 1
        self.lineage.add(self.rv)
        body = {**content, "metadata": {**meta, "resourceVersion": str(self.rv)}}
        version = Version(len(self.truth), event, *place, meta["uid"], self.rv, body, before)
        self.truth.append(version)
        self.by_version[version.uid, version.rv] = version
        self.log.append(version)
        if event == "deleted":
            del self.objects[place]
        else:
            self.objects[place] = version
        self._tell()

    # -- what happens to a server -----------------------------------------------------------------------------

    def forget(self) -> None:
        """Remember nothing of what was before now."""
        self.floor = self.rv

    def snapshot(self) -> Snapshot:
        """Keep what is there."""
        return Snapshot(self.rv, dict(self.objects), list(self.log), set(self.lineage))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, as a server does that was stopped for it; what was written since never happened."""
        self.swallowed |= {version.order for version in self.truth if version.rv not in snapshot.lineage}
        self.timeline = (self.timeline + 1) % _TIMELINES
        self.rv, self.floor = snapshot.rv, snapshot.rv
        self.objects, self.log, self.lineage = dict(snapshot.objects), list(snapshot.log), set(snapshot.lineage)
        for resource_type in TYPES:
            self.excuse(resource_type)

    @property
    def restores(self) -> int:
        """How many more snapshots can be restored."""
        return _TIMELINES - 1 - self.timeline

    def _tell(self) -> None:
        for changed in self.changed:
            changed()

    # -- what is there, and what happened ---------------------------------------------------------------------

    def there(self, resource_type: ResourceType, namespace: str, selector: str) -> list[Version]:
        """Give what a list of a collection holds."""
        return [
            version
            for version in self.objects.values()
            if version.type == resource_type and namespace in ("", version.namespace) and matches(version, selector)
        ]

    def lines(self, resource_type: ResourceType, namespace: str, selector: str, since: int) -> list[tuple[int, bytes]]:
        """Give what a watch tells of everything that is remembered after a revision, each line with its revision."""
        told = []
        for version in self.log:
            if version.rv <= since or version.type != resource_type or namespace not in ("", version.namespace):
                continue
            was = version.before is not None and matches(version.before, selector)
            now = version.event != "deleted" and matches(version, selector)
            if was or now:
                event: Event = "deleted" if not now else "modified" if was else "added"
                told.append((version.rv, line(_EVENTS[event], version.body)))
        return told

    # -- what a client does -----------------------------------------------------------------------------------

    def met(self, resumable: set[tuple[tuple[str, str], str]]) -> None:
        """Forget what was known of a client: another one comes, which has no reason to list these collections."""
        self._touched.clear()
        self._asked = {place: Asked(reason=False) for place in resumable}

    def asked(self, resource_type: ResourceType, namespace: str) -> Asked:
        """What is known of a client's doings with a collection."""
        return self._asked.setdefault((resource_type.identity, namespace), Asked(reason=True))

    def excuse(self, resource_type: ResourceType) -> None:
        """Whatever is known of a type's history is worth nothing now: everybody may list."""
        for (identity, _), asked in self._asked.items():
            if identity == resource_type.identity:
                asked.reason, asked.not_before = True, 0.0

    def listed(self, resource_type: ResourceType, namespace: str) -> None:
        """Note that somebody lists: versions up to now may never be told.

        Raises:
            AssertionError: nothing made that necessary

        """
        asked = self.asked(resource_type, namespace)
        if resource_type is not CRD:
            may = asked.may_list or self.deceived or resource_type in self._touched
            assert may, f"a list of {resource_type} in {namespace!r} that nothing made necessary"
            self.swallowed |= {
                version.order
                for version in self.log
                if version.type == resource_type and namespace in ("", version.namespace)
            }
        asked.reason, asked.listed = True, self.rv
        asked.went_well()

    def watched(self, resource_type: ResourceType, namespace: str, since: int) -> None:
        """Note that somebody watches from a revision on: the list before is over."""
        if since in self.lineage:
            self.asked(resource_type, namespace).reason = False
        elif self.rv > since:
            self.deceived = True


def matches(version: Version, selector: str) -> bool:
    """Tell whether a version is selected."""
    key, _, value = selector.partition("=")
    return not selector or version.body["metadata"].get("labels", {}).get(key) == value
