"""Patches: JSON merge patch (RFC 7386) and JSON patch (RFC 6902).

Pure. Must never change what it is given: what a patch leaves alone is shared between the old and the new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard


if TYPE_CHECKING:
    from collections.abc import Sequence


Json = Any  # what JSON can say


class PatchError(Exception):
    """A patch cannot be applied to what is there; the message says why."""


class UnreadableError(Exception):
    """A patch is none; the message says why."""


def same(left: object, right: object) -> bool:
    """Tell whether two JSON values are equal: numbers by value, and `true` is not 1."""
    if left is right:
        return True
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and len(left) == len(right)
            and all(key in right and same(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def merge_patch(target: Json, patch: Json) -> Json:
    """Merge a patch into a value: objects member by member, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif key in merged or isinstance(value, dict):
            merged[key] = merge_patch(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def json_patch(target: Json, steps: Json) -> Json:
    """Do the steps of a patch, all or none.

    Raises:
        UnreadableError: it is not a list of steps
        PatchError: a step cannot be done, or what it tests for is not so

    """
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise UnreadableError("a JSON patch is a list of operations")
    for step in steps:
        target = _step(target, step)
    return target


def _step(target: Json, step: dict[str, Any]) -> Json:
    path = _pointer(step, "path")
    match step.get("op"):
        case "add":
            return _put(target, path, _value(step), add=True)
        case "replace":
            return _put(target, path, _value(step), add=False)
        case "remove":
            return _remove(target, path)
        case "copy":
            return _put(target, path, _get(target, _pointer(step, "from"), or_null=True), add=True)
        case "move":
            source = _pointer(step, "from")
            if path[: len(source)] == source and len(path) > len(source):
                raise PatchError("a value cannot be moved into itself")
            value = _get(target, source)
            # The root cannot be taken away; moved onto itself it stays.
            return target if path == source else _put(_remove(target, source), path, value, add=True)
        case "test":
            if not same(_get(target, path, or_null=True), _value(step)):
                raise PatchError(f"testing value {step['path']} failed")
            return target
        case op:
            raise PatchError(f"unexpected kind: {op}")


def _value(step: dict[str, Any]) -> Json:
    if "value" not in step:
        raise PatchError(f"{step['op']} operation has no value")
    return step["value"]


def _pointer(step: dict[str, Any], name: str) -> list[str]:
    """Split a JSON pointer (RFC 6901) into its tokens."""
    text = step.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"{step.get('op')} operation does not apply: {name} is not a JSON pointer: {text!r}")
    return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]


def _get(target: Json, path: Sequence[str], *, or_null: bool = False) -> Json:
    for at, token in enumerate(path, 1):
        if or_null and at == len(path) and isinstance(target, dict):
            # As the library of kube-apiserver, and against the RFC: a member that is not there is null.
            return target.get(token)
        target = target[_place(target, token)]
    return target


def _put(target: Json, path: Sequence[str], value: Json, *, add: bool) -> Json:
    if not path:
        return value
    token, *rest = path
    if not rest and add and isinstance(target, list):
        at = len(target) if token == "-" else _index(token, len(target) + 1)  # noqa: S105 - a place, no secret
        return [*target[:at], value, *target[at:]]
    if not rest and isinstance(target, dict):
        # As the library of kube-apiserver, and against the RFC, a replace need not find what it replaces.
        return target | {token: value}
    place = _place(target, token)
    return _with(target, place, _put(target[place], rest, value, add=add) if rest else value)


def _remove(target: Json, path: Sequence[str]) -> Json:
    if not path:
        raise PatchError("the whole document cannot be removed")
    token, *rest = path
    place = _place(target, token)
    if rest:
        return _with(target, place, _remove(target[place], rest))
    if isinstance(target, list):
        return [*target[:place], *target[place + 1 :]]
    return {key: value for key, value in target.items() if key != place}


def _with(target: Json, place: Json, value: Json) -> Json:
    """Copy one level, with another value in one place."""
    copy = target.copy()
    copy[place] = value
    return copy


def _place(target: Json, token: str) -> Json:
    """Find a place that is there: a key of an object or an index of a list."""
    if isinstance(target, list):
        return _index(token, len(target))
    if _is_object(target) and token in target:
        return token
    raise PatchError(f"there is no {token!r} here")


def _is_object(value: Json) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _index(token: str, limit: int) -> int:
    # RFC 6901: digits without a leading zero. `isdecimal` alone takes those of other scripts too.
    if not (token.isascii() and token.isdecimal()) or (token[0] == "0" and token != "0"):  # noqa: S105 - a place
        raise PatchError(f"{token!r} is not an index")
    index = int(token)
    if index >= limit:
        raise PatchError(f"index {index} is out of bounds")
    return index
