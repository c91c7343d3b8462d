"""Every query of every panel, on the real servers, after the story: there is something to be seen in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.panels import Query, ask, chosen, dashboards, queries
from tests.e2e.stack import DASHBOARDS
from tests.waiting import eventually


if TYPE_CHECKING:
    from tests.e2e.stack import Stack

# Of one object: the one that was issued, renewed, edited by hand.
_OBJECT = {"group": "cert-manager.io", "kind": "Certificate", "namespace": "web", "name": "shop"}
_QUERIES = [query for file in dashboards() for query in queries(file)]


def test_there_are_dashboards_to_look_at() -> None:
    """The folder holds the five dashboards, and they ask both Prometheus and Loki."""
    assert len(dashboards()) == 5
    assert {"prometheus", "loki"} <= {query.language for query in _QUERIES}


@pytest.mark.parametrize(
    "query", [one for one in _QUERIES if one.language != "tempo"], ids=lambda one: one.name.replace("/", " ")
)
def test_every_panel_shows_something(stack: Stack, query: Query) -> None:
    """The query of the panel gives an answer that is not empty."""
    variables = chosen(DASHBOARDS / f"{query.dashboard}.json", **_OBJECT)

    assert eventually(lambda: ask(stack, query, variables), 20)
