"""Which fields a manager owns, as managedFields tell it: a tree of `f:` fields, `k:` and `v:` items (`FieldsV1`).

The tree is walked beside a live object, so that an item of a list is found by its key, whatever its index. Left aside
is what the server sets for itself, and status. Pure.

Source: KEP-555 (server-side apply), `FieldsV1` in the API conventions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from exporter.changes.classify import SERVER_METADATA
from exporter.changes.entries import FieldsV1
from exporter.changes.pointer import escape, split
from exporter.changes.writer import is_item, item_keys
from exporter.drift.runs import runs_of


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.changes.entries import Entry
    from exporter.changes.schema import Schema
    from exporter.drift.runs import Branch, Run


_ITEMS = ("k:", "v:", "i:")
_CONTAINERS = (dict, list)
_NOT_DECLARED = frozenset({"f:status", "f:apiVersion", "f:kind"})
_NOT_DECLARED_METADATA = frozenset(
    {*(f"f:{name}" for name in SERVER_METADATA), "f:generateName", "f:deletionTimestamp"}
    | {"f:deletionGracePeriodSeconds"}
)  # fmt: skip


class Leaf(Struct, frozen=True, gc=False):
    """A field that an entry owns, found in an object.

    Args:
        name: the keys that lead to it in the tree, as a pointer: `/f:spec/f:ports/k:{"name":"http"}/f:port`
        path: JSON Pointer to it in the object
        value: what is there

    """

    name: str
    path: str
    value: Any

    @property
    def place(self) -> tuple[str, ...]:
        """The path, with `*` for indices."""
        return place_of(self.name)


class Tree(dict[str, Any]):
    """The fields of an entry, less what the server sets for itself, and status.

    Attributes:
        branches: the same, ready to be looked up
        runs: the same for `values`
        keyed: some of them are items of lists, which are found by their keys

    """

    __slots__ = ("branches", "keyed", "runs")

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.branches = _branches(self, "")
        self.runs = runs_of(self.branches)
        self.keyed = _is_keyed(self.branches)


def tree(entry: Entry) -> Tree:
    """Give the fields of an entry as a tree; an empty one where they are no map."""
    fields = entry.get("fieldsV1")
    if not isinstance(fields, FieldsV1):
        return _NO_TREE
    found: Tree | None = fields.follows.get(Tree)
    if found is None:
        found = fields.follows[Tree] = _tree(fields)
    return found


def _tree(fields: FieldsV1) -> Tree:
    kept = {key: node for key, node in fields.items() if key not in _NOT_DECLARED}
    metadata = kept.get("f:metadata")
    if isinstance(metadata, dict):
        kept["f:metadata"] = {key: node for key, node in metadata.items() if key not in _NOT_DECLARED_METADATA}
    return Tree(kept)


def _branches(node: dict[str, Any], name: str) -> tuple[Branch, ...]:
    """Work out all of a tree that does not depend on an object."""
    made: list[Branch] = []
    for key, below in node.items():
        if key[:2] == "f:" or key[:2] in _ITEMS:
            segment = key[2:] if key[:2] == "f:" else None
            here = f"{name}/{escape(key)}"
            inside = _branches(below, here) if isinstance(below, dict) and below else None
            made.append((key, segment, f"/{escape(segment or '')}", here, inside, bool(below) and "." in below))
    return tuple(made)


def _is_keyed(branches: Iterable[Branch]) -> bool:
    return any(segment is None or _is_keyed(below or ()) for _, segment, _, _, below, _ in branches)


_NO_TREE = Tree({})


def leaves(node: Tree, live: dict[str, Any], schema: Schema, until: Callable[[str], bool] | None = None) -> list[Leaf]:
    """Find the fields of a tree in an object.

    A field that is owned as a whole (an atomic list or map) is one leaf. That a map or an item is owned as such, beside
    fields in it, is none.

    Args:
        node: the tree
        live: the object
        schema: of its type
        until: a map or an item that is owned as such, and of whose name this is true, is one leaf, and nothing in it is

    """
    found: list[Leaf] = []
    _walk(node.branches, live, "", schema, until, found)
    return found


def _walk(
    branches: tuple[Branch, ...],
    live: Any,  # noqa: ANN401 - any JSON
    path: str,
    schema: Schema,
    until: Callable[[str], bool] | None,
    found: list[Leaf],
) -> None:
    mapped = type(live) is dict
    for key, segment, step, name, below, owned in branches:
        if segment is not None:
            value, there = live.get(segment, UNSET) if mapped else UNSET, path + step
        else:
            index, value = _item(key, live)
            there = f"{path}/{index}"
        if value is UNSET:
            continue
        if below is None or type(value) not in _CONTAINERS:
            leaf = Leaf(name, there, value)
            if type(value) is not dict or not value or _is_whole(leaf, schema):
                found.append(leaf)
        elif owned and (not (below or value) or (until is not None and until(name))):
            found.append(Leaf(name, there, value))
        else:
            _walk(below, value, there, schema, until, found)


def values(node: Tree, live: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Give the values of the leaves, see `leaves`, by their names."""
    found: dict[str, Any] = {}
    _collect(node.runs, live, "", schema, found)
    return found


def _collect(runs: Iterable[Run], live: dict[str, Any], path: str, schema: Schema, found: dict[str, Any]) -> None:
    """Do what `_walk` does, for all fields at once where that can be."""
    for run in runs:
        _, segment, step, _, _, _ = run.branches[0]
        if run.names and (picked := run.pick(live)) is not None:
            found.update(zip(run.names, picked, strict=True))
        elif run.below and segment is not None and type(inside := live.get(segment)) is dict:
            _collect(run.below, inside, path + step, schema, found)
        else:
            some: list[Leaf] = []
            _walk(run.branches, live, path, schema, None, some)
            found.update((leaf.name, leaf.value) for leaf in some)


def _is_whole(leaf: Leaf, schema: Schema) -> bool:
    """Tell whether a map of which an entry names no fields is owned with all that is in it.

    An entry that has lost all the fields of a map still names the map.
    """
    if leaf.path.startswith("/metadata/"):
        return False
    return not schema.known or schema.place(leaf.place) in schema.atomics


def count(node: Any) -> int:  # noqa: ANN401 - any JSON
    """Count the fields of a tree."""
    return sum(map(count, node.values())) if isinstance(node, dict) and node else 1


@lru_cache(maxsize=4096)
def place_of(name: str) -> tuple[str, ...]:
    """Give the place of a field by its name in a tree: its path, with `*` for indices."""
    return tuple(key[2:] if key[:2] == "f:" else "*" for key in split(name))


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


def resolve(name: str, obj: Any) -> tuple[str, Any, tuple[str, ...]]:  # noqa: ANN401 - any JSON
    """Follow the name of a field into an object as far as it leads.

    Returns:
        the path so far, the value there, and the keys that are left: none where the field was found

    """
    path = ""
    keys = split(name)
    for depth, key in enumerate(keys):
        found = _step(key, obj)
        if found is None:
            return path, obj, keys[depth:]
        segment, obj = found
        path = f"{path}/{escape(segment)}"
    return path, obj, ()


def has(name: str, obj: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether an object has a field, or something in its place that is no map and no list."""
    _, value, left = resolve(name, obj)
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
    if type(obj) is dict:
        if key[:2] != "f:":
            return None
        segment = key[2:]
        value = obj.get(segment, UNSET)
        return None if value is UNSET else (segment, value)
    index, item = _item(key, obj)
    return None if item is UNSET else (str(index), item)


def _item(key: str, obj: Any) -> tuple[int, Any]:  # noqa: ANN401 - any JSON
    """Find the item of a list that a key stands for, and its index; UNSET where there is none."""
    if type(obj) is list and key[:2] in _ITEMS:
        for index, item in enumerate(obj):
            if is_item(key, item, index):
                return index, item
    return -1, UNSET
