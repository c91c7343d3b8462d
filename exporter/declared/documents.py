"""The documents in a file of YAML or JSON, read as kubectl reads them, one by one.

A document that cannot be read is an error in its place, and the next one is read. Documents are split at lines that
begin with `---`, before anything is parsed, as kubectl does. Nothing here recurses, however deep a document is, and
what aliases expand to is bounded. Pure; an error never repeats what the file holds.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import yaml
from msgspec import Struct

from exporter.declared.scalars import as_json, as_key, resolve


if TYPE_CHECKING:
    from collections.abc import Iterator

# Deeper than anything that the API server would take.
_MAX_DEPTH = 256
# Values in one document, those that aliases repeat included; go-yaml gives up at the same number.
_MAX_VALUES = 400_000
_SEPARATOR = b"---"
_MERGE = "<<"
_MERGE_TAG = "tag:yaml.org,2002:merge"
_REMEDY = "correct it, or render it first if it is a template"
_BLANKS = re.compile(r"[ \t\r\n]*")
_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class Document(Struct, frozen=True):
    """One document: its value, and the line of the file on which it begins, from 1."""

    value: Any
    line: int


class Unreadable(Struct, frozen=True):
    """A document that cannot be read: where, and what to do about it."""

    line: int
    text: str


def read_documents(content: bytes) -> list[Document | Unreadable]:
    """Give the documents of a file in their order; empty ones are left out."""
    if not content.lstrip().startswith(b"{"):
        return _read_pieces(content)
    as_json = list(_read_json(content))
    if all(isinstance(one, Document) for one in as_json):
        return as_json
    # What begins with a brace may be YAML even so; where that gives no more, it was meant to be JSON.
    as_yaml = _read_pieces(content)
    return max(as_json, as_yaml, key=lambda found: sum(isinstance(one, Document) for one in found))


def _read_json(content: bytes) -> Iterator[Document | Unreadable]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        yield Unreadable(content.count(b"\n", 0, error.start) + 1, "is no UTF-8; save the file as UTF-8")
        return
    at, line, end = _past_blanks(text, 0), 1, 0
    while at < len(text):
        line += text.count("\n", end, at)
        try:
            value, end = _json.raw_decode(text, at)
        except json.JSONDecodeError as error:
            yield Unreadable(error.lineno, f"is no JSON ({error.msg}); {_REMEDY}")
            return
        except (ValueError, RecursionError):
            yield Unreadable(line, "is nested too deeply, or has a number that JSON does not have; correct it")
            return
        yield Document(value, line)
        line += text.count("\n", at, end)
        at = _past_blanks(text, end)


def _past_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _json_number(text: str) -> Any:  # noqa: ANN401 - int or float
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    try:
        return as_json(int(text))
    except ValueError:
        return as_json(number)


_json = json.JSONDecoder(parse_int=_json_number, parse_float=_json_number, parse_constant=_json_number)


def _read_pieces(content: bytes) -> list[Document | Unreadable]:
    pieces = _split(content)
    return [one for one in (_read_yaml(piece, before) for piece, before in pieces) if one is not None]


def _split(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Give the pieces between lines that begin with `---`, each with the number of lines before it."""
    lines: list[bytes] = []
    begun = 0
    for number, line in enumerate(content.split(b"\n")):
        if line.startswith(_SEPARATOR):
            rest = line[len(_SEPARATOR) :].strip()
            if any(lines):
                yield b"\n".join(lines), begun
            # What kubectl refuses is left in its piece, so that it is refused there.
            lines, begun = ([line], number) if rest and not rest.startswith(b"#") else ([], number + 1)
        else:
            lines.append(line.removesuffix(b"\r"))
    if any(lines):
        yield b"\n".join(lines), begun


def _read_yaml(piece: bytes, before: int) -> Document | Unreadable | None:
    """Read the one document of a piece, which begins after so many lines; None where there is nothing in it."""
    if piece.startswith(_SEPARATOR):
        return Unreadable(before + 1, "has more than --- on a line; put the document on the lines below")
    builder = _Builder()
    try:
        for event in yaml.parse(piece, _Loader):
            if isinstance(event, yaml.DocumentEndEvent):
                break  # kubectl, too, reads one document of a piece
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # What is missing at the end is missed on the last line, not below it.
        line = min(mark.line if mark else 0, piece.rstrip().count(b"\n"))
        return Unreadable(before + line + 1, f"is no YAML ({error.problem}); {_REMEDY}")
    except yaml.YAMLError:
        return Unreadable(before + 1, "is no text; save the file as UTF-8, without control characters")
    except ValueError as error:
        return Unreadable(before + builder.line + 1, f"{error}; {_REMEDY}")
    return None if builder.result is None else Document(builder.result, before + builder.first + 1)


class _Open(Struct):
    """A mapping or a list that is being read."""

    value: Any
    anchor: str | None
    size: int = 1
    key: str | None = None
    merges: bool = False


class _Anchored(Struct, frozen=True):
    """What an anchor names, and how many values that is; 0 while it is being read."""

    value: Any
    size: int


class _Builder:
    """Makes a value of the events of one document.

    Attributes:
        result: the value
        first: line on which it begins, from 0
        line: of the event at hand

    """

    def __init__(self) -> None:
        self.result: Any = None
        self.first = -1
        self.line = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}

    def take(self, event: yaml.Event) -> None:
        """Take in the next event.

        Raises:
            ValueError: what it says has no place in JSON

        """
        self.line = event.start_mark.line if event.start_mark else self.line
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            done = self._open.pop()
            self._put(done.value, done.size, done.anchor)

    def _begin(self, value: Any, anchor: str | None) -> None:  # noqa: ANN401 - dict or list
        self._note()
        above = self._open[-1] if self._open else None
        if above is not None and isinstance(above.value, dict) and above.key is None and not above.merges:
            raise ValueError("has a mapping or a list as a key")
        if len(self._open) >= _MAX_DEPTH:
            msg = f"is nested deeper than {_MAX_DEPTH} levels"
            raise ValueError(msg)
        if anchor is not None:
            self._anchors[anchor] = _Anchored(value, 0)
        self._open.append(_Open(value, anchor))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._note()
        plain = bool(event.implicit[0])
        above = self._open[-1] if self._open else None
        is_key = above is not None and isinstance(above.value, dict) and above.key is None and not above.merges
        if above is not None and is_key and event.value == _MERGE and (plain or event.tag == _MERGE_TAG):
            above.merges = True
            return
        value = resolve(event.value, event.tag, plain=plain)
        self._put(value if is_key else as_json(value), 1, event.anchor)

    def _alias(self, name: str) -> None:
        self._note()
        named = self._anchors.get(name)
        if named is None:
            raise ValueError("has an alias of what no anchor before it names")
        if not named.size:
            raise ValueError("has an anchor that holds an alias of itself")
        self._put(named.value, named.size, None)

    def _put(self, value: Any, size: int, anchor: str | None) -> None:  # noqa: ANN401 - any YAML
        if anchor is not None:
            self._anchors[anchor] = _Anchored(value, size)
        if not self._open:
            self.result = value
            return
        above = self._open[-1]
        above.size += size
        if above.size > _MAX_VALUES:
            msg = f"holds more than {_MAX_VALUES} values, those that aliases repeat included"
            raise ValueError(msg)
        if isinstance(above.value, list):
            above.value.append(value)
        elif above.merges:
            _merge(above.value, value)
            above.merges = False
        elif above.key is None:
            above.key = as_key(value)
        else:
            above.value[above.key] = value
            above.key = None

    def _note(self) -> None:
        if self.first < 0:
            self.first = self.line


def _merge(into: dict[str, Any], value: Any) -> None:  # noqa: ANN401 - any YAML
    """Merge as go-yaml does: at the place of the `<<`, so that keys before it lose and keys after it win."""
    parts = value[::-1] if isinstance(value, list) else [value]
    for part in parts:
        if not isinstance(part, dict):
            raise ValueError("merges what is no mapping with <<")  # noqa: TRY004
        into.update(part)
