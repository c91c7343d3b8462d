"""What the OpenTelemetry SDK's detectors find out about where we run, for the resource of what is sent.

Only those that `OTEL_EXPERIMENTAL_RESOURCE_DETECTORS` names, and only while something is sent: the SDK takes memory
and time to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Mapping


VARIABLE = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
# Named by the settings, or true of the SDK alone.
_NOT_OURS = ("service.name", "service.instance.id", "telemetry.")


def detect(environ: Mapping[str, str]) -> dict[str, str]:
    """Ask the detectors that the environment names.

    Args:
        environ: the environment; a detector that is not known is told by the SDK in its log

    """
    if not environ.get(VARIABLE, "").strip():
        return {}
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see the module's first lines

    found = Resource.create().attributes
    return {name: str(value) for name, value in found.items() if not name.startswith(_NOT_OURS)}
