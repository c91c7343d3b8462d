"""START HERE for the alerts: all of them as values, in the order of the documents, and the files of rules made of them.

Whoever needs the rules in another form (a chart) takes `ALERTS` and `RECORDINGS` and the functions of `rules.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from dashboards.source import alerts_drift, alerts_exporter, alerts_rollouts
from dashboards.source.rules import DEFAULTS, Override, Rule, Settings, alerting_rule, recording_rule


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dashboards.source.rules import Alert, Recording

ALERTS: tuple[Alert, ...] = (*alerts_drift.ALERTS, *alerts_rollouts.ALERTS, *alerts_exporter.ALERTS)
RECORDINGS: tuple[Recording, ...] = alerts_rollouts.RECORDINGS


def alerting(settings: Settings = DEFAULTS, overrides: Mapping[str, Override] | None = None) -> Rule:
    """Make the content of a file with all alerts.

    Args:
        settings: what is the same for all
        overrides: what is to be otherwise, by the name of the alert

    """
    given = overrides or {}
    rules = ((one.group, alerting_rule(one, settings, given.get(one.name, Override()))) for one in ALERTS)
    return _grouped(rules)


def recording(settings: Settings = DEFAULTS) -> Rule:
    """Make the content of a file with all recordings."""
    return _grouped((one.group, recording_rule(one, settings)) for one in RECORDINGS)


def written(content: Rule, about: str) -> str:
    """Write a file of rules as YAML, with a comment before it."""
    head = "".join(f"# {line}\n" for line in about.splitlines())
    return head + yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _grouped(rules: Iterable[tuple[str, Rule]]) -> Rule:
    groups: dict[str, list[Rule]] = {}
    for group, rule in rules:
        groups.setdefault(group, []).append(rule)
    return {"groups": [{"name": name, "rules": found} for name, found in groups.items()]}


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as such, so that people can read an expression."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
