"""Which types there are: CRDs by watching them, core and aggregated types that the selection names by asking.

Discovery keeps the definitions in memory and tells a listener of each type that came, changed or went. It never
follows objects itself, and an answer it does not get never means that a type is gone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from exporter.changes.observation import Observation
from exporter.errors import ClusterError, brief
from exporter.kube.collection import Collection, Selection
from exporter.kube.metadata import page
from exporter.kube.reflector import Reflector
from exporter.kube.schema import Definition, read_definition
from exporter.kube.sink import Listed
from exporter.model import ResourceType, Scope


if TYPE_CHECKING:
    from exporter.kube.client import Api
    from exporter.kube.selection import TypeSelection
    from exporter.kube.sink import Progress


log = structlog.get_logger()

CRD = ResourceType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
_SCOPE = Scope(CRD.group, CRD.resource)
# How often groups without CRDs are asked for.
_ASK_AGAIN = 300.0
# Seconds after an error that nobody expected.
_AFTER_ERROR = 5.0
# So many broken connections in a row are an outage.
_UNANSWERED = 2
_VERBS = {"list", "watch"}


class Listener(Protocol):
    """Who is told of types."""

    def defined(self, definition: Definition) -> None:
        """A CRD is there, or changed."""

    def undefined(self, definition: Definition) -> None:
        """A CRD was removed."""

    def complete(self, uids: frozenset[str]) -> None:
        """All CRDs that exist have been told; these are their uids."""

    def offered(self, resource_type: ResourceType) -> None:
        """A type that no CRD defines is there."""

    def asked(self) -> None:
        """All types that no CRD defines have been offered, or could not be found for now."""

    def unavailable(self, reason: str) -> None:
        """CRDs cannot be watched; an empty reason takes it back."""


class Discovery:
    """Finds the types.

    Args:
        api: the server
        selection: which types are wanted; names the groups to ask for
        listener: is told

    """

    def __init__(self, api: Api, selection: TypeSelection, listener: Listener) -> None:
        self._api = api
        self._selection = selection
        self._listener = listener
        self._known: dict[str, Definition] = {}
        # The uids of those, by the identity of the type: of one type there is one CRD at a time.
        self._uids: dict[tuple[str, str], str] = {}
        self._definitions = _Definitions(self)
        self._settled = asyncio.Event()

    async def run(self) -> None:
        """Follow the CRDs, and ask for the named groups, until cancelled."""
        reflector = Reflector(
            Collection(self._api, CRD, _SCOPE, Selection(), self._definitions), self._definitions,
            version="", mode="baseline", lists=asyncio.Semaphore(),
        )  # fmt: skip
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_definitions(reflector))
            tasks.create_task(self._ask_for_groups())

    async def _follow_definitions(self, reflector: Reflector) -> None:
        while True:
            try:
                await reflector.run()
            except Exception as error:  # noqa: BLE001 - what the listener could not take in is told again
                log.warning("internal error, the CRDs are told again later", error=brief(error))
                await asyncio.sleep(_AFTER_ERROR)

    async def _ask_for_groups(self) -> None:
        groups = self._selection.named_groups()
        if not groups:
            self._listener.asked()
        # A type of a CRD must come as that: only so is it known whether it is new, and which version to watch.
        await self._settled.wait()
        while groups:
            for group in sorted(groups):
                try:
                    for resource_type in await self._types_of(group):
                        if self._selection.wants(resource_type) and not self._defined(resource_type):
                            self._listener.offered(resource_type)
                except ClusterError as error:
                    log.warning("types of a group not found, asking again later", group=group, error=str(error))
                except Exception as error:  # noqa: BLE001 - an odd answer of one group, or the listener's trouble
                    log.warning("internal error, asking for a group again later", group=group, error=brief(error))
            self._listener.asked()
            await asyncio.sleep(_ASK_AGAIN)

    def _defined(self, resource_type: ResourceType) -> bool:
        return resource_type.identity in self._uids

    async def _types_of(self, group: str) -> list[ResourceType]:
        if group:
            answer = await self._api.get_json(f"/apis/{group}")
            version = answer["preferredVersion"]["version"]
            path = f"/apis/{group}/{version}"
        else:
            version, path = "v1", "/api/v1"
        resources = (await self._api.get_json(path)).get("resources") or ()
        return [
            ResourceType(group, version, one["name"], one["kind"], one["namespaced"])
            for one in resources
            if "/" not in one["name"] and set(one.get("verbs") or ()) >= _VERBS
        ]

    # -- called by the sink below -----------------------------------------------------------------------------

    def appeared(self, crd: dict[str, Any]) -> None:
        """Take in a CRD as it is now."""
        try:
            definition = read_definition(crd)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("a CRD cannot be read", crd=crd.get("metadata", {}).get("name"), error=repr(error))
            return
        uid = str(crd["metadata"]["uid"])
        if definition is None or self._known.get(uid) == definition:
            return
        # One that was deleted and made again while nobody looked: a list tells of the new one first.
        other = self._uids.get(definition.type.identity, uid)
        if other != uid:
            self.vanished(other)
        self._listener.defined(definition)
        self._known[uid] = definition
        self._uids[definition.type.identity] = uid

    def vanished(self, uid: str) -> None:
        """Take in that a CRD is gone."""
        definition = self._known.get(uid)
        if definition is not None:
            self._listener.undefined(definition)
            del self._known[uid], self._uids[definition.type.identity]

    def listed(self, uids: set[str]) -> None:
        """Take in that all CRDs have been told."""
        for uid in self._known.keys() - uids:
            self.vanished(uid)
        self._listener.complete(frozenset(uids))
        self._settled.set()

    def unavailable(self, reason: str) -> None:
        """Take in that CRDs cannot be watched."""
        self._listener.unavailable(reason)
        self._settled.set()


async def is_defined(api: Api, identity: tuple[str, str]) -> bool:
    """Ask whether there is a CRD of a type at this moment.

    Args:
        api: the server
        identity: group and plural of the type

    Raises:
        ClusterError: the server does not say

    """
    group, plural = identity
    name = f"{plural}.{group}"
    found = await page(api, CRD.path(), {"fieldSelector": f"metadata.name={name}"})
    return any(one.name == name for one in found.objects)


class _Definitions:
    """The sink of the CRD watch: nothing of it goes to the journal.

    Since there is one such watch, it also speaks for all others where the server does not answer.
    """

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery
        self._unanswered = 0

    async def put(self, item: Observation | Listed | Progress) -> None:
        if isinstance(item, Listed):
            self._discovery.listed(item.uids)
        elif isinstance(item, Observation) and item.event == "deleted":
            self._discovery.vanished(item.head.uid)
        elif isinstance(item, Observation) and not item.late:  # a definition is followed by its newest version alone
            try:
                crd = msgspec.json.decode(item.raw, type=dict[str, Any])
            except (msgspec.DecodeError, RecursionError) as error:
                log.warning("a CRD cannot be read", crd=item.head.name, error=brief(error))
            else:
                self._discovery.appeared(crd)

    def degraded(self, reason: str) -> None:
        self._discovery.unavailable(reason)

    def synced(self) -> None: ...

    def received(self) -> None:
        if self._unanswered >= _UNANSWERED:
            log.info("the API server answers again")
        self._unanswered = 0

    def restarted(self, reason: str) -> None:
        if reason == "connection":
            self._unanswered += 1
            # One broken connection is nothing: proxies close them.
            if self._unanswered == _UNANSWERED:
                log.warning(
                    "the API server does not answer, trying again; nothing is lost that it still remembers then"
                )

    def listing(self, reason: str, *, gap: bool) -> None: ...

    def went_backwards(self) -> None: ...

    def skipped(self, reason: str) -> None: ...
