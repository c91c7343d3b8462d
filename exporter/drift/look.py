"""What all the parts of a judgement need of one version, worked out once, and only when somebody asks for it. Pure."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType

from exporter.changes.writer import owns, writer_of
from exporter.drift.declarers import find_declarer
from exporter.drift.fieldsets import list_keys, tree
from exporter.drift.known import PREFIX
from exporter.timestamps import normalise


if TYPE_CHECKING:
    from exporter.changes.entries import Entry
    from exporter.drift.known import Known
    from exporter.drift.values import Memory, Subject
    from exporter.model import Writer
    from exporter.timestamps import Timestamp

    Place = tuple[str, ...]

_SECONDS = len("2026-03-01T10:00:00")
_NOT_CONTENT = frozenset({"apiVersion", "kind", "metadata", "status"})
_DECLARED_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
# Lists of the metadata are what they are in every type.
_METADATA_LISTS: dict[Place, tuple[str, ...]] = {
    ("metadata", "finalizers"): (),
    ("metadata", "ownerReferences"): ("uid",),
}


class Look:
    """One version under judgement.

    Args:
        subject: the object
        memory: of the judgement before
        known: what is known beside

    Attributes:
        labels, annotations: of the object
        declarer: who declares it
        entries: those of managedFields that are not about the status
        claims: those of them that are the declarer's, the one that it wrote last at the end
        wrote: when the declarer last wrote, as its entry has it; empty where it has none
        live: what can be declared of the object: no status, nothing that the server or this program keeps in it

    """

    def __init__(self, subject: Subject, memory: Memory, known: Known) -> None:
        self.subject = subject
        self.memory = memory
        self.known = known
        metadata = subject.version.metadata
        self.labels = _map(metadata.get("labels"))
        self.annotations = _map(metadata.get("annotations"))
        self.entries: list[Entry] = []
        own: list[Entry] = []
        for entry in subject.version.entries:
            subresource = entry.get("subresource")
            if not subresource:
                own.append(entry)
            if subresource != "status":
                self.entries.append(entry)
        self.declarer = find_declarer(self, own)
        managers = self.declarer.managers
        self.claims = [entry for entry in own if entry.get("manager") in managers]
        if len(self.claims) > 1:
            # Within one second an apply is taken for the later one: it is what takes over from the other.
            self.claims.sort(key=lambda one: (_time(one), one.get("operation") == "Apply"))
        self.wrote = _time(self.claims[-1]) if self.claims else ""
        self.live = self._live()
        self._claimed = frozenset(map(id, self.claims))
        self._digests: dict[str, str] = {}
        self._owned: dict[str, list[Entry]] = {}  # by the path of the field

    def _live(self) -> dict[str, Any]:
        version = self.subject.version
        live = version.values([name for name in version.fields if name not in _NOT_CONTENT])
        live["metadata"] = metadata = version.metadata.values(_DECLARED_METADATA)
        if self.annotations:
            applied = self.known.applied
            metadata["annotations"] = {
                key: item for key, item in self.annotations.items() if key not in applied and not key.startswith(PREFIX)
            }
        return live

    def digest(self, text: str) -> str:
        """Give a short hash of a text of the object, by which a change of it is seen."""
        if text not in self._digests:
            self._digests[text] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self._digests[text]

    @property
    def applies_client_side(self) -> bool:
        """Whether the declarer's last write was a client-side apply, as far as is known."""
        if not self.declarer.annotates:
            return False
        return not self.claims or self.claims[-1].get("operation") == "Update"

    def is_within(self, time: str) -> bool:
        """Tell whether the version was seen within a second of the server's time: then more may have happened in it."""
        return bool(time) and time[:_SECONDS] == self.subject.observed[:_SECONDS]

    @property
    def declared_at(self) -> Timestamp | str:
        """When the declarer last wrote; empty where that is not known."""
        return normalise(self.wrote) or ""

    def is_claim(self, entry: Entry) -> bool:
        """Tell whether one of the entries is the declarer's."""
        return id(entry) in self._claimed

    def owner(self, path: str) -> Entry | None:
        """Give the entry that owns a field: another than the declarer's before that, the one with the latest time."""
        owners = self._owners(path)
        if len(owners) > 1:
            owners = [one for one in owners if not self.is_claim(one)] or owners
            return max(owners, key=_time)
        return owners[0] if owners else None

    def _owners(self, path: str) -> list[Entry]:
        """Give the entries that own a field, or else what it is in: that is what is left of a map that was emptied."""
        owners = self._owned.get(path)
        if owners is None:
            owners = [one for one in self.entries if owns(one, path, self.live)]
            if len(owners) > 1:
                owners = [one for one in owners if owns(one, path, self.live, leaf=True)] or owners
            self._owned[path] = owners
        return owners

    def touched(self, path: str) -> bool:
        """Tell whether somebody other than the declarer owns a field, and the declarer no longer does."""
        owners = self._owners(path)
        return bool(owners) and not any(map(self.is_claim, owners))

    def is_as_written(self, path: str) -> bool:
        """Tell whether the declarer owns a field, and nobody beside it."""
        owners = self._owners(path)
        return bool(owners) and all(map(self.is_claim, owners))

    def writer(self, path: str) -> tuple[Writer | UnsetType, Timestamp | UnsetType]:
        """Tell who owns a field, and when they last wrote."""
        entry = self.owner(path)
        if entry is None:
            return UNSET, UNSET
        name = str(entry.get("manager", ""))
        class_ = self.known.writers.class_of(name, self.subject.version.entries)
        writer = writer_of(name, class_, str(entry.get("operation", "")), str(entry.get("subresource", "")))
        return writer, normalise(entry.get("time")) or UNSET

    def keys(self, place: Place) -> tuple[str, ...] | None:
        """Give the keys of a list-map, `()` for a set, None for any other list."""
        schema = self.known.schema
        if place in _METADATA_LISTS:
            return _METADATA_LISTS[place]
        if schema.known:
            place = schema.place(place)
            found = schema.list_keys.get(place)
            return found if found is not None else () if place in schema.sets else None
        return self._learned.get(place)

    @cached_property
    def _learned(self) -> dict[Place, tuple[str, ...]]:
        """What managedFields show of the lists of a type whose schema is not known."""
        learned: dict[Place, tuple[str, ...]] = {}
        for entry in self.entries:
            learned.update(list_keys(tree(entry)))
        return learned


def declarable(obj: dict[str, Any]) -> dict[str, Any]:
    """Give what of an object can be declared: not its identity, not its status, nothing that the server sets."""
    kept = {name: item for name, item in obj.items() if name not in _NOT_CONTENT}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        kept["metadata"] = {name: metadata[name] for name in _DECLARED_METADATA if name in metadata}
    return kept


def _time(entry: Entry) -> str:
    return str(entry.get("time", ""))


def _map(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return value if isinstance(value, dict) else {}
