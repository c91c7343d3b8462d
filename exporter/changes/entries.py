"""The managedFields of a version, entry by entry: most are those of the version before, and are never decoded.

An entry says which fields a manager owns (KEP-555, `FieldsV1` in the API conventions). Nothing here judges one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec


if TYPE_CHECKING:
    from collections.abc import Iterator

Entry = dict[str, Any]
_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class Entries:
    """The entries of one version.

    Args:
        raw: JSON of the list; where there is none, or it is something else, there are no entries

    Attributes:
        raws: each still JSON

    Raises:
        msgspec.DecodeError: it is no JSON

    """

    __slots__ = ("_decoded", "raws")

    def __init__(self, raw: bytes | msgspec.Raw | None) -> None:
        text = b"" if raw is None else bytes(raw)
        self.raws = _decoder.decode(text) if text.startswith(b"[") else []
        self._decoded: dict[int, Any] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Go through all of them; what is no entry is left out."""
        return self._entries(range(len(self.raws)))

    def new(self, old: Entries) -> list[msgspec.Raw]:
        """Give those that another version does not have, still as JSON."""
        return [raw for raw in self.raws if raw not in old.raws]

    def moved(self, old: Entries) -> list[Entry]:
        """Give those that another version does not have, or has otherwise.

        Raises:
            msgspec.DecodeError: one of them cannot be decoded

        """
        return list(self._entries(number for number, raw in enumerate(self.raws) if raw not in old.raws))

    def _entries(self, numbers: Iterator[int] | range) -> Iterator[Entry]:
        for number in numbers:
            if number not in self._decoded:
                self._decoded[number] = msgspec.json.decode(self.raws[number])
            entry = self._decoded[number]
            if isinstance(entry, dict):
                yield entry


NO_ENTRIES = Entries(None)
