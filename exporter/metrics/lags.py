"""A histogram without labels that takes in many observations at once: most changes of a commit are of the same second.

Shown like any other of the health metrics.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector


if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry


class Lags(Collector):
    """One family.

    Args:
        name: of it
        text: what it means
        buckets: upper bounds, rising, without infinity
        registry: shows it

    """

    def __init__(self, name: str, text: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._bounds = (*buckets, math.inf)
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float, times: int = 1) -> None:
        """Take in that something was seen so many times."""
        self._counts[bisect_left(self._bounds, seconds)] += times
        self._sum += seconds * times

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give what is shown."""
        buckets = [
            ("+Inf" if bound == math.inf else str(bound), float(count))
            for bound, count in zip(self._bounds, accumulate(self._counts), strict=True)
        ]
        yield HistogramMetricFamily(self._name, self._text, buckets, self._sum)
