"""The one way in which tests wait: look until it is so, or until a deadline; never sleep and hope."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar


if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_SECONDS = 0.05

T = TypeVar("T")


def eventually(predicate: Callable[[], T], timeout: float = 30.0) -> T:
    """Call `predicate` until it returns something true, and return that; `AssertionError` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() >= deadline:
            message = f"still not so after {timeout:g} s; the last answer was {value!r}"
            raise AssertionError(message)
        time.sleep(_POLL_SECONDS)
    return value
