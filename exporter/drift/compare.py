"""Compares what was declared with what is live: would applying the declaration again change the object?

What is declared is a subset: a map may hold more than was declared, so may a list that is a set or a map by the schema
or by what managers own of it. Any other list is one unit, as a client that merges JSON replaces it. What a schema
fills in is never added to the declared side, it only excuses a difference. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct, UnsetType

from exporter.changes.diff import find_key
from exporter.changes.pointer import escape
from exporter.drift.equal import equal, is_empty
from exporter.records import FindingKind


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.changes.schema import Schema

    Place = tuple[str, ...]
    Keys = Callable[[Place], tuple[str, ...] | None]

MAX_DIFFERENCES = 100


class Difference(Struct, frozen=True, gc=False):
    """One declared field that is not as declared, before it is masked.

    Args:
        path: JSON Pointer into the live object, or into the declared one where the live one lacks it
        place: the same with `*` for indices
        kind: as in `Finding`; UNSET for an addition
        declared: the declared value, UNSET where there is none
        live: the live value, UNSET where there is none
        owned: path to what somebody owns of it; empty where nobody can

    """

    path: str
    place: tuple[str, ...]
    kind: FindingKind | UnsetType
    declared: Any
    live: Any
    owned: str = ""


def is_default(value: Any, place: Place, schema: Schema) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a live value is what the server fills in by itself."""
    if not schema.defaults:
        return False
    default = schema.defaults.get(schema.place(place), UNSET)
    if isinstance(value, dict):
        given = default if isinstance(default, dict) else {}
        return default is not UNSET and all(
            (name in given and _same(given[name], item)) or is_default(item, (*place, name), schema)
            for name, item in value.items()
        )
    return default is not UNSET and _same(default, value)


class Comparison:
    """Collects the differences, up to a limit.

    Args:
        schema: of the type
        keys: looks up the keys of a list-map by its place, `()` for a set, None for any other list
        replaces: the declarer sends lists whole, whatever they are by the schema: it adds nothing to what is there
        touched: tells of a field of the live object whether somebody other than the declarer owns it

    Attributes:
        found: what differs
        left_out: so much more

    """

    def __init__(self, schema: Schema, keys: Keys, touched: Callable[[str], bool], *, replaces: bool = False) -> None:
        self._schema = schema
        self._replaces = replaces
        self._keys = keys
        self._touched = touched
        self.found: list[Difference] = []
        self.left_out = 0

    def compare(self, declared: Any, live: Any, path: str = "", place: Place = (), unit: str | None = None) -> None:  # noqa: ANN401
        """Compare a declared value with a live one.

        Args:
            declared: the declared value
            live: the live value, UNSET where there is none
        owned: path to what somebody owns of it; empty where nobody can
            path: of the live one, or of the declared one where there is none
            place: the same with `*` for indices
            unit: path of the list of one unit that they are in; nothing may be added there

        """
        if isinstance(declared, dict) and (isinstance(live, dict) or is_empty(live)):
            self._maps(declared, live if isinstance(live, dict) else {}, path, place, unit)
        elif isinstance(declared, list) and isinstance(live, list):
            self._lists(declared, live, path, place)
        elif is_empty(declared):
            self._pruned(declared, live, path, place)
        elif live is UNSET:
            # Types of which no schema is known may leave out zero values; custom resources keep them.
            if declared or self._schema.known:
                self._tell("missing", path, place, declared, UNSET)
        elif (
            isinstance(declared, dict | list)
            or isinstance(live, dict | list)
            or not equal(declared, live, place, self._schema)
        ):
            self._tell("changed", path, place, declared, live)

    def _pruned(self, declared: Any, live: Any, path: str, place: Place) -> None:  # noqa: ANN401 - any JSON
        """What is declared to be nothing is dropped before defaults are filled in: those are no difference."""
        if not is_empty(live) and not is_default(live, place, self._schema) and self._touched(path):
            self._tell("changed", path, place, declared, live)

    def _maps(self, declared: dict[str, Any], live: dict[str, Any], path: str, place: Place, unit: str | None) -> None:
        for key, item in declared.items():
            now = live.get(key, UNSET)
            if type(item) is not type(now) or isinstance(item, dict | list) or item != now:
                self.compare(item, now, f"{path}/{escape(key)}", (*place, key), unit)
        if unit is not None and len(live) > len(declared):
            for key, item in live.items():
                where = (*place, key)
                if key not in declared and not is_empty(item) and not is_default(item, where, self._schema):
                    # What the declarer still owns was filled in by the server or a webhook, not by a request.
                    if not self._touched(unit):
                        return
                    self._tell("extra_in_list", f"{path}/{escape(key)}", where, UNSET, item)

    def _lists(self, declared: list[Any], live: list[Any], path: str, place: Place) -> None:
        inside = (*place, "*")
        if len(declared) == len(live) and all(
            self._alike(item, now, path, inside) for item, now in zip(declared, live, strict=True)
        ):
            return
        keys = self._keys(place)
        if keys is None:
            self._unit(declared, live, path, inside)
        elif keys:
            self._items(declared, live, path, inside, lambda item: _find(item, live, keys))
        else:
            self._items(declared, live, path, inside, lambda item: _index(item, live))

    def _items(
        self, declared: list[Any], live: list[Any], path: str, inside: Place, find: Callable[[Any], int | None]
    ) -> None:
        """Compare the items of a list-map or a set, wherever they are."""
        found = [find(item) for item in declared]
        for index, (item, at) in enumerate(zip(declared, found, strict=True)):
            if at is None:
                self._tell("missing", f"{path}/{index}", inside, item, UNSET)
            else:
                self.compare(item, live[at], f"{path}/{at}", inside)
        if self._replaces:
            for index, item in enumerate(live):
                if index not in found:
                    self._tell("extra_in_list", f"{path}/{index}", inside, UNSET, item)

    def _unit(self, declared: list[Any], live: list[Any], path: str, inside: Place) -> None:
        key_of = find_key(declared, live, None)
        if key_of is None:
            self._by_position(declared, live, path, inside)
            return
        wanted = {key_of(item): index for index, item in enumerate(declared)}
        there = {key_of(item): index for index, item in enumerate(live)}
        before = len(self.found)
        for key, index in wanted.items():
            if key in there:
                at = there[key]
                self.compare(declared[index], live[at], f"{path}/{at}", inside, path)
            else:
                self._tell("missing", f"{path}/{index}", inside, declared[index], UNSET, path)
        for key, index in there.items():
            if key not in wanted:
                self._tell("extra_in_list", f"{path}/{index}", inside, UNSET, live[index])
        if len(self.found) == before and list(wanted) != list(there):
            self._tell("changed", path, inside[:-1], [list(key) for key in wanted], [list(key) for key in there])

    def _by_position(self, declared: list[Any], live: list[Any], path: str, inside: Place) -> None:
        head, shorter = 0, min(len(declared), len(live))
        while head < shorter and self._alike(declared[head], live[head], path, inside):
            head += 1
        tail = 0
        while tail < shorter - head and self._alike(declared[-1 - tail], live[-1 - tail], path, inside):
            tail += 1
        common = shorter - tail
        for index in range(head, common):
            self.compare(declared[index], live[index], f"{path}/{index}", inside, path)
        for index in range(common, len(declared) - tail):
            self._tell("missing", f"{path}/{index}", inside, declared[index], UNSET, path)
        for index in range(common, len(live) - tail):
            self._tell("extra_in_list", f"{path}/{index}", inside, UNSET, live[index])

    def _alike(self, declared: Any, live: Any, path: str, inside: Place) -> bool:  # noqa: ANN401 - any JSON
        """Tell whether an item of a list is as declared."""
        if type(declared) is type(live) and not isinstance(declared, dict | list):
            return bool(declared == live) or equal(declared, live, inside, self._schema)
        within = Comparison(self._schema, self._keys, self._touched, replaces=self._replaces)
        within.compare(declared, live, path, inside, path)
        return not within.found

    def _tell(
        self,
        kind: FindingKind,
        path: str,
        place: Place,
        declared: Any,  # noqa: ANN401 - any JSON
        live: Any,  # noqa: ANN401 - any JSON
        unit: str = "",
    ) -> None:
        """Tell of a difference; of what is missing in a list of one unit, the owner of the list is the owner."""
        if len(self.found) >= MAX_DIFFERENCES:
            self.left_out += 1
        else:
            owned = unit if live is UNSET else path
            self.found.append(Difference(path, place, kind, declared, live, owned))


def _find(item: Any, live: list[Any], keys: tuple[str, ...]) -> int | None:  # noqa: ANN401 - any JSON
    """Find the live item of a declared one; a key that the declared one leaves out may be anything."""
    if not isinstance(item, dict):
        return None
    given = [key for key in keys if key in item]
    for index, one in enumerate(live):
        if given and isinstance(one, dict) and all(_same(item[key], one.get(key, UNSET)) for key in given):
            return index
    return None


def _index(item: Any, live: list[Any]) -> int | None:  # noqa: ANN401 - any JSON
    return next((index for index, one in enumerate(live) if _same(item, one)), None)


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether two values are the same; unlike in Python, true is not 1."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(_same(item, other[key]) for key, item in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
