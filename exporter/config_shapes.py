"""The shapes that a configuration has, whatever it is about: texts, numbers, choices, lists, mappings.

Each is read from YAML by a function that raises `ValueError` with the half of a sentence that follows the key;
`config` knows the file and the key.
"""

from __future__ import annotations

from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[Any], Any]

_SHOWN = 80


class BadError(ValueError):
    """What is wrong, and below which key; each level of the file adds its own key in front."""

    def __init__(self, text: str, place: str = "") -> None:
        self.text = text
        self.place = place
        super().__init__(f"{place.removeprefix('.')}: {text}" if place else text)

    def below(self, key: str) -> BadError:
        """Give the same error one key further up."""
        return BadError(self.text, f"{key}{self.place}")


def show(value: object) -> str:
    """Show a value as it stood in the file: YAML reads yes and 2026-01-01 as something else than text."""
    text = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def text_of(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read a text that is not empty."""
    if value is None or value == "":
        raise ValueError("has no value; give it one, or remove the key")
    if not isinstance(value, str):
        remedy = "write one value" if isinstance(value, dict | list) else "put it in quotes"
        msg = f"{show(value)} is no text; {remedy}"
        raise ValueError(msg)  # noqa: TRY004 - turned into a ConfigError
    return value


def list_of(read: Callable[[str], None], *, or_nothing: str = "") -> Parse:
    """Make the reader of a list of texts, each of which `read` checks; `or_nothing` says why it may not be empty."""

    def of(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - any YAML
        if not isinstance(value, list):
            msg = f"{show(value)} is no list; write it in brackets, [like, this], or remove the key"
            raise ValueError(msg)  # noqa: TRY004 - turned into a ConfigError
        if not value and or_nothing:
            raise ValueError(or_nothing)
        seen: dict[str, None] = {}
        for index, item in enumerate(value):
            try:
                read(text_of(item))
            except ValueError as error:
                raise BadError(str(error), f"[{index}]") from error
            if item in seen:
                msg = f"{show(item)} is in the list twice; remove one"
                raise BadError(msg, f"[{index}]")
            seen[item] = None
        return tuple(seen)

    return of


def list_of_any(read: Parse) -> Parse:
    """Make the reader of a list of whatever `read` takes."""

    def of(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any YAML
        if not isinstance(value, list):
            msg = f"{show(value)} is no list; write each item below it, with `- ` in front, or remove the key"
            raise ValueError(msg)  # noqa: TRY004 - turned into a ConfigError
        found = []
        for index, item in enumerate(value):
            try:
                found.append(read(item))
            except BadError as error:
                raise error.below(f"[{index}]") from error.__cause__
            except ValueError as error:
                raise BadError(str(error), f"[{index}]") from error
        return tuple(found)

    return of


def section(make: Callable[..., Any], schema: dict[str, tuple[str, Parse]], required: tuple[str, ...] = ()) -> Parse:
    """Make the reader of a mapping.

    Args:
        make: takes the fields that were given
        schema: YAML key → (field, reader of the value)
        required: keys that must be given

    """

    def read(value: Any) -> Any:  # noqa: ANN401 - any YAML
        if value is None and not required:  # a key whose lines below it are all comments
            return make()
        if not isinstance(value, dict):
            keys = ", ".join(schema) or "nothing yet"
            msg = f"{show(value)} is no mapping; write `key: value` lines below it, of the keys: {keys}"
            raise BadError(msg)
        fields = {}
        for key, item in value.items():
            if key not in schema:
                close = get_close_matches(str(key), schema, 1)
                known = f"the keys here are: {', '.join(schema)}" if schema else "remove it, no key is known here yet"
                remedy = f"did you mean {close[0]}?" if close else known
                raise BadError(f"is not known; {remedy}", f".{key}")
            field, parse_value = schema[key]
            try:
                fields[field] = parse_value(item)
            except BadError as error:
                raise error.below(f".{key}") from error.__cause__
            except ValueError as error:
                raise BadError(str(error), f".{key}") from error
        for key in required:
            if key not in value:
                raise BadError(f"has no {key}; give it one")
        return make(**fields)

    return read


def number_within(least: int, most: int) -> Parse:
    """Make the reader of a whole number within bounds."""

    def read(value: Any) -> int:  # noqa: ANN401 - any YAML
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            msg = f"{show(value)} is no whole number between {least} and {most}; choose one"
            raise ValueError(msg)
        return value

    return read


def boolean(value: Any) -> bool:  # noqa: ANN401 - any YAML
    """Read true or false."""
    if not isinstance(value, bool):
        msg = f"{show(value)} is neither true nor false; write one of them"
        raise ValueError(msg)  # noqa: TRY004 - turned into a ConfigError
    return value


def one_of(words: tuple[str, ...]) -> Callable[[str], None]:
    """Make the check that a text is one of a few words."""

    def check(text: str) -> None:
        if text not in words:
            close = get_close_matches(text, words, 1)
            remedy = f"did you mean {close[0]}?" if close else f"write one of: {', '.join(words)}"
            msg = f"{show(text)} is not known; {remedy}"
            raise ValueError(msg)

    return check


def one(words: tuple[str, ...]) -> Parse:
    """Make the reader of one of a few words."""
    check = one_of(words)

    def read(value: Any) -> str:  # noqa: ANN401 - any YAML
        text = text_of(value)
        check(text)
        return text

    return read
