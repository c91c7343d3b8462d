"""The product's families, with nothing in them."""

from __future__ import annotations

from exporter.metrics.changes import ChangeMetrics
from exporter.metrics.drift import DriftMetrics
from exporter.metrics.families import Families
from exporter.metrics.health import Health
from exporter.metrics.rollouts import RolloutMetrics


def product(changes: ChangeMetrics | None = None, *, limit: int = 100, health: Health | None = None) -> Families:
    """Make the families of the product; a type's plural stands for its kind."""
    dropped = (health or Health()).series_dropped
    drift = DriftMetrics(lambda _, resource: resource, limit, dropped)
    rollouts = RolloutMetrics(lambda _, resource: resource, limit, dropped)
    return Families(changes or ChangeMetrics(), drift, rollouts)
