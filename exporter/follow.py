"""Keeps one reflector for each scope that is to be followed, as types come, change and go.

Between discovery, which knows the types, and the inbox, which feeds the journal. What a stream begins with is decided
here: a baseline where nobody has watched before, a resume where the journal has a checkpoint, `created` where the
type itself is new. Also here: whether everything selected is in sync, for /readyz and the metrics.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from exporter.backoff import Backoff
from exporter.changes.batch import Batch
from exporter.changes.schema import NO_SCHEMA, Schema
from exporter.errors import ClusterError
from exporter.ingest import Removed
from exporter.kube.audit import Followed
from exporter.kube.discovery import is_defined
from exporter.model import Checkpoint, Scope
from exporter.stream import Stream


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.changes.observation import Mode
    from exporter.ingest import Inbox
    from exporter.journal.store import Journal
    from exporter.kube.client import Api
    from exporter.kube.collection import Selection
    from exporter.kube.schema import Definition
    from exporter.kube.selection import TypeSelection
    from exporter.metrics.health import Health
    from exporter.model import ResourceType
    from exporter.records import Record


log = structlog.get_logger()

# A stream of a CRD that was removed gets this long, in seconds, to tell of the objects that went with it.
_LAST_WORDS = 3.0
# A server tells of a changed CRD before it answers by it; so long after that, in seconds, it does.
_TAKEN_OVER = 2.0
_ASK_AGAIN = Backoff(first=0.8, factor=2.0, cap=30.0, jitter=1.0)
_LISTS_AT_ONCE = 8
_EPOCH_SECONDS = 60.0


class Follower:
    """Follows what is selected.

    Args:
        api: the server
        journal: knows the checkpoints and the definitions of former runs
        inbox: takes what the reflectors see
        health: the exporter's own metrics
        types: which types are followed
        namespaces: which namespaces; empty for all of them and for what has none
        selection: for a type, its selectors
        went_backwards: is called when the server's history did
        synced: is called when a type may have come into sync

    """

    def __init__(
        self,
        api: Api,
        journal: Journal,
        inbox: Inbox,
        health: Health,
        *,
        types: TypeSelection,
        namespaces: tuple[str, ...],
        selection: Callable[[str, str], Selection],
        went_backwards: Callable[[], None],
        synced: Callable[[ResourceType], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._journal = journal
        self._inbox = inbox
        self._health = health
        self._types = types
        self._namespaces = namespaces
        self._selection = selection
        self._went_backwards = went_backwards
        self._synced = synced
        self._lists = asyncio.Semaphore(_LISTS_AT_ONCE)
        self._streams: dict[Scope, Stream] = {}
        self._ending: dict[Scope, Stream] = {}
        self._schemas: dict[tuple[str, str], Schema] = {}
        self._held = {scope for _, scope in journal.scopes()}
        self._discovered = False
        self._asked = False
        self._discovered_before = journal.noted("discovered") is not None
        self._unavailable = ""
        self._backwards_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what others ask --------------------------------------------------------------------------------------

    def schema(self, resource_type: ResourceType) -> Schema:
        """Tell what is known of a type's schema."""
        return self._schemas.get(resource_type.identity, NO_SCHEMA)

    def type_of(self, group: str, kind: str) -> ResourceType | None:
        """Give the type that is followed under a group and kind, None where none is."""
        types = (one.type for one in list(self._streams.values()))  # also asked from another thread
        return next((one for one in types if (one.group, one.kind) == (group, kind)), None)

    def synced_type(self, group: str, kind: str) -> ResourceType | None:
        """Give it if all of it is in sync."""
        streams = [one for one in self._streams.values() if (one.type.group, one.type.kind) == (group, kind)]
        return streams[0].type if streams and all(one.in_sync for one in streams) else None

    def waiting(self) -> list[str]:
        """Name what is neither in sync, nor all of it in the journal, nor declared degraded; empty means ready."""
        if not self._discovered and not self._unavailable:
            return ["customresourcedefinitions.apiextensions.k8s.io"]
        if not self._asked:
            return ["types that no CRD defines"]
        return sorted({str(stream.type) for stream in self._streams.values() if not stream.settled})

    def forget_unselected(self, last: Callable[[Scope], Iterable[Record]] = lambda _: ()) -> None:
        """Drop what is in the journal of scopes that are no longer selected; nobody is told of a deletion.

        Args:
            last: gives what is to be told of a scope that goes

        """
        for kind, scope in self._journal.scopes():
            wanted = self._types.wants_kind(scope.group, kind) and scope in self._scopes(
                scope.group, scope.resource, kind
            )
            if not wanted:
                dropped = self._journal.forget(scope, last(scope))
                self._held.discard(scope)
                self._health.objects_forgotten.inc(dropped)
                log.info("no longer selected, forgotten", resource=scope.resource, group=scope.group, objects=dropped)

    async def stop(self) -> None:
        """End all streams."""
        streams = (*self._streams.values(), *self._ending.values())
        tasks = [*self._tasks, *(stream.task for stream in streams)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def in_sync(self) -> list[Followed]:
        """Give the scopes that are followed and in sync."""
        return [
            Followed(stream.type, scope, self._selection(stream.type.group, stream.type.kind))
            for scope, stream in self._streams.items()
            if stream.in_sync and not stream.refused
        ]

    def distrust(self, scope: Scope, *, backwards: bool) -> None:
        """List a scope again as after a gap; `backwards` says that the history of the server went back."""
        self._list_again(scope)
        if backwards:
            self.backwards(scope)

    def backwards(self, scope: Scope) -> None:
        """Note once that the history went backwards, and list what the stream that found it out does not list.

        Others may not find it out: where the server has grown past the version of a stream, it goes on as if nothing
        had happened.
        """
        if time.monotonic() - self._backwards_at > _EPOCH_SECONDS:
            self._went_backwards()
            self._backwards_at = time.monotonic()
            for other in [one for one in self._streams if one != scope]:
                self._list_again(other)

    # -- what discovery tells ---------------------------------------------------------------------------------

    def defined(self, definition: Definition) -> None:
        """A CRD is there, or changed."""
        resource_type = definition.type
        before = self._journal.definitions().get(resource_type.identity)
        self._schemas[resource_type.identity] = definition.schema
        if self._types.wants(resource_type):
            installed = (self._discovered_before or self._discovered) and (
                before is None or before[0] != definition.uid
            )
            refresh = before is not None and before != (definition.uid, definition.digest)
            for scope in self._scopes_of(resource_type):
                self._follow(resource_type, scope, installed=installed, refresh=refresh and not installed)
        # Only now: after a crash before this the type is as new as it was.
        self._journal.define(*resource_type.identity, definition.uid, definition.digest)

    def undefined(self, definition: Definition) -> None:
        """A CRD was removed, and its objects with it."""
        ended = [stream for scope in self._scopes_of(definition.type) if (stream := self._streams.pop(scope, None))]
        self._ending.update({stream.scope: stream for stream in ended})
        self._background(self._take_away(definition.type.identity, definition.uid, ended))

    def complete(self, uids: frozenset[str]) -> None:
        """All CRDs have been told: those that the journal has and the server has not were removed meanwhile."""
        for identity, (uid, _) in self._journal.definitions().items():
            if uid not in uids:
                self._background(self._take_away(identity, uid))
        self._journal.note("discovered", "yes")
        if not self._discovered:
            self._discovered = True
            log.info("types discovered", definitions=len(uids), followed=len({s.type for s in self._streams.values()}))

    def offered(self, resource_type: ResourceType) -> None:
        """A type that no CRD defines is there."""
        for scope in self._scopes_of(resource_type):
            self._follow(resource_type, scope, installed=False, refresh=False)

    def asked(self) -> None:
        """All types that no CRD defines have been offered, or could not be found for now."""
        self._asked = True

    def unavailable(self, reason: str) -> None:
        """CRDs cannot be watched; an empty reason takes it back."""
        if reason and not self._unavailable:
            log.warning("CRDs cannot be watched; only types named without wildcards are followed", reason=reason)
        self._unavailable = reason

    # -- streams ----------------------------------------------------------------------------------------------

    def _scopes(self, group: str, resource: str, kind: str) -> list[Scope]:
        selectors = self._selection(group, kind).text
        return [Scope(group, resource, namespace, selectors) for namespace in self._namespaces or ("",)]

    def _scopes_of(self, resource_type: ResourceType) -> list[Scope]:
        if self._namespaces and not resource_type.namespaced:
            return []
        return self._scopes(*resource_type.identity, resource_type.kind)

    def _follow(self, resource_type: ResourceType, scope: Scope, *, installed: bool, refresh: bool) -> None:
        """Begin, or go on with, a stream."""
        running = self._streams.get(scope)
        if ending := self._ending.pop(scope, None):
            ending.task.cancel()  # the list of the new stream tells what it did not; two would tell out of order
        if running is not None:
            if running.type == resource_type:
                if refresh:
                    self._background(running.refresh(after=_TAKEN_OVER))
                return
            running.task.cancel()
        self._journal.register(resource_type)
        checkpoint = self._journal.checkpoint_of(scope)
        mode: Mode = "catch_up" if checkpoint and checkpoint.complete else "baseline"
        if running is not None:
            # Another version of the type is served: the versions of the objects, and so our place, are the same. The
            # journal may not have it yet, and the server forgets it at just this moment: the next list is no baseline.
            mode = running.reflector.mode
            checkpoint = Checkpoint(resource_type.version, running.reflector.version, complete=True)
        elif installed:
            mode = "catch_up" if scope in self._held else "fresh"
            checkpoint = Checkpoint(resource_type.version, "", complete=True)
            self._journal.commit(Batch(checkpoints={scope: checkpoint}))
        elif checkpoint is None:
            # What a baseline brings is known to be of this scope also where it breaks off.
            self._journal.commit(Batch(checkpoints={scope: Checkpoint(resource_type.version, "", complete=False)}))
        refresh = refresh or (checkpoint is not None and checkpoint.version != resource_type.version)
        self._held.add(scope)
        self._begin(resource_type, scope, checkpoint, mode, refresh=refresh)

    def _begin(
        self, resource_type: ResourceType, scope: Scope, checkpoint: Checkpoint | None, mode: Mode, *, refresh: bool
    ) -> Stream:
        """Begin a stream, in the place of the one that there may be."""
        stream = Stream(
            self._api, resource_type, scope, self._inbox, self._health, self._journal,
            selection=self._selection(resource_type.group, resource_type.kind),
            checkpoint=checkpoint, mode=mode, lists=self._lists, went_backwards=lambda: self.backwards(scope),
            told=lambda: self._told(resource_type),
        )  # fmt: skip
        self._streams[scope] = stream
        self._show(resource_type)
        stream.task = asyncio.create_task(stream.run(refresh=refresh), name=f"follow {resource_type}")
        return stream

    async def _take_away(self, identity: tuple[str, str], uid: str, ended: Iterable[Stream] = ()) -> None:
        """Take everything of a type away, and forget its CRD only then: after a crash before that it is done again."""
        await asyncio.gather(*(self._end(stream) for stream in ended))
        held = [scope for scope in self._held if (scope.group, scope.resource) == identity]
        if held and await self._is_back(identity):
            return  # what is held may be of the new one: its first list tells what went
        for scope in held:
            await self._remove(scope, self._journal.type_of(scope))
        if self._journal.definitions().get(identity, ("",))[0] == uid:
            self._journal.undefine(*identity)

    async def _end(self, stream: Stream) -> None:
        """Let a stream whose type was removed tell its last."""
        deadline = time.monotonic() + _LAST_WORDS
        # What ends it is told by the server, in its time.
        while time.monotonic() < deadline and not stream.refused and not stream.task.done():  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.1)
        stream.task.cancel()
        if self._ending.get(stream.scope) is stream:
            del self._ending[stream.scope]
        self._show(stream.type)
        log.info("type removed", type=str(stream.type))

    async def _is_back(self, identity: tuple[str, str]) -> bool:
        """Tell whether a type that was removed is there again, as far as we know or the server says.

        Its streams may have told of objects of the new one before the CRDs did: those are not gone.
        """
        failures = 0
        while not any((scope.group, scope.resource) == identity for scope in (*self._streams, *self._ending)):
            try:
                return await is_defined(self._api, identity)
            except ClusterError:
                failures += 1
                await asyncio.sleep(_ASK_AGAIN.delay(failures, random.random()))  # noqa: S311 - jitter
        return True

    def _told(self, resource_type: ResourceType) -> None:
        self._show(resource_type)
        self._synced(resource_type)

    def _show(self, resource_type: ResourceType) -> None:
        """Bring a type's gauges up to date: those of all its streams, or none when the last is gone."""
        labels = (resource_type.group, resource_type.kind)
        streams = [one for one in self._streams.values() if one.type.identity == resource_type.identity]
        if streams:
            self._health.watch_synced.labels(*labels).set(all(one.in_sync for one in streams))
            self._health.watch_degraded.labels(*labels).set(any(one.refused for one in streams))
            return
        for gauge in (self._health.watch_synced, self._health.watch_degraded, self._health.watch_last_event):
            with suppress(KeyError):
                gauge.remove(*labels)

    async def _remove(self, scope: Scope, resource_type: ResourceType | None) -> None:
        """Report what is held of a scope as deleted; returns when that is committed."""
        if scope in self._streams:
            return  # it was installed again meanwhile: the list of the new stream tells what went
        self._held.discard(scope)
        if resource_type is not None:
            await self._inbox.put(Removed(resource_type, scope))
        while self._journal.checkpoint_of(scope) is not None and scope not in self._streams:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)

    def _list_again(self, scope: Scope) -> None:
        """List a scope as after a gap, unless that is what is done at this moment."""
        stream = self._streams.get(scope)
        if stream is None or not stream.reflector.version:
            return
        stream.task.cancel()
        checkpoint = Checkpoint(stream.type.version, "", complete=True)
        begun = self._begin(stream.type, scope, checkpoint, "catch_up", refresh=False)
        # Who was in sync does not cease to be: readiness is not taken away.
        begun.in_sync, begun.mark = stream.in_sync, stream.mark

    def _background(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
