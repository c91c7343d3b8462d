"""An exporter beside writers on a real cluster, and the judgement whether what it tells is what the server did.

Must never look into the exporter, and must never let a fault pass that lost or invented anything.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from tests.faults.proxy import Proxy
from tests.faults.table import Row
from tests.integration.exporting import Exporter
from tests.integration.load import Key, Load, compare
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from tests.servers.launch import Cluster

    Objects = dict[Key, tuple[str, str]]

# FAULTS=full takes many minutes; without it every `make test` can afford the tests.
FULL = os.environ.get("FAULTS") == "full"
_GAPS = "customresource_exporter_gaps_total"
_COALESCED = "customresource_exporter_versions_coalesced_total"
_numbers = itertools.count()


class Trial:
    """Types with objects on a cluster, an exporter that follows them, and a proxy between the two where asked for.

    `with` installs the types, starts the exporter and waits until it is ready; the end stops all of it.

    Attributes:
        load: the writers, and the truth
        exporter: under test
        proxy: between exporter and API server; the writers go past it

    """

    proxy: Proxy

    def __init__(
        self,
        cluster: Cluster,
        directory: Path,
        *,
        proxied: bool = False,
        types: int = 2,
        objects: int = 20,
        kubeconfig: Path | None = None,
        config: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        """Prepare; nothing happens before `with`.

        Args:
            cluster: real, and running
            directory: for the files of exporter and proxy
            proxied: whether the exporter goes through a proxy
            types: how many CRDs
            objects: how many of each there are at the beginning
            kubeconfig: of the exporter, in place of the cluster's admin or the proxy's
            config: more of its configuration; what it follows is set here
            env: added to its environment
            flags: more flags of `run`

        """
        self._directory = directory
        self._stack = ExitStack()
        self.load = Load(
            cluster, types=types, objects=objects, group=f"trial-{os.getpid()}-{next(_numbers)}.example.com"
        )
        if proxied:
            self.proxy = self._stack.enter_context(Proxy(cluster, directory / "proxy"))
            kubeconfig = kubeconfig or self.proxy.kubeconfig
        whole = dict(config or {})
        whole["watch"] = {"include": [f"{self.load.group}/*"], **whole.get("watch", {})}
        self.exporter = Exporter(
            kubeconfig or cluster.kubeconfig, directory / "data", config=json.dumps(whole), env=env, flags=flags
        )

    def __enter__(self) -> Self:
        """Install the types and start the exporter."""
        try:
            with ThreadPoolExecutor(1) as thread:  # a test may have an event loop already
                thread.submit(self.load.install).result()
            self._stack.callback(self.load.remove)
            self.exporter.start()
        except BaseException:
            self.exporter.kill()
            self._stack.close()
            raise
        self.load.forget()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Stop the exporter, in order where the test has not failed, and take the types away."""
        with self._stack:
            self.exporter.__exit__(kind)

    @asynccontextmanager
    async def writing(self, *, per_second: float = 100.0, seed: int = 1) -> AsyncIterator[None]:
        """Write while the block runs. The event loop is the writers': block it never."""
        stop = asyncio.Event()
        writers = asyncio.create_task(self.load.run(stop, per_second=per_second, seed=seed))
        try:
            yield
        finally:
            stop.set()
            await writers

    async def written(self, versions: int) -> None:
        """Wait until the server has assigned so many more; while somebody writes."""
        due = self._assigned() + versions
        await asyncio.to_thread(eventually, lambda: self._assigned() >= due, 600)

    def _assigned(self) -> int:
        return sum(map(len, list(self.load.truth.values())))

    async def settle(
        self,
        fault: str,
        phase: str,
        record: Callable[[Row], None],
        *,
        history: bool = True,
        within: float = 60.0,
        times: int = 1,
    ) -> Row:
        """Wait until the exporter has caught up, and judge all that it told since the beginning of the trial.

        Args:
            fault: for the table
            phase: for the table
            record: takes the row
            history: whether the server still had every version: then each must be told, once, in order and without a
                gap; otherwise what is held must be what the server has, and the gap must be counted
            within: seconds for it
            times: how often the fault came

        """
        began = time.monotonic()
        server = await self.load.on_server()
        wanted = self._assigned() if history else 0
        told = await asyncio.to_thread(self._caught_up, server, within, wanted)
        seconds = time.monotonic() - began
        compared = compare(self.load.truth, told, complete=history)
        metrics = await asyncio.to_thread(self.exporter.metrics)
        coalesced = int(metrics[_COALESCED, frozenset()])
        row = Row(
            fault, phase, history, compared.versions, len(compared.lost), len(compared.invented),
            len(compared.duplicates), len(compared.disordered), coalesced, round(seconds, 2), times,
        )  # fmt: skip
        record(row)
        print(row)  # noqa: T201 - the figures of a trial
        assert server == self._held(told), "what the journal holds is not what the server has"
        if history:
            assert compared.wrong == [], compared.wrong
        else:
            assert [compared.invented, compared.duplicates, compared.disordered] == [[], [], []]
            assert metrics[_GAPS, frozenset()] >= 1
            assert coalesced <= len(compared.lost)
        return row

    def _caught_up(self, server: Objects, within: float, wanted: int) -> list[dict[str, Any]]:
        """Wait until it holds what the server has and has told so many changes; all that it told by then."""
        told: list[dict[str, Any]] = []

        def there() -> bool:
            told[:] = self.exporter.changes()
            return len(told) >= wanted and self._held(told) == server

        with suppress(AssertionError):  # what is missing is said by the judgement, by name
            eventually(there, within)
        return told

    def _held(self, told: list[dict[str, Any]]) -> Objects:
        """What exists by what the exporter told: the baseline, and every change of it."""
        held = dict(self.load.before)
        for change in told:
            key = Key(change["kind"], change["namespace"], change["name"])
            if change["event"] == "deleted":
                held.pop(key, None)
            else:
                held[key] = (change["uid"], change["resource_version"])
        return held
