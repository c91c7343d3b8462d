"""Changes as lines for a terminal: event, change, resource, time, who, what field.

What objects hold is shown, never obeyed: control characters, line ends and marks that reverse the text are made
visible. To a terminal in colour, to anything else as plain columns.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from rich.text import Text


if TYPE_CHECKING:
    from exporter.model import Change, FieldChange, Writer


COLUMNS = ("EVENT", "CHANGE", "RESOURCE", "TIME", "WHO", "FIELD")
_WIDTHS = (8, 9, 34, 19, 30, 0)
_MAX_VALUE = 40
_COLOURS = {
    "created": "green",
    "recreated": "green",
    "deleted": "red",
    "deleting": "red",
    "spec": "yellow",
    "schema": "magenta",
    "metadata": "cyan",
    "status": "blue",
}
_HUMAN = "bold"


def header() -> str:
    """Give the line of the column names."""
    return _columns(COLUMNS)


def line(change: Change) -> str:
    """Give a change as one line."""
    return _columns(_cells(change))


def coloured(change: Change) -> Text:
    """Give a change as one line in colours."""
    event, word, resource, time, who, field = _cells(change)
    text = Text(_columns((event, "", "", "", "", ""))[: _WIDTHS[0] + 2].ljust(_WIDTHS[0] + 2))
    for cell, width, style in (
        (word, _WIDTHS[1], _COLOURS.get(change.change, "dim")),
        (resource, _WIDTHS[2], "default"),
        (time, _WIDTHS[3], "dim"),
        (who, _WIDTHS[4], _HUMAN if change.writer.class_ == "human" else "default"),
        (field, 0, "default"),
    ):
        text.append(cell.ljust(width) + ("  " if width else ""), style=style)
    return text


def visible(text: str) -> str:
    """Make what a terminal would obey, or what would mislead the eye, visible as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() and unicodedata.category(char) not in ("Cf", "Co") else ascii(char)[1:-1]
        for char in text
    )


def _cells(change: Change) -> tuple[str, ...]:
    place = f"{change.namespace}/{change.name}" if change.namespace else change.name
    return (
        change.event,
        change.change,
        visible(f"{change.kind} {place}"),
        change.observed[:19].replace("T", " "),
        visible(_who(change.writer)),
        visible(_what(change)),
    )


def _who(writer: Writer) -> str:
    if writer.name:
        return f"{writer.name} ({writer.class_ or 'unknown'})"
    return f"unresolved ({'|'.join(writer.candidates)})" if writer.candidates else "unresolved"


def _what(change: Change) -> str:
    notes = [f"+{len(change.fields) - 1} more"] if len(change.fields) > 1 else []
    notes += [word for word, true in (("cut", change.truncated), ("gap", change.gap)) if true]
    tail = f" ({', '.join(notes)})" if notes else ""
    return (field(change.fields[0]) if change.fields else "") + tail


def field(moved: FieldChange) -> str:
    """Give one field that moved in a few words."""
    if moved.op == "add":
        return f"{moved.path} + {_value(moved.new)}"
    if moved.op == "remove":
        return f"{moved.path} - {_value(moved.old)}"
    return f"{moved.path} {_value(moved.old)} → {_value(moved.new)}"


def _value(value: Any) -> str:  # noqa: ANN401 - any JSON
    if value is UNSET:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + "…"


def _columns(cells: tuple[str, ...]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()
