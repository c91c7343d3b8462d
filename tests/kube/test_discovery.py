"""Finding the types, against a server that does what real ones do only when things go wrong."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from exporter.kube import discovery
from exporter.kube.client import Api
from exporter.kube.discovery import Discovery
from exporter.kube.selection import TypeSelection
from tests.kube.watching import bookmark, error
from tests.scripted import STALL, Reply, serve


if TYPE_CHECKING:
    from pathlib import Path

    from exporter.kube.schema import Definition
    from exporter.model import ResourceType

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Heard:
    """A listener that remembers, and at first cannot take a definition in."""

    def __init__(self, failures: int = 0) -> None:
        self.told: list[str] = []
        self._failures = failures

    async def until(self, last: str) -> list[str]:
        """Wait until something is told, and give all that was told."""
        try:
            async with asyncio.timeout(30):
                while last not in self.told:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"never told: {last}; but {self.told}")
        return self.told

    def defined(self, definition: Definition) -> None:
        if self._failures:
            self._failures -= 1
            msg = "database or disk is full"
            raise sqlite3.OperationalError(msg)
        self.told.append(f"defined {definition.uid}")

    def undefined(self, definition: Definition) -> None:
        self.told.append(f"undefined {definition.uid}")

    def complete(self, uids: frozenset[str]) -> None:
        self.told.append(f"complete {','.join(sorted(uids))}")

    def offered(self, resource_type: ResourceType) -> None:
        self.told.append(f"offered {resource_type}")

    def asked(self) -> None:
        self.told.append("asked")

    def unavailable(self, reason: str) -> None:
        self.told.append(f"unavailable {bool(reason)}")


def told(kind: str, uid: str, version: int) -> bytes:
    """Make a line of the watch of the CRDs: always the same type, whatever the uid."""
    crd = {
        "metadata": {"name": "widgets.example.com", "uid": uid, "resourceVersion": str(version)},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        },
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    }
    return json.dumps({"type": kind, "object": crd}).encode() + b"\n"


async def heard(
    directory: Path, heard: Heard, last: str, *script: Reply, include: str = "*/*", **more: Any
) -> list[str]:
    """Discover from a script until something is told; nothing may end the discovery before."""
    async with serve() as server:
        server.on(CRDS, *script)
        for group, reply in more.items():
            server.on(f"/apis/{group}.example.com", reply)
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig)
        async with Api.connect(str(kubeconfig)) as api:
            task = asyncio.create_task(Discovery(api, TypeSelection((include,)), heard).run())
            try:
                return await heard.until(last)
            finally:
                assert not task.done()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await server.end()


async def test_a_definition_that_was_replaced_unseen_is_told_as_gone_before_it_is_told_as_new(tmp_path: Path) -> None:
    """A list after a gap has the new CRD of a type only: the old one goes first, or it would take the type with it."""
    gone = Reply(200, [error(410)])
    script = [
        Reply(200, [told("ADDED", "one", 1), bookmark(1, end=True)]),
        gone,
        gone,
        Reply(200, [told("ADDED", "two", 9), bookmark(9, end=True), STALL]),
    ]

    assert await heard(tmp_path, Heard(), "complete two", *script) == [
        "asked", "defined one", "complete one", "undefined one", "defined two", "complete two",
    ]  # fmt: skip


async def test_what_could_not_be_taken_in_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a listener fails, as on a full disk, discovery goes on and tells it until it is taken."""
    monkeypatch.setattr(discovery, "_AFTER_ERROR", 0.01)
    script = Reply(200, [told("ADDED", "one", 1), bookmark(1, end=True), STALL])

    assert await heard(tmp_path, Heard(failures=3), "complete one", script) == ["asked", "defined one", "complete one"]


@pytest.mark.parametrize("odd", [b'{"kind":"Odd"}', b'{"preferredVersion":{}}', b'{"preferredVersion":7}'])
async def test_an_odd_answer_for_a_group_is_no_end(tmp_path: Path, odd: bytes) -> None:
    """An aggregated API server may answer anything: the other groups are asked for, and CRDs are followed."""
    script = Reply(200, [bookmark(1, end=True), STALL])

    assert await heard(tmp_path, Heard(), "asked", script, include="odd.example.com/Thing", odd=Reply(200, [odd])) == [
        "complete ",
        "asked",
    ]


def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    """One broken connection is no outage; of one there is a line when it begins and one when it is over."""
    sink = discovery._Definitions(Discovery(None, TypeSelection(), Heard()))  # type: ignore[arg-type]
    with capture_logs() as lines:
        for happened in ("connection", "", "connection", "ended", "connection", "connection", "", ""):
            if happened:
                sink.restarted(happened)
            else:
                sink.received()

    assert [(line["log_level"], line["event"].partition(",")[0]) for line in lines] == [
        ("warning", "the API server does not answer"),
        ("info", "the API server answers again"),
    ]
