"""Which type, object and part of it the path of a URL names.

Pure. Must never know which types there are: a path can be well formed and name nothing.
"""

from __future__ import annotations

from msgspec import Struct


_PARTS_OF_NAMESPACES = {"status", "finalize"}
_MOST_SEGMENTS = 3


class Place(Struct, frozen=True):
    """What a path names; what it leaves out is empty. Without a resource it names a version, or a group."""

    group: str
    version: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def api_version(self) -> str:
        """Group and version, as an object says them."""
        return f"{self.group}/{self.version}" if self.group else self.version


def read_path(path: str) -> Place | None:
    """Read `/api/v1/…` or `/apis/GROUP/VERSION/…`; None for any other path."""
    root, *segments = path.removeprefix("/").removesuffix("/").split("/")
    if not all(segments):
        return None
    if root == "api" and segments:
        group, version, rest = "", segments[0], segments[1:]
    elif root == "apis" and segments:
        group, version, rest = segments[0], segments[1] if len(segments) > 1 else "", segments[2:]
    else:
        return None
    namespace = ""
    if _is_in_namespace(group, rest):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > _MOST_SEGMENTS:
        return None
    resource, name, subresource = [*rest, "", "", ""][:_MOST_SEGMENTS]
    return Place(group, version, resource, namespace, name, subresource)


def _is_in_namespace(group: str, rest: list[str]) -> bool:
    """Tell `namespaces/NAMESPACE/configmaps` from `namespaces/NAME/status`, which is a part of a namespace."""
    if len(rest) < _MOST_SEGMENTS or rest[0] != "namespaces":
        return False
    return bool(group) or len(rest) > _MOST_SEGMENTS or rest[2] not in _PARTS_OF_NAMESPACES
