"""When two values are the same to an API server: numbers, quantities, durations, and what it prunes.

A custom resource keeps text as it was sent, so that text is compared as text. That two texts mean the same amount
counts only where the schema or the place says that they are amounts: a version "1.10" is not "1.1". Pure.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from msgspec import UNSET


if TYPE_CHECKING:
    from exporter.changes.schema import Schema

# Quantities of Kubernetes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?", re.ASCII)
_SUFFIXES = {
    **{suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate(("n", "u", "m", "", "k", "M", "G"), start=-3)},
    **{suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate(("T", "P", "E"), start=4)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
# Durations of Go: https://pkg.go.dev/time#ParseDuration
_PART = r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"([+-]?)((?:{_PART})+|0)", re.ASCII)
_PARTS = re.compile(r"([\d.]+)([a-zµμ]+)")
_UNITS = {
    unit: Decimal(seconds)
    for unit, seconds in {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "0.001", "s": "1", "m": "60",
                          "h": "3600"}.items()
}  # fmt: skip
_LONGEST = 64

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_AMOUNTS = frozenset({"requests", "limits", "cpu", "memory", "storage", "quantity", "capacity"})
_SPANS = frozenset({"timeout", "interval", "duration", "period", "delay", "ttl", "backoff", "age"})


def is_empty(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether the server stores nothing for a value: null, and what holds nothing else."""
    if isinstance(value, dict):
        return all(is_empty(item) for item in value.values())
    return value is None or value is UNSET or value == []


def equal(declared: Any, live: Any, place: tuple[str, ...], schema: Schema) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether two scalars are the same.

    Args:
        declared: the one
        live: the other
        place: the same with `*` for indices
        schema: says which fields are amounts; where it is not known, the name of the field does

    """
    if type(declared) is type(live):
        if declared == live:
            return True
        if type(declared) is not str:
            return False
    elif isinstance(declared, bool) or isinstance(live, bool):
        return False
    elif isinstance(declared, int | float) and isinstance(live, int | float):
        return declared == live
    return _same_amount(declared, live, place, schema)


def quantity(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON
    """Read a quantity, None if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    match = _QUANTITY.fullmatch(value)
    if match is None:
        return None
    number, suffix, exponent = match.groups()
    try:
        return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SUFFIXES[suffix or ""])
    except InvalidOperation:
        return None


def duration(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON
    """Read a duration as seconds, None if it is none."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    match = _DURATION.fullmatch(value)
    if match is None:
        return None
    seconds = sum((Decimal(number) * _UNITS[unit] for number, unit in _PARTS.findall(match[2])), Decimal(0))
    return -seconds if match[1] == "-" else seconds


def _same_amount(declared: Any, live: Any, place: tuple[str, ...], schema: Schema) -> bool:  # noqa: ANN401 - any JSON
    for read, told, words in (
        (quantity, schema.quantities, _AMOUNTS),
        (duration, schema.durations, _SPANS),
    ):
        if schema.place(place) in told or _is_called(place, words):
            amount = read(declared)
            if amount is not None and amount == read(live):
                return True
    return False


def _is_called(place: tuple[str, ...], words: frozenset[str]) -> bool:
    """Tell by the last word of a field's name, or the name of what it is in, whether it holds such an amount."""
    for segment in place[-2:]:
        found = _WORD.findall(segment)
        if found and found[-1].lower() in words:
            return True
    return False
