"""A dashboard for a Prometheus in which another label tells clusters apart.

The variable, and so the links from page to page, keep their name, and Loki and Tempo have the cluster under a name of
their own. Must never touch what people read.
"""

from __future__ import annotations

import re
from typing import Any


USUAL = "cluster"
# Where a label of Prometheus stands: in queries, in what leads from a row to somewhere, and as the name of a column.
_QUERIES = frozenset({"expr", "query", "definition"})
_IN_QUERY = re.compile(r"(?<![\w$])cluster\b")
_IN_URL = re.compile(r"(?<=\$\{__data\.fields\.)cluster(?=\})")


def relabelled(content: Any, label: str, key: str = "") -> Any:  # noqa: ANN401 - any JSON
    """Give a part of a dashboard with another label in the place of `cluster`.

    Args:
        content: the part
        label: the other one
        key: under which the part stands

    """
    if isinstance(content, dict):
        return {label if name == USUAL else name: relabelled(part, label, name) for name, part in content.items()}
    if isinstance(content, list):
        return [relabelled(part, label, key) for part in content]
    if not isinstance(content, str):
        return content
    if key in _QUERIES:
        return _IN_QUERY.sub(label, content)
    return _IN_URL.sub(label, content) if key == "url" else content
