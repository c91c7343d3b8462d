"""The emulated server beside its contract with a real one: what clients may send, what it keeps, how it is run."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
import yaml

from exporter.sandbox.apiserver.paths import Place, read_path
from exporter.sandbox.apiserver.protobuf import read_protobuf
from exporter.sandbox.apiserver.server import emulate
from exporter.sandbox.apiserver.store import Store
from tests.contract.gadgets import CONFIG_MAP, CRDS, GADGET, GROUP, made
from tests.sandbox.conftest import PATH


if TYPE_CHECKING:
    from tests.sandbox.conftest import Ground

STRATEGIC = "application/strategic-merge-patch+json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
# What `kubectl create configmap one --from-literal=a=b` and `kubectl create namespace team` send.
_CORE = b"k8s\x00\n\x0f\n\x02v1\x12\t"
_TAIL = b'"\x00*\x002\x008\x00B\x00\x12'
CONFIG_MAP_BYTES = (
    _CORE + b"ConfigMap\x12\x1d\n\x13\n\x03one\x12\x00\x1a\x00" + _TAIL + b'\x06\n\x01a\x12\x01b\x1a\x00"\x00'
)
NAMESPACE_BYTES = (
    _CORE + b"Namespace\x12\x1c\n\x14\n\x04team\x12\x00\x1a\x00" + _TAIL + b'\x00\x1a\x02\n\x00\x1a\x00"\x00'
)

PLACES = {
    "/api/v1": Place("", "v1"),
    "/api/v1/namespaces/shop": Place("", "v1", "namespaces", name="shop"),
    "/api/v1/namespaces/shop/status": Place("", "v1", "namespaces", name="shop", subresource="status"),
    "/api/v1/namespaces/shop/configmaps/": Place("", "v1", "configmaps", "shop"),
    "/apis/g.io": Place("g.io", ""),
    "/apis/g.io/v1/things/one/status": Place("g.io", "v1", "things", "", "one", "status"),
    "/apis/g.io/v1/namespaces/shop/status": Place("g.io", "v1", "status", "shop"),
    "/apis/g.io/v1/namespaces/shop/things/one": Place("g.io", "v1", "things", "shop", "one"),
    "/": None,
    "/api": None,
    "/version": None,
    "/apis//v1/things": None,
    "/apis/g.io/v1//one": None,
    "/apis/g.io/v1/things/one/status/more": None,
}


@pytest.mark.parametrize("path", PLACES)
def test_a_path_names_a_place(path: str) -> None:
    """Group, version, namespace, type, name and part are told apart; any other path names nothing."""
    assert PLACES[path] == read_path(path)


@pytest.mark.parametrize("body", [b"", b"k8s\x00", b"{}", CONFIG_MAP_BYTES[:-7], NAMESPACE_BYTES, b"k8s\x00\n\xff"])
def test_what_is_no_protobuf_of_the_kind_is_an_error(body: bytes) -> None:
    """Neither another kind nor half a message is read as a ConfigMap."""
    with pytest.raises(ValueError, match=r"^it "):
        read_protobuf(body, "ConfigMap")


async def test_core_types_are_created_from_protobuf(ground: Ground) -> None:
    """What kubectl sends for a new ConfigMap or namespace is taken; a custom type is 415, as on a real server."""
    created = await ground.wire.post(CONFIG_MAP.path("default"), CONFIG_MAP_BYTES, media=PROTOBUF)
    assert (created.status, created.body["data"]) == (201, {"a": "b"})
    assert (await ground.wire.post("/api/v1/namespaces", NAMESPACE_BYTES, media=PROTOBUF)).status == 201
    assert (await ground.wire.get("/api/v1/namespaces/team")).status == 200
    assert (await ground.wire.post(PATH, CONFIG_MAP_BYTES, media=PROTOBUF)).status == 415


async def test_yaml_is_taken_too(ground: Ground) -> None:
    """An object may come as YAML; what is neither is 400."""
    answer = await ground.wire.post(PATH, yaml.safe_dump(made("one", {"size": 1})).encode(), media=YAML)
    assert (answer.status, answer.body["spec"]) == (201, {"size": 1})
    assert (await ground.wire.post(PATH, b"a: [", media=YAML)).status == 400


async def test_a_strategic_patch_of_a_core_type_merges(ground: Ground) -> None:
    """It is a merge patch where both mean the same; where it has directives it is refused, never done wrongly."""
    path = CONFIG_MAP.path("default", "one")
    await ground.wire.post(CONFIG_MAP.path("default"), made(resource_type=CONFIG_MAP) | {"data": {"a": "b"}})
    merged = await ground.wire.call("PATCH", path, {"data": {"c": "d"}}, media=STRATEGIC)
    assert (merged.status, merged.body["data"]) == (200, {"a": "b", "c": "d"})
    refused = await ground.wire.call("PATCH", path, {"data": {"$patch": "replace"}}, media=STRATEGIC)
    assert (refused.status, refused.reason) == (400, "BadRequest")


async def test_who_writes_is_the_field_manager_or_the_user_agent(ground: Ground) -> None:
    """Without a fieldManager the writer is what the User-Agent begins with."""
    named = await ground.wire.post(PATH, made("a", {"size": 1}), who="somebody")
    by_agent = await ground.wire.post(PATH, made("b", {"size": 1}), who="")
    managers = [one.body["metadata"]["managedFields"][0]["manager"] for one in (named, by_agent)]
    assert managers == ["somebody", "contract"]


async def test_a_long_list_is_compressed_for_who_accepts_it(ground: Ground) -> None:
    """From 128 KiB on a list is gzip where that is accepted, and the same list; a short one is not."""
    for name in ("a", "b"):
        await ground.wire.post(PATH, made(name, {"color": "x" * 100_000}))
    bodies = {}
    async with aiohttp.ClientSession(ground.sandbox.address, auto_decompress=False) as session:
        for path, encoding in ((PATH, "gzip"), (PATH, "identity"), (f"{PATH}/a", "gzip")):
            async with session.get(path, headers={"Accept-Encoding": encoding}) as response:
                bodies[path, encoding] = response.headers.get("Content-Encoding"), await response.read()
    packed, plain, short = bodies.values()
    assert [packed[0], plain[0], short[0]] == ["gzip", None, None]
    assert json.loads(plain[1]) == json.loads(gzip.decompress(packed[1]))


async def test_requests_are_written_down(ground: Ground) -> None:
    """Each request is kept with its method, path and query, in order."""
    ground.sandbox.requests.clear()
    await ground.wire.get(PATH, limit="5")
    await ground.wire.get("/nowhere")
    assert [(one.method, one.path, one.query) for one in ground.sandbox.requests] == [
        ("GET", PATH, {"limit": "5"}),
        ("GET", "/nowhere", {}),
    ]
    first, second = (one.time for one in ground.sandbox.requests)
    assert 0 < first <= second


async def test_documents_tell_clients_that_fields_are_validated(ground: Ground) -> None:
    """/openapi/v3 leads to a document for each version; its URL changes with what it holds."""
    place = f"apis/{GROUP}/v1"
    before = (await ground.wire.get("/openapi/v3")).body["paths"][place]["serverRelativeURL"]
    document = (await ground.wire.get(before)).body
    patch = document["paths"][f"/{place}/namespaces/{{namespace}}/gadgets/{{name}}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": GROUP, "version": "v1", "kind": "Gadget"}
    assert "fieldValidation" in {one["name"] for one in patch["parameters"]}
    (schema,) = (one for name, one in document["components"]["schemas"].items() if name.endswith(".Gadget"))
    assert schema["properties"]["spec"]["properties"]["size"] == {"type": "integer"}
    versions = (await ground.wire.get(f"{CRDS}/{GADGET}")).body["spec"]["versions"]
    versions[0]["schema"]["openAPIV3Schema"]["description"] = "A gadget."
    await ground.wire.merge(f"{CRDS}/{GADGET}", {"spec": {"versions": versions}})
    assert before != (await ground.wire.get("/openapi/v3")).body["paths"][place]["serverRelativeURL"]
    assert (await ground.wire.get("/openapi/v3/apis/nowhere/v1")).status == 404


async def test_pages_survive_that_history_goes_on(ground: Ground) -> None:
    """Many lists may be read in pages at once while others write, and each is of one version."""
    await ground.make(*(f"g{number:02}" for number in range(20)))

    async def read(limit: int) -> tuple[str, list[str]]:
        query, names = {"limit": str(limit)}, list[str]()
        while True:
            answer = await ground.wire.get(PATH, **query)
            names += [one["metadata"]["name"] for one in answer.body["items"]]
            if not answer.body["metadata"].get("continue"):
                return answer.version, names
            query["continue"] = answer.body["metadata"]["continue"]

    async def write() -> None:
        for number in range(0, 20, 2):
            await ground.wire.delete(f"{PATH}/g{number:02}")
            await ground.make(f"h{number:02}")

    writing = asyncio.create_task(write())
    lists = await asyncio.gather(*(read(limit) for limit in range(1, 13)))
    await writing
    for version, names in lists:
        exact = await ground.wire.get(PATH, resourceVersion=version, resourceVersionMatch="Exact")
        assert names == [one["metadata"]["name"] for one in exact.body["items"]]
        assert len(names) in {19, 20}


async def test_a_version_of_the_past_can_be_listed(ground: Ground) -> None:
    """A list at exactly an earlier version is the list of then, whatever was written, removed or made anew since."""
    await ground.make("a", "b", "c")
    then = await ground.wire.get(PATH)
    for size in (2, 3):
        await ground.resize("a", size)
    for name in ("b", "c"):
        await ground.wire.delete(f"{PATH}/{name}")
    await ground.make("c", "d")
    exact = await ground.wire.get(PATH, resourceVersion=then.version, resourceVersionMatch="Exact")
    assert then.body == exact.body


async def test_what_was_listed_before_history_went_back_is_forgotten(ground: Ground) -> None:
    """When a version comes a second time, its list is of what is there now, and a token from before goes on in that."""
    snapshot = ground.sandbox.store.snapshot()
    await ground.make("a", "b")
    before = await ground.wire.get(PATH, limit="1")
    ground.sandbox.go_back(snapshot)
    await ground.make("c", "d")
    now = await ground.wire.get(PATH, limit="1")
    assert (before.version, "c") == (now.version, now.body["items"][0]["metadata"]["name"])
    rest = await ground.wire.get(PATH, **{"continue": before.body["metadata"]["continue"]})
    assert [one["metadata"]["name"] for one in rest.body["items"]] == ["c", "d"]


async def test_a_store_can_be_brought_along() -> None:
    """A server serves a store that is filled already, and lets go of it; a port that is taken is an OSError."""
    store = Store()
    kind = store.kind("", "configmaps")
    assert kind is not None
    store.create(kind, "default", made("before", resource_type=CONFIG_MAP), "somebody")
    async with emulate(store=store) as sandbox, aiohttp.ClientSession(sandbox.address) as session:
        async with session.get(CONFIG_MAP.path("default", "before")) as response:
            assert response.status == 200
        with pytest.raises(OSError, match=r"in use"):
            async with emulate(port=int(sandbox.address.rpartition(":")[2])):
                pass
    assert store.listeners == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_as_a_program(tmp_path: Path, number: signal.Signals) -> None:
    """`python -m exporter.sandbox` says where it is, writes a kubeconfig that leads there, and ends in order."""
    kubeconfig = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "exporter.sandbox", "--kubeconfig", str(kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in range(2)]
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert [line[0] for line in lines] == ["address:", "kubeconfig:"]
    cluster = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    assert (lines[0][1], str(kubeconfig)) == (cluster["server"], lines[1][1])
    assert (process.returncode, errors) == (0, "")


def test_a_kubeconfig_that_was_not_asked_for_is_removed() -> None:
    """Without --kubeconfig the file is a temporary one, gone with the server."""
    command = [sys.executable, "-m", "exporter.sandbox"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        _, written = (Path(process.stdout.readline().split()[1]) for _ in range(2))
        assert written.exists()
        process.terminate()
        process.communicate(timeout=30)
    assert not written.parent.exists()
