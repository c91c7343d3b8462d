"""Questions asked of the journal: which changes does somebody want to see.

Pure; the command line and, one day, the web page ask the same questions.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct

from exporter.model import ChangeType


if TYPE_CHECKING:
    from exporter.model import Change


class Filters(Struct, frozen=True, kw_only=True):
    """What a change must satisfy; empty means anything. Texts are globs.

    Args:
        kind: kind, or `Kind.group`, in any case
        namespace: of the object
        name: of the object
        writer: the writer's name, or its class
        change: the word for what changed
        everything: heartbeats and no-ops too

    """

    kind: str = ""
    namespace: str = ""
    name: str = ""
    writer: str = ""
    change: ChangeType | None = None
    everything: bool = False

    def selects(self, change: Change) -> bool:
        """Tell whether a change is wanted."""
        if not self.everything and (change.heartbeat or change.change == "noop"):
            return False
        if self.change is not None and change.change != self.change:
            return False
        kinds = (change.kind.lower(), f"{change.kind}.{change.group}".lower())
        writers = (change.writer.name, change.writer.class_ or "", *change.writer.candidates)
        return (
            _any(self.kind.lower(), *kinds)
            and _any(self.namespace, change.namespace)
            and _any(self.name, change.name)
            and _any(self.writer, *writers)
        )


def _any(glob: str, *texts: str) -> bool:
    return not glob or any(fnmatchcase(text, glob) for text in texts)
