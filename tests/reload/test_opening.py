"""Outputs that can be opened only in part: nothing of them stays."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
import trustme

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
        await outputs.open(Config(), "uid", "journal")
    gc.collect()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
async def test_a_certificate_that_goes_bad_after_it_was_checked_ends_nothing(protocol: str, tmp_path: Path) -> None:
    """What is built sends by the certificate that was checked; a check refuses the bad one, as the first start does."""
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://localhost:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority),
    }
    outputs = wanted(environment)
    await outputs.check(Config())
    authority.write_text("half a certifi")

    for _ in range(2):
        consumers = await outputs.open(Config(), "uid", "journal")
        assert [consumer.name for consumer in consumers] == ["otlp-logs", "otlp-traces"]
        for consumer in consumers:
            await consumer.close()
    with pytest.raises(UsageError, match=r"ca\.pem"):
        await outputs.check(Config())
    with pytest.raises(UsageError, match=r"ca\.pem"):
        await wanted(environment).open(Config(), "uid", "journal")
