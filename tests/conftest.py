"""What all tests share: none is judged by how long a busy machine takes, for Hypothesis or to start a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings


_HERE = Path(__file__).parent
# By directory: the first test that asks for a server waits until it has started, one that starts several for each.
_SECONDS = {"contract": 180, "deploy": 180, "faults": 300, "integration": 180, "reload": 180}

# Under CI=true its own profile does the same, and draws the same every time.
if settings.get_current_profile_name() == "default":
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test of real servers that says nothing of it more time than others get."""
    for item in items:
        seconds = _SECONDS.get(item.path.relative_to(_HERE).parts[0])
        if seconds is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(seconds))
