"""The bodies of requests: read as what they say they are, and held against the URL that they came to.

Pure. Must never look at the content of an object: what may be in it is the store's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from exporter.sandbox.apiserver.protobuf import MEDIA, read_protobuf
from exporter.sandbox.apiserver.refusals import bad_request, unsupported_media


if TYPE_CHECKING:
    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.paths import Place

Object = dict[str, Any]

JSON, YAML = "application/json", "application/yaml"
MERGE, JSON_PATCH, APPLY = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)
_STRATEGIC = "application/strategic-merge-patch+json"


def read_object(body: bytes, media: str, kind: Kind | None = None) -> Object:
    """Read an object, or options; of a kind that is compiled into a server protobuf is taken too.

    Raises:
        Refused: 415 it is not said to be JSON or YAML, 400 it is not what it says or no object

    """
    if media == MEDIA and kind is not None and not kind.custom:
        try:
            return read_protobuf(body, kind.kind)
        except ValueError as error:
            raise bad_request(f"the body of the request is no protobuf: {error}") from None
    if media not in {"", JSON, YAML}:
        raise unsupported_media(media, (JSON, YAML))
    found = _decode(body, yaml=media == YAML)
    if not isinstance(found, dict):
        raise bad_request("the body of the request is no object")
    return found


def read_patch(body: bytes, media: str, kind: Kind) -> tuple[Any, str]:
    """Read a patch; gives it with the media type by which it is to be done.

    A strategic merge patch, which only types that are compiled into a server take, is done as a merge patch where the
    two are the same: where it has no directives.

    Raises:
        Refused: 415 it is no patch that the type takes, 400 it is not what it says

    """
    if media == _STRATEGIC and not kind.custom:
        patch, media = read_object(body, JSON), MERGE
        if _has_directive(patch):
            raise bad_request("the emulated server takes no directives in a strategic merge patch: use a merge patch")
        return patch, media
    if media not in {MERGE, JSON_PATCH, APPLY}:
        raise unsupported_media(media, (JSON_PATCH, MERGE, APPLY))
    patch = _decode(body, yaml=media == APPLY)
    if not isinstance(patch, list if media == JSON_PATCH else dict):
        raise bad_request(f"the body of the request is no {media}")
    return patch, media


def check_place(obj: Object, kind: Kind, place: Place, *, name: bool) -> Object:
    """See that an object belongs to its URL, and give it with what it leaves to that.

    Args:
        obj: as it was sent; of a type that is compiled into a server it need not say what it is
        kind: the type
        place: where it was sent to
        name: whether the URL names the object

    Raises:
        Refused: 400, it does not

    """
    if not kind.custom:
        obj = {"kind": kind.kind, "apiVersion": place.api_version} | obj
    if not obj.get("kind"):
        raise bad_request("Object 'Kind' is missing in the body of the request")
    if not obj.get("apiVersion"):
        raise bad_request("Object 'apiVersion' is missing in the body of the request")
    if obj["apiVersion"] != place.api_version:
        said = f"the API version in the data ({obj['apiVersion']}) does not match the expected API version"
        raise bad_request(f"{said} ({place.api_version})")
    metadata = obj.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request("the metadata of the object is no object")
    if metadata.get("namespace", place.namespace) not in {"", place.namespace}:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if name:
        check_name(metadata, place)
        metadata = metadata | {"name": place.name}
    return obj | {"metadata": metadata}


def check_name(metadata: object, place: Place) -> None:
    """See that metadata, or a patch of it, names the object of the URL or none; raises 400 else."""
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if name not in {None, "", place.name}:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({place.name})")


def _decode(body: bytes, *, yaml: bool) -> Any:  # noqa: ANN401 - JSON is any
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not yaml:
            raise bad_request(f"the body of the request is no JSON: {error}") from None
    import yaml as parser  # noqa: PLC0415 - most clients send JSON, and the import of this takes time

    try:
        return parser.safe_load(body)
    except (parser.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"the body of the request is no YAML: {error}") from None


def _has_directive(patch: object) -> bool:
    if isinstance(patch, dict):
        return any(key.startswith("$") or _has_directive(value) for key, value in patch.items())
    return isinstance(patch, list) and any(map(_has_directive, patch))
