"""What a baseline gives: what was declared, how the live object differs from it, and what to remember. Values only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from exporter.drift.compare import Comparison, Difference
from exporter.drift.fieldsets import has
from exporter.drift.look import declarable
from exporter.drift.values import Declared, Memory


if TYPE_CHECKING:
    from exporter.drift.look import Look


def _declares_nothing(_name: str) -> bool:
    return False


class Found(Struct, frozen=True, gc=False, kw_only=True):
    """What a baseline found.

    Args:
        declared: what it says
        memory: what the next evaluation has to know
        differences: of the live object to that
        left_out: so many more
        declares: tells of a field by its name (see `Leaf`) whether it was declared

    """

    declared: Declared
    memory: Memory
    differences: tuple[Difference, ...] = ()
    left_out: int = 0
    declares: Callable[[str], bool] = _declares_nothing


def compared(look: Look, declared: Declared, memory: Memory) -> Found:
    """Hold the live object against a declared one, if there is one that can be told of."""
    if declared.object is None or declared.problem:
        return Found(declared=declared, memory=memory)
    wanted = declarable(declared.object)
    # A client-side apply of a custom resource sends a merge patch (RFC 7396), which knows no keys of lists.
    replaces = look.known.schema.known and look.applies_client_side
    comparison = Comparison(look.known.schema, look.keys, look.touched, replaces=replaces)
    comparison.compare(wanted, look.live)
    return Found(
        declared=declared,
        memory=memory,
        differences=tuple(comparison.found),
        left_out=comparison.left_out,
        declares=partial(has, obj=wanted),
    )
