"""What the tracker made of one observation, for those who follow the changes and keep a state of their own.

A step is told for every object that is new, moved or gone, also where no change is told of it: a baseline is silent,
and still the first thing that a follower knows.
"""

from __future__ import annotations

from msgspec import Struct

from exporter.changes.entries import Entry
from exporter.changes.version import Version
from exporter.model import Change, ObjectKey, ResourceType
from exporter.timestamps import Timestamp


class Step(Struct, frozen=True, gc=False):
    """One step in the life of an object.

    Args:
        type: what kind of object
        key: its place
        uid: its identity
        observed: when it was seen
        change: what was told of it; None where nothing was (a baseline, a new look of the same version, one that left
            the selection, one that is looked at again)
        old: the version before, None where there was none or it is not at hand
        new: the version now, None where the object is gone; without a `uid` there never was one
        went: entries of managedFields that only the version before has, or has so; none without a change

    """

    type: ResourceType
    key: ObjectKey
    uid: str
    observed: Timestamp
    change: Change | None = None
    old: Version | None = None
    new: Version | None = None
    went: tuple[Entry, ...] = ()
