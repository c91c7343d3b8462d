"""The table of values in the chart's README, made of values.yaml. Must never touch the prose around it."""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.chart.reading import Value

_MARKED = re.compile(r"(<!-- generated: values -->\n).*?(<!-- end -->)", re.DOTALL)


def refreshed(readme: str, values: Iterable[Value]) -> str:
    """Give the README with its table made anew.

    Raises:
        ValueError: it has no place for the table

    """
    if not _MARKED.search(readme):
        raise ValueError(
            "README.md: has no `<!-- generated: values -->` … `<!-- end -->`; write them where the table goes"
        )
    tables = "\n".join(f"### {heading}\n\n{_table(rows)}" for heading, rows in groupby(values, lambda one: one.heading))
    return _MARKED.sub(lambda found: f"{found[1]}{tables}{found[2]}", readme)


def _table(values: Iterable[Value]) -> str:
    rows = [f"| `{one.name}` | {_default(one.default)} | {_cell(one.about)} |\n" for one in values]
    return "".join(["| Key | Default | Meaning |\n", "|---|---|---|\n", *rows])


def _default(value: Any) -> str:  # noqa: ANN401 - any YAML
    return f"`{_cell(json.dumps(value, ensure_ascii=False))}`"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
