"""What one commit writes: filled by the tracker and the ingest, handed to the journal.

The one mutable value in the flow; it lives from one commit to the next and nobody keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from exporter.changes.step import Step
    from exporter.model import Change, Checkpoint, ObjectKey, ResourceType, Scope, Stored, Tombstone
    from exporter.records import Record, State


# (family, group, kind, namespace, further label values…)
Series = tuple[str, ...]


@dataclass(slots=True)
class Batch:
    """Changes, and everything that must become true together with them.

    Attributes:
        changes: in their order
        steps: what became of objects and no keeper has taken in yet, each with the place of its change in `changes`
        weight: of those steps, the bytes of their versions, all of which are held until the steps were taken in
        heard: how many of those steps each keeper has taken in, by its name; only while that is under way
        records: what keepers conclude from them; written after the changes
        states: what each keeper keeps of an object, by (its name, object); None removes it
        tallied: by how much the objects grow of which it keeps (its name, group, plural, namespace, tally)
        objects: the new last-seen state; None removes the object
        tombstones: of the objects that were deleted
        checkpoints: how far each scope has been followed with this commit; None removes the mark
        counted: by how many the objects of each (group, kind, namespace) grow
        removed: (group, kind) of types that are no longer defined
        coalesced: versions that lists are known to have swallowed
        unreadable: objects that could only be kept as a hash
        truncated: changes whose fields were cut
        forgotten: objects that left the selection

    """

    changes: list[Change] = field(default_factory=list)
    steps: list[tuple[Step, int]] = field(default_factory=list)
    weight: int = 0
    heard: dict[str, int] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    states: dict[tuple[str, ObjectKey], State | None] = field(default_factory=dict)
    objects: dict[ObjectKey, Stored | None] = field(default_factory=dict)
    tombstones: dict[ObjectKey, Tombstone] = field(default_factory=dict)
    checkpoints: dict[Scope, Checkpoint | None] = field(default_factory=dict)
    counted: dict[tuple[str, str, str], int] = field(default_factory=dict)
    removed: list[tuple[str, str]] = field(default_factory=list)
    tallied: dict[tuple[str, str, str, str, str], int] = field(default_factory=dict)
    coalesced: int = 0
    unreadable: int = 0
    truncated: int = 0
    forgotten: int = 0

    def take(self, step: Step) -> None:
        """Take in what became of an object, with the change that is told of it, if there is one."""
        self.steps.append((step, len(self.changes)))
        for version in (step.old, step.new):
            if version is not None:
                self.weight += len(version.raw)
        if step.change is not None:
            self.changes.append(step.change)

    def count(self, resource_type: ResourceType, namespace: str, by: int) -> None:
        """Note that there are more, or fewer, objects of a type in a namespace."""
        place = (resource_type.group, resource_type.kind, namespace)
        self.counted[place] = self.counted.get(place, 0) + by
