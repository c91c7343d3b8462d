"""What is known of a type beyond its objects: the parts of its schema by which they are read. Values only."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Schema(Struct, frozen=True):
    """What a CRD's schema tells, by place; in a place `*` stands for any index or free key.

    Args:
        list_keys: keys of list-maps
        passwords: fields that are passwords
        sets: lists that are sets
        defaults: what the server fills in
        quantities: fields that hold a quantity of Kubernetes
        durations: fields that hold a duration of Go
        atomics: maps that are owned as a whole
        free: maps with keys that are not named
        known: there is such a schema; without one nothing can be said from what it lacks

    """

    list_keys: dict[tuple[str, ...], tuple[str, ...]] = {}
    passwords: tuple[tuple[str, ...], ...] = ()
    sets: frozenset[tuple[str, ...]] = frozenset()
    defaults: dict[tuple[str, ...], Any] = {}
    quantities: frozenset[tuple[str, ...]] = frozenset()
    durations: frozenset[tuple[str, ...]] = frozenset()
    atomics: frozenset[tuple[str, ...]] = frozenset()
    free: frozenset[tuple[str, ...]] = frozenset()
    known: bool = False

    def place(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Give the place of what lies at a path in which `*` stands for any index already."""
        if not self.free:
            return path
        place: tuple[str, ...] = ()
        for segment in path:
            place = (*place, "*" if place in self.free else segment)
        return place


NO_SCHEMA = Schema()
