"""The state that somebody approved, by writing its hash into an annotation of the object.

    kubectl annotate widget web customresource-exporter.io/approved=<hash>

The hash alone tells that something differs. Which fields do is told where the approved state has been seen.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from exporter.changes.version import pack, unpack
from exporter.drift.baselines.found import Found, compared
from exporter.drift.compare import Difference
from exporter.drift.known import APPROVED
from exporter.drift.values import Declared, Memory


if TYPE_CHECKING:
    from exporter.drift.look import Look

_SHORTEST = 8


def read(look: Look) -> Found | None:
    """Hold the object against what was approved; None where nothing was."""
    approved = look.annotations.get(APPROVED)
    if not isinstance(approved, str):
        return None
    content = {name: value for name, value in look.live.items() if name != "metadata"}
    declared = Declared(source="snapshot", confidence="low")
    before = look.memory
    is_known = before.source == "snapshot" and before.applied == approved
    if len(approved) >= _SHORTEST and content_hash(content).startswith(approved):
        kept = before.kept if is_known else pack(msgspec.json.encode(content))
        memory = Memory(look.declarer.name, "snapshot", applied=approved, kept=kept)
        return Found(declared=declared, memory=memory, declares=lambda name: not name.startswith("/f:metadata"))
    if not is_known:
        memory = Memory(look.declarer.name)
        return Found(declared=declared, memory=memory, differences=(_whole(content),))
    obj = msgspec.json.decode(unpack(before.kept))
    found = compared(look, replace(declared, object=obj), before)
    # What was added differs as well, and is an addition if a person owns it.
    return found if found.differences else replace(found, differences=(_whole(content),))


def content_hash(content: dict[str, Any]) -> str:
    """Give the hash of an object's content: all of it but its metadata and its status."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:32]


def _whole(content: dict[str, Any]) -> Difference:
    """What differs is somewhere in it."""
    place = ("spec",) if content.keys() == {"spec"} else ()
    return Difference("".join(f"/{name}" for name in place), place, "changed", UNSET, UNSET)
