"""The scripted day: prepares any API server, plays what `script.py` says, and tells exactly what it did.

What it did is known from the server's own answers, so that whoever watched can be held to it version by version. Must
never look at the exporter, and never touch an object that the script does not name.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter.errors import ClusterError
from exporter.model import ChangeType, Event
from exporter.sandbox.crds import CRDS, LATE_CRD
from exporter.sandbox.script import DAY, GITOPS, INSTALLER, MORNING, NAMESPACES, Conclusion, Place, Step
from exporter.timestamps import now


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.sandbox.hands import Hands, Object


class Deed(Struct, frozen=True, kw_only=True):
    """One version that was made; what the observer should find.

    A deletion carries no resourceVersion (the answer to it has none) and no writer (the server keeps none).
    """

    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    event: Event
    change: ChangeType
    writer: str
    heartbeat: bool


class Summary(Struct, frozen=True):
    """All that was done, in its order, and what is to be concluded from it."""

    deeds: tuple[Deed, ...]
    conclusions: tuple[tuple[Place, Conclusion], ...] = ()

    def by_change(self) -> dict[ChangeType, int]:
        """Count the deeds by the word for what changed."""
        return dict(Counter(deed.change for deed in self.deeds))

    def by_writer(self) -> dict[tuple[str, ChangeType], int]:
        """Count the deeds by the writer (empty where a server does not keep it) and what changed."""
        return dict(Counter((deed.writer, deed.change) for deed in self.deeds))


async def prepare(hands: Hands, *, tell: Callable[[str], None]) -> None:
    """Make the morning: types, namespaces, and the objects that are there before anybody watches.

    May be called again; a day that was played in the cluster is not undone by it.

    Raises:
        ClusterError: the server refused or did not answer

    """
    for resource_type, crd in CRDS.items():
        await hands.install(INSTALLER, crd, resource_type)
    tell(f"{len(CRDS)} types: {', '.join(one.kind for one in CRDS)}")
    for namespace in NAMESPACES:
        await hands.make_namespace(INSTALLER, namespace)
    for place, (spec, operator) in MORNING.items():
        await hands.apply(GITOPS, place.path, _whole(place, {"spec": spec}))
        if operator:
            await hands.reconcile(operator, place.path, lambda obj: status_of(obj, "Ready"))
    tell(f"{len(MORNING)} objects in {len(NAMESPACES)} namespaces")


async def play(
    hands: Hands,
    *,
    speed: float = 1.0,
    begin: Callable[[str, int], Awaitable[None]],
    concluded: Callable[[int], Awaitable[None]],
) -> Summary:
    """Play the day in a cluster that is prepared, and in which it was not played before.

    Args:
        hands: on the server
        speed: how many times faster than in about 25 s; infinity for no pauses
        begin: is waited for as a scene begins; is given its title, and how much was done before it
        concluded: is waited for where something is to be concluded; is given how much that is by then

    Returns:
        what was done

    Raises:
        ClusterError: the server refused or did not answer, or the day was played there before

    """
    for scene in DAY:
        if scene.installs is not None:
            _must_be_new(str(scene.installs), new=not await hands.has_type(scene.installs))
    deeds: list[Deed] = []
    conclusions: list[tuple[Place, Conclusion]] = []
    for scene in DAY:
        await begin(scene.title, len(deeds))
        if scene.installs is not None:
            await hands.install(INSTALLER, LATE_CRD, scene.installs)
        for step in scene.steps:
            deeds.append(_deed(step, await _act(hands, step)))
            if step.concludes is not None:
                conclusions.append((step.place, step.concludes))
                await concluded(len(conclusions))
            await asyncio.sleep(step.after / speed)
    return Summary(tuple(deeds), tuple(conclusions))


def status_of(obj: Object, phase: str) -> dict[str, Any]:
    """Make the status that an operator writes; a condition's time moves only when its status does."""
    before: dict[str, Any] = obj.get("status", {})
    ready = "True" if phase == "Ready" else "False"
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    for condition in before.get("conditions", []):
        if condition["status"] == ready:
            since = condition["lastTransitionTime"]
    return before | {
        "observedGeneration": obj["metadata"]["generation"],
        "phase": phase,
        "lastCheck": now(),
        "conditions": [{"type": "Ready", "status": ready, "reason": phase, "lastTransitionTime": since}],
    }


async def _act(hands: Hands, step: Step) -> Object:
    """Do it; give the server's answer."""
    path, body = step.place.path, step.body
    match step.verb:
        case "create":
            collection = step.place.type.path(step.place.namespace)
            return await hands.create(step.who, collection, _whole(step.place, body))
        case "apply":
            obj, new = await hands.apply(step.who, path, _whole(step.place, body))
            if step.change in ("created", "recreated"):
                _must_be_new(path, new=new)
            return obj
        case "edit":
            return await hands.edit(step.who, path, body)
        case "reconcile":
            return await hands.reconcile(step.who, path, lambda obj: status_of(obj, body["phase"]))
        case "beat":
            return await hands.reconcile(step.who, path, lambda obj: obj["status"] | {"lastCheck": now()})
        case "delete":
            return await hands.delete(path)


def _deed(step: Step, answer: Object) -> Deed:
    event: Event = "modified"
    if step.change in ("created", "recreated"):
        event = "added"
    elif step.change == "deleted":
        event = "deleted"
    # What is deleted at once is answered with a Status, whose details name the object.
    metadata = answer.get("metadata", {}) if "details" not in answer else answer["details"]
    return Deed(
        kind=step.place.type.kind,
        namespace=step.place.namespace,
        name=step.place.name,
        uid=metadata["uid"],
        resource_version="" if event == "deleted" else metadata["resourceVersion"],
        event=event,
        change=step.change,
        writer="" if step.change in ("deleted", "deleting") else step.who,
        heartbeat=step.verb == "beat",
    )


def _must_be_new(what: str, *, new: bool) -> None:
    if not new:
        msg = f"{what} is there already: play the day in a cluster in which it has not been played"
        raise ClusterError(msg)


def _whole(place: Place, body: Object) -> Object:
    """Complete a declaration with what says which object it is."""
    metadata = {"name": place.name} | ({"namespace": place.namespace} if place.namespace else {})
    return {"apiVersion": place.type.api_version, "kind": place.type.kind, "metadata": metadata, **body}
