"""The real servers that some pages are held to, as the integration tests start them, and a reader of pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.session import Session
from tests.integration.conftest import _need, compat, new_cluster, promtool
from tests.servers import build


if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compat", "new_cluster", "promtool"]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Session]:
    """A reader of a page in a directory of its own, who has our programs and the real kubectl."""
    _need(["kubectl"])
    programs = (Path(sys.executable).parent, build.required("kubectl").parent)
    with Session(tmp_path, path=programs, ports=(9838, 4318)) as session:
        yield session
