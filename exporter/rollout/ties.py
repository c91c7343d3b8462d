"""What an object's metadata ties it to: its owners, and the traces of those who asked for the change.

Nothing here may fail on what an object holds; what cannot be read is not there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.records import Link


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.changes.version import Version


# KEP-5915, and what is in use without it.
ANNOTATIONS = ("tracing.k8s.io/traceparent", "traceparent")
MAX_OWNERS = 8
# W3C Trace Context, "traceparent": a later version may add fields behind these.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII | re.DOTALL)


def owners(version: Version) -> tuple[str, ...]:
    """Give the uids of the owners, the controller before others."""
    if "ownerReferences" not in version.metadata.fields:
        return ()
    found: dict[str, bool] = {}
    for one in _items(_field(version, "ownerReferences")):
        uid = one.get("uid")
        if isinstance(uid, str) and uid:
            found[uid] = found.get(uid, False) or one.get("controller") is True
    return tuple(sorted(found, key=lambda uid: not found[uid])[:MAX_OWNERS])


def upstream(old: Version | None, new: Version, names: tuple[str, ...] = ANNOTATIONS) -> tuple[Link, ...]:
    """Give the spans that annotations name, as far as they came with this version: an older one asked for another."""
    now = new.metadata.fields.get("annotations")
    if now is None or (old is not None and old.metadata.fields.get("annotations") == now):
        return ()
    before, after = _annotations(old), _annotations(new)
    links: dict[Link, None] = {}
    for name in names:
        text = after.get(name)
        if isinstance(text, str) and before.get(name) != text and (link := traceparent(text)):
            links[link] = None
    return tuple(links)


def traceparent(text: str) -> Link | None:
    """Read a traceparent; None if it is none. Whether it was sampled does not matter: it is a link, not a parent."""
    parts = _TRACEPARENT.fullmatch(text.strip())
    if parts is None:
        return None
    version, trace, span, more = parts.groups()
    if version == "ff" or (version == "00" and more) or not trace.strip("0") or not span.strip("0"):
        return None
    return Link(trace, span, "upstream")


def _annotations(version: Version | None) -> dict[str, Any]:
    value = None if version is None else _field(version, "annotations")
    return value if isinstance(value, dict) else {}


def _field(version: Version, name: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return version.metadata.get(name)
    except msgspec.DecodeError:
        return None


def _items(value: object) -> Iterator[dict[str, Any]]:
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))
