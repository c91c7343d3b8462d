"""Which fields a manager owns, as managedFields tell it: a tree of `f:` fields, `k:` and `v:` items (`FieldsV1`).

The tree is walked beside a live object, so that an item of a list is found by its key, whatever its index. Left aside
is what the server sets for itself, and status. Pure.

Source: KEP-555 (server-side apply), `FieldsV1` in the API conventions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from exporter.changes.classify import SERVER_METADATA
from exporter.changes.writer import is_item, item_keys


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.changes.entries import Entry


# The keys that lead to a field in a tree: `("f:spec", "f:ports", 'k:{"name":"http"}', "f:port")`.
FieldPath = tuple[str, ...]
_ITEMS = ("k:", "v:", "i:")
_NOT_DECLARED = frozenset({"f:status", "f:apiVersion", "f:kind"})
_NOT_DECLARED_METADATA = frozenset(
    {*(f"f:{name}" for name in SERVER_METADATA), "f:generateName", "f:deletionTimestamp"}
    | {"f:deletionGracePeriodSeconds"}
)  # fmt: skip


class Leaf(Struct, frozen=True):
    """A field that an entry owns, found in an object.

    Args:
        fields: how the entry names it
        path: where it is in the object
        place: the same in the schema, with `*` for indices
        value: what is there

    """

    fields: FieldPath
    path: tuple[str, ...]
    place: tuple[str, ...]
    value: Any


def tree(entry: Entry) -> dict[str, Any]:
    """Give the fields of an entry, less what the server sets for itself, and status."""
    fields = entry.get("fieldsV1")
    if not isinstance(fields, dict):
        return {}
    kept = {key: node for key, node in fields.items() if key not in _NOT_DECLARED and key != "."}
    metadata = kept.pop("f:metadata", None)
    if isinstance(metadata, dict):
        below = {key: node for key, node in metadata.items() if key not in _NOT_DECLARED_METADATA and key != "."}
        if below:
            kept["f:metadata"] = below
    return kept


def leaves(
    node: Any,  # noqa: ANN401 - any JSON
    live: Any,  # noqa: ANN401 - any JSON
    spot: Leaf | None = None,
    *,
    until: Callable[[FieldPath], bool] | None = None,
) -> Iterator[Leaf]:
    """Find the fields of a tree in an object.

    A field that is owned as a whole (an atomic list or map) is one leaf. That a map or an item is owned as such, beside
    fields in it, is none.

    Args:
        node: the tree
        live: the value that it stands for
        spot: where that is
        until: a map or an item that is owned as such, and that this is true of, is one leaf, and nothing in it is

    """
    spot = Leaf((), (), (), live) if spot is None else spot
    if not isinstance(node, dict) or not isinstance(live, dict | list) or not node:
        yield spot
        return
    if "." in node and ((len(node) == 1 and not live) or (until is not None and until(spot.fields))):
        yield spot
        return
    for key, below in node.items():
        found = _step(key, live)
        if found is not None:
            segment, value = found
            seen = "*" if isinstance(live, list) else segment
            inner = Leaf((*spot.fields, key), (*spot.path, segment), (*spot.place, seen), value)
            yield from leaves(below, value, inner, until=until)


def fits(node: Any, live: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether an object has all the fields of a tree: then they are told in the version of the object's type."""
    if not isinstance(node, dict):
        return False
    for key, below in node.items():
        if key != ".":
            found = _step(key, live)
            if found is None or not (below == {} or fits(below, found[1])):
                return False
    return True


def resolve(fields: Iterable[str], obj: Any) -> tuple[tuple[str, ...], Any, FieldPath]:  # noqa: ANN401 - any JSON
    """Follow the keys of a tree into an object as far as they lead.

    Returns:
        the path so far, the value there, and the keys that are left: none where the field was found

    """
    fields = tuple(fields)
    path: list[str] = []
    for depth, key in enumerate(fields):
        found = _step(key, obj)
        if found is None:
            return tuple(path), obj, fields[depth:]
        segment, obj = found
        path.append(segment)
    return tuple(path), obj, ()


def has(fields: Iterable[str], obj: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether an object has a field, or something in its place that is owned as a whole."""
    _, value, left = resolve(fields, obj)
    return not left or (not isinstance(value, dict | list) and value is not None)


def list_keys(node: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:  # noqa: ANN401
    """Tell which lists have keys, as the `k:` items of a tree show them, each with its place; a set has none."""
    if not isinstance(node, dict):
        return
    for key, below in node.items():
        if key.startswith("f:"):
            yield from list_keys(below, (*place, key[2:]))
        elif key[:2] in _ITEMS:
            if key[:2] == "k:":
                yield place, item_keys(key)
            elif key[:2] == "v:":
                yield place, ()
            yield from list_keys(below, (*place, "*"))


def _step(key: str, obj: Any) -> tuple[str, Any] | None:  # noqa: ANN401 - any JSON
    """Go one key of a tree into an object: the segment of the path, and the value there; None if it is not there."""
    if isinstance(obj, dict):
        value = obj.get(key[2:], UNSET) if key[:2] == "f:" else UNSET
        return None if value is UNSET else (key[2:], value)
    if isinstance(obj, list) and key[:2] in _ITEMS:
        for index, item in enumerate(obj):
            if is_item(key, item, index):
                return str(index), item
    return None
