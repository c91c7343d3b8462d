"""One version of an object: JSON whose top-level fields are decoded only where somebody must look inside.

Most of a version is what the version before it was. Fields whose bytes are the same are neither searched nor decoded
nor compared any further, which is most of the work of following an object that changes often.
"""

from __future__ import annotations

import hashlib
import json
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Any

import msgspec
from isal import isal_zlib

from exporter.changes.entries import Entries


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.changes.observation import Head

_EMPTY = b"{}"
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


class Fields:
    """A JSON object whose fields are decoded one by one, when they are asked for.

    Args:
        raw: its JSON
        values: fields that are decoded already

    Attributes:
        fields: each still JSON

    Raises:
        msgspec.DecodeError: it is no JSON object

    """

    __slots__ = ("_values", "fields")

    def __init__(self, raw: bytes | msgspec.Raw, values: dict[str, Any] | None = None) -> None:
        self.fields = _decode_fields(raw)
        self._values = {} if values is None else values

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - any JSON
        """Give the value of a field, or the default where there is no such field.

        Raises:
            msgspec.DecodeError: it cannot be decoded

        """
        values = self._values
        if name in values:
            return values[name]
        raw = self.fields.get(name)
        if raw is None:
            return default
        value = values[name] = _decode(raw)
        return value

    def raws(self, names: Iterable[str]) -> list[bytes | msgspec.Raw]:
        """Give the names and the JSON of those of the named fields that are there."""
        fields = self.fields
        return [part for name in names if name in fields for part in (name.encode(), fields[name])]

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        """Give the values of those of the named fields that are there."""
        fields, known = self.fields, self._values
        return {name: known[name] if name in known else self.get(name) for name in names if name in fields}

    def moved(self, old: Fields, but: str) -> list[str]:
        """Name the fields, but for one, whose bytes are not those of another version."""
        mine, its = self.fields, old.fields
        if [*mine] == [*its]:  # as nearly always; then all are compared by one call
            return [name for name in compress(mine, map(ne, mine.values(), its.values())) if name != but]
        names = [name for name, raw in mine.items() if name != but and its.get(name) != raw]
        return names + [name for name in its if name not in mine and name != but]

    def forget(self) -> None:
        """Let go of what was decoded: it can be again."""
        self._values = {}


class Version(Fields):
    """One version of an object.

    Args:
        raw: its JSON
        values: fields that are decoded already
        before: the version before it, which may have the same managedFields

    Attributes:
        raw: its JSON
        metadata: of it
        entries: its managedFields

    """

    __slots__ = ("entries", "metadata", "raw")

    def __init__(self, raw: bytes, values: dict[str, Any] | None = None, before: Version | None = None) -> None:
        super().__init__(raw, values)
        self.raw = raw
        self.metadata = Fields(self.fields.get("metadata", _EMPTY))
        managed = self.metadata.fields.get("managedFields")
        if before is not None and before.metadata.fields.get("managedFields") == managed:
            self.entries: Entries = before.entries
        else:
            self.entries = Entries(managed)

    def forget(self) -> None:
        """Let go of what was decoded: to decode it again costs less than to walk over a hundred small objects."""
        super().forget()
        self.metadata.forget()


def pack(raw: bytes) -> bytes:
    """Compress JSON for the journal (zlib format, RFC 1950)."""
    # Level 0 is isal's fastest, not "stored": a third of the time of level 1 for three tenths more bytes.
    packed: bytes = isal_zlib.compress(raw, 0)
    return packed


def unpack(state: bytes) -> bytes:
    """Give back the JSON of what was packed."""
    raw: bytes = isal_zlib.decompress(state)
    return raw


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
