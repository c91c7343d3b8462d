"""What the tests of faults share: the real servers of the integration tests, and the table that their rows go to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults import table
from tests.integration.conftest import cluster, collector, compat, new_cluster


if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cluster", "collector", "compat", "new_cluster"]
# A test starts servers and exporters several times; on a busy machine each of them takes its time.
_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test below this directory that says nothing of it more time than others get."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture
def record() -> Callable[[table.Row], None]:
    """A function that adds a row to the table of this run."""
    return table.record
