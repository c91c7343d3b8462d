"""Fields that a person owns and nobody declared.

They are no drift: to apply the declaration again would leave them as they are. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from exporter.drift.compare import Difference, is_default
from exporter.drift.equal import is_empty
from exporter.drift.fieldsets import leaves, tree


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.drift.look import Look


def find_additions(look: Look, declares: Callable[[str], bool], told: Iterable[str]) -> Iterator[Difference]:
    """Find the fields, the outermost that is not declared.

    Args:
        look: at the object
        declares: tells of a field, named as in managedFields, whether it was declared
        told: paths of what is told already; what is at or below one of them is not told again

    """
    writers, entries = look.known.writers, look.subject.version.entries
    seen = set(told)

    def is_free(name: str) -> bool:
        return not declares(name)

    for entry in look.entries:
        if look.is_claim(entry) or writers.class_of(str(entry.get("manager", "")), entries) != "human":
            continue
        for leaf in leaves(tree(entry), look.live, look.known.schema, is_free):
            if _is_among(leaf.path, seen) or declares(leaf.name) or is_empty(leaf.value):
                continue
            seen.add(leaf.path)
            place = leaf.place
            if not is_default(leaf.value, place, look.known.schema):
                yield Difference(leaf.path, place, UNSET, UNSET, leaf.value, leaf.path)


def _is_among(path: str, seen: set[str]) -> bool:
    return bool(seen) and (path in seen or any(path.startswith(f"{one}/") for one in seen))
