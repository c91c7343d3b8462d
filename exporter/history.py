"""Questions asked of the history: which of its changes somebody wants to see.

Pure: it is given changes and chooses among them. Must never know where they are kept or how they are shown.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Self, get_args

from msgspec import UNSET, Struct

from exporter.model import Change, ChangeType
from exporter.timestamps import Timestamp


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.records import Record


CHANGE_TYPES: tuple[ChangeType, ...] = get_args(ChangeType)


class Filters(Struct, frozen=True, kw_only=True):
    """What is wanted; `None` is: any. All but `since` are globs (`*`, `?`, `[…]`).

    Attributes:
        since: seen then or later
        kind: the kind, its plural, or one of them with the group (`certificates.cert-manager.io`), in any case
        namespace: of the object; empty for what is cluster-scoped
        name: of the object
        writer: the writer's name, its user, or its class; `unresolved` where it is not known
        change: the word for what changed

    """

    since: Timestamp | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    writer: str | None = None
    change: str | None = None

    @classmethod
    def of(cls, place: str | None, namespace: str | None) -> Self:
        """Take apart what is typed to name objects: `KIND/NAME`, either of which may be left out, or None for all."""
        kind, _, name = (place or "").partition("/")
        return cls(kind=kind or None, namespace=namespace, name=name or None)

    def selects(self, change: Change) -> bool:
        """Tell whether a change is wanted."""
        return (
            (self.since is None or change.observed >= self.since)
            and _fits(self.change, (change.change,))
            and self.covers(change.group, change.kind, change.namespace, change.name)
            and (self.writer is None or _fits(self.writer, _writers(change)))
        )

    def covers(self, group: str, kind: str, namespace: str, name: str) -> bool:
        """Tell whether an object is one of those that are asked about."""
        return (
            _fits(self.namespace, (namespace,))
            and _fits(self.name, (name,))
            and (self.kind is None or _fits(self.kind.lower(), kinds(kind, group)))
        )


def changes(rows: Iterable[tuple[int, Record]]) -> Iterator[Change]:
    """Give the changes among the rows of a journal."""
    return (row for _, row in rows if isinstance(row, Change))


def query(rows: Iterable[tuple[int, Record]], filters: Filters) -> Iterator[tuple[int, Change]]:
    """Give the changes that are wanted, in their order."""
    return ((number, row) for number, row in rows if isinstance(row, Change) and filters.selects(row))


def changes_like(pattern: str) -> tuple[ChangeType, ...]:
    """Give the words for changes that a glob matches; none is a sign of a misspelling."""
    return tuple(word for word in CHANGE_TYPES if fnmatchcase(word, pattern))


def _fits(pattern: str | None, texts: Iterable[str]) -> bool:
    return pattern is None or any(text == pattern or fnmatchcase(text, pattern) for text in texts)


def _writers(change: Change) -> Iterator[str]:
    """Name the writer in each way it is known. A candidate is not the writer."""
    writer = change.writer
    if not writer.name:
        yield "unresolved"
        return
    yield writer.name
    if writer.user:
        yield writer.user
    if writer.class_ is not UNSET:
        yield writer.class_


def kinds(kind: str, group: str) -> Iterator[str]:
    """Name a kind in each way somebody may type it, in lower case; the plural, which is not known, as it usually is."""
    kind, group = kind.lower(), group.lower()
    words = [kind, f"{kind}s", f"{kind}es"]
    if kind.endswith("y"):
        words.append(f"{kind[:-1]}ies")
    for word in words:
        yield word
        yield f"{word}.{group}"
    yield f"{group}/{kind}"
