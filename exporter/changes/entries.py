"""The managedFields of a version, entry by entry: most are those of the version before, and are never decoded.

An entry says which fields a manager owns (KEP-555, `FieldsV1` in the API conventions). Nothing here judges one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Entry = dict[str, Any]
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


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
        self._decoded: dict[int, Any] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Go through all of them; what is no entry is left out."""
        return iter(self.at(range(len(self.raws))))

    def new(self, old: Entries) -> list[int]:
        """Give the places of those that another version does not have, or has otherwise."""
        known = old.raws
        return [] if self is old else [number for number, raw in enumerate(self.raws) if raw not in known]

    def at(self, numbers: Iterable[int]) -> list[Entry]:
        """Give those in certain places; what is no entry is left out.

        Raises:
            msgspec.DecodeError: one of them cannot be decoded

        """
        decoded, entries = self._decoded, []
        for number in numbers:
            if number not in decoded:
                decoded[number] = _decode(self.raws[number])
            if isinstance(decoded[number], dict):
                entries.append(decoded[number])
        return entries

    def moved(self, old: Entries) -> list[Entry]:
        """Give those that another version does not have, or has otherwise.

        Raises:
            msgspec.DecodeError: one of them cannot be decoded

        """
        return self.at(self.new(old))
