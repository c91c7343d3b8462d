"""One stack for all tests, in which the story has been told. A server that is missing is a failure that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.stack import Stack
from tests.e2e.story import DRIFT, tell


if TYPE_CHECKING:
    from collections.abc import Iterator


_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test, which starts everything, the time for it."""
    for item in items:
        item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, running, after the story."""
    whole = Stack(tmp_path_factory.mktemp("stack"), drift=DRIFT)
    try:
        whole.start()
        tell(whole)
        yield whole
    finally:
        whole.stop()
