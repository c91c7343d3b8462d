"""The alerts and dashboards of the chart: those of dashboards/, and each with what may be chosen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dashboards.source.alerts import ALERTS
from dashboards.source.rules import DEFAULTS
from tests.deploy.chart import CHART, NAME, ROOT, Object, kinds, one, refusal, render
from tests.integration.conftest import promtool


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from dashboards.source.rules import Alert

__all__ = ["promtool"]

pytestmark = pytest.mark.usefixtures("_helm")
DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))


def groups(**values: Any) -> list[Object]:
    """The groups of the PrometheusRule."""
    rule = one(render({"prometheusRule": {"enabled": True, **values}}), "PrometheusRule")
    return list(rule["spec"]["groups"])


def alerts(**values: Any) -> dict[str, Object]:
    """The alerts by their names."""
    return {rule["alert"]: rule for group in groups(**values) for rule in group["rules"] if "alert" in rule}


def test_the_rules_are_the_shipped_ones() -> None:
    """Without a value of its own the chart has the very rules of dashboards/rules, in their groups."""
    shipped = [
        group
        for name in ("alerts", "recording")
        for group in yaml.safe_load((ROOT / f"dashboards/rules/{name}.yaml").read_text(encoding="utf-8"))["groups"]
    ]
    assert shipped == groups(grafanaUrl=DEFAULTS.dashboards)


def test_promtool_takes_them(promtool: Callable[..., CompletedProcess[bytes]], tmp_path: Path) -> None:
    """Prometheus's own linter finds nothing, also where everything that can be chosen is chosen."""
    rules = {each.name: {"for": "1h", "keepFiringFor": "2h", "severity": "page"} for each in ALERTS}
    for each in ALERTS:
        if each.threshold is not None:
            rules[each.name]["threshold"] = 1_000_000.5  # type: ignore[assignment]
    chosen = groups(rules=rules, clusterLabel="k8s_cluster", selector='namespace="a"', alertLabels={"team": "a"})
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": chosen}), encoding="utf-8")
    answer = promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))
    assert answer.returncode == 0, answer.stderr
    assert "k8s_cluster" in file.read_text(encoding="utf-8")
    assert "{cluster}" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_what_may_be_chosen_of_an_alert(alert: Alert) -> None:
    """Each alert can be switched off, and has its severity, its durations and its threshold as a value."""
    asis = alerts()
    assert alert.name not in alerts(rules={alert.name: {"enabled": False}})
    chosen: dict[str, Any] = {"severity": "page", "for": "7m", "keepFiringFor": "9m"}
    if alert.threshold is not None:
        chosen["threshold"] = 4711
    changed = alerts(rules={alert.name: chosen})
    assert {name for name in asis if asis[name] != changed[name]} == {alert.name}
    rule = changed[alert.name]
    assert (rule["labels"]["severity"], rule["for"], rule["keep_firing_for"]) == ("page", "7m", "9m")
    assert ("4711" in rule["expr"]) is (alert.threshold is not None)


def test_an_alert_that_there_is_not() -> None:
    """A misspelt alert, and a threshold of one that has none, is refused with its name."""
    said = refusal({"prometheusRule": {"rules": {"CustomResourceDrift": {"enabled": False}}}})
    assert "at '/prometheusRule/rules': additional properties 'CustomResourceDrift' not allowed" in said
    without = next(each.name for each in ALERTS if each.threshold is None)
    said = refusal({"prometheusRule": {"rules": {without: {"threshold": 1}}}})
    assert f"at '/prometheusRule/rules/{without}': additional properties 'threshold' not allowed" in said


def test_the_alerts_select_what_the_monitor_scrapes() -> None:
    """The job that the rules select is the one that the monitor's job label gives."""
    objects = render({"nameOverride": "other", "monitor": {"enabled": True}, "prometheusRule": {"enabled": True}})
    label = one(objects, "ServiceMonitor")["spec"]["jobLabel"]
    job = one(objects, "Service")["metadata"]["labels"][label]
    assert f'up{{job="{job}"}}' in str(one(objects, "PrometheusRule"))


def test_the_dashboards_are_the_shipped_ones() -> None:
    """Each dashboard is in a ConfigMap, to the letter, with the label that Grafana's sidecar looks for."""
    found: dict[str, str] = {}
    for each in render({"dashboards": {"enabled": True}}):
        if "grafana_dashboard" in each["metadata"]["labels"]:
            assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
            found.update(each["data"])
    assert found == {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS}
    assert {path.name for path in (CHART / "files/dashboards").glob("*")} == {path.name for path in DASHBOARDS}


def test_off_by_default() -> None:
    """Neither rules nor dashboards are made unless they are asked for."""
    objects = render()
    assert "PrometheusRule" not in kinds(objects)
    assert [each for each in objects if each["kind"] == "ConfigMap"] == [one(objects, "ConfigMap", NAME)]
