"""Lists: of now or of an earlier version, whole or in pages that are all of the same version.

An earlier version is made by undoing what has happened since, so nothing has to be kept for a page that nobody may
ask for; the last few are remembered because the next page is likely. Must never answer from a version that the store
has forgotten.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from exporter.sandbox.apiserver.options import check_reached
from exporter.sandbox.apiserver.refusals import Refused, bad_request, expired


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.options import ListOptions
    from exporter.sandbox.apiserver.store import Store

Object = dict[str, Any]
Key = tuple[str, str]

_GONE = 410
_REMEMBERED = 8
_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)


class Page(Struct, frozen=True):
    """A part of a list: its objects, the version of the whole, where it goes on, and how many are known to follow."""

    objects: list[Object]
    version: int
    token: str = ""
    remaining: int = 0


class _Token(Struct, frozen=True):
    """Where a list goes on: behind this key in this version, or in what is there then (0)."""

    v: int
    namespace: str
    name: str


class ExpiredTokenError(Refused):
    """The pages are forgotten; the token in the answer goes on in what is there now."""

    def __init__(self, token: str) -> None:
        super().__init__(_GONE, "Expired", _EXPIRED, {})
        self._token = token

    def body(self) -> Object:
        """Give the Status with the token."""
        return super().body() | {"metadata": {"continue": self._token}}


class Lists:
    """Makes the lists of a store.

    Args:
        store: holds the objects

    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: OrderedDict[tuple[int, str, str, str], list[Object]] = OrderedDict()

    def forget(self) -> None:
        """Forget all earlier versions: history went back, and their numbers will be used again."""
        self._remembered.clear()

    def page(self, kind: Kind, namespace: str, options: ListOptions) -> Page:
        """Give what a list asks for.

        Raises:
            Refused: the token is none (400), the version is forgotten (410) or not reached yet (504)

        """
        check_reached(options.version, self._store.version)
        version, after = self._store.version, ("", "")
        if options.token:
            token = _read_token(options.token)
            after = (token.namespace, token.name)
            if token.v:
                if token.v < self._store.oldest or token.v > version:
                    raise ExpiredTokenError(_write_token(_Token(0, *after)))
                version = token.v
        elif options.match == "Exact" and options.version:
            version = options.version
        objects = self._at(version, kind, namespace)
        start = bisect_right(objects, after, key=_key) if options.token else 0
        # As upstream: what may be of any version comes in one piece.
        limit = 0 if options.version == 0 else options.limit
        page = _cut(objects, start, limit, version, options.selection.accepts if options.selection else None)
        if page.token:
            self._remembered[version, kind.group, kind.resource, namespace] = objects
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return page

    def _at(self, version: int, kind: Kind, namespace: str) -> list[Object]:
        """Give all objects as they were at a version."""
        if version < self._store.oldest and version != self._store.version:
            raise expired(f"The resourceVersion for the provided list is too old: {version}")
        objects = self._remembered.get((version, kind.group, kind.resource, namespace))
        if objects is None:
            objects = self._store.list(kind, namespace or None)
            if version < self._store.version:
                objects = self._undone(objects, kind, namespace, version)
        return objects

    def _undone(self, objects: list[Object], kind: Kind, namespace: str, version: int) -> list[Object]:
        """Take back what happened after a version."""
        held = {_key(obj): obj for obj in objects}
        for event in reversed(self._store.events(kind, version)):
            if namespace in {"", event.object["metadata"].get("namespace", "")}:
                if event.previous is None:
                    held.pop(_key(event.object), None)
                else:
                    held[_key(event.object)] = event.previous
        return [held[key] for key in sorted(held)]


def _cut(objects: list[Object], start: int, limit: int, version: int, accepts: Callable[[Object], bool] | None) -> Page:
    """Take one page, of what is accepted where not everything is."""
    if accepts is None:
        end = start + limit if limit else len(objects)
        found = objects[start:end]
        more = len(objects) - end
    else:
        found, more = [], 0
        for obj in objects[start:]:
            if accepts(obj):
                if limit and len(found) == limit:
                    more = 1
                    break
                found.append(obj)
    if more <= 0:
        return Page(found, version)
    token = _write_token(_Token(version, *_key(found[-1])))
    return Page(found, version, token, more if accepts is None else 0)


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _write_token(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def _read_token(text: str) -> _Token:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Token)
    except (ValueError, msgspec.DecodeError):
        raise bad_request("continue key is not valid") from None
