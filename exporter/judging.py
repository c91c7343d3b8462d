"""What judges drift, put together: the keeper, what it knows beside the objects, and who has objects judged again.

Built by `app`, and a part of it: nobody else makes any of this.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from exporter import __version__
from exporter.changes.version import Version, unpack
from exporter.declared.directories import Directories
from exporter.declared.manifests import Kind
from exporter.declaring import Declaring
from exporter.drift.keeper import NAME, DriftKeeper
from exporter.drift.surroundings import TOOLS, Surroundings
from exporter.review import Reviewer


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.changes.redact import Redactor
    from exporter.changes.writer import WriterTable
    from exporter.config import Config
    from exporter.follow import Follower
    from exporter.ingest import Inbox
    from exporter.journal.store import Journal
    from exporter.metrics.health import Health
    from exporter.model import ResourceType


# Rules expire at midnight; so often, in seconds, it is looked whether one has.
_LOOK_SECONDS = 30.0


def _now() -> datetime:
    return datetime.now(UTC)


class Judging:
    """What judges drift.

    Args:
        config: how, and what else is judged by
        journal: knows the objects
        inbox: takes a word for each object that is to be judged again
        follower: knows the types
        writers: classes of managers
        redactor: takes the secrets out
        readers: the same for manifests; nobody else's, since they are read in a thread
        health: the exporter's own metrics
        identity: gives the cluster's uid and the epoch
        clock: the time, in UTC
        look: seconds between two looks at it

    Attributes:
        keeper: follows the objects
        hits: gives how often each rule covered a finding, by its reason

    """

    def __init__(
        self,
        config: Config,
        journal: Journal,
        inbox: Inbox,
        follower: Follower,
        writers: WriterTable,
        redactor: Redactor,
        readers: Redactor,
        health: Health,
        identity: Callable[[], tuple[str, int]],
        *,
        clock: Callable[[], datetime] = _now,
        look: float = _LOOK_SECONDS,
    ) -> None:
        settings = config.drift
        self._config = config
        self._journal = journal
        self._clock = clock
        self._look = look
        self._follower = follower
        self._redactor = redactor
        self._kinds: dict[tuple[str, str], Kind] = {}
        surroundings = Surroundings(settings, writers, follower.schema, self._redact)
        self._reviewer = Reviewer(journal, inbox, follower.synced_type)
        self._declaring = None
        if settings.declared:
            directories = Directories(settings.declared, readers, self._kind)
            self._declaring = Declaring(directories, surroundings.declare, self._reviewer.ask, health)
        self.keeper = DriftKeeper(settings, surroundings, identity, self._reviewer.ask)
        self.hits = surroundings.rules.hits
        self._rules = surroundings.rules
        # Whatever was judged by other rules, or by another program, is judged anew.
        self._by = self._judged_by()
        if journal.noted(NAME) != self._by:
            self._ask_all()
        for kind, scope in journal.scopes():
            resource_type = journal.type_of(scope)
            if (scope.group, kind) in TOOLS and resource_type is not None:
                for key, _, _ in journal.objects(scope.group, scope.resource, scope.namespace):
                    stored = journal.object(key)
                    if stored is not None:
                        surroundings.said(resource_type, key, Version(unpack(stored.state)))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reviewer.run(lambda: (NAME, self._by)))
            group.create_task(self._watch_rules())
            if self._declaring is not None:
                group.create_task(self._declaring.run())

    def synced(self, resource_type: ResourceType) -> None:
        """Take in that a type may be in sync now."""
        self._reviewer.synced(resource_type)
        place = (resource_type.group, resource_type.kind)
        kind = self._kind(*place)
        if self._declaring is not None and self._kinds.get(place) != kind:
            self._kinds[place] = kind
            self._declaring.reread()  # where its objects live, and which fields are passwords, is known now

    def _judged_by(self) -> str:
        """Tell by what objects are judged now: a rule that has expired is another rule."""
        config = self._config
        expired = [rule.reason for rule in self._rules.expired(self._clock().date())]
        changes = config.changes  # a value that has become secret is judged again as well, and kept without it
        by = (__version__, config.drift, config.rollout, changes.writers, changes.redact, expired)
        return hashlib.sha256(msgspec.json.encode(by, order="deterministic")).hexdigest()

    def _ask_all(self) -> None:
        self._reviewer.ask((scope.group, kind, scope.namespace, "") for kind, scope in self._journal.scopes())

    async def _watch_rules(self) -> None:
        """Have everything judged again whenever a rule expires."""
        while True:
            await asyncio.sleep(self._look)
            by = self._judged_by()
            if by != self._by:
                self._by = by
                self._ask_all()

    def _kind(self, group: str, kind: str) -> Kind:
        resource_type = self._follower.type_of(group, kind)
        if resource_type is None:
            return Kind()
        return Kind(resource_type.namespaced, self._follower.schema(resource_type).passwords)

    def _redact(self, resource_type: ResourceType, obj: dict[str, Any]) -> dict[str, Any]:
        secret = (resource_type.group, resource_type.kind) == ("", "Secret")
        passwords = self._follower.schema(resource_type).passwords
        return self._redactor.redact(obj, msgspec.json.encode(obj), secret=secret, passwords=passwords)
