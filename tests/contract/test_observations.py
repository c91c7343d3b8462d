"""What an exporter tells of either API server: the same deeds, the same changes, version by version."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.gadgets import crd, made
from tests.contract.installing import install
from tests.contract.scenarios import SCENARIOS
from tests.contract.stage import FOLLOWED, GRADED, Stage
from tests.contract.wire import reach
from tests.integration.exporting import Exporter
from tests.integration.widgets import CHANGES, total
from tests.waiting import eventually


if TYPE_CHECKING:
    from tests.contract.conftest import Server

_END = "the-end"


@pytest.fixture(scope="module")
def told(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str] | BaseException]:
    """Play all scenarios at once before one exporter, and read its journal when it has seen their end.

    What was told, by scenario; one that could not be played to its end has its error instead.
    """
    config = json.dumps({"watch": {"include": [f"{one.group}/*" for one in FOLLOWED]}})
    asyncio.run(_before(server))
    with Exporter(server.kubeconfig, tmp_path_factory.mktemp("observations") / "data", config=config) as exporter:
        errors = asyncio.run(_play(server, exporter))
        eventually(lambda: total(exporter, CHANGES, namespace=_END) >= len(FOLLOWED))
        lines = exporter.changes()
    found = {name: [sentence(line) for line in lines if line["namespace"] == name] for name in SCENARIOS}
    return {**found, **errors}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_is_told_alike(told: dict[str, list[str] | BaseException], scenario: str) -> None:
    """Of every version the exporter tells event, change, writer and the fields that moved, and of nothing else."""
    seen = told[scenario]
    if SCENARIOS[scenario].forgetful and isinstance(seen, list):
        seen = [line.replace(" gap ", " ") for line in seen]
    assert SCENARIOS[scenario].told == seen


async def _before(server: Server) -> None:
    """Make what is there before the exporter starts."""
    async with reach(server.kubeconfig) as wire:
        for name in (*SCENARIOS, _END):
            assert (await wire.post("/api/v1/namespaces", {"metadata": {"name": name}})).status == 201
        await install(wire, GRADED, crd(GRADED))


async def _play(server: Server, exporter: Exporter) -> dict[str, BaseException]:
    """Play all, then make one more object of each type, behind which nothing can come."""
    async with reach(server.kubeconfig) as wire:
        outcomes = await asyncio.gather(
            *(one.play(Stage(wire, name, exporter)) for name, one in SCENARIOS.items()), return_exceptions=True
        )
        for one in FOLLOWED:
            assert (await wire.post(one.path(_END), made(resource_type=one))).status == 201
    return {name: outcome for name, outcome in zip(SCENARIOS, outcomes, strict=True) if outcome is not None}


def sentence(change: dict[str, Any]) -> str:
    """A line of `changes -o json` in the words of the scenarios."""
    writer = change["writer"]
    parts = [writer[key] for key in ("name", "operation", "subresource") if key in writer]
    candidates = ",".join(writer.get("candidates", ()))
    who = "/".join(parts) or ("?" + (f"({candidates})" if candidates else ""))
    # By their paths: JSON has no order of keys, which servers make use of.
    moved = sorted((field["path"], field["op"]) for field in change.get("fields", ()))
    fields = ", ".join(f"{op} {path}" for path, op in moved)
    marks = [mark for mark in ("heartbeat", "gap", "truncated") if change.get(mark)]
    return " ".join([change["event"], change["change"], *marks, who]) + (f": {fields}" if fields else "")
