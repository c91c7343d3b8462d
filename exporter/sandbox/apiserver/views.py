"""How objects look on the wire: in the version that was asked for, whole or their metadata alone.

Pure. Must never change an object: many answers share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from exporter.sandbox.apiserver.refusals import Refused


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.paths import Place

Object = dict[str, Any]

END = {"k8s.io/initial-events-end": "true"}
_JSON = {"application/json", "application/*", "*/*"}
_PARTIAL = {"PartialObjectMetadata", "PartialObjectMetadataList"}
_META = "meta.k8s.io/v1"
_NOT_ACCEPTABLE = 406

encode = msgspec.json.Encoder().encode


class View(Struct, frozen=True):
    """How the objects of a type are shown in one answer.

    Attributes:
        api_version: that they are to have
        kind: of the type
        partial: only their metadata
        built_in: the type is compiled into the server: in a list its objects do not say what they are

    """

    api_version: str
    kind: str
    partial: bool = False
    built_in: bool = False

    def show(self, obj: Object) -> Object:
        """Show one object."""
        if self.partial:
            return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}
        return obj if obj["apiVersion"] == self.api_version else obj | {"apiVersion": self.api_version}

    def list(self, objects: Iterable[Object], version: int, token: str = "", remaining: int = 0) -> Object:
        """Show a list.

        Args:
            objects: of it
            version: that it is of
            token: with which it goes on, empty at its end
            remaining: how many are known to follow

        """
        if self.partial:
            kind, api_version = "PartialObjectMetadataList", _META
        else:
            kind, api_version = f"{self.kind}List", self.api_version
        items = [self.show(obj) for obj in objects]
        if self.built_in and not self.partial:
            items = [{key: obj[key] for key in obj if key not in {"kind", "apiVersion"}} for obj in items]
        metadata: Object = {"continue": token, "resourceVersion": str(version)}
        if token and remaining:
            metadata["remainingItemCount"] = remaining
        return {"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items}

    def event(self, word: str, obj: Object) -> bytes:
        """Give a line of a watch."""
        return encode({"type": word, "object": self.show(obj)}) + b"\n"

    def bookmark(self, version: int, *, ends_list: bool = False) -> bytes:
        """Give the line that says how far a watch is."""
        metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
        if ends_list:
            metadata["annotations"] = END
        return self.event("BOOKMARK", {"kind": self.kind, "apiVersion": self.api_version, "metadata": metadata})


def kind_name(kind: Kind) -> str:
    """Name a type in one word, such as `databases.db.example.com` or `configmaps`."""
    return f"{kind.resource}.{kind.group}" if kind.group else kind.resource


def negotiate(accept: str, kind: Kind, place: Place) -> View:
    """Choose how to show what a request asks for: the first form of its Accept header that there is.

    Raises:
        Refused: 406, there is none

    """
    for clause in (accept or "*/*").split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        said = dict(parameter.partition("=")[::2] for parameter in parameters)
        form = said.get("as", "")
        if media in _JSON and (not form or (form in _PARTIAL and said.get("g") == "meta.k8s.io")):
            return View(place.api_version, kind.kind, bool(form), not kind.custom)
    raise Refused(_NOT_ACCEPTABLE, "NotAcceptable", "only the following media types are accepted: application/json", {})
