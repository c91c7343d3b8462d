"""`python -m exporter.sandbox`: one emulated API server until Ctrl-C, for people and for tests that want a process."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.sandbox.apiserver.server import emulate


async def serve(host: str, port: int, kubeconfig: Path) -> None:
    """Serve until SIGINT or SIGTERM, and say where; the kubeconfig is written before that.

    Raises:
        OSError: the port is taken, or the file cannot be written

    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with emulate(host, port) as sandbox:
        await asyncio.to_thread(kubeconfig.write_text, sandbox.kubeconfig(), encoding="utf-8")
        sys.stdout.write(f"address: {sandbox.address}\nkubeconfig: {kubeconfig}\n")
        sys.stdout.flush()
        await stop.wait()


def main(arguments: list[str] | None = None) -> int:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m exporter.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any that is free)")
    parser.add_argument("--kubeconfig", type=Path, help="file to write (default: a temporary one, removed at the end)")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="emulated-api-server-") as folder:
        kubeconfig = options.kubeconfig or Path(folder, "kubeconfig")
        try:
            asyncio.run(serve(options.host, options.port, kubeconfig))
        except OSError as error:
            sys.stderr.write(f"the emulated API server cannot be started: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
