"""What all the parts of a judgement need of one version, worked out once, and only when somebody asks for it. Pure."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exporter.changes.pointer import escape
from exporter.changes.redact import mask
from exporter.changes.writer import owns
from exporter.drift.declarers import find_declarer
from exporter.drift.fieldsets import list_keys, tree
from exporter.drift.known import PREFIX
from exporter.model import Writer
from exporter.timestamps import Timestamp, normalise


if TYPE_CHECKING:
    from exporter.changes.entries import Entry
    from exporter.drift.known import Known
    from exporter.drift.values import Memory, Subject

    Path = tuple[str, ...]

_NOT_CONTENT = frozenset({"apiVersion", "kind", "metadata", "status"})
_DECLARED_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
# Lists of the metadata are what they are in every type.
_METADATA_LISTS: dict[Path, tuple[str, ...]] = {
    ("metadata", "finalizers"): (),
    ("metadata", "ownerReferences"): ("uid",),
}


class Look:
    """One version under judgement.

    Args:
        subject: the object
        memory: of the judgement before
        known: what is known beside

    """

    def __init__(self, subject: Subject, memory: Memory, known: Known) -> None:
        self.subject = subject
        self.memory = memory
        self.known = known
        self.declarer = find_declarer(subject.version, known.writers, memory)

    @cached_property
    def annotations(self) -> dict[str, Any]:
        """The object's annotations."""
        held = self.subject.version.metadata.get("annotations")
        return held if isinstance(held, dict) else {}

    @cached_property
    def live(self) -> dict[str, Any]:
        """What can be declared of the object: no status, nothing that the server or this program keeps in it."""
        version = self.subject.version
        live = {name: version.get(name) for name in version.fields if name not in _NOT_CONTENT}
        metadata = version.metadata.values(_DECLARED_METADATA)
        if self.annotations:
            metadata["annotations"] = {key: item for key, item in self.annotations.items() if not self._is_ours(key)}
        live["metadata"] = metadata
        return live

    def _is_ours(self, annotation: str) -> bool:
        return annotation in self.known.applied or annotation.startswith(PREFIX)

    @cached_property
    def entries(self) -> list[Entry]:
        """Those of managedFields that are not about the status."""
        return [entry for entry in self.subject.version.entries if entry.get("subresource") != "status"]

    @cached_property
    def claims(self) -> list[Entry]:
        """Those of the declarer, the one that it wrote last at the end."""
        managers = self.declarer.managers
        claims = [one for one in self.entries if one.get("manager") in managers and not one.get("subresource")]
        # Within one second an apply is taken for the later one: it is what takes over from the other.
        return sorted(claims, key=lambda one: (str(one.get("time", "")), one.get("operation") == "Apply"))

    @cached_property
    def declared_at(self) -> Timestamp | str:
        """When the declarer last wrote; empty where that is not known."""
        return normalise(self.claims[-1].get("time")) or "" if self.claims else ""

    def owner(self, path: Path) -> Entry | None:
        """Give the entry that owns a field: another than the declarer's before that, the one with the latest time."""
        pointer = to_pointer(path)
        owners = [one for one in self.entries if owns(one, pointer, self.live)]
        others = [one for one in owners if one not in self.claims] or owners
        return max(others, key=lambda one: str(one.get("time", "")), default=None)

    def touched(self, path: Path) -> bool:
        """Tell whether somebody other than the declarer owns a field, and the declarer no longer does."""
        owner = self.owner(path)
        return (
            owner is not None
            and owner not in self.claims
            and not any(owns(one, to_pointer(path), self.live) for one in self.claims)
        )

    def writer(self, path: Path) -> tuple[Writer, Timestamp | None] | None:
        """Tell who owns a field, and when they last wrote."""
        entry = self.owner(path)
        if entry is None:
            return None
        name = str(entry.get("manager", ""))
        writer = Writer(
            name=mask(name),
            class_=self.known.writers.class_of(name, self.subject.version.entries),
            source="managed_fields",
            operation=str(entry.get("operation", "")),
            subresource=str(entry.get("subresource", "")),
        )
        return writer, normalise(entry.get("time"))

    def keys(self, place: Path) -> tuple[str, ...] | None:
        """Give the keys of a list-map, `()` for a set, None for any other list."""
        schema = self.known.schema
        if place in _METADATA_LISTS:
            return _METADATA_LISTS[place]
        if schema.known:
            found = schema.list_keys.get(place)
            return found if found is not None else () if place in schema.sets else None
        return self._learned.get(place)

    @cached_property
    def _learned(self) -> dict[Path, tuple[str, ...]]:
        """What managedFields show of the lists of a type whose schema is not known."""
        learned: dict[Path, tuple[str, ...]] = {}
        for entry in self.entries:
            learned.update(list_keys(tree(entry)))
        return learned


def to_pointer(path: Path) -> str:
    """Write a path as a JSON Pointer."""
    return "".join(f"/{escape(segment)}" for segment in path)


def digest(text: str) -> str:
    """Give a short hash of a text, by which a change of it is seen."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
