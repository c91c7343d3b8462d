"""Label and field selectors: read from a query, asked of an object.

Pure. Must never guess: what is no selector is a `ValueError` with the sentence that the client is told.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Mapping

Object = dict[str, Any]

_TOKEN = re.compile(r"\s*(!=|==|[=!(),<>]|[^\s=!(),<>]+)")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_FIELDS = ("metadata.name", "metadata.namespace")
_COMPARISONS = {"=": "in", "==": "in", "!=": "notin", ">": "above", "<": "below"}

Operator = Literal["exists", "missing", "in", "notin", "above", "below"]


class Requirement(Struct, frozen=True):
    """What one key must be like."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def accepts(self, values: Mapping[str, str]) -> bool:
        """Tell whether these values fit; what is missing is unequal to everything."""
        value = values.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "missing":
                return value is None
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
        if value is None or not _is_integer(value):
            return False
        return int(value) > int(self.values[0]) if self.operator == "above" else int(value) < int(self.values[0])


class Selection(Struct, frozen=True):
    """Which objects are asked for; all requirements have to be met."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything is required at all."""
        return bool(self.labels or self.fields)

    def accepts(self, obj: Object) -> bool:
        """Tell whether an object is selected."""
        metadata = obj["metadata"]
        if self.labels and not _all(self.labels, metadata.get("labels") or {}):
            return False
        return not self.fields or _all(
            self.fields, {"metadata.name": metadata["name"], "metadata.namespace": metadata.get("namespace", "")}
        )


def read_selection(label_selector: str = "", field_selector: str = "") -> Selection:
    """Read the two selectors of a query; each may be empty.

    Raises:
        ValueError: one of them is none, or asks for a field that cannot be selected by

    """
    return Selection(_read_labels(label_selector), _read_fields(field_selector))


def _all(requirements: tuple[Requirement, ...], values: Mapping[str, str]) -> bool:
    return all(requirement.accepts(values) for requirement in requirements)


def _read_fields(text: str) -> tuple[Requirement, ...]:
    found = []
    for term in filter(None, text.split(",")):
        key, operator, value = _split_field(term)
        if key not in _FIELDS:
            raise ValueError(f"field label not supported: {key}")
        found.append(Requirement(key, "notin" if operator == "!=" else "in", (value,)))
    return tuple(found)


def _split_field(term: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        key, found, value = term.partition(operator)
        if found:
            return key.strip(), operator, value.strip()
    raise ValueError(f"invalid selector: '{term}'; can't understand '{term}'")


def _read_labels(text: str) -> tuple[Requirement, ...]:
    """Read requirements as `k8s.io/apimachinery/pkg/labels` does: `a`, `!a`, `a=b`, `a!=b`, `a in (b,c)`, `a>1`."""
    tokens = _Tokens(text)
    if tokens.peek() == "":
        return ()
    found = [_requirement(tokens)]
    while tokens.peek() == ",":
        tokens.take()
        found.append(_requirement(tokens))
    if tokens.peek():
        raise ValueError(f"unable to parse requirement: found '{tokens.peek()}', expected: ',' or 'end of string'")
    return tuple(found)


class _Tokens:
    """The words of a selector, one after the other; the empty one is the end."""

    def __init__(self, text: str) -> None:
        self._rest = _TOKEN.findall(text.rstrip())

    def peek(self) -> str:
        return self._rest[0] if self._rest else ""

    def take(self) -> str:
        return self._rest.pop(0) if self._rest else ""


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.peek() == "!":
        tokens.take()
        return Requirement(_key(tokens.take()), "missing")
    key = _key(tokens.take())
    word = tokens.peek()
    if word in {"", ","}:
        return Requirement(key, "exists")
    tokens.take()
    if word in {"in", "notin"}:
        return Requirement(key, "in" if word == "in" else "notin", _values(tokens))
    if word not in _COMPARISONS:
        raise ValueError(f"unable to parse requirement: found '{word}', expected: in, notin, =, ==, !=, >, <")
    value = "" if tokens.peek() in {"", ","} else _value(tokens.take())
    operator: Any = _COMPARISONS[word]
    if operator in {"above", "below"} and not _is_integer(value):
        raise ValueError(f"unable to parse requirement: '{value}' is no integer, as '{word}' needs")
    return Requirement(key, operator, (value,))


def _values(tokens: _Tokens) -> tuple[str, ...]:
    if tokens.take() != "(":
        raise ValueError("unable to parse requirement: expected: '('")
    found = []
    while True:
        found.append("" if tokens.peek() in {",", ")"} else _value(tokens.take()))
        end = tokens.take()
        if end == ")":
            return tuple(found)
        if end != ",":
            raise ValueError(f"unable to parse requirement: found '{end}', expected: ',' or ')'")


def _key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        raise ValueError(f"unable to parse requirement: '{text}' is no key of a label")
    return text


def _value(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"unable to parse requirement: '{text}' is no value of a label")
    return text


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", text) is not None
