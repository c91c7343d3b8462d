"""A change, or what was concluded from some, in one line for people: the body of a log record.

The result is always one line of printable text of bounded length: names and values come from objects that anybody
may have written, and must never forge a second line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET


if TYPE_CHECKING:
    from exporter.model import Change, ChangeType, FieldChange
    from exporter.records import Finding, Transition


MAX_LINE = 1024
_MAX_VALUE = 80
_MAX_PATH = 400

_VERBS: dict[ChangeType, str] = {
    "created": "created",
    "recreated": "created again",
    "deleted": "deleted",
    "deleting": "marked for deletion",
    "noop": "written without a change",
}

_json = msgspec.json.Encoder()


def line(change: Change) -> str:
    """Tell a change: `Widget team-a/web spec changed by kubectl-edit: /spec/replicas 2 → 3 (+1 more)`."""
    place = f"{change.namespace}/{change.name}" if change.namespace else change.name
    verb = _VERBS.get(change.change) or f"{change.change} changed"
    text = f"{change.kind} {place} {verb}"
    if change.writer.name:
        text += f" by {change.writer.name}"
    if change.fields:
        text += f": {_field(change.fields[0])}"
        more = len(change.fields) - 1
        if more or change.truncated:
            text += " (and more)" if change.truncated else f" (+{more} more)"
    return _one_line(text)


def drift_line(record: Transition) -> str:
    """Tell a transition: `Drift opened: Kafka team-a/main /spec/replicas 3 → 5 by kubectl-edit (+1 more)`."""
    verdict = record.verdict
    place = f"{verdict.namespace}/{verdict.name}" if verdict.namespace else verdict.name
    subject, _, verb = record.event.partition(".")
    text = f"{subject.capitalize()} {verb}: {verdict.kind} {place}"
    if record.path:
        return _one_line(f"{text} {record.path[:_MAX_PATH]} between {', '.join(record.managers)}")
    if record.resolved_by is not UNSET:
        text += f" after {record.duration or 0.0:.0f} s, by {record.resolved_by}; was"
    if verdict.fields:
        first, more = verdict.fields[0], len(verdict.fields) - 1
        text += f" {_finding(first)}" + (f" (+{more} more)" if more else "")
    return _one_line(text.removesuffix("; was"))


def _finding(finding: Finding) -> str:
    path = finding.path[:_MAX_PATH] or "the object"
    if finding.finding == "missing":
        return f"{path} missing"
    text = f"{path} {_value(finding.declared)} → {_value(finding.live)}"
    return text if finding.writer is UNSET else f"{text} by {finding.writer.name}"


def _one_line(text: str) -> str:
    if len(text) > MAX_LINE:
        text = text[: MAX_LINE - 1] + "…"
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _field(field: FieldChange) -> str:
    path = field.path if len(field.path) <= _MAX_PATH else field.path[:_MAX_PATH] + "…"
    if field.op == "add":
        return f"{path} added {_value(field.new)}"
    if field.op == "remove":
        return f"{path} removed (was {_value(field.old)})"
    return f"{path} {_value(field.old)} → {_value(field.new)}"


def _value(value: object) -> str:
    if value is UNSET:
        return "?"
    try:
        text = _json.encode(value).decode()
    except (UnicodeEncodeError, RecursionError):
        return "…"
    return text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + "…"
