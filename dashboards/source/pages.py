"""START HERE for the dashboards: all of them, in the order of their links."""

from __future__ import annotations

from dashboards.source import drift, exporter, one_object, overview, rollouts


PAGES = (overview.PAGE, one_object.PAGE, drift.PAGE, rollouts.PAGE, exporter.PAGE)
