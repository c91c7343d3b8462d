"""The consistency audit: holds the journal against the server, to find what no watch tells.

That is what a restored etcd hides when it has grown past the version that we had reached, and what a bug of ours lost.
Only metadata are asked for, one page after the other and one scope after the other. One rule keeps changes that are on
their way from being taken for findings: once the watch has passed the version of a list, whatever is held at or below
that version must be as it was listed. Must never change anything: what is found is counted, and told to whoever can
have the scope listed again.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog
from msgspec import Struct

from exporter.changes.order import is_older
from exporter.errors import ClusterError, brief
from exporter.kube.metadata import PAGE, page
from exporter.model import ObjectKey


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.journal.store import Journal
    from exporter.kube.client import Api
    from exporter.kube.collection import Selection
    from exporter.metrics.health import Health
    from exporter.model import ResourceType, Scope

log = structlog.get_logger()

# The first one so many seconds after everything is in sync, the others so long after the one before.
_FIRST = (1.0, 4.0)
_EVERY = (3.0 * 3600, 5.0 * 3600)
_PAUSE = 0.05
# A watch where nothing happens says how far it is every minute.
_PATIENCE = 150.0
_ASK_PAUSE = 0.5
# The event loop gets its turn after so many objects.
_TURN = 500


class Followed(NamedTuple):
    """A scope that is followed and in sync, and what of it is selected."""

    type: ResourceType
    scope: Scope
    selection: Selection


class Following(Protocol):
    """Whoever follows the scopes."""

    def waiting(self) -> list[str]:
        """Name what is not yet in sync."""

    def in_sync(self) -> list[Followed]:
        """Give the scopes that are followed and in sync."""

    def distrust(self, scope: Scope, *, backwards: bool) -> None:
        """List a scope again as after a gap; `backwards` says that the history of the server went back."""


class Found(Struct):
    """How many objects are not as they should be.

    Attributes:
        missing: the server has them, the journal has not
        extra: the journal has them, the server has not
        differs: the server has another version
        backwards: one of them can only be explained by a history that went back

    """

    missing: int = 0
    extra: int = 0
    differs: int = 0
    backwards: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """The numbers by their names."""
        return {"missing": self.missing, "extra": self.extra, "differs": self.differs}


class UnfinishedError(Exception):
    """Nothing can be said this time; the text says why."""


class _Listed(NamedTuple):
    key: ObjectKey
    uid: str
    version: str


class Audit:
    """Compares all that is followed, again and again.

    Args:
        api: the server
        journal: what is held
        health: takes the numbers
        following: knows the scopes, and lists again what is found wrong
        first: at least and at most so many seconds from being in sync to the first audit
        every: at least and at most so many seconds between two

    """

    def __init__(
        self,
        api: Api,
        journal: Journal,
        health: Health,
        following: Following,
        *,
        first: tuple[float, float] = _FIRST,
        every: tuple[float, float] = _EVERY,
    ) -> None:
        self._api = api
        self._journal = journal
        self._health = health
        self._following = following
        self._first = first
        self._every = every
        for result in ("clean", "found", "unfinished"):
            health.audits.labels(result)
        for reason in Found().counts:
            health.audit_findings.labels(reason)

    async def run(self) -> None:
        """Work until cancelled."""
        while self._following.waiting():  # noqa: ASYNC110 - readiness is asked for, not told
            await asyncio.sleep(1.0)
        await asyncio.sleep(random.uniform(*self._first))  # noqa: S311 - jitter
        while True:
            await self.once()
            await asyncio.sleep(random.uniform(*self._every))  # noqa: S311 - jitter

    async def once(self) -> None:
        """Compare every scope that is in sync, one after the other."""
        for followed in self._following.in_sync():
            try:
                found = await self.compare(followed)
            except (UnfinishedError, ClusterError) as error:
                self._health.audits.labels("unfinished").inc()
                log.debug("audit not finished, the next one tries again", type=str(followed.type), reason=str(error))
            except Exception as error:  # noqa: BLE001 - a bug in here must not end the work of all others
                self._health.audits.labels("unfinished").inc()
                log.warning(
                    "internal error, the audit of a type is given up", type=str(followed.type), error=brief(error)
                )
            else:
                self._tell(followed, found)
            await asyncio.sleep(_PAUSE)
        self._health.audit_last.set(time.time())

    def _tell(self, followed: Followed, found: Found) -> None:
        wrong = {reason: count for reason, count in found.counts.items() if count}
        self._health.audits.labels("found" if wrong else "clean").inc()
        if not wrong:
            return
        for reason, count in wrong.items():
            self._health.audit_findings.labels(reason).inc(count)
        log.warning(
            "the journal is not what the server has; listing the type again",
            type=str(followed.type), namespace=followed.scope.namespace, **wrong,
        )  # fmt: skip
        self._following.distrust(followed.scope, backwards=found.backwards)

    # -- one scope --------------------------------------------------------------------------------------------

    async def compare(self, followed: Followed) -> Found:
        """Compare one scope.

        Raises:
            UnfinishedError: it cannot be said whether it is right
            ClusterError: the server did not answer as it should

        """
        before = self._reached(followed.scope)
        held = {hash((uid, version)) async for _, uid, version in self._objects(followed.scope)}
        version, changed = await self._listed(followed, held)
        if not version.isdecimal() or not before.isdecimal() or is_older(version, before):
            raise UnfinishedError("there is no order between the list and the watch, or the list is older")
        if not changed and not held:
            return Found()
        await self._passed(followed.scope, version)
        found = Found()
        wrong = set()
        for listed in changed:
            if await self._is_wrong(followed, listed, version, found):
                wrong.add(listed.key)
        if held:
            # What is left was held before the list, and is not on it as it was held.
            async for key, uid, held_version in self._objects(followed.scope):
                if hash((uid, held_version)) in held and key not in wrong:
                    found.extra += 1
        return found

    async def _objects(self, scope: Scope) -> AsyncIterator[tuple[ObjectKey, str, str]]:
        """Go through the objects of a scope without holding up the loop."""
        for number, one in enumerate(self._journal.objects(scope.group, scope.resource, scope.namespace), start=1):
            yield one
            if number % _TURN == 0:
                await asyncio.sleep(0)

    async def _listed(self, followed: Followed, held: set[int]) -> tuple[str, list[_Listed]]:
        """List, take out of `held` what is as it was, and give the version of the list and what is other."""
        scope = followed.scope
        changed = []
        params = {"limit": PAGE, **followed.selection.params()}
        while True:
            listed = await page(self._api, followed.type.path(scope.namespace), params)
            for meta in listed.objects:
                one = hash((meta.uid, meta.resource_version))
                if one in held:
                    held.remove(one)
                else:
                    key = ObjectKey(scope.group, scope.resource, meta.namespace, meta.name)
                    changed.append(_Listed(key, meta.uid, meta.resource_version))
            if not listed.next:
                return listed.version, changed
            params["continue"] = listed.next
            await asyncio.sleep(_PAUSE)

    async def _passed(self, scope: Scope, version: str) -> None:
        """Wait until the journal has all that the watch told up to a version."""
        deadline = time.monotonic() + _PATIENCE
        while not (reached := self._reached(scope)) or is_older(reached, version):
            if time.monotonic() > deadline:
                raise UnfinishedError("the watch did not tell how far it is")
            await asyncio.sleep(_ASK_PAUSE)

    def _reached(self, scope: Scope) -> str:
        """Tell how far the journal has followed a scope, empty while it is being listed."""
        mark = self._journal.checkpoint_of(scope)
        return mark.resource_version if mark is not None and mark.complete else ""

    async def _is_wrong(self, followed: Followed, listed: _Listed, version: str, found: Found) -> bool:
        """Look at an object again that was not as listed, and note what is wrong with it now."""
        stored = self._journal.object(listed.key)
        if stored is None:
            # It was deleted since, or it should be there; nobody but the server knows.
            if not await self._exists(followed, listed):
                return False
            found.missing += 1
            stone = self._journal.tombstone(listed.key)
            found.backwards |= stone is not None and stone.uid == listed.uid
            return True
        if (stored.uid, stored.resource_version) == (listed.uid, listed.version):
            return False
        if is_older(version, stored.resource_version):
            return False  # it has changed since
        found.differs += 1
        found.backwards |= is_older(listed.version, stored.resource_version)
        return True

    async def _exists(self, followed: Followed, listed: _Listed) -> bool:
        """Ask whether an object is still there, and where there are selectors, as it was when it was listed."""
        params = followed.selection.params()
        params["fieldSelector"] = ",".join(
            filter(None, (f"metadata.name={listed.key.name}", params.get("fieldSelector")))
        )
        answer = await page(self._api, followed.type.path(listed.key.namespace), params)
        return any(
            meta.uid == listed.uid and (not followed.selection.text or meta.resource_version == listed.version)
            for meta in answer.objects
        )
