"""The fields that an entry owns, in runs of neighbours that are looked up in an object in one go.

Most fields are plain ones of one map, and all of them are there. Where it is otherwise, whoever asks has to go through
them one by one. Pure.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Iterable

# A key of a tree, ready to be looked up in objects: the key, the name of the field or None for an item of a list, the
# same as a segment of a path, the name of the leaf that it would be, what is below or None where nothing can be, and
# whether the map or item is owned as such, beside what is below.
Branch = tuple[str, str | None, str, str, "tuple[Branch, ...] | None", bool]


class Run(Struct, frozen=True):
    """Neighbours.

    Args:
        branches: they
        names: of the leaves that they are, where all are plain fields of a map
        getter: gives the values of those
        below: of a single branch, what is in the map that it leads to

    """

    branches: tuple[Branch, ...]
    names: tuple[str, ...] = ()
    getter: Any = None
    below: tuple[Run, ...] = ()

    def pick(self, live: dict[str, Any]) -> tuple[Any, ...] | None:
        """Give the values of plain fields of a map; None where one is not there, or is a map itself."""
        try:
            found: Any = self.getter(live)
        except KeyError:
            return None
        values = found if len(self.names) > 1 else (found,)
        return None if dict in map(type, values) else values


def runs_of(branches: Iterable[Branch]) -> tuple[Run, ...]:
    """Put neighbours together."""
    made: list[Run] = []
    for plain, some in groupby(branches, _is_plain):
        if plain:
            run = tuple(some)
            made.append(Run(run, tuple(one[3] for one in run), itemgetter(*(one[1] for one in run))))
        else:
            made += [Run((one,), below=runs_of(one[4] or ()) if one[1] is not None else ()) for one in some]
    return tuple(made)


def _is_plain(branch: Branch) -> bool:
    return branch[1] is not None and branch[4] is None
