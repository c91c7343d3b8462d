"""Sees every commit of the journal and holds it against what truly happened on the server.

The theorem, commit by commit: nothing is told that never was, nothing twice, nothing out of order; each change leads
from exactly what was known of its object to exactly what the server had; what the journal says it has followed was
told to the last version, unless a list had to swallow it, and then that is marked; a baseline is silent. It knows the
server's truth and reads the journal, and must never ask how the exporter got there.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.changes.version import unpack
from exporter.model import Change, ObjectKey
from tests.faults.model import TYPES, Version


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.changes.batch import Batch
    from exporter.journal.store import Journal
    from exporter.model import Checkpoint, FieldChange, Scope
    from tests.faults.model import Server

# What the server sets for itself, and nobody is told of.
_SILENT = ("resourceVersion", "generation")
_OF_KIND = {(one.group, one.kind): one for one in TYPES}
_OF_RESOURCE = {one.identity: one for one in TYPES}


class Witness:
    """Follows the journal.

    Args:
        server: the truth

    Attributes:
        known: the version of each object that the journal holds
        told: versions that a change told of, by their order
        places: how many changes were told, by the labels of their series
        error: what was wrong first

    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seq = 0
        self._ids: set[str] = set()
        self._scopes: list[Scope] = []
        self._baseline: dict[Scope, int] = {}
        self.known: dict[ObjectKey, Version] = {}
        self.told: set[int] = set()
        self.places: Counter[tuple[str, ...]] = Counter()
        self.gaps = 0
        self.removed: set[tuple[str, str]] = set()
        self.error: AssertionError | None = None

    def begins(self, journal: Journal, scopes: list[Scope]) -> None:
        """Compare what a life begins with to what the one before left, but for what it no longer selects."""
        self._scopes = scopes
        held = {
            key: self._server.by_version[uid, int(rv)]
            for one in TYPES
            for key, uid, rv in journal.objects(*one.identity)
        }
        for key in held.keys() | self.known.keys():
            scope = self._scope(key)
            mark = journal.checkpoint_of(scope) if scope is not None else None
            if mark is None or not mark.complete:
                # A baseline that was broken off, or is still to come: what there is of it is no more than a beginning.
                self.known.pop(key, None)
                if scope is not None and key in held:
                    self.known[key] = held[key]
        left = [key for key in held if self._scope(key) is None]
        assert not left, f"held without being selected: {left}"
        expected = {key: version for key, version in held.items() if self._scope(key) is not None}
        assert self.known == expected, f"the journal holds {expected}, not {self.known}"
        assert journal.head() == self._seq, "the journal has other changes than were committed"
        self._baseline = {scope: rv for scope, rv in self._baseline.items() if scope in scopes}

    def committed(self, journal: Journal, batch: Batch, before: dict[Scope, Checkpoint | None]) -> None:
        """Take in a commit."""
        try:
            self._committed(journal, batch, before)
        except AssertionError as error:
            self.error = self.error or error

    def _committed(self, journal: Journal, batch: Batch, before: dict[Scope, Checkpoint | None]) -> None:
        complete = {scope for scope, mark in before.items() if mark is not None and mark.complete}
        for seq, change in journal.after(self._seq, 1 << 30):
            self._seq = seq
            if isinstance(change, Change):
                self._tell(change, complete)
        for key in batch.objects:
            self._hold(key, journal, complete)
        self.removed.update(batch.removed)
        for scope, mark in batch.checkpoints.items():
            if mark is not None and mark.resource_version:
                self._followed(scope, int(mark.resource_version), first=scope not in complete)

    # -- changes ----------------------------------------------------------------------------------------------

    def _tell(self, change: Change, complete: set[Scope]) -> None:
        resource_type = _OF_KIND[change.group, change.kind]
        key = ObjectKey(*resource_type.identity, change.namespace, change.name)
        scope, known = self._scope(key), self.known.get(key)
        assert scope is not None, f"told of what is not selected: {change}"
        assert change.id not in self._ids or self._server.deceived, f"two changes with one id: {change}"
        self._ids.add(change.id)
        self.places[change.group, change.kind, change.namespace, change.event, change.change] += 1
        self.gaps += change.gap and change.event != "deleted"
        if change.event == "deleted":
            assert known is not None, f"told of a deletion of what was not known: {change}"
            assert known.uid == change.uid, f"told of a deletion of another object: {change}, known {known}"
            assert self._was_gone(change.uid) or self._server.deceived, f"told of a deletion that never was: {change}"
            del self.known[key]
            self.told |= {one.order for one in self._server.truth if one.uid == change.uid and one.event == "deleted"}
            return
        version = self._server.by_version.get((change.uid, int(change.resource_version)))
        assert version is not None, f"told of a version that never was: {change}"
        assert version.event != "deleted", f"told of a deletion as of a version: {change}"
        assert version.place == (resource_type, change.namespace, change.name), f"of another place: {change}"
        if change.event == "added":
            assert known is None, f"told as new what is known: {change}, known {known}"
            self._came(change, version, scope, silent=scope not in complete)
        else:
            # What has come into a selection is silent, too.
            self._moved(change, known, version, silent=scope not in complete or bool(scope.selectors))
        self.known[key] = version
        self.told.add(version.order)

    def _came(self, change: Change, version: Version, scope: Scope, *, silent: bool) -> None:
        if silent or scope in self._baseline:
            since = self._baseline.get(scope, self._server.asked(version.type, scope.namespace).listed)
            assert version.first.rv > since or scope.selectors or self._server.timeline, f"not silent: {change}"
        if not change.gap and not scope.selectors and not self._server.deceived:
            fresh = self._server.reinstalled(version.type)
            assert version.before is None or fresh, f"versions before it are missing without a mark: {change}"

    def _moved(self, change: Change, known: Version | None, version: Version, *, silent: bool) -> None:
        if known is None:
            assert silent, f"told of a change of what is not known: {change}"
            # The baseline that it starts from lies in the same commit.
            earlier, one = [], version.before
            while one is not None:
                earlier.append(one)
                one = one.before
            assert any(_leads(one, change.fields, version) for one in earlier), f"leads from nowhere: {change}"
            return
        assert known.uid == change.uid, f"told of another object: {change}, known {known}"
        backwards = known.rv not in self._server.lineage or self._server.deceived
        assert version.order > known.order or backwards, f"out of order: {change} after {known}"
        assert _leads(known, change.fields, version), f"{change} does not lead from {known} to {version}"
        missing = version.before is None or version.before.order != known.order
        assert change.gap or not missing or self._server.deceived, f"a version is missing without a mark: {change}"

    def _was_gone(self, uid: str) -> bool:
        versions = [one for one in self._server.truth if one.uid == uid]
        return any(one.event == "deleted" for one in versions) or versions[0].rv not in self._server.lineage

    # -- objects and checkpoints ------------------------------------------------------------------------------

    def _hold(self, key: ObjectKey, journal: Journal, complete: set[Scope]) -> None:
        scope, known, stored = self._scope(key), self.known.get(key), journal.object(key)
        assert scope is not None, f"{key} is held without being selected"
        silent = scope not in complete or bool(scope.selectors)
        if stored is None:
            assert known is None or silent, f"{known} went without a word"
            self.known.pop(key, None)
            return
        version = self._server.by_version.get((stored.uid, int(stored.resource_version)))
        assert version is not None, f"{key} is held in a version that never was: {stored}"
        assert known is version or silent, f"{version} came without a word, known {known}"
        assert msgspec.json.decode(unpack(stored.state)) == version.body, f"{key} is held in another form: {stored}"
        self.known[key] = version

    def _followed(self, scope: Scope, rv: int, *, first: bool) -> None:
        """Everything up to a checkpoint was told, but for what had to be swallowed."""
        resource_type = _OF_RESOURCE[scope.group, scope.resource]
        asked = self._server.asked(resource_type, scope.namespace)
        if first:
            self._baseline[scope] = asked.listed
        if self._server.deceived or rv not in self._server.lineage:
            return
        for version in self._server.log:
            if version.rv <= rv and version.type == resource_type and scope.namespace in ("", version.namespace):
                if scope.selectors:
                    self._server.swallowed.add(version.order)
                elif version.order not in self._server.swallowed:
                    assert version.order in self.told, f"{version} is behind the checkpoint {rv} and was never told"

    def _scope(self, key: ObjectKey) -> Scope | None:
        """Find the scope of an object, None if it is not selected."""
        for scope in self._scopes:
            if (scope.group, scope.resource) == (key.group, key.resource) and scope.namespace in ("", key.namespace):
                return scope
        return None

    def untold(self) -> int:
        """Count the versions that were never told."""
        return sum(one.event != "deleted" and one.order not in self.told for one in self._server.truth)


def _leads(known: Version, fields: Iterable[FieldChange], version: Version) -> bool:
    """Tell whether fields that moved lead from one version to another: each `old` is there, and `new` is the rest."""
    was, now = _told(known.body), _told(version.body)
    for field in fields:
        *path, last = field.path[1:].split("/")
        node = was
        for name in path:
            node = node.setdefault(name, {})
        if node.get(last, msgspec.UNSET) != _by_name(field.old):
            return False
        if field.new is msgspec.UNSET:
            node.pop(last)
        else:
            node[last] = _by_name(field.new)
    return bool(_filled(was) == _filled(now))


def _told(body: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = _by_name(body)
    for name in _SILENT:
        copy["metadata"].pop(name, None)
    return copy


def _by_name(node: Any) -> Any:
    """Copy JSON, with the entries of lists by their numbers, as a pointer names them."""
    if isinstance(node, list):
        node = {str(number): item for number, item in enumerate(node)}
    return {name: _by_name(item) for name, item in node.items()} if isinstance(node, dict) else node


def _filled(node: Any) -> Any:
    """Leave out what is empty: a mapping without entries is no field."""
    if not isinstance(node, dict):
        return node
    return {name: kept for name, item in node.items() if (kept := _filled(item)) != {}}
