"""What the query of a list or a watch asks for, and which of its parts contradict each other.

Pure. The rules are those of apimachinery's `ValidateListOptions` and `SetListOptionsDefaults`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from exporter.sandbox.apiserver.refusals import Refused, bad_request
from exporter.sandbox.apiserver.selectors import Selection, read_selection


if TYPE_CHECKING:
    from collections.abc import Mapping

Match = Literal["", "Exact", "NotOlderThan"]

_INVALID, _TIMEOUT = 422, 504
_MATCHES: dict[str, Match] = {"": "", "Exact": "Exact", "NotOlderThan": "NotOlderThan"}


class ListOptions(Struct, frozen=True):
    """A list or a watch as it was asked for.

    Attributes:
        watch: a watch, not a list
        selection: which objects
        version: resourceVersion; None where none is named, 0 for any
        match: how the version is meant
        limit: objects in a page, 0 for all
        token: with which a list goes on
        initial: a watch begins with what is there
        ends_initial: and says when that was all
        bookmarks: the client takes bookmarks
        seconds: that a watch lasts, 0 for as long as the server likes

    """

    watch: bool
    selection: Selection
    version: int | None
    match: Match
    limit: int
    token: str
    initial: bool
    ends_initial: bool
    bookmarks: bool
    seconds: int


def read_options(query: Mapping[str, str]) -> ListOptions:
    """Read the query of a list or a watch.

    Raises:
        Refused: 400 for what cannot be read, 422 for what contradicts itself

    """
    watch = _flag(query, "watch")
    said = "sendInitialEvents" in query
    initial = _flag(query, "sendInitialEvents")
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    token = query.get("continue", "")
    legacy = watch and not said and not match and version in {"", "0"}
    if legacy:
        said, match = True, "NotOlderThan"
    contradiction = (_contradicts_watch if watch else _contradicts_list)(match, version, token, initial=said)
    if contradiction is not None:
        raise _invalid(*contradiction)
    try:
        selection = read_selection(query.get("labelSelector", ""), query.get("fieldSelector", ""))
    except ValueError as error:
        raise bad_request(str(error)) from None
    number = _number(version, "resourceVersion") if version else None
    if token and number:
        raise bad_request("specifying resource version is not allowed when using continue")
    return ListOptions(
        watch,
        selection,
        number,
        _MATCHES[match],
        _number(query.get("limit") or "0", "limit"),
        token,
        initial or legacy,
        initial,
        _flag(query, "allowWatchBookmarks"),
        _number(query.get("timeoutSeconds") or "0", "timeoutSeconds"),
    )


def check_reached(version: int | None, newest: int) -> None:
    """See that a version is none of the future.

    Raises:
        Refused: 504, it is

    """
    if version is not None and version > newest:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        details = {"causes": [cause], "retryAfterSeconds": 1}
        message = f"Too large resource version: {version}, current: {newest}"
        raise Refused(_TIMEOUT, "Timeout", message, details)


def invalid_options(kind: str, field: str, word: str, message: str) -> Refused:
    """Say which option of a request is wrong; `word` is that of a cause, such as FieldValueForbidden."""
    causes = [{"reason": word, "message": message, "field": field}]
    details = {"group": "meta.k8s.io", "kind": kind, "causes": causes}
    return Refused(_INVALID, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {field}: {message}', details)


def _invalid(field: str, word: str, message: str) -> Refused:
    return invalid_options("ListOptions", field, word, message)


def _contradicts_list(match: str, version: str, token: str, *, initial: bool) -> tuple[str, str, str] | None:
    name = "resourceVersionMatch"
    if match and not version:
        return name, "FieldValueForbidden", f"{name} is forbidden unless resourceVersion is provided"
    if match and token:
        return name, "FieldValueForbidden", f"{name} is forbidden when continue is provided"
    if match not in _MATCHES:
        return name, "FieldValueNotSupported", f'Unsupported value: "{match}": supported: "Exact", "NotOlderThan"'
    if match == "Exact" and version == "0":
        return name, "FieldValueForbidden", f'{name} "Exact" is forbidden for resourceVersion "0"'
    if initial:
        return "sendInitialEvents", "FieldValueForbidden", "sendInitialEvents is forbidden for list"
    return None


def _contradicts_watch(match: str, _version: str, token: str, *, initial: bool) -> tuple[str, str, str] | None:
    name = "resourceVersionMatch"
    if initial and match != "NotOlderThan":
        return name, "FieldValueForbidden", f"sendInitialEvents requires setting {name} to NotOlderThan"
    if match and not initial:
        return name, "FieldValueForbidden", f"{name} is forbidden for watch unless sendInitialEvents is provided"
    if match and token:
        return name, "FieldValueForbidden", f"{name} is forbidden when continue is provided"
    return None


def _flag(query: Mapping[str, str], name: str) -> bool:
    return name in query and query[name].lower() not in {"0", "false"}


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise bad_request(f"invalid {name}: {text!r} is no number")
    return int(text)
