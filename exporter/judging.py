"""What judges drift, put together: the keeper, what it knows beside the objects, and who has objects judged again.

Built by `app`, and a part of it: nobody else makes any of this.
"""

from __future__ import annotations

import asyncio
import hashlib
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
    from exporter.drift.settings import DriftSettings
    from exporter.follow import Follower
    from exporter.ingest import Inbox
    from exporter.journal.store import Journal
    from exporter.metrics.health import Health
    from exporter.model import ResourceType


class Judging:
    """What judges drift.

    Args:
        settings: how
        journal: knows the objects
        inbox: takes a word for each object that is to be judged again
        follower: knows the types
        writers: classes of managers
        redactor: takes the secrets out
        readers: the same for manifests; nobody else's, since they are read in a thread
        health: the exporter's own metrics
        identity: gives the cluster's uid and the epoch

    Attributes:
        keeper: follows the objects
        hits: gives how often each rule covered a finding, by its reason

    """

    def __init__(
        self,
        settings: DriftSettings,
        journal: Journal,
        inbox: Inbox,
        follower: Follower,
        writers: WriterTable,
        redactor: Redactor,
        readers: Redactor,
        health: Health,
        identity: Callable[[], tuple[str, int]],
    ) -> None:
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
        # Whatever was judged by other rules, or by another program, is judged anew.
        self._by = hashlib.sha256(msgspec.json.encode((__version__, settings))).hexdigest()
        if journal.noted(NAME) != self._by:
            self._reviewer.ask((scope.group, kind, scope.namespace, "") for kind, scope in journal.scopes())
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
            group.create_task(self._reviewer.run((NAME, self._by)))
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

    def _kind(self, group: str, kind: str) -> Kind:
        resource_type = self._follower.type_of(group, kind)
        if resource_type is None:
            return Kind()
        return Kind(resource_type.namespaced, self._follower.schema(resource_type).passwords)

    def _redact(self, resource_type: ResourceType, obj: dict[str, Any]) -> dict[str, Any]:
        secret = (resource_type.group, resource_type.kind) == ("", "Secret")
        passwords = self._follower.schema(resource_type).passwords
        return self._redactor.redact(obj, msgspec.json.encode(obj), secret=secret, passwords=passwords)
