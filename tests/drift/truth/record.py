"""Records what a real API server makes of every row by every declarer: `python -m tests.drift.truth.record [names…]`.

It needs `make servers`. Names of declarers leave the recordings of the others as they are.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.wire import reach
from tests.drift.truth import playing, pump, recorded
from tests.drift.truth.declarers import DECLARERS
from tests.drift.truth.playing import CASES, PUMPS
from tests.drift.truth.recorded import Event, Recording
from tests.drift.truth.scene import done
from tests.servers.launch import Cluster


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.contract.wire import Wire
    from tests.drift.truth.playing import Case
    from tests.drift.truth.scene import Scene

# The last namespace in which something happens: by then everything before was seen.
_END = "the-end"
_STREAM_SECONDS = "40"


class Camera:
    """Sees every version of every pump, by namespace."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.events: dict[str, list[Event]] = defaultdict(list)
        self._version = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """See what is written inside, all of it."""
        self._version = (await self._wire.get(PUMPS)).version
        watching = asyncio.create_task(self._watch())
        yield
        done(await self._wire.post("/api/v1/namespaces", {"metadata": {"name": _END}}))
        done(await self._wire.post(pump.path(_END).rpartition("/")[0], pump.declared()))
        await asyncio.wait_for(watching, timeout=60)

    async def _watch(self) -> None:
        while _END not in self.events:
            options = {"resourceVersion": self._version, "timeoutSeconds": _STREAM_SECONDS}
            async with self._wire.watch(PUMPS, **options) as stream:
                async for event in stream:
                    self._see(event)
                    if _END in self.events:
                        return

    def _see(self, event: pump.Object) -> None:
        metadata = event["object"]["metadata"]
        self._version = metadata["resourceVersion"]
        self.events[metadata["namespace"]].append(Event(event["type"], round(time.time(), 3), event["object"]))


async def _record(cluster: Cluster, directory: Path, cases: list[Case]) -> None:
    foreseen: dict[Case, list[str] | None] = {}

    async def note(scene: Scene, case: Case) -> None:
        foreseen[case] = await playing.moved(scene)
        print(f"{len(foreseen)} of {len(cases)}: {case.declarer} {case.row}")  # noqa: T201

    async with reach(cluster.kubeconfig) as wire:
        camera = Camera(wire)
        async with camera.running():
            await playing.play(cluster, wire, directory, cases, note)
    for declarer in dict.fromkeys(case.declarer for case in cases):
        recordings = [
            Recording(case.row, camera.events[case.namespace], foreseen[case])
            for case in cases
            if case.declarer == declarer
        ]
        recorded.write(declarer, recordings)


def main(names: list[str]) -> None:
    """Record these declarers, or all."""
    cases = [case for case in CASES if case.declarer in (names or DECLARERS)]
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory) / "cluster") as cluster:
        playing.install(cluster)
        assert playing.install_admission(cluster), "this Kubernetes is too old to be recorded"
        asyncio.run(_record(cluster, Path(directory), cases))


if __name__ == "__main__":
    main(sys.argv[1:])
