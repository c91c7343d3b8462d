"""A dashboard as a whole: its variables, the places of its panels, its links to the others, and its file.

A row is a list of panels that fill 24 columns at one height. Must never give a panel a place or a number by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as d
from grafana_foundation_sdk.models import dashboard as dm

from dashboards.source.panels import LOKI, PROMETHEUS, Panel, encoded
from dashboards.source.relabelled import USUAL, relabelled


TAG = "customresource-exporter"
COLUMNS = 24

# What selects in PromQL what the variables say: in a cluster, of a type, in a namespace, one object.
CLUSTER = 'cluster=~"$cluster"'
TYPE = f'{CLUSTER}, customresource_group=~"$group", customresource_kind=~"$kind"'
PLACE = f'{TYPE}, namespace=~"$namespace"'
OBJECT = f'{PLACE}, name=~"$name"'

# The same in LogQL, where the attributes of a record are structured metadata.
STREAMS = '{service_name="customresource-exporter", k8s_cluster_name=~"$cluster", k8s_namespace_name=~"$namespace"}'
RECORDS = f'{STREAMS} | customresource_group=~"$group" | customresource_kind=~"$kind"'
OF_OBJECT = f'{RECORDS} | customresource_name=~"$name"'

# In TraceQL a comparison with what is not there is false, so that what is cluster-scoped needs a word of its own.
SPANS = (
    'resource.service.name = "customresource-exporter" && span.customresource.kind =~ "$kind"'
    ' && (resource.k8s.namespace.name =~ "$namespace" || resource.k8s.namespace.name = nil)'
)

_KEEP = "${datasource:queryparam}&${loki:queryparam}&${tempo:queryparam}&${__url_time_range}"
_FIELDS = "&var-cluster=${__data.fields.cluster}&var-group=${__data.fields.customresource_group}"
_KIND = f"{_FIELDS}&var-kind=${{__data.fields.customresource_kind}}"

# Where a row of a table leads: to its object, or to another page about its kind.
TO_OBJECT = (
    f"/d/customresource-object?{_KEEP}{_KIND}"
    "&var-namespace=${__data.fields.namespace}&var-name=${__data.fields.name}"
)  # fmt: skip


def to_kind(uid: str) -> str:
    """Lead to another dashboard, about the kind of a row."""
    return f"/d/{uid}?{_KEEP}{_KIND}"


def to(uid: str) -> str:
    """Lead to another dashboard, about what is chosen here."""
    return (
        f"/d/{uid}?{_KEEP}&${{cluster:queryparam}}&${{group:queryparam}}&${{kind:queryparam}}&${{namespace:queryparam}}"
    )


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside each other below a heading; a row without one belongs to the row before.

    Args:
        title: the heading
        height: of all panels, in units of the grid
        panels: with the columns that each takes; together 24

    """

    title: str
    height: int
    panels: tuple[tuple[int, Panel], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard.

    Args:
        uid: by which others link to it; never changes
        title: what people call it
        description: what it answers, in a sentence
        variables: names of what is chosen at its top, data sources included, in order
        rows: from top to bottom
        annotated: it marks changes by people and drift, as the logs have them, in what is shown over time

    """

    uid: str
    title: str
    description: str
    variables: tuple[str, ...]
    rows: tuple[Row, ...]
    annotated: bool = True


def written(page: Page, cluster: str = USUAL) -> str:
    """Give the file: Classic JSON, the same each time; `cluster` is the label that tells clusters apart."""
    built = (
        d.Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(dm.DashboardCursorSync.CROSSHAIR)
        .variables([_VARIABLES[name]() for name in page.variables])
        .annotations([_changes(), _drift()] if page.annotated else [])
        .link(
            d.DashboardLink("Custom resources")
            .type(dm.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(False)  # noqa: FBT003
            .include_vars(True)  # noqa: FBT003
            .keep_time(True)  # noqa: FBT003
        )
    )
    content: dict[str, Any] = encoded(built.build())
    for part in (*content["links"], *content.get("annotations", {}).get("list", [])):
        part.pop("placement", None)  # else they hide in a menu
    for variable in content["templating"]["list"]:
        for key in ("auto", "auto_count", "auto_min"):  # of another sort of variable
            variable.pop(key)
    content["panels"] = _placed(page.rows)
    content = relabelled(content, cluster)
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _placed(rows: tuple[Row, ...]) -> list[Panel]:
    """Give the panels their places and their numbers."""
    found: list[Panel] = []
    y = 0

    def place(panel: Panel, x: int, width: int, height: int) -> None:
        found.append(panel | {"id": len(found) + 1, "gridPos": {"x": x, "y": y, "w": width, "h": height}})

    for row in rows:
        if row.title:
            place({"type": "row", "title": row.title, "collapsed": False, "panels": []}, 0, COLUMNS, 1)
            y += 1
        x = 0
        for width, panel in row.panels:
            place(panel, x, width, row.height)
            x += width
        y += row.height
    return found


def _source(name: str, label: str, kind: str) -> d.DatasourceVariable:
    return d.DatasourceVariable(name).label(label).type(kind).multi(False).include_all(False)  # noqa: FBT003


def _chosen(name: str, label: str, values: str) -> d.QueryVariable:
    """Choose some or all of the values that a label has at present."""
    return (
        d.QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query({"query": values, "refId": "StandardVariableQuery"})
        .definition(values)
        .refresh(dm.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dm.VariableSort.ALPHABETICAL_ASC)
        .multi(True)  # noqa: FBT003
        .include_all(True)  # noqa: FBT003
        .all_value(".*")
        .allow_custom_value(True)  # noqa: FBT003
        .current(dm.VariableOption(text=["All"], value=["$__all"], selected=True))
    )


def _name() -> d.TextBoxVariable:
    """Choose an object; no metric knows all names, so that they are typed, or come with a link."""
    return (
        d.TextBoxVariable("name")
        .label("Name (regex)")
        .default_value(".+")
        .current(dm.VariableOption(text=".+", value=".+", selected=True))
    )


_OBJECTS = "customresource_objects"
_VARIABLES = {
    "datasource": lambda: _source("datasource", "Prometheus", "prometheus"),
    "loki": lambda: _source("loki", "Loki", "loki"),
    "tempo": lambda: _source("tempo", "Tempo", "tempo"),
    "cluster": lambda: _chosen("cluster", "Cluster", "label_values(customresource_exporter_build_info, cluster)"),
    "group": lambda: _chosen(
        "group", "API group", f"label_values({_OBJECTS}{{{CLUSTER}}}, customresource_group)"
    ),
    "kind": lambda: _chosen(
        "kind",
        "Kind",
        f'label_values({_OBJECTS}{{{CLUSTER}, customresource_group=~"$group"}}, customresource_kind)',
    ),
    "namespace": lambda: _chosen("namespace", "Namespace", f"label_values({_OBJECTS}{{{TYPE}}}, namespace)"),
    "name": _name,
}  # fmt: skip


def _changes() -> d.AnnotationQuery:
    return _marks(
        "Changes by hand", "orange", "{{customresource_kind}} {{customresource_name}}: {{customresource_change_type}}",
        f'{RECORDS} | customresource_writer_class="human" | customresource_change_type=~"created|deleted|spec"',
    )  # fmt: skip


def _drift() -> d.AnnotationQuery:
    return _marks(
        "Drift", "red", "{{customresource_kind}} {{customresource_name}}: {{customresource_drift_transition}}",
        f'{RECORDS} | customresource_drift_transition=~"drift.opened|drift.closed|fight.opened|fight.closed"',
    )  # fmt: skip


def _marks(name: str, colour: str, title: str, expr: str) -> d.AnnotationQuery:
    return (
        d.AnnotationQuery()
        .name(name)
        .datasource(LOKI)
        .enable(True)  # noqa: FBT003
        .icon_color(colour)
        .expr(expr)
        .title_format(title)
        .text_format("")
        .tag_keys("customresource_writer_name,customresource_drift_cause")
    )
