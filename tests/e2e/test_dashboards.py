"""Every query of every panel, on the real servers, after the story: there is something to be seen in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.e2e.panels import OF_ONE, Query, ask, chosen, dashboards, queries
from tests.e2e.stack import DASHBOARDS
from tests.e2e.story import OBJECTS
from tests.waiting import eventually


if TYPE_CHECKING:
    from tests.e2e.stack import Stack

_QUERIES = [query for file in dashboards() for query in queries(file)]
# What shows losses alone, of which the story has none, has to know of the series: see the test.
_OF_LOSSES = {"exporter: Failures, B"}
_NONE = " > 0"


def test_there_are_dashboards_to_look_at() -> None:
    """The folder holds the five dashboards, and they ask both Prometheus and Loki."""
    assert len(dashboards()) == 5
    assert {"prometheus", "loki"} <= {query.language for query in _QUERIES}


@pytest.mark.parametrize(
    "query", [one for one in _QUERIES if one.language != "tempo"], ids=lambda one: one.name.replace("/", " ")
)
def test_every_panel_shows_something(stack: Stack, query: Query) -> None:
    """The query gives an answer that is not empty: of one of the objects, where the page is about a single one."""
    file = DASHBOARDS / f"{query.dashboard}.json"
    every = [chosen(file, **one) for one in OBJECTS] if query.dashboard == OF_ONE else [chosen(file)]
    if query.name in _OF_LOSSES:
        assert query.expression.endswith(_NONE)
        expression = query.expression.removesuffix(_NONE)
        query = replace(query, target=query.target | {"expr": expression})

    assert eventually(lambda: any(ask(stack, query, variables) for variables in every), 30)
