"""The rules as files and as texts: up to date, clean for promtool, about metrics that exist, and fit to be read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from dashboards.source import alerts
from dashboards.source.relabelled import relabelled
from dashboards.source.rules import Override, Settings, alerting_rule, filled
from tests.dashboards.minutes import DOWN, OBJECT, Series, rule_test, steady
from tests.dashboards.promql import complaints, families
from tests.docs.pages import ROOT, page


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from dashboards.source.rules import Alert

    Promtool = Callable[..., CompletedProcess[bytes]]

FILES = ("alerts", "recording")
NAMES = [alert.name for alert in alerts.ALERTS]
each_alert = pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.name)


def rules(file: str) -> list[dict[str, Any]]:
    """Read the rules of a shipped file."""
    groups = yaml.safe_load(page(f"dashboards/rules/{file}.yaml"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_what_is_generated_is_up_to_date() -> None:
    """Every generated file is what `make dashboards` would write."""
    command = [sys.executable, "-m", "dashboards", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("file", FILES)
def test_promtool_has_nothing_to_say(promtool: Promtool, file: str) -> None:
    """The real promtool takes the file, with all its lints."""
    path = str(ROOT / f"dashboards/rules/{file}.yaml")
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("sum(up", "no PromQL"),
        ("customresource_drift", "there is no metric customresource_drift"),
        ('customresource_drift_info{case="human"}', "has no label case"),
        ("sum by (kind) (customresource_objects)", "has the label kind"),
        ("customresource_objects * on (resource) up", "has the label resource"),
    ],
)
def test_a_wrong_name_is_found(expression: str, complaint: str) -> None:
    """A metric or a label that the exporter has not is named, so that the test below can fail."""
    (found,) = complaints(expression)
    assert complaint in found


@pytest.mark.parametrize("file", FILES)
def test_every_name_in_an_expression_exists(file: str) -> None:
    """Metrics and labels are those of the reference, at every place of every rule."""
    assert [said for rule in rules(file) for said in complaints(rule["expr"])] == []


@each_alert
def test_a_text_names_only_labels_that_the_alert_has(alert: Alert) -> None:
    """A description and an address use no label that the aggregation has dropped."""
    rule = alerting_rule(alert)
    texts = " ".join(cast("dict[str, str]", rule["annotations"]).values())
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", str(rule["expr"])))))
    recorded = [families()[name] for name in families() if ":" in name and name in str(rule["expr"])]
    assert set(re.findall(r"\$labels\.(\w+)", texts)) <= grouped.union(*recorded)


@each_alert
def test_no_alert_is_tied_to_a_process(alert: Alert) -> None:
    """What names a pod or an address would be another alert after a restart; the cluster is always kept."""
    expr = str(alerting_rule(alert)["expr"])
    kept = re.findall(r"\bby \(([^)]*)\)", expr)
    assert not re.search(r"\b(instance|pod)\b", " ".join(kept))
    assert all("cluster" in one for one in kept)
    assert kept or "absent(" in expr or ":" in expr


@each_alert
def test_its_texts_are_fit_to_be_read(alert: Alert) -> None:
    """One static sentence as the summary, a description that ends, and a name that tells whose it is."""
    assert re.fullmatch(r"CustomResource([A-Z][a-z]+)+", alert.name)
    assert re.fullmatch(r"[A-Z][^{}.]*\.", alert.summary)
    assert re.search(r"(\.|{{ end }})$", alert.description)
    assert alert.group in {"customresource-drift", "customresource-rollouts", "customresource-exporter"}
    assert (alert.threshold is None) == ("{threshold}" not in alert.expr) == (not alert.unit)


@each_alert
def test_a_state_bridges_a_restart(alert: Alert) -> None:
    """What the exporter tells goes on firing for longer than a restart takes; what is about its absence does not."""
    minutes = {"": 0, "10m": 10, "15m": 15, "30m": 30, "1h": 60}[alert.keep_firing_for]
    assert (minutes > DOWN) == (not alert.name.startswith("CustomResourceExporterDown"))


def test_everything_can_be_chosen() -> None:
    """Label of the cluster, job, addresses, severity, threshold and times are those that are asked for."""
    (alert,) = [one for one in alerts.ALERTS if one.name == "CustomResourceExporterDeliveryBacklog"]
    settings = Settings("k8s_cluster", 'job="other"', "https://books", "https://graphs")
    rule = alerting_rule(alert, settings, Override("critical", 60, "1m", ""))
    told = cast("dict[str, str]", rule["annotations"])

    assert rule["expr"] == "max by (k8s_cluster, consumer) (customresource_exporter_delivery_oldest_seconds) > 60"
    assert (rule["for"], rule.get("keep_firing_for"), rule["labels"]) == ("1m", None, {"severity": "critical"})
    assert told["runbook_url"] == "https://books/customresourceexporterdeliverybacklog.md"
    assert told["dashboard_url"].startswith("https://graphs/d/customresource-exporter?var-cluster={{ $labels.k8s_clus")
    everything = str(alerts.alerting(settings)) + str(alerts.recording(settings))
    assert not re.search(r"\bcluster,|\.cluster\b|customresource-exporter\"|example\.com|github", everything)


def test_everything_can_be_written_for_another_set_up(promtool: Promtool, tmp_path: Path) -> None:
    """With `--output` the same files are made elsewhere, with other addresses, job and label, and are rules as well."""
    asked = ["--grafana=https://graphs/", "--runbooks=https://books", "--job=other", "--cluster-label=where"]
    command = [sys.executable, "-m", "dashboards", f"--output={tmp_path}", *asked]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    text = (tmp_path / "rules/alerts.yaml").read_text(encoding="utf-8")

    assert "https://graphs/d/customresource-object?var-cluster={{ $labels.where }}&" in text
    assert not re.search(r"grafana\.example|github\.com|customresource-exporter\"|\bby \(cluster", text)
    assert 'up{job="other"}' in text
    for board in (ROOT / "dashboards").glob("*.json"):
        assert json.loads((tmp_path / board.name).read_bytes()) == relabelled(json.loads(board.read_bytes()), "where")
    for file in FILES:
        checked = promtool("check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / f"rules/{file}.yaml"))
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_whatever_is_a_place_is_filled() -> None:
    """No place is left over, and a text may fill one, such as that of a template of Helm."""
    (alert,) = [one for one in alerts.ALERTS if one.name == "CustomResourceDriftMass"]
    assert "> {{ .Values.share }}" in str(alerting_rule(alert, override=Override(threshold="{{ .Values.share }}")))
    texts = [part for one in alerts.ALERTS for part in (one.expr, one.description)]
    for text in [filled(part, Settings(), 1) for part in (*texts, *(one.expr for one in alerts.RECORDINGS))]:
        assert not re.search(r"{(threshold|cluster|selector)}", text)


NAMELESS = OBJECT | {"namespace": "", "cluster": ""}
DESCRIBED = [
    (
        "CustomResourceDriftDetected",
        [
            Series("customresource_drift_since_timestamp_seconds", OBJECT, steady(0, 30)),
            Series(
                "customresource_drift_info",
                OBJECT | {"cause": "human", "baseline": "projected", "declarer": "argocd"},
                steady(1, 30),
            ),
        ],
        (
            "Widget shop/web in cluster a has not been as declared for 20m 0s."
            " It was declared by argocd; who changed it is of the class human."
        ),
    ),
    (
        "CustomResourceRolloutStuck",
        [
            Series(
                "customresource_reconcile_pending_since_timestamp_seconds",
                NAMELESS,
                steady(-3600, 30),
            ),
            Series(
                "customresource_unready_info",
                NAMELESS | {"condition": "Ready", "status": "False", "reason": "NoIssuer"},
                steady(1, 30),
            ),
        ],
        "What was changed of Widget web 1h 20m 0s ago has not come true. Ready is False (NoIssuer).",
    ),
    (
        "CustomResourceUnready",
        [
            Series(
                "customresource_unready_since_timestamp_seconds", OBJECT | {"condition": "Ready"}, steady(0, 30)
            )
        ],
        "Widget shop/web in cluster a has not been ready for 20m 0s.",
    ),
    (
        "CustomResourceExporterDeclarationsUnreadable",
        [Series("customresource_exporter_drift_declared_problems", {"kind": "empty"}, steady(1, 30))],
        "The exporter in cluster a has 1 problem of the kind empty with the directories of declared manifests.",
    ),
    (
        "CustomResourceExporterDeclarationsUnreadable",
        [Series("customresource_exporter_drift_declared_problems", {"kind": "yaml"}, steady(2, 30))],
        "The exporter in cluster a has 2 problems of the kind yaml with the directories of declared manifests.",
    ),
    (
        "CustomResourceUndeclaredFields",
        [Series("customresource_undeclared_fields", OBJECT, steady(1, 30))],
        "A person owns 1 field of Widget shop/web in cluster a that nobody declared.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "series", "text"), DESCRIBED, ids=[one[0] for one in DESCRIBED])
def test_a_description_says_what_is_known(
    promtool: Promtool, tmp_path: Path, name: str, series: list[Series], text: str
) -> None:
    """Cause, declarer and reasons are told where there are any, without being labels; so are namespace and cluster."""
    file = rule_test(tmp_path, series, [])
    test = yaml.safe_load(file.read_text(encoding="utf-8"))
    about = {key: value for key, value in ({"cluster": "a"} | series[0].labels).items() if key != "condition" and value}
    (alert,) = [one for one in alerts.ALERTS if one.name == name]
    dashboard = "".join(
        f"&var-{key}={about.get(label.format(cluster='cluster'), '')}" for key, label in alert.link.variables
    )
    expected = {
        "exp_labels": about | {"severity": alert.severity},
        "exp_annotations": cast("dict[str, str]", alerting_rule(alert)["annotations"])
        | {"description": text, "dashboard_url": f"https://grafana.example.com/d/{alert.link.uid}?{dashboard[1:]}"},
    }
    test["tests"][0]["alert_rule_test"] = [{"eval_time": "20m", "alertname": name, "exp_alerts": [expected]}]
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    played = promtool("test", "rules", str(file))
    assert played.returncode == 0, (played.stdout + played.stderr).decode()
