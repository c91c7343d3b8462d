"""Where the CPU time goes: looks a thousand times a second of CPU which function of Python is at work.

It costs next to nothing, unlike a profiler that is called for every call. What a function calls outside Python
(SQLite, msgspec, TLS) counts to it; what the event loop does between two callbacks counts to who started the loop.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Hot


if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, FrameType

_INTERVAL = 0.001
_COUNT = 16


class Sampler:
    """Counts by function, from `start` to `stop`; the main thread's."""

    def __init__(self) -> None:
        self._seen: Counter[CodeType] = Counter()

    def start(self) -> None:
        """Begin to look."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)

    def stop(self) -> None:
        """Look no longer."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _look(self, _: int, frame: FrameType | None) -> None:
        if frame is not None:
            self._seen[frame.f_code] += 1

    def hottest(self) -> list[Hot]:
        """Name the functions that were seen most, with their shares of the whole."""
        counts: Counter[str] = Counter()
        for code, count in list(self._seen.items()):  # it is looked at meanwhile, too
            counts[_readable(Path(code.co_filename).parts, code.co_qualname)] += count
        return shares(counts.items())


def shares(counts: Iterable[tuple[str, int]]) -> list[Hot]:
    """Turn counts into shares of their sum, the largest first, and leave the many small ones out."""
    rows = sorted(counts, key=lambda row: (-row[1], row[0]))
    total = sum(count for _, count in rows)
    return [Hot(name, round(count / total, 3)) for name, count in rows[:_COUNT]]


def _readable(path: tuple[str, ...], function: str) -> str:
    """Name a function by its place in its package."""
    for root in ("site-packages", "exporter"):
        if root in path:
            begin = len(path) - path[::-1].index(root) - (root == "exporter")
            return f"{'/'.join(path[begin:])}: {function}"
    return f"{'/'.join(path[-2:])}: {function}"
