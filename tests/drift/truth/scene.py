"""Where one row is played: a namespace of its own on a real API server, a declarer, and the hands of those who meddle.

Must never judge what it sees, nor tidy up what the API server says.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.drift.truth import pump


if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.wire import Answer, Wire
    from tests.drift.truth.declarers import Declarer
    from tests.drift.truth.pump import Object
    from tests.servers.launch import Cluster

_MARGIN_SECONDS = 0.02


@dataclass
class Scene:
    """One play.

    Args:
        cluster: a real one
        wire: to it, for those who are no kubectl
        namespace: of this play alone; it exists
        declarer: who declares the object
        directory: of this play alone; need not exist
        manifest: what was declared last

    """

    cluster: Cluster
    wire: Wire
    namespace: str
    declarer: Declarer
    directory: Path
    manifest: Object = field(default_factory=pump.declared)

    @property
    def path(self) -> str:
        """The URL path of the object."""
        return pump.path(self.namespace)

    async def declare(self, manifest: Object | None = None) -> None:
        """The declarer declares this, or once more what it declared before; others come a second later at least."""
        before, self.manifest = self.manifest, manifest or self.manifest
        await self.declarer.declare(self, before)
        await self.next_second()

    async def live(self) -> Object:
        """The object as it is now."""
        answer = await self.wire.get(self.path)
        assert answer.status == 200, answer.body
        body: Object = answer.body
        return body

    async def kubectl(self, *args: str, stdin: Object | None = None, check: bool = True) -> str:
        """What kubectl says, in this namespace."""
        text = None if stdin is None else json.dumps(stdin)
        return await asyncio.to_thread(self.cluster.kubectl, "-n", self.namespace, *args, stdin=text, check=check)

    async def patch(self, *operations: Object) -> None:
        """A person patches the object with `kubectl patch --type=json`."""
        await self.kubectl("patch", "pump", pump.NAME, "--type=json", "-p", json.dumps(operations))

    async def edit(self, script: str) -> None:
        """A person edits the object with `kubectl edit`; the editor is `sed` with this script."""
        environment = {"KUBE_EDITOR": f"sed -i '{script}'"}
        await asyncio.to_thread(self.cluster.kubectl, "-n", self.namespace, "edit", "pump", pump.NAME, env=environment)

    async def merge(self, body: Object, who: str, subresource: str = "") -> None:
        """A program merges something into the object, or into a subresource of it."""
        done(await self.wire.merge(pump.path(self.namespace, subresource), body, who=who))

    async def next_second(self) -> None:
        """Wait for the next second: managedFields tell no more of the time."""
        await asyncio.sleep(1 - time.time() % 1 + _MARGIN_SECONDS)


def done(answer: Answer) -> Any:
    """What a successful request was answered."""
    assert answer.status < 300, answer.body
    return answer.body
