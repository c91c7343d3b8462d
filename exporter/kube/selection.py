"""Which types are followed: globs of `group/Kind`, and names of types that no CRD defines.

Pure. A glob is matched against the group and the kind; `v1/Kind` and `core/Kind` mean the core group. Types that no
CRD defines (core and aggregated ones) are followed only where an include names their group without a wildcard.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct


if TYPE_CHECKING:
    from exporter.model import ResourceType


_CORE = frozenset({"", "v1", "core"})
_WILD = frozenset("*?[")


class TypeSelection(Struct, frozen=True):
    """Selects types.

    Args:
        include: globs; a type must match one
        exclude: globs; a type must match none, unless an include names it letter by letter

    """

    include: tuple[str, ...] = ("*/*",)
    exclude: tuple[str, ...] = ()

    def wants(self, resource_type: ResourceType) -> bool:
        """Tell whether a type is followed."""
        return self.wants_kind(resource_type.group, resource_type.kind)

    def wants_kind(self, group: str, kind: str) -> bool:
        """Tell whether a type is followed, by group and kind."""
        if any(glob_matches(glob, group, kind) for glob in self.include if not _WILD & set(glob)):
            return True
        return any(glob_matches(glob, group, kind) for glob in self.include) and not any(
            glob_matches(glob, group, kind) for glob in self.exclude
        )

    def named_groups(self) -> frozenset[str]:
        """Give the groups that an include names without a wildcard: types of theirs need no CRD."""
        groups = {glob.rpartition("/")[0] for glob in self.include}
        return frozenset("" if group in _CORE else group for group in groups if not _WILD & set(group))


def glob_matches(glob: str, group: str, kind: str) -> bool:
    """Tell whether a glob of `group/Kind` matches a type."""
    group_glob, _, kind_glob = glob.rpartition("/")
    if group_glob in _CORE:
        return not group and fnmatchcase(kind, kind_glob)
    return fnmatchcase(group, group_glob) and bool(group) and fnmatchcase(kind, kind_glob)
