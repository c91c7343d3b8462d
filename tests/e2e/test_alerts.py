"""An alert's whole life: from a hand edit to whoever is called at night, over a restart, to the end when Git wins."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.stack import DASHBOARDS
from tests.e2e.story import certificate, declare, edit, issued
from tests.waiting import eventually


if TYPE_CHECKING:
    from tests.e2e.stack import Stack

DRIFT = "CustomResourceDriftDetected"
_NAME = "edited"
_DECLARED = certificate(_NAME, "declared.example.com")
_ALERTS = f'ALERTS{{alertname="{DRIFT}", alertstate="firing", name="{_NAME}"}}'


def _told(stack: Stack, status: str) -> dict[str, Any] | None:
    return next((one for one in stack.webhook.told(DRIFT, status) if one["labels"]["name"] == _NAME), None)


def _active_since(stack: Stack) -> str:
    """Since when the alert has been active, by Prometheus; empty where it is not."""
    return next(
        (
            str(alert["activeAt"])
            for alert in stack.prometheus.alerts()
            if alert["labels"]["alertname"] == DRIFT and alert["labels"].get("name") == _NAME
        ),
        "",
    )


@pytest.fixture(scope="module")
def life(stack: Stack) -> dict[str, Any]:
    """What was seen of the alert: told firing, active over a restart, firing all the time, told resolved."""
    declare(stack, _DECLARED)
    issued(stack, _NAME)
    before_edit = _told(stack, "firing")
    edit(stack, _NAME, '{"spec":{"dnsNames":["by-hand.example.com"]}}')
    firing = eventually(lambda: _told(stack, "firing"), 60)
    since = _active_since(stack)
    killed = time.time()
    stack.exporter.kill()
    eventually(lambda: stack.prometheus.query('up{job="customresource-exporter"} == 0'))
    stack.exporter.start()
    eventually(lambda: stack.prometheus.query('up{job="customresource-exporter"} == 1'))
    # The alert goes on from what is scraped now: that is seen once its rule was evaluated.
    eventually(lambda: stack.prometheus.query(f'customresource_drift_since_timestamp_seconds{{name="{_NAME}"}}'))
    back = time.time()
    eventually(lambda: stack.prometheus.query(f"timestamp({_ALERTS}) > {back + 1}"))
    seen = stack.prometheus.query_range(_ALERTS, killed, back, 1)
    again, resolved_too_early = _active_since(stack), _told(stack, "resolved")
    declare(stack, _DECLARED)
    resolved = eventually(lambda: _told(stack, "resolved"), 60)
    return {
        "before edit": before_edit,
        "firing": firing,
        "since": since,
        "since, after the restart": again,
        "resolved too early": resolved_too_early,
        "seconds": back - killed,
        "samples": sum(len(series["values"]) for series in seen),
        "resolved": resolved,
    }


def test_nothing_fires_before_somebody_edits(life: dict[str, Any]) -> None:
    """What is as declared gives no alert."""
    assert life["before edit"] is None


def test_a_hand_edit_is_told_with_what_and_where(life: dict[str, Any]) -> None:
    """The alert names the object and the severity, and says in a sentence what is the matter."""
    labels, annotations = life["firing"]["labels"], life["firing"]["annotations"]

    assert {"customresource_kind": "Certificate", "namespace": "web", "severity": "warning"}.items() <= labels.items()
    assert _NAME in annotations["description"]
    assert annotations["summary"].endswith(".")


def test_its_links_lead_somewhere(life: dict[str, Any]) -> None:
    """The runbook is one of ours, and the dashboard is one of ours with variables that it has."""
    annotations = life["firing"]["annotations"]
    runbook = Path(urlsplit(annotations["runbook_url"]).path).name
    dashboard = urlsplit(annotations["dashboard_url"])
    uid = re.search(r"/d/([^/]+)", dashboard.path)
    assert uid is not None
    (file,) = (one for one in DASHBOARDS.glob("*.json") if f'"uid": "{uid[1]}"' in one.read_text("utf-8"))
    variables = {name.removeprefix("var-"): value for name, [value] in parse_qs(dashboard.query).items()}

    assert (DASHBOARDS / "runbooks" / runbook).is_file()
    assert variables["name"] == _NAME
    for name in variables:
        assert f'"name": "{name}"' in file.read_text("utf-8"), name


def test_a_restart_of_the_exporter_neither_ends_it_nor_starts_it_anew(life: dict[str, Any]) -> None:
    """While the exporter is away, killed, and after it is back, the alert fires, since the same moment."""
    assert life["since"]
    assert life["since, after the restart"] == life["since"]
    assert life["resolved too early"] is None
    assert life["samples"] >= life["seconds"] - 1


def test_it_ends_when_git_wins(life: dict[str, Any]) -> None:
    """What was declared is applied again, and the alert is told to be resolved."""
    assert life["resolved"]["labels"] == life["firing"]["labels"]
