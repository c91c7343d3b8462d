"""A manifest from a directory: exactly what somebody declares, read by whoever follows the directory.

It alone tells what the declarer once declared, still owns, and no longer declares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from exporter.changes.pointer import escape
from exporter.drift.baselines import last_applied
from exporter.drift.baselines.found import compared
from exporter.drift.compare import Difference, is_default
from exporter.drift.declarers import is_mark
from exporter.drift.equal import is_empty
from exporter.drift.fieldsets import has, leaves, tree
from exporter.drift.look import declarable
from exporter.drift.values import Memory


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.drift.baselines.found import Found
    from exporter.drift.look import Look

_MARKED = (("metadata", "labels"), ("metadata", "annotations"))


def read(look: Look) -> Found | None:
    """Hold the object against its manifest; None where there is none."""
    declared = look.known.declared
    if declared is None:
        return None
    found = compared(look, declared, Memory(look.declarer.name))
    if declared.object is None or declared.problem:
        return found
    wanted = declarable(declared.object)
    told: dict[str, Difference] = {}
    for one in (*_still_owned(look, wanted), *_still_applied(look, wanted)):
        if not is_default(one.live, one.place, look.known.schema):
            told.setdefault(one.path, one)
    return msgspec.structs.replace(found, differences=(*found.differences, *told.values()))


def _still_owned(look: Look, wanted: dict[str, Any]) -> Iterator[Difference]:
    """Find what the declarer owns by a server-side apply, and the manifest lacks.

    What it owns by an update may as well have been filled in by the server.
    """
    for entry in look.claims:
        if entry.get("operation") == "Apply":
            for leaf in leaves(tree(entry), look.live, look.known.schema, until=lambda name: not has(name, wanted)):
                place = leaf.place
                marked = place[:2] in _MARKED and any(map(is_mark, place[2:]))
                if not has(leaf.name, wanted) and not marked and not is_empty(leaf.value):
                    yield Difference(leaf.path, place, "stale_owned", UNSET, leaf.value, leaf.path)


def _still_applied(look: Look, wanted: dict[str, Any]) -> Iterator[Difference]:
    """Find what the declarer applied last, is still there, and the manifest lacks: the next apply takes it out."""
    applied = last_applied.held(look)
    if applied is not None:
        yield from _dropped(declarable(applied), wanted, look.live)


def _dropped(
    applied: dict[str, Any], wanted: dict[str, Any], live: dict[str, Any], path: str = "", place: tuple[str, ...] = ()
) -> Iterator[Difference]:
    for key, item in applied.items():
        now, here, inside = live.get(key, UNSET), f"{path}/{escape(key)}", (*place, key)
        if is_empty(now) or is_empty(item):
            continue
        if key not in wanted:
            if place not in _MARKED or not is_mark(key):
                yield Difference(here, inside, "stale_owned", UNSET, now, here)
        elif isinstance(item, dict) and isinstance(now, dict) and isinstance(wanted[key], dict):
            yield from _dropped(item, wanted[key], now, here, inside)
