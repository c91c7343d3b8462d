"""The metrics that the pages speak of exist, and what they show for Prometheus is what Prometheus takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import trustme
import yaml

from tests.docs.pages import PAGES, blocks, code, first_column, name_of, page, rows, section


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    Promtool = Callable[..., CompletedProcess[bytes]]

METRICS = "docs/reference/metrics.md"
PROMETHEUS = "docs/how-to/prometheus.md"
LOGS = "docs/reference/logs.md"
ATTRIBUTES = ("### Attributes", "## A record of drift")


def known_names() -> set[str]:
    """Families, the parts of histograms, labels, and attributes as Loki writes them. The tables are held elsewhere."""
    families = {code(cells[0])[0]: cells for cells in rows(page(METRICS)) if len(cells) == 4}
    histograms = [name for name, cells in families.items() if cells[1] == "histogram"]
    return {
        *families,
        *(f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")),
        *(label for cells in families.values() for label in code(cells[2])),
        *(name.replace(".", "_") for heading in ATTRIBUTES for name in first_column(section(page(LOGS), heading))),
    }


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_metric_that_is_named_exists(path: Path) -> None:
    """Whatever looks like a metric of ours is one, a part of a histogram, a label, or an attribute in Loki."""
    named = set(re.findall(r"\bcustomresource_\w+(?!\w*\*)", path.read_text(encoding="utf-8")))
    assert named <= known_names()


def expressions(path: Path) -> list[str]:
    """The PromQL of a page, each line an expression."""
    return [line for block in blocks(path.read_text(encoding="utf-8"), "promql") for line in block.splitlines()]


def rules(*expressions: str) -> str:
    """A file with a rule for each expression, which is how promtool can be asked about them."""
    records = [{"record": f"example:{number}", "expr": text} for number, text in enumerate(expressions)]
    return yaml.safe_dump({"groups": [{"name": "examples", "rules": records}]})


def test_promtool_refuses_what_is_no_promql(promtool: Promtool, tmp_path: Path) -> None:
    """A query with a bracket too few is found, so that the test below can fail."""
    file = tmp_path / "rules.yml"
    file.write_text(rules("sum(up"), encoding="utf-8")
    assert promtool("check", "rules", str(file)).returncode != 0


def test_every_query_is_promql(promtool: Promtool, tmp_path: Path) -> None:
    """The real promtool takes each query that a page shows."""
    shown = [text for path in PAGES for text in expressions(path)]
    assert len(shown) >= 5
    file = tmp_path / "rules.yml"
    file.write_text(rules(*shown), encoding="utf-8")
    verdict = promtool("check", "rules", str(file))
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize(("top", "check", "count"), [("scrape_configs", "config", 3), ("groups", "rules", 1)])
def test_every_prometheus_file_is_one(promtool: Promtool, tmp_path: Path, top: str, check: str, count: int) -> None:
    """The real promtool takes each scrape configuration and each file of rules that a page shows."""
    shown = [
        text
        for path in PAGES
        for text in blocks(path.read_text(encoding="utf-8"), "yaml")
        if text.startswith(f"{top}:")
    ]
    assert len(shown) >= count
    client = trustme.CA().issue_cert("prometheus")  # promtool looks for the files that a page names
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client-key.pem")
    for number, text in enumerate(shown):
        file = tmp_path / f"{number}.yml"
        file.write_text(text, encoding="utf-8")
        verdict = promtool("check", check, str(file))
        assert verdict.returncode == 0, (text, verdict.stdout, verdict.stderr)


def test_the_service_monitor_finds_the_service() -> None:
    """The ServiceMonitor selects the Service beside it, by its labels, its namespace and the name of its port."""
    (text,) = [block for block in blocks(page(PROMETHEUS), "yaml") if "ServiceMonitor" in block]
    service, monitor = yaml.safe_load_all(text)
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert endpoint["honorLabels"] is True
