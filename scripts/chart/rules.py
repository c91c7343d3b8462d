"""The alerts and dashboards of dashboards/ as the chart has them: a file that its template fills, values, copies.

Must never say anything about an alert that its source does not say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dashboards.source.alerts import ALERTS, RECORDINGS, written
from dashboards.source.rules import address, runbook


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dashboards.source.rules import Alert
    from scripts.chart.configuration import Schema

_MARKED = re.compile(r"( *# begin: alerts\n).*?( *# end: alerts\n)", re.DOTALL)
_ABOUT = "Made of dashboards/source by `make chart`: change it there. templates/prometheusrule.yaml fills the braces."
PLACE = "prometheusRule.rules"


def content() -> str:
    """Give the file of all rules, with the places that are still to be filled."""
    alerts = [
        {
            "name": one.name,
            "group": one.group,
            "expr": one.expr,
            "summary": one.summary,
            "description": one.description,
            "runbook": runbook(one),
            "dashboard": address(one.link),
        }
        for one in ALERTS
    ]
    recordings = [{"record": one.record, "group": one.group, "expr": one.expr} for one in RECORDINGS]
    return written({"alerts": alerts, "recordings": recordings}, _ABOUT)


def values(text: str) -> str:
    """Give values.yaml with what may be set of each alert made anew.

    Raises:
        ValueError: it has no place for them

    """
    if not _MARKED.search(text):
        raise ValueError("values.yaml: has no `# begin: alerts` … `# end: alerts`; write them where the alerts go")
    block = "".join(_value(one) for one in ALERTS)
    return _MARKED.sub(lambda found: f"{found[1]}{block}{found[2]}", text)


def schemas() -> dict[str, Schema]:
    """Give the schema of each alert's value, by its path."""
    return {f"{PLACE}.{one.name}": _schema(one) for one in ALERTS}


def dashboards(source: Path) -> Iterator[tuple[str, str]]:
    """Give each dashboard by the name of its file."""
    for path in sorted(source.glob("*.json")):
        yield path.name, path.read_text(encoding="utf-8")


def _value(alert: Alert) -> str:
    about = f"{alert.summary} Threshold: {alert.unit}" if alert.unit else alert.summary
    lines = [
        f"# -- {about}",
        f"{alert.name}:",
        "  enabled: true",
        f"  severity: {alert.severity}",
        f'  for: "{alert.for_}"',
        f'  keepFiringFor: "{alert.keep_firing_for}"',
    ]
    if alert.threshold is not None:
        lines.append(f"  threshold: {alert.threshold}")
    return "".join(f"    {line}\n" for line in lines)


def _schema(alert: Alert) -> Schema:
    duration = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))*$"}
    properties: Schema = {
        "enabled": {"type": "boolean"},
        "severity": {"type": "string", "minLength": 1},
        "for": duration,
        "keepFiringFor": duration,
    }
    if alert.threshold is not None:
        properties["threshold"] = {"type": "number"}
    return {"type": "object", "additionalProperties": False, "properties": properties}
