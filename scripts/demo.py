"""The demo on a real API server: `customresource-exporter demo`, with kube-apiserver and etcd for the emulation.

Must never build the servers (`make demo SERVER=real` does so before), and never tell the story itself.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from exporter.cli import add_demo_flags
from exporter.errors import ExporterError
from exporter.sandbox.demo import Ground, run
from exporter.sandbox.screen import Screen
from tests.servers import build
from tests.servers.launch import BuildError, Cluster, StartError


if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[Ground]:
    """Run the real API server until the block ends."""
    kubectl = build.required("kubectl")
    cluster = Cluster(folder / "cluster")
    starting = asyncio.create_task(asyncio.to_thread(cluster.start))
    try:
        await asyncio.shield(starting)
        version = build.PROGRAMS["kube-apiserver"].module.version
        yield Ground(f"a real API server, {version} with etcd,", cluster.kubeconfig, kubectl=str(kubectl))
    finally:
        # Also after Ctrl-C: what a thread is starting cannot be stopped before it is there.
        await asyncio.wait({starting})
        cluster.stop()


def main() -> int:
    """Run the demo; give the exit code."""
    parser = argparse.ArgumentParser(description="A real API server, the exporter, and a scripted day.")
    add_demo_flags(parser.add_argument)
    options = parser.parse_args()
    screen = Screen(sys.stdout)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(screen, once=options.once, speed=options.speed, ground=real)
    except (BuildError, StartError, ExporterError) as error:
        screen.bad(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
