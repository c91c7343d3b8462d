"""A scripted operator that composes objects, and what is to be told of it: drives any API server, as Crossplane would.

A stack is composed of a database, a bucket and a queue, and the bucket of a policy, each owned by what made it. The
database fails, the bucket is wanted otherwise before it is ready, the queue never says a word of being ready. Must
never look at the exporter.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.model import ResourceType
from tests.rollout.shapes import Shape


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.sandbox.hands import Hands, Object

GROUP = "composed.example.com"
STACK, DATABASE, BUCKET, QUEUE, POLICY = (
    ResourceType(GROUP, "v1", plural, kind)
    for plural, kind in (
        ("stacks", "Stack"), ("databases", "Database"), ("buckets", "Bucket"), ("queues", "Queue"),
        ("policies", "Policy"),
    )
)  # fmt: skip
TYPES = (STACK, DATABASE, BUCKET, QUEUE, POLICY)
USER, COMPOSER, PROVIDER = "kubectl-create", "composer", "provider"
TIMEOUT_SECONDS = 5
CONFIG: dict[str, Any] = {
    "watch": {"include": [f"{GROUP}/*"]},
    "rollout": {"settle": "1s", "rules": [{"kinds": [f"{GROUP}/Queue"], "timeout": f"{TIMEOUT_SECONDS}s"}]},
}

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_CONDITION = {
    "type": "object",
    "required": ["type", "status"],
    "properties": dict.fromkeys(("type", "status", "reason", "message", "lastTransitionTime"), _TEXT),
}
_CONDITIONS = {
    "type": "array",
    "items": _CONDITION,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"size": _NUMBER}},
        "status": {"type": "object", "properties": {"observedGeneration": _NUMBER, "conditions": _CONDITIONS}},
    },
}


class Deed(NamedTuple):
    """One write: the object as the server answered, and when it was asked and had answered, nanoseconds since 1970."""

    object: Object
    asked: int
    answered: int

    @property
    def resource_version(self) -> str:
        """The number of the version that was written."""
        return str(self.object["metadata"]["resourceVersion"])


def crd(resource_type: ResourceType) -> Object:
    """Describe a type."""
    version = {
        "name": resource_type.version, "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": _SCHEMA},
    }  # fmt: skip
    names = {"plural": resource_type.resource, "singular": resource_type.kind.lower(), "kind": resource_type.kind}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": str(resource_type)},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


class Operator:
    """Whoever writes; what it did is remembered by a name of the deed.

    Args:
        hands: on a server
        namespace: of all objects

    """

    def __init__(self, hands: Hands, namespace: str) -> None:
        self.deeds: dict[str, Deed] = {}
        self._hands = hands
        self._namespace = namespace

    async def prepare(self) -> None:
        """Install the types, and make the namespace, with an object of each type that shows how they report."""
        for resource_type in TYPES:
            await self._hands.install("installer", crd(resource_type), resource_type)
        await self._hands.make_namespace("installer", self._namespace)
        for resource_type in TYPES:
            await self.make("older", resource_type, name="older")
            await self.say("older", resource_type, name="older", Ready="True Made")
        self.deeds.clear()

    async def make(self, deed: str, resource_type: ResourceType, owner: str = "", *, name: str = "shop") -> None:
        """Make an object of a size of 1; the owner is named by the deed that made it."""
        metadata: Object = {"name": name, "namespace": self._namespace}
        if owner:
            metadata["ownerReferences"] = [_reference(self.deeds[owner].object)]
        body = {
            "apiVersion": resource_type.api_version, "kind": resource_type.kind, "metadata": metadata,
            "spec": {"size": 1},
        }  # fmt: skip
        who = COMPOSER if owner else USER
        await self._do(deed, lambda: self._hands.create(who, resource_type.path(self._namespace), body))

    async def resize(self, deed: str, resource_type: ResourceType, size: int) -> None:
        """Want another size."""
        path = resource_type.path(self._namespace, "shop")
        await self._do(deed, lambda: self._hands.edit(COMPOSER, path, {"spec": {"size": size}}))

    async def say(self, deed: str, resource_type: ResourceType, *, name: str = "shop", **conditions: str) -> None:
        """Write the status for what is wanted now; a condition is `Status` or `Status Reason message`."""
        path = resource_type.path(self._namespace, name)
        await self._do(deed, lambda: self._hands.reconcile(PROVIDER, path, lambda obj: _status(obj, conditions)))

    async def _do(self, deed: str, write: Callable[[], Awaitable[Object]]) -> None:
        asked = time.time_ns()
        answer = await write()
        self.deeds[deed] = Deed(answer, asked, time.time_ns())


async def compose(operator: Operator, interlude: Callable[[], Awaitable[None]]) -> None:
    """Play it all; the interlude comes twice: when all of the stack goes on, and when the bucket begins anew."""
    await operator.make("stack", STACK)
    await operator.make("database", DATABASE, "stack")
    await operator.make("bucket", BUCKET, "stack")
    await operator.make("queue", QUEUE, "stack")
    await operator.say("stack composed", STACK, Synced="True", Ready="False Creating 0 of 3")
    await operator.say("database begun", DATABASE, Ready="False Creating")
    await operator.say("bucket begun", BUCKET, Ready="False Creating")
    await operator.say("queue begun", QUEUE, Ready="False Waiting for a broker")
    await interlude()
    await operator.say("database failed", DATABASE, Ready="False Creating", Stalled="True QuotaExceeded no room")
    await operator.resize("bucket resized", BUCKET, 2)
    await operator.say("bucket seen", BUCKET, Ready="False Resizing")
    await interlude()
    await operator.make("policy", POLICY, "bucket")
    await operator.say("policy ready", POLICY, Ready="True Applied")
    await operator.say("bucket ready", BUCKET, Ready="True Made")
    await operator.say("stack ready", STACK, Synced="True", Ready="True Composed")


# What is told of it, and from which deed to which each of it goes; None is where the time was up.
_SEEN = ("", "", "")
_BEGUN = ("Ready", "", "False")
_READY = ("Ready", "False", "True")
_NOT_READY = ("Ready", "False", "False")
TOLD = Shape(
    "Stack 1 converged", (_SEEN, _BEGUN, _READY, ("Synced", "", "True")), (
        Shape("Bucket 1 superseded", (_SEEN, _BEGUN, _NOT_READY)),
        Shape("Bucket 2 converged", (_SEEN, _READY), (
            Shape("Policy 1 converged", (_SEEN, ("Ready", "", "True"))),
        )),
        Shape("Database 1 failed", (_SEEN, _BEGUN, _NOT_READY, ("Stalled", "", "True"), ("Stalled", "True", "True"))),
        Shape("Queue 1 timed_out", (_SEEN, _BEGUN, _NOT_READY)),
    ),
)  # fmt: skip
TIMES: dict[str, tuple[str, str | None]] = {
    "Stack shop 1 converged": ("stack", "stack ready"),
    "Bucket shop 1 superseded": ("bucket", "bucket resized"),
    "Bucket shop 2 converged": ("bucket resized", "bucket ready"),
    "Policy shop 1 converged": ("policy", "policy ready"),
    "Database shop 1 failed": ("database", "database failed"),
    "Queue shop 1 timed_out": ("queue", None),
}


def _reference(owner: Object) -> Object:
    return {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": True,
    }  # fmt: skip


def _status(obj: Object, conditions: dict[str, str]) -> Object:
    before = {one["type"]: one for one in obj.get("status", {}).get("conditions", ())}
    made = []
    for type_, said in conditions.items():
        status, _, rest = said.partition(" ")
        reason, _, message = rest.partition(" ")
        was = before.get(type_, {})
        since = was["lastTransitionTime"] if was.get("status") == status else time.strftime("%FT%TZ", time.gmtime())
        one = {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}
        made.append(one)
    return {"observedGeneration": obj["metadata"]["generation"], "conditions": made}
