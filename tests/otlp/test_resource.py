"""Resource detectors of the SDK."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from exporter.otlp.resource import VARIABLE, detect


if TYPE_CHECKING:
    import pytest


def test_nobody_is_asked_unless_named() -> None:
    """Without the variable there is nothing, whatever else is set."""
    assert detect({"OTEL_RESOURCE_ATTRIBUTES": "a=b"}) == {}


def test_what_a_named_detector_finds_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector of the process tells its number; the name of the service and of the SDK are left out."""
    monkeypatch.setenv(VARIABLE, "process")
    found = detect(os.environ)

    assert found["process.pid"] == str(os.getpid())
    assert not [name for name in found if name.startswith(("service.", "telemetry."))]
