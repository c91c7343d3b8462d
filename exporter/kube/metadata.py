"""A collection as names, uids and versions: all that is asked of the server where nothing else matters.

Of each object only its metadata come over the wire, and only its identity is decoded. Never asks twice, and never for
more than one page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from exporter.changes.shallow import shallow
from exporter.errors import NetworkError


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.kube.client import Api

PAGE = "500"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class Identity(Struct):
    """One object: its place, and which version of it there is."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")


class _Object(Struct):
    metadata: Identity


class _ListMetadata(Struct):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    next: str = msgspec.field(default="", name="continue")


class Page(Struct):
    """A part of a list, or all of it."""

    metadata: _ListMetadata
    items: list[_Object] | None = None

    @property
    def version(self) -> str:
        """The version of the list, the same on all its pages."""
        return self.metadata.resource_version

    @property
    def next(self) -> str:
        """What to ask the next page with, empty on the last."""
        return self.metadata.next

    @property
    def objects(self) -> Iterator[Identity]:
        """The objects that have an identity."""
        return (item.metadata for item in self.items or () if item.metadata.uid)


_decoder = msgspec.json.Decoder(Page)


async def page(api: Api, path: str, params: dict[str, str]) -> Page:
    """Ask for one page.

    Args:
        api: the server
        path: of the collection
        params: of the query

    Raises:
        ClusterError: the server did not answer, or with something that is no list

    """
    body = await api.get(path, params, accept=_METADATA_LIST, gzip=True)
    try:
        try:
            return _decoder.decode(body)
        except RecursionError:  # of one object's managedFields
            return _decoder.decode(shallow(body, 2))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NetworkError("answer", f"the list at {api.server}{path} is no list: {error}") from error
