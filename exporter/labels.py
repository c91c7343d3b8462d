"""Label selectors as `kubectl -l` takes them: read from text, asked of an object.

Pure. What is no selector is a `ValueError` with the half of a sentence that follows the key in a configuration.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY = r"(?:[A-Za-z0-9][-A-Za-z0-9.]*/)?[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?)?"
_REQUIREMENT = re.compile(
    rf"\s*(?:!\s*(?P<absent>{_KEY})|(?P<key>{_KEY})"
    rf"(?:\s*(?P<sign>==|!=|=)\s*(?P<value>{_VALUE})|\s*(?P<order>[<>])\s*(?P<bound>-?\d+)"
    rf"|\s+(?P<set>in|notin)\s*\(\s*(?P<values>{_VALUE}\s*(?:,\s*{_VALUE}\s*)*)\))?)\s*",
    re.ASCII,
)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)


class Requirement(Struct, frozen=True):
    """What one key must be like.

    Args:
        key: of the label
        values: it must have one of these; None for any
        negated: it must not, and may be missing
        above, below: it must be an integer beyond this bound

    """

    key: str
    values: frozenset[str] | None = None
    negated: bool = False
    above: int | None = None
    below: int | None = None

    def accepts(self, labels: Mapping[str, Any]) -> bool:
        """Tell whether the labels of an object fit."""
        value = labels.get(self.key)
        if self.above is not None or self.below is not None:
            if not isinstance(value, str) or not _INTEGER.fullmatch(value):
                return False
            return int(value) > self.above if self.above is not None else int(value) < (self.below or 0)
        held = value is not None and (self.values is None or value in self.values)
        return held != self.negated


def read_selector(text: str) -> tuple[Requirement, ...]:
    """Read a selector; all its requirements have to be met.

    Raises:
        ValueError: it is none

    """
    return tuple(_requirement(part) for part in re.split(r",(?![^(]*\))", text))


def accepts(selector: tuple[Requirement, ...], labels: Mapping[str, Any]) -> bool:
    """Tell whether labels meet all requirements of a selector."""
    return all(requirement.accepts(labels) for requirement in selector)


def _requirement(text: str) -> Requirement:
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        shown = repr(text.strip()[:80])
        msg = f"{shown} is no label selector; write it as for kubectl -l: app=web,tier in (a, b)"
        raise ValueError(msg)
    if found["absent"]:
        return Requirement(found["absent"], negated=True)
    key = found["key"]
    if found["sign"]:
        return Requirement(key, frozenset({found["value"]}), negated=found["sign"] == "!=")
    if found["order"]:
        bound = int(found["bound"])
        return Requirement(key, above=bound) if found["order"] == ">" else Requirement(key, below=bound)
    if found["set"]:
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(key, values, negated=found["set"] == "notin")
    return Requirement(key)
