"""Writes what deploy/ has of other places: the chart's schema, README, alerts and dashboards, and the manifests.

`python -m scripts.chart` writes, `--check` compares. START HERE: `__main__`.
"""
