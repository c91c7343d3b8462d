"""The managedFields of a version, entry by entry: most are those of the version before, and are never decoded.

An entry says which fields a manager owns (KEP-555, `FieldsV1` in the API conventions). Nothing here judges one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Entry = dict[str, Any]
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode
# Texts of `fieldsV1` that are kept decoded: so many, none of them longer than that many bytes.
_KEPT_FIELDS = 512
_LONGEST_KEPT = 4096


class FieldsV1(dict[str, Any]):
    """The fields of an entry. Entries with the same text share one, so it must never be changed.

    Attributes:
        follows: what somebody has worked out of nothing but these fields, for the next who asks

    """

    __slots__ = ("follows",)

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.follows: dict[Any, Any] = {}


class _Entry(Struct, gc=False, rename="camel"):
    """All that is ever asked of an entry; its fields still JSON."""

    manager: Any = UNSET
    operation: Any = UNSET
    api_version: Any = UNSET
    time: Any = UNSET
    subresource: Any = UNSET
    fields_v1: msgspec.Raw | UnsetType = msgspec.field(default=UNSET, name="fieldsV1")


_decode_entry = msgspec.json.Decoder(_Entry).decode


class Entries:
    """The entries of one version.

    Args:
        raw: JSON of the list; where there is none, or it is something else, there are no entries

    Attributes:
        raws: each still JSON

    """

    __slots__ = ("_decoded", "raws")

    def __init__(self, raw: bytes | msgspec.Raw | None) -> None:
        try:
            self.raws = [] if raw is None else _decode_list(raw)
        except msgspec.ValidationError:
            self.raws = []
        self._decoded: dict[int, Entry | None] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Go through all of them; what is no entry is left out."""
        return iter(self.at(range(len(self.raws))))

    def moved(self, old: Entries) -> tuple[list[int], list[int]]:
        """Compare with the version before.

        What that has decoded of those that are the same, and in the same place, is taken over.

        Returns:
            the places of those that only this version has, or has so, and of those that only the other has, or has so

        """
        if self is old:
            return [], []
        raws, known = self.raws, old.raws
        both = min(len(raws), len(known))
        # Only what is written moves to another place, so most are where they were.
        moved = [number for number in range(both) if raws[number] != known[number]]
        self._decoded = {n: entry for n, entry in old._decoded.items() if n < both and n not in moved}
        came = [number for number in (*moved, *range(both, len(raws))) if raws[number] not in known]
        went = [number for number in (*moved, *range(both, len(known))) if known[number] not in raws]
        return came, went

    def at(self, numbers: Iterable[int]) -> list[Entry]:
        """Give those in certain places; what is no entry is left out.

        Raises:
            msgspec.DecodeError: one of them cannot be decoded

        """
        decoded, entries = self._decoded, []
        for number in numbers:
            if number not in decoded:
                decoded[number] = _read(self.raws[number])
            entry = decoded[number]
            if entry is not None:
                entries.append(entry)
        return entries


def _read(raw: msgspec.Raw) -> Entry | None:
    """Decode an entry, and its fields once for all that have the same: a time moves often, what is owned seldom."""
    try:
        entry = _decode_entry(raw)
    except msgspec.ValidationError:
        return None
    fields, entry.fields_v1 = entry.fields_v1, UNSET
    read: Entry = msgspec.to_builtins(entry)
    if fields is not UNSET:
        text = bytes(fields)
        read["fieldsV1"] = _kept_fields(text) if len(text) <= _LONGEST_KEPT else _read_fields(text)
    return read


def _read_fields(text: bytes) -> Any:  # noqa: ANN401 - any JSON
    fields = _decode(text)
    return FieldsV1(fields) if type(fields) is dict else fields


_kept_fields = lru_cache(maxsize=_KEPT_FIELDS)(_read_fields)
