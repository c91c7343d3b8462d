"""JSON Pointers (RFC 6901), and patterns of them in which `*` stands for one segment and `**` for any number.

Pure text and tuples; nothing here looks at values.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable


Pattern = tuple[str, ...]


def escape(segment: str) -> str:
    """Write one segment of a pointer: `~` as `~0`, `/` as `~1`."""
    return segment.replace("~", "~0").replace("/", "~1") if "~" in segment or "/" in segment else segment


@lru_cache(maxsize=4096)
def split(pointer: str) -> Pattern:
    """Take a pointer apart; the empty one points to the whole document."""
    if not pointer:
        return ()
    return tuple(segment.replace("~1", "/").replace("~0", "~") for segment in pointer[1:].split("/"))


def compile_patterns(pointers: Iterable[str]) -> tuple[Pattern, ...]:
    """Take several pointers apart, for `below` and `matches`."""
    return tuple(split(pointer) for pointer in pointers)


def below(patterns: Iterable[Pattern], segment: str) -> tuple[Pattern, ...]:
    """Give what is left of the patterns one segment further down; `()` among it says that one of them matches."""
    left: list[Pattern] = []
    for pattern in patterns:
        if not pattern:
            continue
        first, rest = pattern[0], pattern[1:]
        if first == "**":
            left.append(pattern)
            left.extend(below((rest,), segment) if rest else ((),))
        elif first in ("*", segment):
            left.append(rest)
    return tuple(left)


def matches(patterns: Iterable[Pattern], path: str) -> bool:
    """Tell whether a pointer is, or lies below, what one of the patterns names."""
    left = tuple(patterns)
    for segment in split(path):
        left = below(left, segment)
        if () in left:
            return True
        if not left:
            return False
    return False
