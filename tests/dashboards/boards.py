"""The shipped dashboards as they stand in their files, and what is in them, with the variables of Grafana filled."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.docs.pages import ROOT


if TYPE_CHECKING:
    from collections.abc import Iterator

Board = dict[str, Any]
Panel = dict[str, Any]

FILES = sorted((ROOT / "dashboards").glob("*.json"))
BOARDS: dict[str, Board] = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FILES}
# In the order in which they stand at the top of a page.
VARIABLES = ("datasource", "loki", "tempo", "cluster", "group", "kind", "namespace", "name")
SOURCES = {"datasource": "prometheus", "loki": "loki", "tempo": "tempo"}
# What Grafana itself fills in.
BUILT_IN = {"__range", "__rate_interval", "__auto", "__url_time_range", "__data"}


def panels(board: Board) -> list[Panel]:
    """The panels of a dashboard, without the headings between them."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board: Board) -> list[str]:
    """The names of what can be chosen at the top of a dashboard."""
    return [one["name"] for one in board["templating"]["list"]]


def queries(board: Board, kind: str) -> Iterator[tuple[str, str]]:
    """Every query of a kind of data source, with where it stands."""
    field = {"tempo": "query"}.get(kind, "expr")
    for panel in panels(board):
        for target in panel["targets"]:
            if target["datasource"]["type"] == kind:
                yield f"{panel['title']} {target['refId']}", target[field]
    for mark in board["annotations"]["list"]:
        if mark["datasource"]["type"] == kind:
            yield mark["name"], mark[field]


def filled(query: str) -> str:
    """Put something in place of the variables of Grafana, as Grafana would."""
    query = re.sub(r"\$__(range|rate_interval|auto)\b", "5m", query)
    return re.sub(r"\$(\w+)", ".*", query)


def strings(value: object) -> Iterator[str]:
    """Every text in a part of a dashboard."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)
