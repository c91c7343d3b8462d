"""Episodes of drift, and fights, as OTLP log records.

Pure, and it must never fail, as `encode`. Attributes are flat, named `customresource.drift.*` beside those that every
record of an object has; the findings are one JSON text within the same cap as a change's fields.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from exporter.otlp.line import drift_line
from exporter.otlp.wire import Attribute, delimited, fixed64_tag, length_tag, utf8, varint, varint_tag
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.records import DriftEvent, Finding, Transition

MAX_FINDINGS = 32 * 1024
_INFO, _WARN = 9, 13
# What somebody may want to be woken for; the rest says that it is over, or goes on.
_SEVERITY: dict[DriftEvent, int] = {"drift.opened": _WARN, "fight.opened": _WARN}
_TIMES = struct.Struct("<cQcQ")
_TIME, _OBSERVED = fixed64_tag(1), fixed64_tag(11)
_SEVERITY_TAG, _BODY, _STRING, _EVENT_NAME = varint_tag(2), length_tag(5), length_tag(1), length_tag(12)

_json = msgspec.json.Encoder()


def _attribute(name: str) -> Attribute:
    return Attribute(6, name)


_TEXTS = {
    name: _attribute(f"customresource.{name}")
    for name in (
        "group", "kind", "name", "uid", "change.id", "drift.state", "drift.since", "drift.since_source", "drift.cause",
        "drift.baseline", "drift.confidence", "drift.declarer", "drift.resolved_by", "drift.duration", "drift.path",
        "drift.transition",
    )
}  # fmt: skip
_MANAGERS = _attribute("customresource.drift.managers")
_FLAGS = _attribute("customresource.drift.flags")
_FIELDS = _attribute("customresource.drift.fields")
_TRUNCATED = _attribute("customresource.drift.fields.truncated").true()
_RECORD_UID = _attribute("log.record.uid")


def transition(record: Transition) -> bytes:
    """Encode a transition as a LogRecord."""
    verdict = record.verdict
    name = f"customresource.{record.event}"
    at = min(max(to_nanoseconds(record.observed), 0), (1 << 64) - 1)
    uid = hashlib.sha256(f"{record.id}\n{name}".encode("utf-8", "replace")).hexdigest()[:32]
    texts = {
        "group": verdict.group,
        "kind": verdict.kind,
        "name": verdict.name,
        "uid": verdict.uid,
        "change.id": record.change,
        "drift.transition": record.event,
        "drift.state": verdict.state,
        "drift.since": verdict.since,
        "drift.since_source": verdict.since_source,
        "drift.cause": verdict.cause,
        "drift.baseline": verdict.baseline,
        "drift.confidence": verdict.confidence,
        "drift.declarer": verdict.declarer,
        "drift.resolved_by": record.resolved_by,
        "drift.duration": UNSET if record.duration is UNSET else f"{record.duration:.3f}",
        "drift.path": record.path,
    }
    return b"".join(
        (
            _TIMES.pack(_TIME, at, _OBSERVED, at),
            delimited(_EVENT_NAME, name.encode()) + _SEVERITY_TAG + varint(_SEVERITY.get(record.event, _INFO)),
            delimited(_BODY, delimited(_STRING, utf8(drift_line(record)))),
            *(_TEXTS[key].text(text) for key, text in texts.items() if text),
            _MANAGERS.texts(record.managers) if record.managers else b"",
            _FLAGS.texts(verdict.flags) if verdict.flags else b"",
            _findings(verdict.fields) if verdict.fields else b"",
            _RECORD_UID.text(uid),
        )
    )


def _findings(findings: Iterable[Finding]) -> bytes:
    """Encode findings as one JSON text within the cap; whole ones are dropped from the end."""
    parts: list[bytes] = []
    size, truncated = 1, False
    for one in findings:
        try:
            part = _json.encode(one)
        except (UnicodeEncodeError, RecursionError):
            truncated = True
            break
        size += len(part) + 1
        if size > MAX_FINDINGS:
            truncated = True
            break
        parts.append(part)
    return _FIELDS.utf8(b"[" + b",".join(parts) + b"]") + (_TRUNCATED if truncated else b"")
