"""Rollouts as OTLP spans: one for each, one for each stage of its conditions, and those of the rollouts that it holds.

Pure, and it must never fail: a record that cannot be encoded would stop delivery. The times are those of the record:
nothing here makes one up. Success leaves the status unset (semantic conventions, "Recording errors").

Field numbers: opentelemetry-proto 1.x, `trace.proto`. Names of attributes: `user.name` and `error.type` from the
semantic conventions, all else `customresource.*`, as log records have them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from msgspec import UNSET

from exporter.otlp.wire import Attribute, delimited, fixed32_tag, fixed64_tag, length_tag, utf8, varint, varint_tag
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.model import Writer
    from exporter.otlp.envelope import Envelope
    from exporter.records import Link, Rollout, RolloutResult, Stage
    from exporter.timestamps import Timestamp


_TRACE, _SPAN, _PARENT, _NAME = (length_tag(number) for number in (1, 2, 4, 5))
_INTERNAL = varint_tag(6) + varint(1)
_START, _END = fixed64_tag(7), fixed64_tag(8)
_TIMES = struct.Struct("<cQcQ")
_LINK, _STATUS = length_tag(13), length_tag(15)
# W3C flags of what is sampled, and that it is known whether a parent is remote (it is not).
_FLAGS = fixed32_tag(16) + (0x101).to_bytes(4, "little")
_MESSAGE, _ERROR = length_tag(2), varint_tag(3) + varint(2)
_MAX_NAME = 256

# What is an error. That a rollout was overtaken, or the object deleted, is none.
_ERROR_TYPES: dict[RolloutResult, str] = {"failed": "failed", "timed_out": "timeout"}
OBSERVED = "observed generation"


def _attribute(name: str) -> Attribute:
    return Attribute(9, name)


_GROUP = _attribute("customresource.group")
_VERSION = _attribute("customresource.version")
_KIND = _attribute("customresource.kind")
_OBJECT = _attribute("customresource.name")
_UID = _attribute("customresource.uid")
_GENERATION = _attribute("customresource.generation")
_OPENED = _attribute("customresource.rollout.opened")
_RESULT = _attribute("customresource.rollout.result")
_ORDINAL = _attribute("customresource.rollout.ordinal")
_SETTLED = _attribute("customresource.rollout.settled").true()
_LEFT_OUT = _attribute("customresource.rollout.stages_left_out")
_GAP = _attribute("customresource.gap").true()
_CHANGE_ID = _attribute("customresource.change.id")
_CHANGE_FIELDS = _attribute("customresource.change.fields")
_CHANGE_TRUNCATED = _attribute("customresource.change.fields_truncated").true()
_CONDITION = _attribute("customresource.condition.type")
_CONDITION_STATUS = _attribute("customresource.condition.status")
_CONDITION_BEFORE = _attribute("customresource.condition.previous_status")
_CONDITION_REASON = _attribute("customresource.condition.reason")
_CONDITION_MESSAGE = _attribute("customresource.condition.message")
_CONDITION_SINCE = _attribute("customresource.condition.last_transition_time")
_WRITER_NAME = _attribute("customresource.writer.name")
_WRITER_CLASS = _attribute("customresource.writer.class")
_WRITER_SOURCE = _attribute("customresource.writer.source")
_USER_NAME = _attribute("user.name")
_ERROR_TYPE = _attribute("error.type")
_LINK_KIND = Attribute(4, "customresource.link")


def request(envelope: Envelope, rollouts: Iterable[Rollout]) -> bytes:
    """Encode rollouts as an ExportTraceServiceRequest; each span belongs to the namespace of its object."""
    return envelope.request(pair for rollout in rollouts for pair in spans(rollout))


def spans(rollout: Rollout) -> Iterator[tuple[str, bytes]]:
    """Encode a rollout and what it holds, each span with its namespace."""
    trace = delimited(_TRACE, bytes.fromhex(rollout.trace))
    for one in rollout.all():
        yield one.namespace, trace + _rollout(one)
        for stage in one.stages:
            yield one.namespace, trace + _stage(one, stage)


def _rollout(rollout: Rollout) -> bytes:
    generation = _GENERATION.integer(rollout.generation) if rollout.generation else b""
    return b"".join(
        (
            _head(rollout.span, rollout.parent, f"reconcile {rollout.kind}", rollout.started, rollout.ended),
            _texts((_GROUP, rollout.group), (_VERSION, rollout.version), (_KIND, rollout.kind)),
            _texts((_OBJECT, rollout.name), (_UID, rollout.uid)),
            generation,
            _texts((_OPENED, rollout.opened), (_RESULT, rollout.result)),
            _ORDINAL.integer(rollout.ordinal) if rollout.ordinal else b"",
            _SETTLED if rollout.settled else b"",
            _LEFT_OUT.integer(rollout.left_out) if rollout.left_out else b"",
            _GAP if rollout.gap else b"",
            _texts((_CHANGE_ID, rollout.change)),
            _CHANGE_FIELDS.texts(rollout.fields) if rollout.fields else b"",
            _CHANGE_TRUNCATED if rollout.truncated else b"",
            _writer(rollout.writer) if rollout.writer is not UNSET else b"",
            _texts((_CONDITION, rollout.condition), (_CONDITION_STATUS, rollout.status)),
            _texts((_CONDITION_REASON, rollout.reason), (_CONDITION_MESSAGE, rollout.message)),
            *map(_link, rollout.links),
            _error(rollout.result, rollout.reason, rollout.message),
        )
    )


def _stage(rollout: Rollout, stage: Stage) -> bytes:
    since = stage.transition
    return b"".join(
        (
            _head(stage.span, rollout.span, stage.condition or OBSERVED, stage.started, stage.ended),
            _texts((_CONDITION, stage.condition), (_CONDITION_STATUS, stage.status if stage.condition else "")),
            b"" if stage.condition else _GENERATION.integer(rollout.generation),
            _texts((_CONDITION_BEFORE, stage.before), (_CONDITION_REASON, stage.reason)),
            _texts((_CONDITION_MESSAGE, stage.message), (_CONDITION_SINCE, "" if since is UNSET else since)),
            _error(rollout.result, stage.reason, stage.message) if stage.open else b"",
        )
    )


def _head(span: str, parent: str, name: str, started: Timestamp, ended: Timestamp) -> bytes:
    start = _nanoseconds(started)
    return b"".join(
        (
            delimited(_SPAN, bytes.fromhex(span)),
            delimited(_PARENT, bytes.fromhex(parent)) if parent else b"",
            delimited(_NAME, utf8(name[:_MAX_NAME])),
            _INTERNAL,
            _TIMES.pack(_START, start, _END, max(start, _nanoseconds(ended))),
            _FLAGS,
        )
    )


def _nanoseconds(timestamp: Timestamp) -> int:
    # fixed64: nothing before 1970 or after 2554 can be said
    return min(max(to_nanoseconds(timestamp), 0), (1 << 64) - 1)


def _texts(*pairs: tuple[Attribute, str]) -> bytes:
    return b"".join(attribute.text(text) for attribute, text in pairs if text)


def _writer(writer: Writer) -> bytes:
    class_ = writer.class_ if writer.class_ is not UNSET else ""
    return _texts(
        (_WRITER_NAME, writer.name), (_WRITER_CLASS, class_), (_WRITER_SOURCE, writer.source), (_USER_NAME, writer.user)
    )


def _link(link: Link) -> bytes:
    ids = delimited(_TRACE, bytes.fromhex(link.trace)) + delimited(_SPAN, bytes.fromhex(link.span))
    return delimited(_LINK, ids + _LINK_KIND.text(link.kind))


def _error(result: RolloutResult, reason: str, message: str) -> bytes:
    """Say what went wrong, if that did: a word for grouping, and why for people."""
    kind = _ERROR_TYPES.get(result)
    if kind is None:
        return b""
    type_ = reason if result == "failed" and reason else kind
    told = ": ".join(part for part in (reason, message) if part)
    status = (delimited(_MESSAGE, utf8(told)) if told else b"") + _ERROR
    return _ERROR_TYPE.text(type_) + delimited(_STATUS, status)
