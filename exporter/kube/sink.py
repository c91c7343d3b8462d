"""What a reflector hands on: observations, the end of a list, bookmarks, and what it tells of itself.

Values and one protocol; nothing here does anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from exporter.changes.observation import Mode
from exporter.model import ResourceType, Scope


if TYPE_CHECKING:
    from exporter.changes.observation import Observation


class Listed(Struct, frozen=True):
    """A list is complete: what is held of the scope and is not among these uids is gone."""

    type: ResourceType
    scope: Scope
    mode: Mode
    resource_version: str
    uids: set[str]


class Progress(Struct, frozen=True):
    """Nothing happened in the scope up to this version; an empty one takes back that there is a place to resume."""

    type: ResourceType
    scope: Scope
    resource_version: str


class Sink(Protocol):
    """Where a reflector puts what it sees, and what it tells of itself."""

    async def put(self, item: Observation | Listed | Progress) -> None:
        """Take an item; wait while there are too many."""

    def synced(self) -> None:
        """The scope is listed, or its watch was resumed."""

    def degraded(self, reason: str) -> None:
        """The scope cannot be followed for now; an empty reason takes it back."""

    def received(self) -> None:
        """Anything arrived."""

    def restarted(self, reason: str) -> None:
        """A watch has to be opened again."""

    def listing(self, reason: str, *, gap: bool) -> None:
        """A whole collection is listed."""

    def went_backwards(self) -> None:
        """The server's history is behind what was seen of it."""

    def skipped(self, reason: str) -> None:
        """Something came that could not be taken."""
