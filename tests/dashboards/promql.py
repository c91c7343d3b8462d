"""What is wrong with an expression in PromQL: its syntax, and names of metrics and labels that the exporter has not.

Which metrics there are, with which labels, is read in docs/reference/metrics.md, which is held to the program.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, VectorSelector

from dashboards.source.alerts import RECORDINGS
from tests.docs.pages import code, page, rows


if TYPE_CHECKING:
    from collections.abc import Iterator

# What Prometheus and its configuration add to every series of a target.
OF_THE_TARGET = frozenset({"job", "instance", "cluster"})
_OF_AN_ALERT = frozenset({"alertname", "alertstate", "severity", "namespace", "customresource_kind", "name"})
COUNTED = ("_total", "_bucket", "_sum", "_count")


@cache
def families() -> dict[str, frozenset[str]]:
    """Give the labels of everything that a scrape of the exporter brings, by the name of the series."""
    found = {"up": frozenset[str](), "ALERTS": _OF_AN_ALERT}
    for cells in rows(page("docs/reference/metrics.md")):
        if len(cells) != 4:
            continue
        name, labels = code(cells[0])[0], frozenset(code(cells[2]))
        if cells[1] == "histogram":
            found |= {f"{name}_sum": labels, f"{name}_count": labels, f"{name}_bucket": labels | {"le"}}
        else:
            found[name] = labels
    for one in RECORDINGS:
        by = re.search(r"by \(([^)]*)\)", one.expr)
        assert by, one
        found[one.record] = frozenset(by[1].replace("{cluster}", "cluster").split(", ")) - {"le"}
    return found


def complaints(expression: str) -> Iterator[str]:
    """Say what is wrong with an expression; its variables of Grafana have been filled."""
    try:
        tree = promql_parser.parse(expression)
    except ValueError as error:
        yield f"no PromQL: {error}"
        return
    nodes: list[promql_parser.Expr] = []
    promql_parser.walk(tree, nodes.append)
    there = set(OF_THE_TARGET)
    for node in nodes:
        if isinstance(node, VectorSelector):
            known = _family(node)
            if known is None:
                yield f"there is no metric {node.name}"
                continue
            there |= known
            for matcher in node.matchers.matchers:
                if matcher.name not in known | OF_THE_TARGET | {"__name__"}:
                    yield f"{node.name} has no label {matcher.name}"
    for label in (label for node in nodes for label in _used(node)):
        if label not in there:
            yield f"no metric of the expression has the label {label}"


def _family(selector: VectorSelector) -> frozenset[str] | None:
    if selector.name is not None:
        return families().get(selector.name)
    named = [one.value for one in selector.matchers.matchers if one.name == "__name__"]
    chosen = [labels for name, labels in families().items() if named and re.fullmatch(named[0], name)]
    return frozenset[str]().union(*chosen) if chosen else None


def _used(node: promql_parser.Expr) -> Iterator[str]:
    """Give the labels by which a node groups or joins."""
    modifiers = [node.modifier] if isinstance(node, AggregateExpr) else []
    labels = [one.labels for one in modifiers if one is not None]
    if isinstance(node, BinaryExpr) and node.modifier is not None:
        joined = (node.modifier.matching, node.modifier.group_labels)
        labels += [part if isinstance(part, list) else part.labels for part in joined if part is not None]
    for part in labels:
        yield from part
