"""Changes as OTLP log records, and drift with them: `transitions`.

Pure, and it must never fail: a record that cannot be encoded would stop delivery. What does not fit is left out and
said so. Secrets were taken out before the journal; nothing is taken out here.

Field numbers: opentelemetry-proto 1.x, `logs.proto`. Names of attributes:
`k8s.*`, `service.*`, `user.name` and `log.record.uid` from the semantic conventions, all else `customresource.*`.
"""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from exporter.model import Change
from exporter.otlp.line import line
from exporter.otlp.transitions import transition
from exporter.otlp.wire import Attribute, delimited, fixed32_tag, fixed64_tag, length_tag, utf8, varint, varint_tag
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.model import ChangeType, FieldChange, Writer
    from exporter.otlp.envelope import Envelope
    from exporter.records import Transition
    from exporter.timestamps import Timestamp


MAX_DIFF = 32 * 1024
# Loki refuses what is an hour behind the newest entry of a stream, and what is ten minutes in the future.
_LATE = 30 * 60 * 1_000_000_000
_EARLY = 5 * 60 * 1_000_000_000
_INFO = 9

_EVENT_NAMES: dict[ChangeType, str] = {
    "created": "customresource.created",
    "recreated": "customresource.created",
    "deleted": "customresource.deleted",
}
_UPDATED = "customresource.updated"

_TIME, _OBSERVED = fixed64_tag(1), fixed64_tag(11)
_TIMES = struct.Struct("<cQcQ")
_SEVERITY = varint_tag(2) + varint(_INFO)
_TRACE, _SPAN, _SAMPLED = length_tag(9), length_tag(10), fixed32_tag(8) + (1).to_bytes(4, "little")
_BODY, _STRING = length_tag(5), length_tag(1)
_EVENT_NAME_FIELDS = {
    name: delimited(length_tag(12), name.encode()) + _SEVERITY for name in {*_EVENT_NAMES.values(), _UPDATED}
}

_json = msgspec.json.Encoder()


def _attribute(name: str) -> Attribute:
    return Attribute(6, name)


_GROUP = _attribute("customresource.group")
_VERSION = _attribute("customresource.version")
_KIND = _attribute("customresource.kind")
_NAME = _attribute("customresource.name")
_UID = _attribute("customresource.uid")
_RESOURCE_VERSION = _attribute("customresource.resource_version")
_GENERATION = _attribute("customresource.generation")
_EVENT = _attribute("customresource.event")
_CHANGE_TYPE = _attribute("customresource.change.type")
_CHANGE_ID = _attribute("customresource.change.id")
_HAPPENED = _attribute("customresource.happened")
_GAP = _attribute("customresource.gap").true()
_DIFF = _attribute("customresource.diff")
_DIFF_TRUNCATED = _attribute("customresource.diff.truncated").true()
_WRITER_NAME = _attribute("customresource.writer.name")
_WRITER_CLASS = _attribute("customresource.writer.class")
_WRITER_SOURCE = _attribute("customresource.writer.source")
_WRITER_OPERATION = _attribute("customresource.writer.operation")
_WRITER_SUBRESOURCE = _attribute("customresource.writer.subresource")
_WRITER_CANDIDATES = _attribute("customresource.writer.candidates")
_USER_NAME = _attribute("user.name")
_RECORD_UID = _attribute("log.record.uid")


def request(envelope: Envelope, rows: Iterable[Change | Transition]) -> bytes:
    """Encode changes, and what was concluded of drift, as an ExportLogsServiceRequest."""
    return envelope.request(
        (row.namespace, record(row)) if isinstance(row, Change) else (row.verdict.namespace, transition(row))
        for row in rows
    )


def record(change: Change) -> bytes:
    """Encode a change as a LogRecord."""
    event_name = _EVENT_NAMES.get(change.change, _UPDATED)
    observed = _nanoseconds(change.observed)
    at, happened = observed, b""
    if change.happened is not UNSET:
        at = _nanoseconds(change.happened)
        if not -_EARLY <= observed - at <= _LATE:
            at, happened = observed, _HAPPENED.text(change.happened)
    uid = hashlib.sha256(f"{change.id}\n{event_name}".encode("utf-8", "replace")).hexdigest()[:32]
    generation = change.generation
    return b"".join(
        (
            _TIMES.pack(_TIME, at, _OBSERVED, observed),
            _EVENT_NAME_FIELDS[event_name],
            delimited(_BODY, delimited(_STRING, utf8(line(change)))),
            _kind(change.group, change.version, change.kind),
            _words(change.event, change.change),
            _NAME.text(change.name),
            _UID.text(change.uid),
            _RESOURCE_VERSION.text(change.resource_version) if change.resource_version else b"",
            _GENERATION.integer(generation) if generation is not UNSET else b"",
            _CHANGE_ID.text(change.id),
            _writer(change.writer),
            happened,
            _GAP if change.gap else b"",
            _diff(change.fields, truncated=change.truncated) if change.fields or change.truncated else b"",
            _RECORD_UID.text(uid),
            _rollout(change) if change.trace else b"",
        )
    )


def _rollout(change: Change) -> bytes:
    """Name the trace and the span of the rollout that a change belongs to."""
    return delimited(_TRACE, bytes.fromhex(change.trace)) + delimited(_SPAN, bytes.fromhex(change.span)) + _SAMPLED


def _nanoseconds(timestamp: Timestamp) -> int:
    # fixed64: nothing before 1970 or after 2554 can be said
    return min(max(to_nanoseconds(timestamp), 0), (1 << 64) - 1)


@lru_cache(maxsize=4096)
def _kind(group: str, version: str, kind: str) -> bytes:
    return (_GROUP.text(group) if group else b"") + _VERSION.text(version) + _KIND.text(kind)


@lru_cache(maxsize=64)
def _words(event: str, change: str) -> bytes:
    return _EVENT.text(event) + _CHANGE_TYPE.text(change)


@lru_cache(maxsize=4096)
def _writer(writer: Writer) -> bytes:
    texts = (
        (_WRITER_NAME, writer.name),
        (_WRITER_CLASS, writer.class_ if writer.class_ is not UNSET else ""),
        (_WRITER_SOURCE, writer.source),
        (_WRITER_OPERATION, writer.operation),
        (_WRITER_SUBRESOURCE, writer.subresource),
        (_USER_NAME, writer.user),
    )
    candidates = _WRITER_CANDIDATES.texts(writer.candidates) if writer.candidates else b""
    return b"".join(attribute.text(text) for attribute, text in texts if text) + candidates


def _diff(fields: Sequence[FieldChange], *, truncated: bool) -> bytes:
    """Encode the fields as one JSON text within the cap; whole fields are dropped from the end."""
    try:
        text = _json.encode(fields)
    except (UnicodeEncodeError, RecursionError):
        text, truncated = _as_much_as_fits(fields), True
    if len(text) > MAX_DIFF:
        text, truncated = _as_much_as_fits(fields), True
    return _DIFF.utf8(text) + (_DIFF_TRUNCATED if truncated else b"")


def _as_much_as_fits(fields: Sequence[FieldChange]) -> bytes:
    parts: list[bytes] = []
    size = 1
    for field in fields:
        try:
            part = _json.encode(field)
        except (UnicodeEncodeError, RecursionError):
            break
        size += len(part) + 1
        if size > MAX_DIFF:
            break
        parts.append(part)
    return b"[" + b",".join(parts) + b"]"
