"""Which fields moved between two versions of an object.

Objects are compared leaf by leaf, lists entry by entry. A list whose entries have a known key (from the CRD's schema,
else a `name`, `type` or `id` that is unique) is aligned by it, so that inserting one entry moves none of the others;
of any other list the common head and tail are left aside. Pure; the values that it gives out are masked and cut.
Values are equal where Python says so, which takes true for 1: no schema lets a field be both.
"""

from __future__ import annotations

from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from exporter.changes.pointer import escape
from exporter.changes.redact import mask
from exporter.model import FieldChange


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.changes.pointer import Pattern
    from exporter.model import Op


# The keys of list-maps by the place of the list in the schema, `*` for any index or free key of a map.
ListKeys = "Mapping[Pattern, tuple[str, ...]]"

MAX_FIELDS = 100
MAX_VALUE = 2048
_USUAL_KEYS = ("name", "type", "id")
_CONTAINERS = (dict, list)
_SCALARS = (str, int, float, bool)
_SHORT = frozenset((bool, int, float, type(None), UnsetType))


class Diff:
    """Collects the fields that moved, up to a limit.

    Args:
        list_keys: keys of list-maps by schema path

    Attributes:
        fields: what moved so far
        truncated: something was left out or cut

    """

    def __init__(self, list_keys: Mapping[Pattern, tuple[str, ...]] | None = None) -> None:
        self._list_keys = list_keys or {}
        self.fields: list[FieldChange] = []
        self.truncated = False

    def compare(self, old: Any, new: Any, path: str = "", place: Pattern = ()) -> None:  # noqa: ANN401 - any JSON
        """Compare two values found at a path and collect what moved.

        Args:
            old: the value before, UNSET if there was none
            new: the value now, UNSET if there is none
            path: the JSON Pointer of both
            place: the same in the schema, with `*` for indices

        """
        if type(old) not in _CONTAINERS and type(new) not in _CONTAINERS:
            if old != new:
                self._tell(path, old, new)
        elif type(old) is dict and type(new) is dict:
            self._compare_mappings(old, new, path, place)
        elif _are(dict, old, new):
            self._compare_mappings({} if old is UNSET else old, {} if new is UNSET else new, path, place)
        elif _are(list, old, new):
            self._compare_lists([] if old is UNSET else old, [] if new is UNSET else new, path, place)
        elif old != new:
            self._tell(path, old, new)

    def _compare_mappings(self, old: dict[str, Any], new: dict[str, Any], path: str, place: Pattern) -> None:
        if [*old] == [*new]:  # as nearly always; then all are compared by one call
            for key in compress(old, map(ne, old.values(), new.values())):
                self.compare(old[key], new[key], f"{path}/{escape(key)}", (*place, key))
            return
        for key, item in old.items():
            now = new.get(key, UNSET)
            if item != now:
                self.compare(item, now, f"{path}/{escape(key)}", (*place, key))
        for key, item in new.items():
            if key not in old:
                self.compare(UNSET, item, f"{path}/{escape(key)}", (*place, key))

    def _compare_lists(self, old: list[Any], new: list[Any], path: str, place: Pattern) -> None:
        key_of = find_key(old, new, self._list_keys.get(place))
        if key_of is None:
            self._compare_by_position(old, new, path, place)
            return
        before = {key_of(item): index for index, item in enumerate(old)}
        after = {key_of(item): index for index, item in enumerate(new)}
        told = len(self.fields)
        for key, index in before.items():
            if key not in after:
                self._tell(f"{path}/{index}", old[index], UNSET)
        for key, index in after.items():
            item, now = old[before[key]] if key in before else UNSET, new[index]
            if item is UNSET:
                self._tell(f"{path}/{index}", UNSET, now)
            elif item != now:
                self.compare(item, now, f"{path}/{index}", (*place, "*"))
        if len(self.fields) == told and list(before) != list(after):
            self._tell(path, [list(key) for key in before], [list(key) for key in after])

    def _compare_by_position(self, old: list[Any], new: list[Any], path: str, place: Pattern) -> None:
        head, shorter = 0, min(len(old), len(new))
        while head < shorter and old[head] == new[head]:
            head += 1
        tail = 0
        while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
            tail += 1
        common = shorter - tail
        for index in range(head, common):
            if old[index] != new[index]:
                self.compare(old[index], new[index], f"{path}/{index}", (*place, "*"))
        for index in range(common, len(old) - tail):
            self._tell(f"{path}/{index}", old[index], UNSET)
        for index in range(common, len(new) - tail):
            self._tell(f"{path}/{index}", UNSET, new[index])

    def _tell(self, path: str, old: Any, new: Any) -> None:  # noqa: ANN401 - any JSON
        if len(self.fields) >= MAX_FIELDS:
            self.truncated = True
            return
        op: Op = "add" if old is UNSET else "remove" if new is UNSET else "replace"
        (old, cut), (new, cut_too) = show(old), show(new)
        self.truncated = self.truncated or cut or cut_too
        self.fields.append(FieldChange(mask(path), op, old, new))


def show(value: Any) -> tuple[Any, bool]:  # noqa: ANN401 - any JSON
    """Mask a value and cut what is long, to be shown; tell whether it was cut."""
    if type(value) in _SHORT:
        return value, False
    value = mask(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return (value, False) if len(text) <= MAX_VALUE else (text[:MAX_VALUE] + "…", True)


def find_key(
    old: list[Any], new: list[Any], declared: tuple[str, ...] | None
) -> Callable[[Any], tuple[Any, ...]] | None:
    """Find what tells the entries of two lists apart, None if nothing does.

    Args:
        old: one of the lists
        new: the other
        declared: names of the fields that do, by the schema; None where it says nothing

    """
    if not all(isinstance(item, dict) for items in (old, new) for item in items):
        return None
    for names in (declared,) if declared else ((name,) for name in _USUAL_KEYS):

        def key_of(item: dict[str, Any], names: tuple[str, ...] = names) -> tuple[Any, ...]:
            return tuple(item.get(name) for name in names)

        # A declared key may be left out of an entry (the schema then has a default); a guessed one may not.
        scalar = (*_SCALARS, type(None)) if declared else _SCALARS
        keys = [[key_of(item) for item in items] for items in (old, new)]
        if all(isinstance(part, scalar) for side in keys for key in side for part in key) and all(
            len(set(side)) == len(side) for side in keys
        ):
            return key_of
    return None


def _are(kind: type, old: object, new: object) -> bool:
    """Tell whether both sides are of a kind, or one is and the other is absent, and there is anything in them."""
    return all(side is UNSET or isinstance(side, kind) for side in (old, new)) and any(
        side for side in (old, new) if side is not UNSET
    )
