"""What the kernel knows of a process and of the machine: CPU time, memory, cores. Linux only; reads /proc."""

from __future__ import annotations

import gc
import os
import platform
import sqlite3
import sys
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("aiohttp", "grpcio", "isal", "kubernetes", "msgspec", "uvloop")


class Memory(Struct, frozen=True):
    """Resident memory in MiB: as it is, and at its highest."""

    rss: float
    peak: float


def cpu_seconds(pid: int) -> float:
    """Give the CPU time of a process, user and system, of all its threads; it counts in hundredths of a second."""
    # The name of the program stands in parentheses and may hold anything, blanks too.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int | None = None) -> Memory:
    """Give the resident memory of a process, by default of this one."""
    lines = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="utf-8").splitlines()
    kib = {name: int(value.split()[0]) for name, value in (line.split(":", 1) for line in lines) if name[:2] == "Vm"}
    return Memory(round(kib["VmRSS"] / 1024, 1), round(kib["VmHWM"] / 1024, 1))


@contextmanager
def one_core() -> Iterator[None]:
    """Stay on one core, the last that we may have; what was started before keeps all of them."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def as_the_exporter_does() -> None:
    """Set the garbage collection as `exporter.app.run` does."""
    gc.set_threshold(50_000, 50, 1000)


def describe() -> dict[str, str]:
    """Name the machine and the versions that decide about the figures."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    total = Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(total) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        **{package: version(package) for package in _PACKAGES},
    }
