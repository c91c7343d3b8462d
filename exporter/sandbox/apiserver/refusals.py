"""What the API refuses, as values: a status code, a reason and the details that clients look at.

Pure. The texts are those of apimachinery's `errors` package. Must never be used for a fault of the emulation itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.sandbox.apiserver.kinds import Kind

Object = dict[str, Any]

_STALE = "the object has been modified; please apply your changes to the latest version and try again"


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error of ours
    """A request is answered with a v1 Status.

    Args:
        status: of HTTP
        reason: one word for programs; empty where upstream has none
        message: a sentence for people
        details: which object, and why; empty for none

    """

    def __init__(self, status: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}

    def body(self) -> Object:
        """Give the Status."""
        body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        return body | {"code": self.status}


class Cause(Struct, frozen=True):
    """One thing that is wrong with an object: the field, upstream's word for how, and a sentence."""

    field: str
    reason: str
    message: str


def bad_request(message: str) -> Refused:
    """Say that a request makes no sense."""
    return Refused(400, "BadRequest", message)


def forbidden(kind: Kind, name: str, why: str, details: Object | None = None) -> Refused:
    """Say that something may not be done to an object."""
    message = f'{_resource(kind)} "{name}" is forbidden: {why}'
    return Refused(403, "Forbidden", message, _details(kind, name) | (details or {}))


def not_found(kind: Kind, name: str) -> Refused:
    """Say that there is no such object."""
    return Refused(404, "NotFound", f'{_resource(kind)} "{name}" not found', _details(kind, name))


def method_not_allowed(message: str = "the server does not allow this method on the requested resource") -> Refused:
    """Say that a path does not have a method."""
    return Refused(405, "MethodNotAllowed", message)


def already_exists(kind: Kind, name: str) -> Refused:
    """Say that an object of this name is there."""
    return Refused(409, "AlreadyExists", f'{_resource(kind)} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str = _STALE) -> Refused:
    """Say that an object is not what the writer took it for."""
    message = f'Operation cannot be fulfilled on {_resource(kind)} "{name}": {why}'
    return Refused(409, "Conflict", message, _details(kind, name))


def precondition_failed(kind: Kind, name: str, what: str, wanted: str, held: str) -> Refused:
    """Say that a delete is meant for another object, or another version of it; names the kind, as upstream does."""
    why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {held}"
    message = f'Operation cannot be fulfilled on {kind.kind}{_of_group(kind)} "{name}": {why}'
    return Refused(409, "Conflict", message, _details(kind, name) | {"kind": kind.kind})


def apply_conflict(message: str, causes: Sequence[Cause]) -> Refused:
    """Say that others hold what is applied."""
    return Refused(409, "Conflict", message, {"causes": [_cause(one) for one in causes]})


def expired(message: str) -> Refused:
    """Say that a version is forgotten."""
    return Refused(410, "Expired", message)


def unsupported_media(media_type: str, accepted: Sequence[str]) -> Refused:
    """Say that a body is of a media type that is not taken."""
    message = (
        "the body of the request was in an unknown format - "
        f"accepted media types include: {', '.join(accepted)} (not {media_type or 'none'})"
    )
    return Refused(415, "UnsupportedMediaType", message)


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> Refused:
    """Say that an object must not be as it was written, and where."""
    sentences = [f"{one.field}: {one.message}" for one in causes]
    why = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    details = {**_details(kind, name), "kind": kind.kind, "causes": [_cause(one) for one in causes]}
    return Refused(422, "Invalid", f'{kind.kind}{_of_group(kind)} "{name}" is invalid: {why}', details)


def unprocessable(message: str) -> Refused:
    """Say that a patch can be read but not applied."""
    return Refused(422, "Invalid", message)


def unpatchable(why: str) -> Refused:
    """Say that a patch leaves something that is no object of its type."""
    cause = Cause("patch", "FieldValueInvalid", f"Invalid value: {why}")
    return Refused(422, "Invalid", f' "" is invalid: patch: {cause.message}', {"causes": [_cause(cause)]})


def untyped(message: str) -> Refused:
    """Say that a declaration does not fit its type: upstream's answer is a failure without a reason."""
    return Refused(500, "", f"failed to create typed patch object: {message}")


def _details(kind: Kind, name: str) -> Object:
    """Name an object; what is empty is left out, as in Go."""
    group = {"group": kind.group} if kind.group else {}
    return {"name": name, **group, "kind": kind.resource} if name else {**group, "kind": kind.resource}


def _cause(cause: Cause) -> Object:
    return {"reason": cause.reason, "message": cause.message, "field": cause.field}


def _resource(kind: Kind) -> str:
    return kind.resource + _of_group(kind)


def _of_group(kind: Kind) -> str:
    return f".{kind.group}" if kind.group else ""
