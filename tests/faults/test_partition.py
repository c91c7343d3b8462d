"""A network that is there and then is not: packets vanish, no connection is reset, and nobody says a word.

The exporter runs in a network namespace of its own; the cable between it and the API server is pulled and plugged in.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.faults.netns import Namespace, impossible
from tests.faults.trial import FULL, Trial
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.integration.exporting import Exporter
    from tests.servers.launch import Cluster

# The longest is more than the silence after which a stream counts as dead; then so few writes that a server remembers.
_PARTITIONS = [(2.0, 50.0), (20.0, 10.0), (130.0, 0.5)] if FULL else [(2.0, 50.0)]


def _kubeconfig(cluster: Cluster, namespace: Namespace, directory: Path) -> Path:
    """The admin's, by way of the relay: another address, the same certificate."""
    content = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    content["clusters"][0]["cluster"] |= {
        "server": f"https://{namespace.here}:{namespace.port}",
        "tls-server-name": "127.0.0.1",
    }
    file = directory / "partitioned.kubeconfig"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def _at_rest(exporter: Exporter) -> list[dict[str, Any]]:
    """All that it has told, once it tells nothing more."""
    told = exporter.changes()

    def still() -> bool:
        before, told[:] = [*told], exporter.changes()
        return before == told

    eventually(still)
    return told


@pytest.mark.parametrize(("seconds", "per_second"), _PARTITIONS)
async def test_what_is_written_during_a_partition_arrives_once(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], seconds: float, per_second: float
) -> None:
    """When the network is there again every version is told that was written meanwhile, once, in order."""
    if why := impossible():
        pytest.skip(why)
    with Namespace(urlsplit(cluster.url).port or 443) as namespace:
        trial = Trial(
            cluster,
            tmp_path,
            objects=10,
            kubeconfig=_kubeconfig(cluster, namespace, tmp_path),
            flags=[f"--web.listen-address={namespace.there}:0"],
        )
        trial.exporter._command = namespace.command(trial.exporter._command)
        with trial:
            async with trial.writing(per_second=per_second):
                await asyncio.sleep(0.5)  # before
                namespace.pull()
                before = await asyncio.to_thread(_at_rest, trial.exporter)  # what was on its way is committed
                await asyncio.sleep(seconds)  # meanwhile
                assert await asyncio.to_thread(trial.exporter.changes) == before
                namespace.plug()
            await trial.settle(f"network partition of {seconds:g} s", "watching", record, within=90.0)
