"""The dashboards: whole, consistent, about what the exporter tells, and linked to each other and to the alerts."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.source.alerts import ALERTS
from dashboards.source.pages import PAGES
from dashboards.source.relabelled import relabelled
from tests.dashboards.boards import (
    BOARDS,
    BUILT_IN,
    FILES,
    SOURCES,
    VARIABLES,
    Board,
    filled,
    panels,
    queries,
    strings,
    variables,
)  # fmt: skip
from tests.dashboards.promql import COUNTED, complaints
from tests.docs.pages import code, page, rows


UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
FOR_ALL = ("refresh", "editable", "tags", "timezone", "graphTooltip", "links", "time", "schemaVersion")
each_board = pytest.mark.parametrize("name", BOARDS)


def attributes(*names: str) -> set[str]:
    """The attributes that reference pages name, as Loki writes them and as they are."""
    told = {one for name in names for cells in rows(page(f"docs/reference/{name}.md")) for one in code(cells[0])}
    dotted = {one for one in told if re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", one)}
    return dotted | {one.replace(".", "_") for one in dotted}


def test_there_are_five() -> None:
    """There is a file for each dashboard and none besides, named after its uid."""
    assert sorted(f"customresource-{file.stem}" for file in FILES) == sorted(one.uid for one in PAGES)
    assert {board["uid"] for board in BOARDS.values()} == {f"customresource-{name}" for name in BOARDS}
    assert len({board["title"] for board in BOARDS.values()}) == 5


@each_board
def test_another_label_can_tell_clusters_apart(name: str) -> None:
    """All of Prometheus is asked by it and shown under it; variables, texts, Loki and Tempo are as they were."""
    board = relabelled(BOARDS[name], "klaster")
    for place, query in queries(board, "prometheus"):
        assert not re.search(r"(?<!\$)\bcluster\b", query), place
    for kind in ("loki", "tempo"):
        assert list(queries(board, kind)) == list(queries(BOARDS[name], kind))
    assert list(variables(board)) == list(variables(BOARDS[name]))
    assert not re.search(r'fields\.cluster|"cluster":', json.dumps(board))
    assert json.loads(json.dumps(board).replace("klaster", "cluster")) == BOARDS[name]


@each_board
def test_it_is_like_the_others(name: str) -> None:
    """All have the same settings, the tag by which they are linked, and a title that begins alike."""
    board = BOARDS[name]
    assert [board[key] for key in FOR_ALL] == [BOARDS["overview"][key] for key in FOR_ALL]
    assert board["title"].startswith("Custom resources / ")
    assert board["description"]
    assert board["editable"] is False
    assert board["links"][0]["tags"] == board["tags"]
    assert not any("placement" in one for one in board["links"] + board["annotations"]["list"])  # it hides them


@each_board
def test_the_sdk_reads_back_what_it_wrote(name: str) -> None:
    """The file holds nothing that the schema of the SDK does not know, and nothing of a wrong type."""
    register_default_plugins()
    again: Board = json.loads(json.dumps(Dashboard.from_json(BOARDS[name]), cls=JSONEncoder))
    said = [panel.get("targets") for panel in panels(again)]
    assert said == [panel["targets"] for panel in panels(BOARDS[name])]
    assert [one["name"] for one in again["templating"]["list"]] == variables(BOARDS[name])


@each_board
def test_panels_are_told_apart(name: str) -> None:
    """Every panel has a number and a title of its own, every query a letter of its own."""
    board = BOARDS[name]
    assert sorted(panel["id"] for panel in board["panels"]) == list(range(1, len(board["panels"]) + 1))
    titles = [panel["title"] for panel in panels(board)]
    assert len(titles) == len(set(titles))
    for panel in panels(board):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == list("ABCDEFGH"[: len(letters)])
        assert letters


@each_board
def test_panels_say_what_they_show(name: str) -> None:
    """Every panel has a description that is a sentence, and units, those of columns too, that Grafana knows."""
    for panel in panels(BOARDS[name]):
        assert re.fullmatch(r"[A-Z][^$]+[.?]", panel["description"]), panel["title"]
        assert panel["title"].strip(), panel
        found = [panel["fieldConfig"]["defaults"]["unit"]]
        found += [
            one["value"]
            for override in panel["fieldConfig"]["overrides"]
            for one in override["properties"]
            if one["id"] == "unit"
        ]
        assert {unit for unit in found if not unit.startswith("suffix:")} <= UNITS, panel["title"]


@each_board
def test_every_figure_of_a_table_has_a_column(name: str) -> None:
    """What a query of a table gives is shown under a title and in a unit, but where it can only be 1."""
    for panel in panels(BOARDS[name]):
        organized = [one["options"] for one in panel.get("transformations", []) if one["id"] == "organize"]
        if not organized:
            continue
        renamed = organized[0]["renameByName"]
        with_unit = {
            override["matcher"]["options"]
            for override in panel["fieldConfig"]["overrides"]
            for one in override["properties"]
            if one["id"] == "unit"
        }
        figures = {title for column, title in renamed.items() if column.startswith("Value")}
        assert figures <= with_unit, panel["title"]
        assert figures or panel["title"] in ("Fights", "Alerts that fire")
        assert panel["options"]["sortBy"][0]["displayName"] in renamed.values()
        assert len(panel["targets"]) == max(1, sum(column.startswith("Value") for column in renamed))


@each_board
def test_the_grid_is_filled(name: str) -> None:
    """Panels stand in rows of one height that are 24 columns wide, without a hole and without one over another."""
    lines: dict[int, list[dict[str, int]]] = defaultdict(list)
    for panel in BOARDS[name]["panels"]:
        lines[panel["gridPos"]["y"]].append(panel["gridPos"])
    for line in lines.values():
        assert [one["x"] + one["w"] for one in line] == [*(one["x"] for one in line[1:]), 24]
        assert len({one["h"] for one in line}) == 1
    tops = [(y, line[0]["h"]) for y, line in sorted(lines.items())]
    assert tops[0][0] == 0
    assert all(y + height == below for (y, height), (below, _) in pairwise(tops))


@each_board
def test_what_is_first_answers_the_question(name: str) -> None:
    """A dashboard begins with a line of figures, before any heading."""
    first = [panel for panel in BOARDS[name]["panels"] if panel["gridPos"]["y"] == 0]
    assert {panel["type"] for panel in first} == {"stat"}


@each_board
def test_data_sources_are_chosen(name: str) -> None:
    """Every data source is one of the variables, of its own kind, and that variable is there."""
    found: list[dict[str, Any]] = []

    def look(value: object) -> None:
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            look(part)
        if isinstance(value, dict) and "datasource" in value:
            found.append(value["datasource"])

    look(BOARDS[name])
    for one in found:
        variable = one["uid"].removeprefix("${").removesuffix("}")
        assert SOURCES[variable] == one["type"]
        assert variable in variables(BOARDS[name])
    assert len(found) > len(panels(BOARDS[name]))


@each_board
def test_variables_are_in_order_and_all_are_used(name: str) -> None:
    """What is chosen stands in one order, is used, and everything that is used can be chosen."""
    board = BOARDS[name]
    chosen = variables(board)
    assert chosen == [one for one in VARIABLES if one in chosen]
    shown = {key: value for key, value in board.items() if key != "templating"}
    elsewhere = re.compile(r"\$\{(\w+)[:}.]|\$(\w+)")
    used = {first or second for text in strings(shown) for first, second in elsewhere.findall(text)}
    queried = {one for text in strings(board["templating"]) for one in re.findall(r"\$\{?(\w+)", text)}
    assert (used | queried) - BUILT_IN - {"__all"} <= set(chosen)
    assert set(chosen) <= used


@each_board
def test_what_can_be_chosen_is_all_at_first(name: str) -> None:
    """A variable begins with everything, takes what is not in its list, and looks anew when the time is changed."""
    for one in BOARDS[name]["templating"]["list"]:
        if one["type"] == "query":
            assert (one["allValue"], one["current"]["value"], one["refresh"]) == (".*", ["$__all"], 2)
            assert one["multi"]
            assert one["allowCustomValue"]
        assert one["label"]


@each_board
def test_promql_is_about_what_there_is(name: str) -> None:
    """Each query is PromQL and names metrics and labels of the reference, those of the lists of variables too."""
    asked = [query for _, query in queries(BOARDS[name], "prometheus")]
    for one in BOARDS[name]["templating"]["list"]:
        if one["type"] == "query":
            selected, label = re.fullmatch(r"label_values\((.*), (\w+)\)", one["definition"]).groups()  # type: ignore[union-attr]
            assert one["query"]["query"] == one["definition"]
            asked.append(f"sum by ({label}) ({selected})")
    assert [said for query in asked for said in complaints(filled(query))] == []
    assert asked


@each_board
def test_counters_are_read_as_such(name: str) -> None:
    """A counter is read by its rate over `$__rate_interval`, or its increase over the time that is chosen."""
    for where, query in queries(BOARDS[name], "prometheus"):
        windows = re.findall(r"(\w+)\((\w+)(?:\{[^}]*\})?\[([^\]]*)\]\)", query)
        assert query.count("[") == len(windows), where
        for function, family, window in windows:
            assert (function, window) in (("rate", "$__rate_interval"), ("increase", "$__range")), where
            assert family.endswith(COUNTED), where
        counters = {one for one in re.findall(r"\b(?:customresource|process)\w+", query) if one.endswith(COUNTED)}
        assert counters == {family for _, family, _ in windows}, where


@each_board
def test_logql_is_about_what_there_is(name: str) -> None:
    """Labels in a query of logs, and in what is made of a record, are attributes of the reference."""
    known = attributes("logs")
    board = BOARDS[name]
    marks = [text for mark in board["annotations"]["list"] for text in strings(mark)]
    texts = [query for _, query in queries(board, "loki")] + marks
    named = {one for text in texts for one in re.findall(r"\b(?:customresource|k8s|service)_\w+", text)}
    assert named <= known
    assert not named & {"event_name"}
    assert all('service_name="customresource-exporter"' in query for _, query in queries(board, "loki"))


@each_board
def test_traceql_is_about_what_there_is(name: str) -> None:
    """Attributes in a query of traces are those of the reference, on a span or on its resource as told there."""
    on_spans, of_resources = attributes("traces"), attributes("logs")
    for where, query in queries(BOARDS[name], "tempo"):
        assert set(re.findall(r"\bspan\.([\w.]+)", query)) <= on_spans, where
        assert set(re.findall(r"\bresource\.([\w.]+)", query)) <= of_resources, where


@each_board
def test_links_lead_somewhere(name: str) -> None:
    """A link names a dashboard that there is, and fills variables that it has from columns that are shown."""
    addresses = [text for text in strings(BOARDS[name]["panels"]) if text.startswith("/d/")]
    for address in addresses:
        uid = re.match(r"/d/([\w-]+)\?", address)
        assert uid, address
        (target,) = [board for board in BOARDS.values() if board["uid"] == uid[1]]
        missing = set(re.findall(r"var-(\w+)=", address)) - set(variables(target))
        assert not missing, address
        assert "${__url_time_range}" in address
    for panel in panels(BOARDS[name]):
        arranged = [
            one["options"]["renameByName"]
            for one in panel.get("transformations", [])
            if "renameByName" in one["options"]
        ]
        needed = {one for text in strings(panel) for one in re.findall(r"\$\{__data\.fields\.(\w+)\}", text)}
        assert needed <= set(arranged[0] if arranged else ()), panel["title"]


def test_every_dashboard_can_be_reached() -> None:
    """Alerts and the rows of tables lead to every dashboard but the first, which is where one begins."""
    linked = {alert.link.uid for alert in ALERTS}
    assert linked | {"customresource-overview"} == {board["uid"] for board in BOARDS.values()}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_leads_to_a_dashboard(alert: Any) -> None:
    """The dashboard of an alert exists and has the variables that the address fills."""
    (board,) = [board for board in BOARDS.values() if board["uid"] == alert.link.uid]
    assert {name for name, _ in alert.link.variables} <= set(variables(board))


def test_words_have_one_colour() -> None:
    """A word has the same colour on all dashboards."""
    colours: dict[str, set[str]] = defaultdict(set)
    for board in BOARDS.values():
        for panel in panels(board):
            for override in panel["fieldConfig"]["overrides"]:
                for one in override["properties"]:
                    if one["id"] == "color":
                        colours[override["matcher"]["options"]].add(one["value"]["fixedColor"])
    assert {word: found for word, found in colours.items() if len(found) > 1} == {}


def test_what_is_filled_is_a_query() -> None:
    """Variables of Grafana become something that a parser takes."""
    assert filled('sum(rate(a{b=~"$c"}[$__rate_interval]))') == 'sum(rate(a{b=~".*"}[5m]))'
