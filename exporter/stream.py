"""One scope being followed: its reflector, and what the metrics and /readyz know of it.

Also the place where a selector's lies are found out: what left the selection comes as a deletion, what came into it as
a creation. Which scopes there are, and what each begins with, is not decided here.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from exporter.changes.observation import Head, Observation, read_head
from exporter.changes.version import read_object
from exporter.errors import ApiError, ClusterError, brief
from exporter.kube.collection import Collection
from exporter.kube.reflector import Reflector
from exporter.kube.sink import Listed, Progress
from exporter.timestamps import normalise, now, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.changes.observation import Mode
    from exporter.ingest import Inbox
    from exporter.journal.store import Journal
    from exporter.kube.client import Api
    from exporter.kube.collection import Selection
    from exporter.metrics.health import Health
    from exporter.model import Checkpoint, ResourceType, Scope
    from exporter.timestamps import Timestamp


log = structlog.get_logger()

# With selectors, an object that was made longer than this, in nanoseconds, before it was written has come into the
# selection.
_NEWBORN = 60_000_000_000
_NOT_FOUND = 404
# Seconds between questions that got no answer.
_ASK_PAUSES = (0.2, 1.0, 3.0)
_AFTER_BUG = 30.0


class Stream:
    """One scope being followed; the sink of its reflector.

    Args:
        api: the server
        resource_type: in the version to ask for
        scope: what is followed
        inbox: takes what is seen
        health: the exporter's own metrics
        journal: knows which objects are held
        selection: selectors
        checkpoint: where to go on, None to begin with a list
        mode: how the first list is to be taken
        lists: bounds how many collections are listed at once
        went_backwards: is called when the server's history did
        told: is called when the stream came into sync or was refused

    """

    def __init__(
        self,
        api: Api,
        resource_type: ResourceType,
        scope: Scope,
        inbox: Inbox,
        health: Health,
        journal: Journal,
        *,
        selection: Selection,
        checkpoint: Checkpoint | None,
        mode: Mode,
        lists: asyncio.Semaphore,
        went_backwards: Callable[[], None],
        told: Callable[[], None],
    ) -> None:
        self.type = resource_type
        self.scope = scope
        self.refused = False
        self.task: asyncio.Task[None]
        self.in_sync = False
        self.mark = 0
        self._api = api
        self._inbox = inbox
        self._journal = journal
        self._health = health
        self._selective = bool(selection.label_selector or selection.field_selector)
        self.went_backwards = went_backwards
        self._told = told
        self._last_event = health.watch_last_event.labels(resource_type.group, resource_type.kind)
        self.reflector = Reflector(
            Collection(api, resource_type, scope, selection, self),
            self,
            version=checkpoint.resource_version if checkpoint else "",
            mode=mode,
            lists=lists,
        )

    @property
    def settled(self) -> bool:
        """In sync with what that took in the journal, or known not to be for now.

        A journal that cannot be written, which is told elsewhere, is not waited for.
        """
        kept = self._inbox.kept(self.mark) or self._journal.care.degraded
        return self.refused or (self.in_sync and kept)

    async def run(self, *, refresh: bool) -> None:
        """Follow until cancelled."""
        if refresh:
            await self.refresh()
        while True:
            try:
                await self.reflector.run()
            except Exception as error:  # noqa: BLE001 - a bug that one type brings out must not stop the others
                log.warning("internal error, the type is tried again later", type=str(self.type), error=brief(error))
                self.degraded("internal error")
                await asyncio.sleep(_AFTER_BUG)
                self.degraded("")

    async def refresh(self, after: float = 0.0) -> None:
        """Bring the stored versions to the look they have now; a failure only means that they keep the old one."""
        await asyncio.sleep(after)
        try:
            await self.reflector.refresh()
        except ClusterError as error:
            log.warning("stored objects not refreshed after a change of schema", type=str(self.type), error=str(error))

    # -- the reflector's sink ---------------------------------------------------------------------------------

    async def put(self, item: Observation | Listed | Progress) -> None:
        """Pass an item on, after asking what a selector leaves open."""
        if self._selective:
            if isinstance(item, Listed):
                await self._confirm_missing(item)
            elif isinstance(item, Observation) and item.mode == "live":
                item = await self._confirmed(item)
        await self._inbox.put(item)

    def synced(self) -> None:
        """Note that the stream is in sync, and what it took to come there."""
        if not self.in_sync:  # who was does not cease to be by a list that comes after
            self.mark = self._inbox.mark
        self.in_sync = True
        self._told()

    def degraded(self, reason: str) -> None:
        """Note that the type cannot be followed, or can again."""
        self.refused = bool(reason)
        self._told()
        if reason:
            log.warning("type cannot be followed, tried again later", type=str(self.type), reason=reason)
        else:
            log.info("type can be followed again", type=str(self.type))

    def received(self) -> None:
        """Note the time."""
        self._last_event.set(time.time())

    def restarted(self, reason: str) -> None:
        """Count."""
        self._health.watch_restarts.labels(reason).inc()

    def listing(self, reason: str, *, gap: bool) -> None:
        """Count."""
        self._health.lists.labels(reason).inc()
        self._health.gaps.inc(gap)

    def skipped(self, reason: str) -> None:
        """Count."""
        self._health.objects_skipped.labels(reason).inc()

    # -- selectors --------------------------------------------------------------------------------------------

    async def _confirmed(self, seen: Observation) -> Observation:
        if seen.event == "deleted" and await self._still_there(seen.head.namespace, seen.head.name, seen.head.uid):
            return replace(seen, mode="left")
        if seen.event == "added":
            created, written = _times(seen.raw)
            if created and to_nanoseconds(written or seen.observed) - to_nanoseconds(created) > _NEWBORN:
                return replace(seen, mode="baseline")
        return seen

    async def _confirm_missing(self, listed: Listed) -> None:
        """Forget what is held, was not listed, and still exists: it only left the selection."""
        for key, uid, _ in list(self._journal.objects(self.scope.group, self.scope.resource, self.scope.namespace)):
            if uid not in listed.uids and await self._still_there(key.namespace, key.name, uid):
                head = Head(name=key.name, uid=uid, namespace=key.namespace)
                await self._inbox.put(Observation(self.type, self.scope, "deleted", head, b"", now(), "left"))

    async def _still_there(self, namespace: str, name: str, uid: str) -> bool:
        """Ask whether an object exists. Without an answer it counts as there: what is not known is no deletion."""
        for pause in _ASK_PAUSES:
            try:
                return read_head(await self._api.get(self.type.path(namespace, name))).uid == uid
            except ApiError as error:
                if error.status == _NOT_FOUND:
                    return False
                reason = str(error)
            except ClusterError as error:
                reason = str(error)
            await asyncio.sleep(pause)
        log.warning("taken as having left the selection, the server does not say", object=name, reason=reason)
        return True


def _times(raw: bytes) -> tuple[Timestamp | None, Timestamp | None]:
    """Tell when an object was made, and when it was last written: both by the server's clock, or unknown."""
    meta = read_object(raw)[0].get("metadata", {})
    entries = meta.get("managedFields")
    times = [normalise(str(entry.get("time", ""))) for entry in entries or () if isinstance(entry, dict)]
    known = [time for time in times if time]
    # An entry may have no time; that write may have been the last one.
    written = max(known) if known and len(known) == len(times) else None
    return normalise(str(meta.get("creationTimestamp", ""))), written
