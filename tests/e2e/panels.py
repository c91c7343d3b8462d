"""What the panels of the shipped dashboards ask, and the answers that they get from the stack.

Must never know a dashboard by name: what is in the folder is what is read.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tests.e2e.stack import CLUSTER_NAME, DASHBOARDS


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.e2e.stack import Stack

# What Grafana works out by itself, for a quarter of an hour scraped once a second.
_BUILT_IN = {
    "__rate_interval": "15s",
    "__interval": "5s",
    "__auto": "15s",
    "__range": "900s",
    "__range_s": "900",
    "__interval_ms": "5000",
}
# The dashboard that tells of a single object; the others tell of all.
OF_ONE = "object"
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_RANGE_SECONDS = 900
_STEP_SECONDS = 5


class Query(Struct, frozen=True):
    """One query of a panel.

    Attributes:
        dashboard: the name of its file
        panel: as it is in the file
        target: of that, this query
        language: `prometheus`, `loki` or `tempo`

    """

    dashboard: str
    panel: dict[str, Any]
    target: dict[str, Any]
    language: str

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.dashboard}: {self.panel['title']}, {self.target['refId']}"

    @property
    def expression(self) -> str:
        """The text, with variables in it."""
        return str(self.target.get("expr") or self.target.get("query", ""))


def dashboards() -> list[Path]:
    """Give the files of all dashboards."""
    return sorted(DASHBOARDS.glob("*.json"))


def panels(file: Path) -> list[dict[str, Any]]:
    """Give all panels of a dashboard, rows and what is in them too, in the order of the page."""
    return list(_flat(json.loads(file.read_text("utf-8"))["panels"]))


def _flat(several: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in several:
        yield panel
        yield from _flat(panel.get("panels", []))


def queries(file: Path) -> list[Query]:
    """Give all queries of a dashboard."""
    return [
        Query(file.stem, panel, target, target.get("datasource", panel.get("datasource", {})).get("type", ""))
        for panel in panels(file)
        for target in panel.get("targets", [])
    ]


def filled(text: str, variables: Mapping[str, str]) -> str:
    """Put the values of variables into a text, as Grafana would; KeyError for one that has none."""
    known = _BUILT_IN | dict(variables)
    return _VARIABLE.sub(lambda found: known[found[1] or found[2]], text)


def chosen(file: Path, **values: str) -> dict[str, str]:
    """Give each variable of a dashboard a value: the one that is named, else that which stands for all."""
    found = json.loads(file.read_text("utf-8"))["templating"]["list"]
    return {one["name"]: values.get(one["name"], one.get("allValue") or ".*") for one in found} | {
        "cluster": values.get("cluster", CLUSTER_NAME)
    }


def ask(stack: Stack, query: Query, variables: Mapping[str, str], at: float | None = None) -> list[dict[str, Any]]:
    """Give what the stack answers, at a time or now: series, samples or streams."""
    expression = filled(query.expression, variables)
    now = at or time.time()
    if query.language == "loki" and query.target.get("queryType") == "instant":
        return stack.loki.query_at(expression, now)
    if query.language == "loki":
        return stack.loki.query(expression, now - _RANGE_SECONDS, now + 60, step=_STEP_SECONDS)
    if query.target.get("instant"):
        return stack.prometheus.query(expression, now)
    return stack.prometheus.query_range(expression, now - _RANGE_SECONDS, now, _STEP_SECONDS)
