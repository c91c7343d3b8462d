"""The store beside a real kube-apiserver: the same writes to both, and what each makes of the object and its owners.

The real one is the truth. Writes are chosen at random but always the same ones; each answer is compared whole, but for
times, versions and uids. Where the real server is missing this is a named skip, and under CI=true a failure.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from exporter.model import ResourceType
from exporter.sandbox.apiserver.bodies import APPLY, JSON_PATCH, MERGE
from exporter.sandbox.apiserver.kinds import DEFINITION, NAMESPACE
from exporter.sandbox.apiserver.refusals import Refused
from exporter.sandbox.apiserver.store import Store
from tests.contract.installing import install
from tests.contract.wire import reach
from tests.integration.conftest import _discard, _need
from tests.sandbox.gadget import API_VERSION, GROUP, definition, list_by, of, version
from tests.servers.launch import Cluster


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.sandbox.apiserver.kinds import Kind
    from tests.contract.wire import Wire

pytestmark = pytest.mark.timeout(180)  # the first waits for real servers
Object = dict[str, Any]

_STRING: Object = {"type": "string"}
_INTEGER: Object = {"type": "integer"}
SPEC = of(
    size=_INTEGER,
    color=_STRING,
    remark=_STRING | {"nullable": True},
    limits=of(low=_INTEGER, high=_INTEGER),
    notes={"type": "object", "additionalProperties": _STRING},
    tags={"type": "array", "items": _STRING},
    words={"type": "array", "items": _STRING, "x-kubernetes-list-type": "set"},
    whole={"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": _INTEGER, "b": _INTEGER}},
    ports=list_by("name", name=_STRING, port=_INTEGER, grade=_STRING | {"default": "plain"}),
    either={"x-kubernetes-int-or-string": True},
    open={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
)
CRD = definition(version(spec=SPEC))
_TYPE = ResourceType(GROUP, "v1", "gadgets", "Gadget")
COLLECTION = f"/apis/{API_VERSION}/namespaces"
OPEN: list[Any] = [
    {}, {"a": 1}, {"a": {"b": 1, "c": [1]}}, {"a": {"b": 2}}, {"a": [1, 2]}, {"a": None}, {"d": {}},
    {"a": "s", "d": {"e": {}}},
]  # fmt: skip
STEPS: list[Object] = [
    {"op": "add", "path": "/spec/size", "value": 3},
    {"op": "remove", "path": "/spec/color"},
    {"op": "replace", "path": "/spec/limits", "value": {"low": 3}},
    {"op": "copy", "from": "/spec/size", "path": "/spec/either"},
    {"op": "add", "path": "/spec/ports/0", "value": {"name": "n"}},
    {"op": "remove", "path": "/spec/ports/0"},
    {"op": "remove", "path": "/spec/open/a"},
    {"op": "add", "path": "/metadata/labels", "value": {"s": "z"}},
    {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
]


class Write(NamedTuple):
    """One request to the one object; `put` is merged into what is there, on the first level."""

    verb: str
    who: str
    body: Any
    subresource: str
    force: bool


class Answer(NamedTuple):
    """What a server made of it: a status, and an object or why not."""

    status: int
    body: Object


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real server."""
    _need(["etcd", "kube-apiserver"])
    cluster = Cluster(tmp_path_factory.mktemp("real"))
    try:
        cluster.start()
        asyncio.run(_install(cluster.kubeconfig))
        yield cluster
    finally:
        _discard(cluster)


async def _install(kubeconfig: Path) -> None:
    async with reach(kubeconfig) as wire:
        await install(wire, _TYPE, CRD)


@pytest.mark.parametrize("seed", range(12))
async def test_both_make_the_same_of_the_same_writes(cluster: Cluster, seed: int) -> None:
    """Objects, managedFields, refusals with causes, and whether there is a new version are those of the real one."""
    chosen = random.Random(seed)  # noqa: S311 - a choice, no secret
    store, kind = _emulated()
    namespace = f"seed-{seed}"
    async with reach(cluster.kubeconfig) as wire:
        await wire.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
        held: tuple[str, str] | None = None
        for number in range(60):
            write = _write(chosen)
            real, emulated = await _on_real(wire, namespace, write), _on_store(store, kind, namespace, write)
            assert _told(emulated) == _told(real), (number, write)
            if real.status < 300 and "uid" in real.body["metadata"]:
                versions = real.body["metadata"]["resourceVersion"], emulated.body["metadata"]["resourceVersion"]
                if held is not None:
                    # Not the other way round: the real one now and then stores again what nobody can see, such as
                    # that an apply has left an empty list of finalizers.
                    assert held[0] != versions[0] or held[1] == versions[1], (number, write)
                held = versions
            elif write.verb == "delete":
                held = None


def _emulated() -> tuple[Store, Kind]:
    store = Store()
    store.create(DEFINITION, "", CRD, "maker")
    kind = store.kind(GROUP, "gadgets")
    assert kind is not None
    return store, kind


def _write(chosen: random.Random) -> Write:
    """Choose a write."""
    verb = chosen.choices(["create", "put", "merge", "json", "apply", "delete"], [2, 3, 4, 2, 7, 0.6])[0]
    who = chosen.choice(["ann", "bob", "cy"])
    if verb == "json":
        return Write(verb, who, [chosen.choice(STEPS)], "", force=False)
    subresource = "status" if verb != "create" and chosen.random() < 0.25 else ""
    body: Object = {}
    if chosen.random() < 0.85:
        body["spec"] = _spec(chosen, nulls=chosen.random() < 0.3)
    if chosen.random() < 0.5:
        body["metadata"] = _metadata(chosen)
    if subresource or chosen.random() < 0.2:
        body["status"] = _some(chosen, phase=["A", "B"], conditions=_entries(chosen, "type", "RS", status="Y"))
    return Write(verb, who, body, subresource, force=chosen.random() < 0.5)


def _spec(chosen: random.Random, *, nulls: bool) -> Object:
    spec = _some(
        chosen,
        size=[1, 2, 3],
        color=["red", "blue"],
        remark=["a", None],
        limits=[{}, {"low": 1}, {"low": 2, "high": 1}, {"high": 2}],
        notes=[{}, {"a": "x"}, {"a": "y", "b": "x"}, {"b": "x", "c": "y"}],
        tags=[[], ["p"], ["q", "p"]],
        words=[[], ["p"], ["q", "p"], ["r", "q"]],
        whole=[{"a": 1}, {"a": 1, "b": 2}, {"b": 2}],
        ports=_entries(chosen, "name", "klmn", port=1),
        either=[1, "one"],
        open=OPEN,
        **({"bogus": [1]} if chosen.random() < 0.2 else {}),
    )
    return {key: None if nulls and chosen.random() < 0.25 else value for key, value in spec.items()}


def _metadata(chosen: random.Random) -> Object:
    # Nothing empty: what is applied empty is stored so by the real server, and gone without a trace at the next write.
    return _some(
        chosen,
        labels=[{"s": "x"}, {"s": "y", "t": "x"}],
        annotations=[{"n": "x"}],
        finalizers=[["e.com/a"], ["e.com/a", "e.com/b"], ["e.com/b"]],
        ownerReferences=[[{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}]],
    )


def _some(chosen: random.Random, **values: list[Any]) -> Object:
    return {key: chosen.choice(options) for key, options in values.items() if chosen.random() < 0.4}


def _entries(chosen: random.Random, key: str, names: str, **field: Any) -> list[Any]:
    found = chosen.sample(names, chosen.randint(0, len(names)))
    return [[{key: name} | (field if chosen.random() < 0.7 else {}) for name in found]]


def _whole(write: Write) -> Object:
    body: Object = {"apiVersion": API_VERSION, "kind": "Gadget"} | write.body
    return body | {"metadata": {"name": "one"} | body.get("metadata", {})}


def _replaced(held: Object, body: Object) -> Object:
    return held | body | {"metadata": held["metadata"] | body.get("metadata", {})}


async def _on_real(wire: Wire, namespace: str, write: Write) -> Answer:
    collection = f"{COLLECTION}/{namespace}/gadgets"
    path = f"{collection}/one"
    part = f"{path}/{write.subresource}".removesuffix("/")
    match write.verb:
        case "create":
            answer = await wire.post(collection, _whole(write), who=write.who)
        case "put":
            held = await wire.get(path)
            found = held.status == 200
            answer = await wire.put(part, _replaced(held.body, write.body), who=write.who) if found else held
        case "apply":
            force = {"force": "true"} if write.force else {}
            answer = await wire.apply(part, _whole(write), who=write.who, **force)
        case "delete":
            answer = await wire.delete(path)
        case verb:
            media = MERGE if verb == "merge" else JSON_PATCH
            answer = await wire.call("PATCH", part, write.body, media=media, who=write.who)
    return Answer(answer.status, answer.body)


def _on_store(store: Store, kind: Kind, namespace: str, write: Write) -> Answer:
    if not any(one["metadata"]["name"] == namespace for one in store.list(NAMESPACE, None)):
        store.create(NAMESPACE, "", {"metadata": {"name": namespace}}, "maker")
    place = (kind, namespace, "one")
    try:
        match write.verb:
            case "create":
                return Answer(201, store.create(kind, namespace, _whole(write), write.who))
            case "put":
                body = _replaced(store.read(*place), write.body)
                return Answer(200, store.update(*place, body, write.who, subresource=write.subresource))
            case "delete":
                obj, gone = store.delete(*place)
                return Answer(200, {"kind": "Status", "metadata": {}} if gone else obj)
            case verb:
                media = {"merge": MERGE, "json": JSON_PATCH, "apply": APPLY}[verb]
                body = _whole(write) if verb == "apply" else write.body
                obj, created = store.patch(
                    *place, body, media, write.who, force=write.force, subresource=write.subresource
                )
                return Answer(201 if created else 200, obj)
    except Refused as refused:
        return Answer(refused.status, refused.body())


def _told(answer: Answer) -> object:
    """Give what must be the same: all of an object but what time and chance gave it, or the reason of a refusal."""
    if answer.status >= 300:
        details = answer.body.get("details", {})
        causes = {(cause["reason"], cause["field"]) for cause in details.get("causes", [])}
        return answer.status, answer.body.get("reason"), details.get("name"), causes
    if answer.body["kind"] == "Status":
        return answer.status, "gone"
    # Metadata that an apply emptied is null in the real one's answer to it, and absent from then on.
    metadata = {key: value for key, value in answer.body["metadata"].items() if value is not None}
    for key in ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"):
        metadata[key] = key in metadata
    entries = [entry | {"time": "time" in entry} for entry in metadata.pop("managedFields", [])]
    # In which order depends on the second of each.
    entries.sort(key=lambda one: (one["operation"], one["manager"], one.get("subresource", "")))
    return answer.status, answer.body | {"metadata": metadata}, entries
