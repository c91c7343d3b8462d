"""customresource-exporter: follows every custom resource of a Kubernetes cluster and tells what changed."""

from __future__ import annotations

from importlib.metadata import version


__all__ = ["PROGRAM", "__version__"]

PROGRAM = "customresource-exporter"
__version__ = version(PROGRAM)
