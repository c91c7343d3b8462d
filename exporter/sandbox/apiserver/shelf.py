"""The objects of one type, in order, and the type as it is served now.

Pure. Must never change an object, nor know of versions and events.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from exporter.sandbox.apiserver.shapes import whole
from exporter.sandbox.apiserver.structural import fit


if TYPE_CHECKING:
    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.shapes import Shape

Object = dict[str, Any]
Key = tuple[str, str]


class Shelf:
    """Holds the objects of a type.

    Args:
        kind: the type
        objects: by namespace and name

    """

    def __init__(self, kind: Kind, objects: dict[Key, Object] | None = None) -> None:
        self.kind = kind
        self.objects = objects or {}
        self._order: list[Key] | None = None
        self._shapes: dict[str, Shape] = {}

    def key(self, namespace: str, name: str) -> Key:
        """Tell under which key an object is."""
        return (namespace if self.kind.namespaced else "", name)

    def put(self, obj: Object) -> None:
        """Take in an object, in place of the one that is there."""
        key = _key_of(obj)
        if key not in self.objects:
            self._order = None
        self.objects[key] = obj

    def take(self, obj: Object) -> None:
        """Give away an object."""
        del self.objects[_key_of(obj)]
        self._order = None

    def all(self, namespace: str = "") -> list[Object]:
        """Give all objects, or those of a namespace, by namespace and name."""
        if self._order is None:
            self._order = sorted(self.objects)
        order = self._order
        if namespace:
            order = order[bisect_left(order, (namespace, "")) : bisect_left(order, (f"{namespace}\0", ""))]
        return [self.objects[key] for key in order]

    def shape(self, version: str) -> Shape:
        """Give the shape of the type in a version."""
        if version not in self._shapes:
            self._shapes[version] = whole(self.kind.schema.get(version, {}))
        return self._shapes[version]

    def become(self, kind: Kind) -> None:
        """Be of a changed type: what is here looks from now on as that has it, at its old versions."""
        if kind == self.kind:
            return
        schema, api_version = kind.schema[kind.storage_version], {"apiVersion": kind.api_version()}
        if schema != self.kind.schema.get(kind.storage_version) or kind.storage_version != self.kind.storage_version:
            self.objects = {key: fit(obj | api_version, schema) for key, obj in self.objects.items()}
        self.kind = kind
        self._shapes.clear()


def _key_of(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
