"""The state that somebody approved, by writing its hash into an annotation of the object.

    kubectl annotate widget web customresource-exporter.io/approved=<hash>

The hash alone tells that something differs. Which fields do is told where the approved state has been seen.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

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
    if len(approved) >= _SHORTEST and content_hash(content).startswith(approved):
        memory = Memory(declarer=look.declarer.name, applied=approved, baseline=_kept(look, approved, content))
        return Found(declared=declared, memory=memory, declares=lambda name: not name.startswith("/f:metadata"))
    if look.memory.applied != approved or not look.memory.baseline:
        memory = Memory(declarer=look.declarer.name)
        return Found(declared=declared, memory=memory, differences=(_whole(content),))
    before = msgspec.json.decode(unpack(look.memory.baseline))
    memory = Memory(declarer=look.declarer.name, applied=approved, baseline=look.memory.baseline)
    found = compared(look, msgspec.structs.replace(declared, object=before), memory)
    # What was added differs as well, and is an addition if a person owns it.
    return found if found.differences else msgspec.structs.replace(found, differences=(_whole(content),))


def content_hash(content: dict[str, Any]) -> str:
    """Give the hash of an object's content: all of it but its metadata and its status."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:32]


def _kept(look: Look, approved: str, content: dict[str, Any]) -> bytes:
    known = look.memory.applied == approved and look.memory.baseline
    return look.memory.baseline if known else pack(msgspec.json.encode(content))


def _whole(content: dict[str, Any]) -> Difference:
    """What differs is somewhere in it."""
    place = ("spec",) if content.keys() == {"spec"} else ()
    return Difference("".join(f"/{name}" for name in place), place, "changed", UNSET, UNSET)
