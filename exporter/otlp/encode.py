"""Changes as OTLP log records: one ResourceLogs for each namespace, in the changes' order. Drift: `transitions`.

Pure, and it must never fail: a record that cannot be encoded would stop delivery. What does not fit is left out and
said so. Secrets were taken out before the journal; nothing is taken out here.

Field numbers: opentelemetry-proto 1.x, `logs.proto`, `resource.proto`, `logs_service.proto`. Names of attributes:
`k8s.*`, `service.*`, `user.name` and `log.record.uid` from the semantic conventions, all else `customresource.*`.
"""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from exporter import __version__
from exporter.model import Change
from exporter.otlp.line import line
from exporter.otlp.transitions import transition
from exporter.otlp.wire import Attribute, delimited, fixed64_tag, length_tag, utf8, varint, varint_tag
from exporter.timestamps import to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.model import ChangeType, FieldChange, Writer
    from exporter.otlp.settings import Settings
    from exporter.records import Record
    from exporter.timestamps import Timestamp


MAX_DIFF = 32 * 1024
SCOPE_NAME = "customresource-exporter"
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
_KEPT_RESOURCES = 4096

# ExportLogsServiceRequest.resource_logs; ResourceLogs.resource, .scope_logs; ScopeLogs.scope, .log_records
_RESOURCE_LOGS, _RESOURCE, _SCOPE_LOGS, _SCOPE, _RECORD = (length_tag(number) for number in (1, 1, 2, 1, 2))
_TIME, _OBSERVED = fixed64_tag(1), fixed64_tag(11)
_TIMES = struct.Struct("<cQcQ")
_SEVERITY = varint_tag(2) + varint(_INFO)
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


class Encoder:
    """Encodes batches for one endpoint.

    The user's attributes win over ours for `service.*`; what is said of the cluster and the namespace (`k8s.cluster.*`,
    `k8s.namespace.name`) is about the objects, so ours win there: an operator that injects the exporter's own
    namespace must not move every record into it.

    Args:
        settings: for `service.name` and the user's attributes
        journal_id: becomes `service.instance.id`, stable over restarts
        cluster_uid: of the cluster that is watched
        cluster_name: a name for people, may be empty
        detected: what resource detectors found; everything else wins over it

    """

    def __init__(
        self,
        settings: Settings,
        *,
        journal_id: str,
        cluster_uid: str,
        cluster_name: str = "",
        detected: Mapping[str, str] | None = None,
    ) -> None:
        attributes = {
            **(detected or {}),
            "service.version": __version__,
            "service.instance.id": journal_id,
            **dict(settings.attributes),
            "service.name": settings.service_name,
            "k8s.cluster.uid": cluster_uid,
        }
        if cluster_name:
            attributes["k8s.cluster.name"] = cluster_name
        attributes.pop("k8s.namespace.name", None)
        self._attributes = attributes
        self._resources: dict[str, bytes] = {}
        scope = delimited(length_tag(1), SCOPE_NAME.encode()) + delimited(length_tag(2), __version__.encode())
        self._scope = delimited(_SCOPE, scope)

    def request(self, rows: Iterable[Record]) -> bytes:
        """Encode changes, and what was concluded from them, as an ExportLogsServiceRequest."""
        records: dict[str, list[bytes]] = {}
        for row in rows:
            if isinstance(row, Change):
                records.setdefault(row.namespace, []).append(delimited(_RECORD, record(row)))
            else:
                records.setdefault(row.verdict.namespace, []).append(delimited(_RECORD, transition(row)))
        return b"".join(
            delimited(
                _RESOURCE_LOGS,
                self._resource(namespace) + delimited(_SCOPE_LOGS, self._scope + b"".join(of_namespace)),
            )
            for namespace, of_namespace in records.items()
        )

    def _resource(self, namespace: str) -> bytes:
        known = self._resources.get(namespace)
        if known is None:
            attributes = self._attributes | ({"k8s.namespace.name": namespace} if namespace else {})
            known = delimited(_RESOURCE, b"".join(Attribute(1, name).text(text) for name, text in attributes.items()))
            if len(self._resources) >= _KEPT_RESOURCES:  # namespaces come and go
                self._resources.clear()
            self._resources[namespace] = known
        return known


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
        )
    )


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
