"""LogQL and TraceQL in the dashboards and the pages, read by the grammars of Grafana's own editors.

There is no Tempo to be started here, so that this is all that is known of TraceQL. LogQL is asked of a real Loki, too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.dashboards.boards import BOARDS, filled, queries
from tests.docs.pages import PAGES, ROOT, blocks


if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[str, list[str]], list[list[int]]]

GRAMMARS = ROOT / "tests/dashboards/grammars"


@pytest.fixture(scope="module")
def parse() -> Parse:
    """Ask where a grammar finds errors in some queries."""
    node = shutil.which("node")
    if node is None or not (GRAMMARS / "node_modules").is_dir():
        pytest.skip("the grammars are not installed: with npm at hand, run `make grammars`")

    def read(language: str, asked: list[str]) -> list[list[int]]:
        given = json.dumps([{"language": language, "query": query} for query in asked])
        command = [node, "parse.mjs"]
        done = subprocess.run(
            command, cwd=GRAMMARS, input=given, capture_output=True, text=True, timeout=30, check=True
        )
        found: list[list[int]] = json.loads(done.stdout)
        return found

    return read


@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("logql", 'sum by (a (count_over_time({a="b"}[5m]))'),
        ("logql", '{a="b"} | c =~'),
        ("traceql", "{ span.a = }"),
        ("traceql", '{ span.a = "b" && }'),
    ],
)
def test_what_is_wrong_is_found(parse: Parse, language: str, query: str) -> None:
    """A bracket too few and a value that is not there are errors, so that the test below can fail."""
    assert parse(language, [query])[0]


@pytest.mark.parametrize(("language", "source"), [("logql", "loki"), ("traceql", "tempo")])
def test_every_query_is_one(parse: Parse, language: str, source: str) -> None:
    """Each query of a dashboard is read to its end, those of the marks on the time axis too."""
    asked = [filled(query) for board in BOARDS.values() for _, query in queries(board, source)]
    assert asked
    assert [query for query, wrong in zip(asked, parse(language, asked), strict=True) if wrong] == []


def test_every_query_of_the_pages_is_one(parse: Parse) -> None:
    """Each line of LogQL that a page shows is a query."""
    found = [block for path in PAGES for block in blocks(path.read_text(encoding="utf-8"), "logql")]
    shown = [line for block in found for line in block.splitlines()]
    assert shown
    assert [query for query, wrong in zip(shown, parse("logql", shown), strict=True) if wrong] == []
