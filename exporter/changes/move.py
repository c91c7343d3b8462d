"""From one version of an object to the next: which of its parts moved, found out once for all who ask.

Compares bytes, never values: what is the same to the byte nobody has to look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import msgspec

    from exporter.changes.entries import Entry
    from exporter.changes.version import Version


class Move:
    """Two versions of one object, one after the other.

    Args:
        old: the version before
        new: the version

    Attributes:
        names: of the top-level fields whose bytes moved, but for metadata; those whose values moved are among them
        metadata: the same of the fields of metadata, but for managedFields

    """

    __slots__ = ("_came", "_went", "metadata", "names", "new", "old")

    def __init__(self, old: Version, new: Version) -> None:
        self.old = old
        self.new = new
        self.names = new.moved(old, "metadata")
        self.metadata = new.metadata.moved(old.metadata, "managedFields")
        self._came, self._went = new.entries.moved(old.entries)

    def parts(self) -> list[bytes | msgspec.Raw]:
        """Give the JSON of all that moved, as it is in the new version, and of what says what kind of value that is.

        That is the names of the fields, and the `name` beside a `value`.
        """
        entries = self.new.entries.raws
        parts = self.new.raws([*self.names, "name"] if "value" in self.names else self.names)
        parts += self.new.metadata.raws(self.metadata)
        parts += [entries[number] for number in self._came]
        return parts

    def decode(self) -> None:
        """Decode all that moved, as it is in the new version.

        Raises:
            msgspec.DecodeError: something of it cannot be decoded

        """
        self.new.values(self.names)
        self.new.metadata.values(self.metadata)
        self.came()

    def came(self) -> list[Entry]:
        """Give the entries of managedFields that only the new version has, or has so."""
        return self.new.entries.at(self._came)

    def went(self) -> list[Entry]:
        """Give the entries of managedFields that only the old version has, or has so."""
        return self.old.entries.at(self._went)
