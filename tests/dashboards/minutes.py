"""What a scrape a minute would have found, as series for `promtool test rules`, and what an alert made of it.

Times are minutes from the beginning. Series are lists of values, None where nothing was scraped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import yaml

from dashboards.source import alerts


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Values = list[float | None]

# A restart of the exporter: nothing is scraped for so many minutes.
DOWN = 5
TARGET = {"cluster": "a", "job": "customresource-exporter", "instance": "exporter-0:9838"}
OBJECT = {"customresource_group": "example.com", "customresource_kind": "Widget", "namespace": "shop", "name": "web"}
PLACE = {name: OBJECT[name] for name in ("customresource_group", "customresource_kind", "namespace")}
TYPE = {name: OBJECT[name] for name in ("customresource_group", "customresource_kind")}


@dataclass(frozen=True)
class Series:
    """One series: its name, its labels beyond those of the target, its values, and whether a restart sets it to 0."""

    name: str
    labels: dict[str, str]
    values: Values
    in_memory: bool = False

    def interrupted(self, at: int) -> Series:
        """Give the series as it is when the exporter is down from a minute on and then starts anew."""
        after = self.values[at + DOWN :]
        if self.name == "process_start_time_seconds":
            after = [float((at + DOWN) * 60)] * len(after)
        elif self.in_memory:
            start = self.values[at] or 0.0
            after = [None if value is None else value - start for value in after]
        return replace(self, values=[*self.values[:at], *[None] * DOWN, *after])

    def written(self) -> dict[str, str]:
        """Give it in promtool's notation. A series that ends is marked as such, as a failed scrape does."""
        words, before = [], None
        for value in self.values:
            words.append(("_" if before is None else "stale") if value is None else f"{value:.10g}")
            before = value
        labels = ",".join(f'{name}="{value}"' for name, value in ({**TARGET, **self.labels}).items())
        return {"series": f"{self.name}{{{labels}}}", "values": " ".join(words)}


def steady(value: float, minutes: int) -> Values:
    """Stay the same for so long."""
    return [value] * minutes


def absent(minutes: int) -> Values:
    """Be not there for so long."""
    return [None] * minutes


def growing(by: float, every: int, minutes: int, start: float = 0.0) -> Values:
    """Grow now and then."""
    return [start + by * (minute // every) for minute in range(minutes)]


@dataclass(frozen=True)
class Expected:
    """What is asked at a minute: an expression, and the samples that it gives, as promtool writes them."""

    at: int
    expression: str
    samples: tuple[tuple[str, float], ...] = ()


def firing(alert: str) -> str:
    """Ask for an alert that fires."""
    return f'ALERTS{{alertname="{alert}",alertstate="firing"}}'


def one_alert(alert: str, labels: dict[str, str]) -> tuple[tuple[str, float], ...]:
    """Say that exactly one alert fires, with exactly these labels beside its severity."""
    (severity,) = [one.severity for one in alerts.ALERTS if one.name == alert]
    given = {"alertname": alert, "alertstate": "firing", "severity": severity, **labels}
    inside = ", ".join(f'{name}="{value}"' for name, value in sorted(given.items()))
    return ((f"ALERTS{{{inside}}}", 1.0),)


def rule_test(folder: Path, series: Sequence[Series], expected: Sequence[Expected]) -> Path:
    """Write the rules as shipped, and a test of them for promtool."""
    for name, content in (("alerts", alerts.alerting()), ("recording", alerts.recording())):
        (folder / f"{name}.yaml").write_text(alerts.written(content, ""), encoding="utf-8")
    asked = [
        {
            "eval_time": f"{one.at}m",
            "expr": one.expression,
            "exp_samples": [{"labels": labels, "value": value} for labels, value in one.samples],
        }
        for one in expected
    ]
    test = {
        "rule_files": ["alerts.yaml", "recording.yaml"],
        "evaluation_interval": "1m",
        "group_eval_order": ["customresource-recordings"],  # before what needs them, else a minute is left to chance
        "tests": [
            {
                "interval": "1m",
                "input_series": [one.written() for one in series],
                "promql_expr_test": asked,
            }
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    return file
