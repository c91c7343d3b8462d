"""Objects of the core as kubectl creates them: in Kubernetes' protobuf encoding, read into what their JSON would be.

Pure. Knows the few types that are built in and the fields that a client sets. Must never write: answers are JSON.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

MEDIA = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_MORE = 0x80

# Message by message: number of a field, its name, and what it is. From the generated.proto of k8s.io/api/core/v1 and
# k8s.io/apimachinery/pkg/apis/meta/v1.
_MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "ObjectMeta": {
        1: ("name", "text"), 2: ("generateName", "text"), 3: ("namespace", "text"), 5: ("uid", "text"),
        6: ("resourceVersion", "text"), 11: ("labels", "texts by key"), 12: ("annotations", "texts by key"),
        14: ("finalizers", "texts"),
    },
    "Namespace": {1: ("metadata", "ObjectMeta")},
    "ConfigMap": {
        1: ("metadata", "ObjectMeta"), 2: ("data", "texts by key"), 3: ("binaryData", "bytes by key"),
        4: ("immutable", "flag"),
    },
    "Secret": {
        1: ("metadata", "ObjectMeta"), 2: ("data", "bytes by key"), 3: ("type", "text"),
        4: ("stringData", "texts by key"), 5: ("immutable", "flag"),
    },
}  # fmt: skip


def read_protobuf(body: bytes, kind: str) -> Object:
    """Read an object.

    Args:
        body: `runtime.Unknown` behind its four magic bytes
        kind: that the object must be of

    Raises:
        ValueError: it is no such object

    """
    if not body.startswith(_MAGIC):
        raise ValueError("it does not begin as Kubernetes' protobuf does")
    parts = dict(_fields(body[len(_MAGIC) :]))
    said = {number: _text(value) for number, value in _fields(_bytes(parts.get(1, b"")))}
    if said.get(2) != kind or kind not in _MESSAGES:
        raise ValueError(f"it is of the kind {said.get(2)!r}")
    return {"apiVersion": said.get(1), "kind": kind, **_message(_bytes(parts.get(2, b"")), kind)}


def _message(data: bytes, name: str) -> Object:
    found: Object = {}
    for number, value in _fields(data):
        if number not in _MESSAGES[name]:
            continue  # what only a server sets, and empty messages
        field, form = _MESSAGES[name][number]
        match form:
            case "text":
                found[field] = _text(value)
            case "flag":
                found[field] = bool(value)
            case "texts":
                found.setdefault(field, []).append(_text(value))
            case "texts by key" | "bytes by key":
                entry = dict(_fields(_bytes(value)))
                held = entry.get(2, b"")
                text = _text(held) if form == "texts by key" else base64.b64encode(_bytes(held)).decode()
                found.setdefault(field, {})[_text(entry.get(1, b""))] = text
            case _:
                found[field] = _message(_bytes(value), form)
    return {field: value for field, value in found.items() if value != ""}


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give the fields of a message by number."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: int | bytes
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
            case 2:
                size, at = _varint(data, at)
                value, at = data[at : at + size], at + size
            case 1 | 5 as fixed:
                size = 8 if fixed == 1 else 4
                value, at = data[at : at + size], at + size
            case _:
                raise ValueError("it holds a field of an unknown form")
        if at > len(data):
            raise ValueError("it ends in the middle of a field")
        yield tag >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        value |= (data[at] & ~_MORE) << shift
        shift += 7
        at += 1
        if not data[at - 1] & _MORE:
            return value, at
    raise ValueError("it ends in the middle of a number")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("it holds a number where a message has to be")  # noqa: TRY004 - of the body, not of a caller
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value).decode()
