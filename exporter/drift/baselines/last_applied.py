"""The annotation in which a client-side apply keeps what it applied: exact, and there after any restart.

It is believed only while it is the declarer's: a tool that goes over to server-side apply leaves it behind, and
somebody else can write it. Then what it held before serves, until the declarer writes it again.
"""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.changes.pointer import escape
from exporter.changes.version import pack, unpack
from exporter.changes.writer import owns
from exporter.drift.baselines.found import Found, compared
from exporter.drift.values import Declared, Memory


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.drift.look import Look
    from exporter.records import Confidence


_LARGEST = 8 * 1024 * 1024


def _json(text: str) -> bytes:
    return text.encode()


def _gzip(text: str) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    unpacked = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST)
    if not unpacker.eof:
        raise ValueError("cut off, or too large")
    return unpacked


# How such an annotation may be written, and what gives its JSON. That of one in the clear has lost its secrets already.
DECODERS: dict[str, Callable[[str], bytes]] = {"json": _json, "gzip": _gzip}
_CLEAR = "json"
# An object that changes often has the same annotation again and again: so many without secrets are at hand, none
# longer than that.
_RECENT = 512
_LONGEST_RECENT = 4096


def read(look: Look) -> Found | None:
    """Hold the object against its annotation; None where it has none that can be believed."""
    found = _annotation(look)
    if found is not None and _is_believed(look, *found):
        return _current(look, *found)
    # Somebody else has written it, or taken it away, under a declarer that keeps one.
    return _previous(look) if _was_moved(look) else None


def held(look: Look) -> dict[str, Any] | None:
    """Give what the declarer applied last, by an annotation that can be believed; None where there is none."""
    found = _annotation(look)
    return _decoded(look, *found) if found is not None and _is_believed(look, *found) else None


def _annotation(look: Look) -> tuple[str, str] | None:
    """Find the annotation: its name, and its text."""
    for name in look.known.applied:
        text = look.annotations.get(name)
        if isinstance(text, str):
            return name, text
    return None


def _is_believed(look: Look, name: str, text: str) -> bool:
    """Tell whether the declarer's last write was a client-side apply, and the annotation is what it wrote."""
    if not look.subject.version.entries.raws:
        return True  # nobody is known to have written anything
    if not look.claims:
        # Where very many write, the server puts the oldest entries together: whose they were is lost, the text is not.
        return look.memory.source == "last_applied" and look.memory.applied == look.digest(text)
    if look.claims[-1].get("operation") != "Update" or _was_synced(look, text):
        return False
    path = f"/metadata/annotations/{escape(name)}"
    return any(owns(entry, path) for entry in look.claims if entry.get("operation") == "Update")


def _was_synced(look: Look, text: str) -> bool:
    """Tell whether the annotation has moved without a write of its owner.

    So it does when a person takes fields over by `kubectl apply --server-side`: then the server brings it up to date.
    """
    memory, wrote = look.memory, look.wrote
    if memory.source != "last_applied" or not wrote or memory.wrote != wrote or look.is_within(wrote):
        return False
    return memory.applied != look.digest(text)


def _was_moved(look: Look) -> bool:
    """Tell whether the annotation ought to be the declarer's, and was when it was last looked at."""
    return look.applies_client_side and look.memory.source == "last_applied" and bool(look.memory.kept)


def _current(look: Look, name: str, text: str) -> Found:
    obj, applied, before = _decoded(look, name, text), look.digest(text), look.memory
    if obj is None:
        kept, problem = b"", f"the annotation {name} holds no object"
    else:
        is_known = before.source == "last_applied" and before.applied == applied
        kept, problem = before.kept if is_known else pack(msgspec.json.encode(obj)), _other_version(look, obj)
    memory = Memory(look.declarer.name, "last_applied", look.wrote, applied, kept)
    return _compared(look, _declared(look, obj, problem), memory)


def _decoded(look: Look, name: str, text: str) -> dict[str, Any] | None:
    decoder = look.known.applied[name]
    is_clear = decoder == _CLEAR
    obj = _recent(decoder, text) if is_clear and len(text) <= _LONGEST_RECENT else _content(decoder, text)
    if not isinstance(obj, dict):
        return None
    return obj if is_clear else look.known.redact(obj)


def _content(decoder: str, text: str) -> Any:  # noqa: ANN401 - any JSON
    """Give what an annotation holds, None where that is no JSON."""
    try:
        return msgspec.json.decode(DECODERS[decoder](text))
    except (ValueError, zlib.error):
        return None


_recent = lru_cache(maxsize=_RECENT)(_content)


def _previous(look: Look) -> Found:
    kept = msgspec.json.decode(unpack(look.memory.kept))
    obj = look.known.redact(kept) or kept  # it lost its secrets when it was kept; more may be one since then
    declared = msgspec.structs.replace(_declared(look, obj, _other_version(look, obj)), moved=True)
    return _compared(look, declared, look.memory)


def _compared(look: Look, declared: Declared, memory: Memory) -> Found:
    """Compare, but leave out what the declarer alone still owns.

    No request of anybody else has changed that since it was applied (KEP-555): a webhook did when it was admitted, and
    would again.
    """
    found = compared(look, declared, memory)
    kept = tuple(one for one in found.differences if not one.owned or not look.is_as_written(one.owned))
    return found if len(kept) == len(found.differences) else msgspec.structs.replace(found, differences=kept)


def _declared(look: Look, obj: dict[str, Any] | None, problem: str) -> Declared:
    confidence: Confidence = "high" if look.subject.version.entries.raws else "medium"
    return Declared(source="last_applied", confidence=confidence, object=obj, problem=problem)


def _other_version(look: Look, obj: dict[str, Any]) -> str:
    """Say that an object was declared in another version than the one that is watched, if it was."""
    declared, watched = obj.get("apiVersion"), look.subject.type.api_version
    return "" if declared == watched else f"declared in {declared}, watched in {watched}"
