"""The annotation in which a client-side apply keeps what it applied: exact, and there after any restart.

It is believed only while it is the declarer's: a tool that goes over to server-side apply leaves it behind, and
somebody else can write it. Then what it held before serves, until the declarer writes it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from exporter.changes.version import pack, unpack
from exporter.changes.writer import owns
from exporter.drift.baselines.found import Found, compared
from exporter.drift.look import digest, to_pointer
from exporter.drift.values import Declared, Memory


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.drift.look import Look
    from exporter.records import Confidence


def _decode_json(text: str) -> Any:  # noqa: ANN401 - any JSON
    return msgspec.json.decode(text)


# How such an annotation may be written.
DECODERS: dict[str, Callable[[str], Any]] = {"json": _decode_json}


def read(look: Look) -> Found | None:
    """Hold the object against its annotation; None where it has none that can be believed."""
    for name, decoder in look.known.applied.items():
        text = look.annotations.get(name)
        if isinstance(text, str):
            if _is_believed(look, name):
                return _current(look, text, decoder)
            if _was_moved(look):
                return _previous(look)
    # Somebody took it away from under a declarer that keeps one.
    return _previous(look) if _was_moved(look) else None


def _is_believed(look: Look, name: str) -> bool:
    """Tell whether the declarer's last write was a client-side apply, and the annotation is what it wrote."""
    if not look.subject.version.entries.raws:
        return True  # nobody is known to have written anything
    if not look.claims or look.claims[-1].get("operation") != "Update":
        return False
    path = to_pointer(("metadata", "annotations", name))
    return any(owns(entry, path) for entry in look.claims if entry.get("operation") == "Update")


def _was_moved(look: Look) -> bool:
    """Tell whether the annotation ought to be the declarer's, and was when it was last looked at."""
    updates = not look.claims or look.claims[-1].get("operation") == "Update"
    return look.declarer.annotates and updates and bool(look.memory.baseline)


def _current(look: Look, text: str, decoder: str) -> Found:
    memory = Memory(declarer=look.declarer.name, applied=digest(text))
    try:
        held = DECODERS[decoder](text)
    except (msgspec.DecodeError, ValueError):
        held = None
    if not isinstance(held, dict):
        problem = "the last-applied annotation holds no object"
        return Found(declared=_declared(look, None, problem), memory=memory)
    if memory.applied == look.memory.applied and look.memory.baseline:
        baseline = look.memory.baseline
    else:
        baseline = pack(msgspec.json.encode(held))
    memory = msgspec.structs.replace(memory, baseline=baseline)
    return compared(look, _declared(look, held, _other_version(look, held)), memory)


def _previous(look: Look) -> Found:
    held = msgspec.json.decode(unpack(look.memory.baseline))
    declared = msgspec.structs.replace(_declared(look, held, _other_version(look, held)), moved=True)
    return compared(look, declared, look.memory)


def _declared(look: Look, held: dict[str, Any] | None, problem: str) -> Declared:
    confidence: Confidence = "high" if look.subject.version.entries.raws else "medium"
    return Declared(source="last_applied", confidence=confidence, object=held, problem=problem)


def _other_version(look: Look, held: dict[str, Any]) -> str:
    """Say that an object was declared in another version than the one that is watched, if it was."""
    declared, watched = held.get("apiVersion"), look.subject.type.api_version
    return "" if declared == watched else f"declared in {declared}, watched in {watched}"
