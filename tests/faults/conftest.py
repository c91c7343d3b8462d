"""What the tests of faults share: the real servers of the integration tests, and the table that their rows go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults import table
from tests.integration.conftest import cluster, collector, compat, new_cluster


if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cluster", "collector", "compat", "new_cluster"]


@pytest.fixture
def record() -> Callable[[table.Row], None]:
    """A function that adds a row to the table of this run."""
    return table.record
