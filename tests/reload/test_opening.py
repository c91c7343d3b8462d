"""Outputs that can be opened only in part: nothing of them stays."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from exporter.config import Config
from exporter.errors import UsageError
from exporter.outputs import wanted


if TYPE_CHECKING:
    from pathlib import Path


async def test_those_before_one_that_cannot_be_opened_are_closed(tmp_path: Path) -> None:
    """A reload that is refused leaves no connections behind: one that was not closed would warn when it goes."""
    outputs = wanted(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example:4318",
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": str(tmp_path / "gone.pem"),
        }
    )
    with pytest.raises(UsageError, match=r"gone\.pem"):
        await outputs.open(Config(), "uid")
    gc.collect()
