"""A scripted operator on the emulated API server: a composite and what it is made of are one rollout in the journal."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from exporter.sandbox.apiserver.server import emulate
from exporter.sandbox.hands import reach
from tests.integration.exporting import Exporter
from tests.rollout.composing import CONFIG, TOLD, Operator, compose
from tests.rollout.shapes import of_journal
from tests.waiting import eventually


if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)  # it starts a program often, to ask what the exporter has seen
_SECONDS = 30.0


async def test_a_composite_is_one_rollout_with_all_that_it_made(tmp_path: Path) -> None:
    """Objects of any depth belong to their owner's, each with how it ended, however the others did."""
    async with emulate() as sandbox, reach(address=sandbox.address) as hands:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(sandbox.kubeconfig(), encoding="utf-8")
        operator = Operator(hands, "shops")
        await operator.prepare()
        exporter = Exporter(kubeconfig, tmp_path / "data", config=json.dumps(CONFIG))

        async def all_is_seen() -> None:
            newest = [deed.resource_version for deed in operator.deeds.values()]
            await asyncio.to_thread(eventually, lambda: has_seen(exporter, newest), _SECONDS)

        await asyncio.to_thread(exporter.start)
        try:
            await compose(operator, all_is_seen)
            told = await asyncio.to_thread(eventually, lambda: ended(exporter), _SECONDS)
        finally:
            await asyncio.to_thread(exporter.stop)
    assert [of_journal(one) for one in told] == [TOLD]
    assert {one["trace_id"] for one in told[0]["children"]} == {told[0]["trace_id"]}


def has_seen(exporter: Exporter, versions: list[str]) -> bool:
    """Whether versions are in the journal."""
    return {one["resource_version"] for one in exporter.changes("--all")} >= set(versions)


def ended(exporter: Exporter) -> list[dict[str, Any]]:
    """What has ended and belongs to nobody else's; nothing while any of it goes on."""
    found = exporter.rollouts("--since", "1h")
    if any(one["result"] == "open" for one in found):
        return []
    return [one for one in found if "parent_span_id" not in one]
