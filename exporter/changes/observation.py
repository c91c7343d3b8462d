"""What comes out of a list or a watch, as far as it must be understood before it is known whether it is news.

An observation keeps the JSON of the object as it came; only its head is decoded here. Most of what a list repeats is
recognised by its resourceVersion and never decoded any further.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from exporter.model import Event, ObjectKey, ResourceType, Scope
from exporter.timestamps import Timestamp


# How an observation is to be taken:
#   live      the watch tells what happened
#   baseline  a list tells what was there before anybody watched: silent
#   fresh     a list tells what is there of a type that did not exist before: created
#   catch_up  a list tells what is there after an interruption: its difference to what is known is what happened
#   left      the object left the selection and is not deleted: silent
#   refresh   a list tells how the very versions that are known look under a new schema: silent
Mode = Literal["live", "baseline", "fresh", "catch_up", "left", "refresh"]


class Head(Struct, gc=False):
    """The part of an object's metadata that says which object and which version it is."""

    name: str
    uid: str
    namespace: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")


class _Object(Struct, gc=False):
    metadata: Head


class Observation(Struct, frozen=True, gc=False):
    """One object as a watch or a list showed it.

    Args:
        type: what kind of object, in the version that was asked for
        scope: the stream it belongs to
        event: the watch's word; `added` for an object of a list
        head: its identity
        raw: its JSON
        observed: when it was read
        mode: how it is to be taken
        late: its stream had told of a later version before, perhaps of another object

    """

    type: ResourceType
    scope: Scope
    event: Event
    head: Head
    raw: bytes
    observed: Timestamp
    mode: Mode = "live"
    late: bool = False

    @property
    def key(self) -> ObjectKey:
        """The object's place."""
        return ObjectKey(self.type.group, self.type.resource, self.head.namespace, self.head.name)


class _BookmarkMetadata(Struct):
    resource_version: str = msgspec.field(name="resourceVersion")
    annotations: dict[str, Any] | None = None


class _Bookmark(Struct):
    metadata: _BookmarkMetadata


_head_decoder = msgspec.json.Decoder(_Object)
_bookmark_decoder = msgspec.json.Decoder(_Bookmark)


def read_head(raw: bytes) -> Head:
    """Decode an object's identity.

    Raises:
        ValueError: it has none, or is no JSON

    """
    return _head_decoder.decode(raw).metadata


def read_bookmark(raw: bytes) -> tuple[str, bool]:
    """Decode a bookmark: its version, and whether it ends the initial part of a watch (KEP-3157).

    Raises:
        ValueError: it has no version, or is no JSON

    """
    metadata = _bookmark_decoder.decode(raw).metadata
    return metadata.resource_version, (metadata.annotations or {}).get("k8s.io/initial-events-end") == "true"
