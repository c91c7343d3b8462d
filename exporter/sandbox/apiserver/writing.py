"""A write, and what a patch or a declaration makes of the object that it is for.

Pure. Must never decide whether the outcome may be stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter.sandbox.apiserver import objects, ownership
from exporter.sandbox.apiserver.bodies import APPLY, JSON_PATCH, MERGE
from exporter.sandbox.apiserver.declarations import misfits
from exporter.sandbox.apiserver.patch import PatchError, UnreadableError, json_patch, merge_patch
from exporter.sandbox.apiserver.refusals import (
    Cause,
    apply_conflict,
    bad_request,
    unpatchable,
    unprocessable,
    unsupported_media,
    untyped,
)
from exporter.sandbox.apiserver.shelf import Shelf


if TYPE_CHECKING:
    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.patch import Json
    from exporter.sandbox.apiserver.refusals import Refused
    from exporter.sandbox.apiserver.shapes import Shape

Object = dict[str, Any]
Objects = list[Object]


class Request(Struct, frozen=True):
    """A write, apart from what is written.

    Attributes:
        shelf: of the type
        namespace: empty for a type that is in none
        name: empty for a create
        manager: who writes
        version: in which the object is written
        subresource: that is written
        dry_run: nothing is to be stored

    """

    shelf: Shelf
    namespace: str
    name: str
    manager: str
    version: str
    subresource: str
    dry_run: bool

    @property
    def kind(self) -> Kind:
        """The type."""
        return self.shelf.kind

    def writing(self, time: str) -> tuple[Shape, ownership.Writer]:
        """Give what ownership has to know: the shape of the object, and who writes when and where."""
        kind = self.kind
        ignored = ("f:metadata", "f:spec") if self.subresource else ("f:status",) if kind.status else ()
        api_version = kind.api_version(self.version)
        writer = ownership.Writer(self.manager, api_version, self.subresource, time, ignored)
        return self.shelf.shape(self.version), writer


def patched(request: Request, live: Object, patch: Json, media_type: str) -> Object:
    """Give what a patch makes of an object, read as if a client had written it.

    Args:
        request: that patches
        live: the object, in the storage version
        patch: decoded
        media_type: which sort it is

    Raises:
        Refused: it cannot be read or applied, or leaves no object of this type

    """
    kind, version = request.kind, request.version
    shown = live | {"apiVersion": kind.api_version(version)}
    try:
        if media_type == JSON_PATCH:
            found = json_patch(shown, patch)
        elif media_type != MERGE:
            raise unsupported_media(media_type, (JSON_PATCH, MERGE, APPLY))
        elif not isinstance(patch, dict):
            raise bad_request("a merge patch of an object is an object")
        else:
            found = merge_patch(shown, patch)
    except UnreadableError as error:
        raise bad_request(f"error decoding patch: {error}") from None
    except PatchError as error:
        raise unprocessable(f"the server rejected our request due to an error in our request: {error}") from None
    if not isinstance(found, dict):
        raise unpatchable("it leaves no object")
    if not found.get("metadata"):
        raise bad_request("the name of the object was undeterminable: name must be provided")
    try:
        return objects.readied(kind, version, found)
    except objects.MalformedError as error:
        raise unpatchable(str(error)) from None


def applied(request: Request, live: Object | None, config: Object, time: str, *, force: bool) -> tuple[Object, Objects]:
    """Give what a declaration makes of an object, and who owns what then.

    Args:
        request: that declares
        live: the object, None for one that is not there yet
        config: as `objects.declared` reads it
        time: now
        force: take what others hold

    Raises:
        Refused: it does not fit the type, or others hold what would change

    """
    shape, writer = request.writing(time)
    found = "\n".join(misfits(config, shape))
    if found:
        raise untyped(found)
    entries = live["metadata"].get("managedFields", []) if live else []
    try:
        return ownership.apply(entries, live or {}, config, shape, writer, force=force)
    except ownership.HeldError as error:
        raise _as_refusal(error) from None


def _as_refusal(error: ownership.HeldError) -> Refused:
    causes = [
        Cause(field, "FieldManagerConflict", f"conflict with {held.owner}")
        for held in error.held
        for field in held.fields
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        lines = []
        for held in error.held:
            lines += [f"conflicts with {held.owner}:", *(f"- {field}" for field in held.fields)]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return apply_conflict(message, causes)
