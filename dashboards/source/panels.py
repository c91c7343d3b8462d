"""Panels, as the dashboards here need them: every option that matters is said, since the SDK's defaults are often bad.

What the SDK cannot say (links of fields and columns, panels of traces) is put into the finished panel. Identifiers and
places are given by `page.py`. Must never name a data source but by one of the variables `datasource`, `loki`, `tempo`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import (
    common as c,
)
from grafana_foundation_sdk.builders import (
    dashboard as d,
)
from grafana_foundation_sdk.builders import (
    logs as logs_panel,
)
from grafana_foundation_sdk.builders import (
    loki,
    prometheus,
    statetimeline,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.builders import (
    stat as stat_panel,
)
from grafana_foundation_sdk.builders import (
    table as table_panel,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as cm
from grafana_foundation_sdk.models import dashboard as dm
from grafana_foundation_sdk.models import prometheus as pm
from grafana_foundation_sdk.models import tempo as tm


Panel = dict[str, Any]

PROMETHEUS = cm.DataSourceRef(type_val="prometheus", uid="${datasource}")
LOKI = cm.DataSourceRef(type_val="loki", uid="${loki}")
TEMPO = cm.DataSourceRef(type_val="tempo", uid="${tempo}")

_STACKED = cm.StackingMode.NORMAL
_Builder = table_panel.Panel | stat_panel.Panel | timeseries.Panel | logs_panel.Panel | statetimeline.Panel

# From which value on a figure has which colour.
Steps = tuple[tuple[float | None, str], ...]
PLAIN: Steps = ((None, "blue"),)
BAD_FROM_ONE: Steps = ((None, "green"), (1, "red"))
WORTH_A_LOOK_FROM_ONE: Steps = ((None, "green"), (1, "orange"))


@dataclass(frozen=True, slots=True)
class Query:
    """A query in PromQL, and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, its unit, where it leads, how wide it is in pixels, colours of its values."""

    title: str
    unit: str = ""
    link: str = ""
    width: int = 0
    steps: Steps = ()


def encoded(built: object) -> Any:  # noqa: ANN401 - JSON is any
    """Give what the SDK has built as plain values."""
    return json.loads(json.dumps(built, cls=JSONEncoder))


def stat(
    title: str, description: str, expr: str, unit: str = "short", *, steps: Steps = PLAIN, empty: str = "0",
    link: str = "", legend: str = "", decimals: int | None = None, mappings: list[dm.ValueMapping] | None = None,
) -> Panel:  # fmt: skip
    """Show one figure, as it is now; `empty` is shown where there is no series."""
    told = Query(expr, legend)
    builder = (
        stat_panel.Panel()
        .unit(unit)
        .no_value(empty)
        .thresholds(_thresholds(steps))
        .color_scheme(d.FieldColor().mode(dm.FieldColorModeId.THRESHOLDS))
        .mappings(mappings or [])
        .color_mode(cm.BigValueColorMode.BACKGROUND if len(steps) > 1 else cm.BigValueColorMode.VALUE)
        .graph_mode(cm.BigValueGraphMode.NONE)
        .justify_mode(cm.BigValueJustifyMode.AUTO)
        .text_mode(cm.BigValueTextMode.NAME if legend else cm.BigValueTextMode.VALUE)
        .reduce_options(c.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))  # noqa: FBT003
        .with_target(_promql(told, "A").instant())
    )
    if decimals is not None:
        builder = builder.decimals(decimals)
    return _finished(builder, title, description, PROMETHEUS, link)


def lines(
    title: str, description: str, queries: list[Query], unit: str = "short", *, stacked: bool = False,
    bars: bool = False, colours: dict[str, str] | None = None, exemplars: bool = False, least: float | None = 0,
) -> Panel:  # fmt: skip
    """Show series over time; `colours` are by name of a series, everything else has one of the palette."""
    builder = (
        timeseries.Panel()
        .unit(unit)
        .color_scheme(d.FieldColor().mode(dm.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .thresholds(_thresholds(((None, "green"),)))
        .draw_style(cm.GraphDrawStyle.BARS if bars else cm.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(80 if bars else 50 if stacked else 10)
        .show_points(cm.VisibilityMode.NEVER)
        .line_interpolation(cm.LineInterpolation.STEP_AFTER if stacked and not bars else cm.LineInterpolation.LINEAR)
        .stacking(c.StackingConfig().mode(_STACKED if stacked or bars else cm.StackingMode.NONE).group("A"))
        .legend(
            c.VizLegendOptions()
            .display_mode(cm.LegendDisplayMode.LIST).placement(cm.LegendPlacement.BOTTOM).show_legend(True).calcs([])  # noqa: FBT003
        )
        .tooltip(c.VizTooltipOptions().mode(cm.TooltipDisplayMode.MULTI).sort(cm.SortOrder.DESCENDING))
    )  # fmt: skip
    if least is not None:
        builder = builder.min(least)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        builder = builder.with_target(_promql(query, letter).range().exemplar(exemplars))
    for name, colour in (colours or {}).items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        builder = builder.override_by_name(name, [dm.DynamicConfigValue(id_val="color", value=fixed)])
    return _finished(builder, title, description, PROMETHEUS)


def table(
    title: str, description: str, queries: list[str], columns: dict[str, Column], *,
    sort: str | tuple[str, ...], falling: bool = True,
) -> Panel:  # fmt: skip
    """Show what is now, a row for each series; `columns` are in order, by label or by `Value` (`Value #A` of several).

    What is no column is left out. Several queries are joined by their labels.
    """
    builder = _table_of(columns, sort, falling=falling)
    for letter, expr in zip("ABCDEFGH", queries, strict=False):
        builder = builder.with_target(_promql(Query(expr), letter).instant().format(pm.PromQueryFormat.TABLE))
    if len(queries) > 1:
        builder = builder.with_transformation(dm.DataTransformerConfig(id_val="merge", options={}))
    arranged = {
        "includeByName": dict.fromkeys(columns, True),
        "indexByName": {name: number for number, name in enumerate(columns)},
        "renameByName": {name: column.title for name, column in columns.items()},
        "excludeByName": {"Time": True},
    }
    builder = builder.with_transformation(dm.DataTransformerConfig(id_val="organize", options=arranged))
    return _finished(builder, title, description, PROMETHEUS)


def ranking(title: str, description: str, expr: str, columns: dict[str, Column], *, sort: str) -> Panel:
    """Show figures that are counted in the logs, a row for each set of labels; the figure is `Value #A`."""
    query = loki.Dataquery().datasource(LOKI).ref_id("A").expr(expr).query_type("instant")
    builder = _table_of(columns, sort, falling=True).with_target(query)
    hidden = {"Time": True}
    builder = builder.with_transformation(
        dm.DataTransformerConfig(
            id_val="organize",
            options={
                "indexByName": {name: number for number, name in enumerate(columns)},
                "renameByName": {name: column.title for name, column in columns.items()},
                "excludeByName": hidden,
            },
        )
    )
    return _finished(builder, title, description, LOKI)


def counted(title: str, description: str, expr: str, legend: str) -> Panel:
    """Show what is counted in the logs over time, as bars."""
    panel = lines(title, description, [], bars=True)
    query = loki.Dataquery().datasource(LOKI).ref_id("A").expr(expr).legend_format(legend).query_type("range")
    return panel | {"datasource": encoded(LOKI), "targets": [encoded(query.build())]}


def log(title: str, description: str, expr: str) -> Panel:
    """Show log records as lines, the newest first; each opens to all its attributes."""
    builder = (
        logs_panel.Panel()
        .unit("none")
        .show_time(True)  # noqa: FBT003
        .show_labels(False)  # noqa: FBT003
        .show_common_labels(False)  # noqa: FBT003
        .wrap_log_message(True)  # noqa: FBT003
        .prettify_log_message(False)  # noqa: FBT003
        .enable_log_details(True)  # noqa: FBT003
        .enable_infinite_scrolling(True)  # noqa: FBT003
        .sort_order(cm.LogsSortOrder.DESCENDING)
        .dedup_strategy(cm.LogsDedupStrategy.NONE)
        .with_target(loki.Dataquery().datasource(LOKI).ref_id("A").expr(expr).query_type("range").max_lines(500))
    )
    return _finished(builder, title, description, LOKI)


def traces(title: str, description: str, query: str) -> Panel:
    """List traces, each of which opens to its waterfall."""
    target = (
        tempo.Dataquery().datasource(TEMPO).ref_id("A").query_type("traceql").query(query)
        .table_type(tm.SearchTableType.TRACES).limit(50).spss(3).filters([])
    )  # fmt: skip
    builder = table_panel.Panel().unit("none").show_header(True).with_target(target)  # noqa: FBT003
    return _finished(builder, title, description, TEMPO)


def spans_of_time(title: str, description: str, queries: list[Query]) -> Panel:
    """Show when each of some states held: a bar where its query gives 1, nothing where it gives nothing."""
    builder = (
        statetimeline.Panel()
        .unit("none")
        .thresholds(_thresholds(((None, "transparent"), (1, "red"))))
        .color_scheme(d.FieldColor().mode(dm.FieldColorModeId.THRESHOLDS))
        .mappings([_named({"1": "yes"})])
        .merge_values(True)  # noqa: FBT003
        .show_value(cm.VisibilityMode.NEVER)
        .row_height(0.7)
        .fill_opacity(80)
        .legend(c.VizLegendOptions().show_legend(False).display_mode(cm.LegendDisplayMode.LIST))  # noqa: FBT003
        .tooltip(c.VizTooltipOptions().mode(cm.TooltipDisplayMode.SINGLE).sort(cm.SortOrder.NONE))
    )
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        builder = builder.with_target(_promql(query, letter).range())
    return _finished(builder, title, description, PROMETHEUS)


def named(words: dict[str, str]) -> list[dm.ValueMapping]:
    """Say values in words."""
    return [_named(words)]


def _named(words: dict[str, str]) -> dm.ValueMap:
    return dm.ValueMap(options={value: dm.ValueMappingResult(text=text) for value, text in words.items()})


def _promql(query: Query, letter: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(PROMETHEUS)
        .ref_id(letter)
        .expr(query.expr)
        .legend_format(query.legend or "__auto")
        .editor_mode(pm.QueryEditorMode.CODE)
    )


def _table_of(columns: dict[str, Column], sort: str | tuple[str, ...], *, falling: bool) -> table_panel.Panel:
    by = (sort,) if isinstance(sort, str) else sort
    builder = (
        table_panel.Panel()
        .unit("none")
        .no_value("none")
        .thresholds(_thresholds(((None, "green"),)))
        .show_header(True)  # noqa: FBT003
        .cell_height(cm.TableCellHeight.SM)
        .filterable(True)  # noqa: FBT003
        .sort_by([c.TableSortByFieldState().display_name(one).desc(falling) for one in by])
    )
    for column in columns.values():
        said: list[tuple[str, Any]] = []
        if column.unit:
            said.append(("unit", column.unit))
        if column.link:
            said.append(("links", [{"title": "All about it", "url": column.link}]))
        if column.width:
            said.append(("custom.width", column.width))
        if column.steps:
            said.append(("thresholds", encoded(_thresholds(column.steps).build())))
            said.append(("custom.cellOptions", {"type": "color-text"}))
        if said:
            properties = [dm.DynamicConfigValue(id_val=name, value=value) for name, value in said]
            builder = builder.override_by_name(column.title, properties)
    return builder


def _thresholds(steps: Steps) -> d.ThresholdsConfig:
    found = [dm.Threshold(value=value, color=colour) for value, colour in steps]
    return d.ThresholdsConfig().mode(dm.ThresholdsMode.ABSOLUTE).steps(found)


def _finished(builder: _Builder, title: str, description: str, source: cm.DataSourceRef, link: str = "") -> Panel:
    panel: Panel = encoded(builder.title(title).description(description).datasource(source).build())
    if link:
        panel["fieldConfig"]["defaults"]["links"] = [{"title": "What these are", "url": link}]
    return panel
