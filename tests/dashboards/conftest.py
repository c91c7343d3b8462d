"""The real promtool: the pinned one, or the one that TEST_PROMTOOL names, such as the oldest supported."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import _need
from tests.servers import build


if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess


@pytest.fixture(scope="session")
def promtool() -> Callable[..., CompletedProcess[bytes]]:
    """Run promtool; its verdict is in `returncode`."""
    program = os.environ.get("TEST_PROMTOOL", "")
    if not program:
        _need(["promtool"])
        program = str(build.required("promtool"))
    return lambda *args: subprocess.run([program, *args], capture_output=True, timeout=60, check=False)
