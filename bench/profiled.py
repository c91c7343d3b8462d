"""`python -m bench.profiled FILE run …`: the exporter; tells in a file where its CPU time went from SIGUSR1 on."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import msgspec

from bench.hot import Sampler
from exporter import cli


def main() -> int:
    """Run it, and write the file when it has ended."""
    file, *arguments = sys.argv[1:]
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, lambda *_: sampler.start())
    try:
        return cli.main(arguments)
    finally:
        sampler.stop()
        Path(file).write_bytes(msgspec.json.encode(sampler.hottest()))


if __name__ == "__main__":
    sys.exit(main())
