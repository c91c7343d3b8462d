"""START HERE to run a real server: `Cluster` (Kubernetes), `Collector`, `Jaeger`, `CertManager`, `promtool`.

Everything is on loopback, under a given directory, several at once are fine, and nothing outlives the process that
started it. Must never build anything: run `make servers`, or `tests.servers.build.ensure`, first.
"""

from __future__ import annotations

import subprocess

from tests.servers import build
from tests.servers.cert_manager import CertManager
from tests.servers.cluster import Cluster, KubectlError
from tests.servers.jaeger import Jaeger
from tests.servers.otlp import Collector
from tests.servers.process import StartError
from tests.servers.toolchain import BuildError


__all__ = ["BuildError", "CertManager", "Cluster", "Collector", "Jaeger", "KubectlError", "StartError", "promtool"]


def promtool(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the real promtool; its verdict is in `returncode`, what it found in `stdout` and `stderr`."""
    program = build.required("promtool")
    return subprocess.run([program, *args], input=stdin, capture_output=True, timeout=60, check=False)
