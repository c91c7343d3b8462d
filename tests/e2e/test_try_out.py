"""`make try`, as a new user sees it: everything starts, the hand edit arrives in each place, Ctrl-C ends it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.servers.process import answers


if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 240.0


class Tried:
    """What it said until it invites, and the process, which is still there then."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self.process = process
        self.said = said


@pytest.fixture(scope="module")
def tried() -> Iterator[Tried]:
    """It, started, and read until everything is up and has been shown."""
    command = [sys.executable, "-m", "scripts.try_out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        late = threading.Timer(_SECONDS, process.kill)
        late.start()
        try:
            said = ""
            assert process.stdout is not None
            for line in process.stdout:
                said += line
                if line.lstrip().startswith("rollouts"):  # the last of what it invites to
                    break
            yield Tried(process, said)
        finally:
            late.cancel()
            process.kill()


def test_a_hand_edit_arrives_everywhere(tried: Tried) -> None:
    """It says of each place what is seen there, and of none that nothing came."""
    assert "✗" not in tried.said, tried.said
    arrived = re.findall(r"✓ (\w+) after [\d.]+ s: ", tried.said)
    assert sorted(arrived) == ["Alertmanager", "Alertmanager", "Jaeger", "Loki", "Prometheus"], tried.said


def test_every_address_answers(tried: Tried) -> None:
    """What it prints as an address is one, as it stands."""
    addresses = re.findall(r"http://\S+", tried.said)

    assert len(addresses) == 5
    assert [address for address in addresses if not answers(address)] == []


def test_ctrl_c_ends_it_in_order(tried: Tried) -> None:
    """An interrupt stops everything, and the exit code is 0."""
    tried.process.send_signal(signal.SIGINT)

    assert tried.process.wait(60) == 0
