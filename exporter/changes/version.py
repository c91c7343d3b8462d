"""One version of an object: JSON whose top-level fields are decoded only where somebody must look inside.

Most of a version is what the version before it was. Fields whose bytes are the same are neither searched nor decoded
nor compared any further, which is most of the work of following an object that changes often.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
from isal import isal_zlib


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.changes.observation import Head

_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Version:
    """One version of an object.

    Args:
        raw: its JSON, an object
        values: its top-level fields as far as they are decoded already

    Attributes:
        raw: its JSON
        fields: its top-level fields, each still JSON

    Raises:
        msgspec.DecodeError: it is no JSON object

    """

    __slots__ = ("_values", "fields", "raw")

    def __init__(self, raw: bytes, values: dict[str, Any] | None = None) -> None:
        self.raw = raw
        self.fields = _fields_decoder.decode(raw)
        self._values = {} if values is None else values

    def value(self, name: str) -> Any:  # noqa: ANN401 - any JSON
        """Decode a top-level field, which must be there; once.

        Raises:
            msgspec.DecodeError: it cannot be decoded

        """
        if name not in self._values:
            self._values[name] = msgspec.json.decode(self.fields[name])
        return self._values[name]

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata, empty if it has none."""
        found = self.value("metadata") if "metadata" in self.fields else None
        return found if isinstance(found, dict) else {}

    def pack(self) -> bytes:
        """Compress it for the journal (zlib format, RFC 1950)."""
        # Level 0 is isal's fastest, not "stored": a third of the time of level 1 for three tenths more bytes.
        packed: bytes = isal_zlib.compress(self.raw, 0)
        return packed


def unpack(state: bytes) -> Version:
    """Give back what was packed."""
    return Version(isal_zlib.decompress(state))


def moved(old: Version, new: Version) -> list[str]:
    """Name the top-level fields whose bytes are not the same; those whose values moved are among them."""
    names: Iterable[str] = new.fields if old.fields.keys() <= new.fields.keys() else old.fields | new.fields
    return [name for name in names if old.fields.get(name) != new.fields.get(name)]


def read_object(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Decode an object as a whole; give it, and JSON that it can be decoded from again.

    What a strict decoder refuses and a server may still send (lone surrogates, NaN, huge numbers) is read leniently
    and made harmless.

    Raises:
        ValueError: it is no JSON object
        RecursionError: it is nested too deeply

    """
    try:
        obj = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        text = json.dumps(json.loads(raw, parse_constant=str, parse_int=_bounded_int))
        raw = msgspec.json.encode(json.loads(text.encode("ascii").decode("ascii"), object_pairs_hook=_harmless))
        obj = msgspec.json.decode(raw)
    if not isinstance(obj, dict):
        msg = "not an object"
        raise ValueError(msg)  # noqa: TRY004 - callers treat every unreadable object alike
    return obj, raw


def opaque(raw: bytes, head: Head) -> Version:
    """Stand in for an object that cannot be decoded: its identity, and a hash by which a change of it is seen."""
    metadata = {"name": head.name, "uid": head.uid, "resourceVersion": head.resource_version}
    if head.namespace:
        metadata["namespace"] = head.namespace
    return Version(msgspec.json.encode({"metadata": metadata, "unreadable": hashlib.sha256(raw).hexdigest()}))


def _bounded_int(text: str) -> int | float | str:
    if len(text) < 20:  # noqa: PLR2004 - more digits do not fit 64 bits, which is all that msgspec writes
        number = int(text)
        if -(2**63) <= number < 2**64:
            return number
    return text


def _harmless(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_clean(key): _clean(value) for key, value in pairs}


def _clean(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
