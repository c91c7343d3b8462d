"""Alerts and recordings as values, and the rules of Prometheus that are made of them.

An expression and a text hold places in braces, which are filled by plain replacement and so by any other tool as well:

- `{threshold}`: the number of the alert that may be chosen;
- `{cluster}`: the name of the label that tells clusters apart;
- `{selector}`: what selects the targets of the exporter, as it stands between the braces of PromQL.

Must stay within what Prometheus 2.42 understands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


Severity = Literal["critical", "warning", "info"]
Rule = dict[str, object]

# The labels of a type, of a type in a namespace and of an object, as `by (…)` has them.
TYPE = "{cluster}, customresource_group, customresource_kind"
PLACE = f"{TYPE}, namespace"
OBJECT = f"{PLACE}, name"

# How the same are said in a text. What is cluster-scoped has no namespace, a single cluster often no name.
IN_CLUSTER = "{{ with $labels.{cluster} }} in cluster {{ . }}{{ end }}"
THE_OBJECT = (
    "{{ $labels.customresource_kind }} {{ with $labels.namespace }}{{ . }}/{{ end }}{{ $labels.name }}" + IN_CLUSTER
)
THE_PLACE = "{{ $labels.customresource_kind }}{{ with $labels.namespace }} in namespace {{ . }}{{ end }}" + IN_CLUSTER
THE_TYPE = "{{ $labels.customresource_kind }}{{ with $labels.customresource_group }} ({{ . }}){{ end }}" + IN_CLUSTER


def number_of(noun: str) -> str:
    """Say how many of something the value of an alert is, in words that are right for one and for many."""
    return f"{{{{ $value }}}} {noun}{{{{ if ne $value 1.0 }}}}s{{{{ end }}}}"


@dataclass(frozen=True, slots=True)
class Link:
    """The dashboard that shows what an alert is about.

    Args:
        uid: of the dashboard
        variables: its variables, each with the label of the alert that fills it, as a name or as `{cluster}`

    """

    uid: str
    variables: tuple[tuple[str, str], ...] = (("cluster", "{cluster}"),)


_TYPE_VARIABLES = (
    ("cluster", "{cluster}"),
    ("group", "customresource_group"),
    ("kind", "customresource_kind"),
)
_PLACE_VARIABLES = (*_TYPE_VARIABLES, ("namespace", "namespace"))

TO_OVERVIEW = Link("customresource-overview")
TO_OBJECT = Link("customresource-object", (*_PLACE_VARIABLES, ("name", "name")))
TO_DRIFT = Link("customresource-drift", _PLACE_VARIABLES)
TO_ROLLOUTS = Link("customresource-rollouts", _TYPE_VARIABLES)
TO_EXPORTER = Link("customresource-exporter")
TO_EXPORTERS = Link("customresource-exporter", ())


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Args:
        name: CamelCase, beginning with `CustomResource`
        group: of rules that it is evaluated with
        severity: `critical` wakes somebody, `warning` is a ticket, `info` only explains others
        expr: PromQL with the places above
        summary: one static sentence
        description: what is wrong with which object; a template of Prometheus with the places above
        link: the dashboard that shows it
        threshold: default for `{threshold}`; None where there is none
        unit: what the threshold counts, for people
        for_: how long the expression has to hold before; empty for not at all
        keep_firing_for: how long it goes on afterwards, over a restart of the exporter for instance; empty for not

    """

    name: str
    group: str
    severity: Severity
    expr: str
    summary: str
    description: str
    link: Link
    threshold: float | None = None
    unit: str = ""
    for_: str = ""
    keep_firing_for: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded series: its name, its group, and PromQL with the places above."""

    record: str
    group: str
    expr: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for all rules.

    Args:
        cluster: name of the label that tells clusters apart
        selector: what selects the exporter's targets
        runbooks: address below which the runbooks are
        dashboards: address of Grafana

    """

    cluster: str = "cluster"
    selector: str = 'job="customresource-exporter"'
    runbooks: str = "https://github.com/customresource-exporter/customresource-exporter/blob/main/dashboards/runbooks"
    dashboards: str = "https://grafana.example.com"


@dataclass(frozen=True, slots=True)
class Override:
    """What is to be otherwise for one alert; None is as it comes, an empty duration switches that duration off."""

    severity: str | None = None
    threshold: float | str | None = None
    for_: str | None = None
    keep_firing_for: str | None = None


DEFAULTS = Settings()
AS_IT_COMES = Override()


def alerting_rule(alert: Alert, settings: Settings = DEFAULTS, override: Override = AS_IT_COMES) -> Rule:
    """Make the rule of an alert, with the keys in the order in which people read them."""
    threshold = alert.threshold if override.threshold is None else override.threshold
    for_ = alert.for_ if override.for_ is None else override.for_
    keep = alert.keep_firing_for if override.keep_firing_for is None else override.keep_firing_for
    rule: Rule = {"alert": alert.name, "expr": filled(alert.expr, settings, threshold)}
    if for_:
        rule["for"] = for_
    if keep:
        rule["keep_firing_for"] = keep
    rule["labels"] = {"severity": override.severity or alert.severity}
    rule["annotations"] = {
        "summary": alert.summary,
        "description": filled(alert.description, settings, threshold),
        "runbook_url": f"{settings.runbooks}/{runbook(alert)}",
        "dashboard_url": settings.dashboards + filled(address(alert.link), settings),
    }
    return rule


def recording_rule(recording: Recording, settings: Settings = DEFAULTS) -> Rule:
    """Make the rule of a recording."""
    return {"record": recording.record, "expr": filled(recording.expr, settings)}


def runbook(alert: Alert) -> str:
    """Name the file of an alert's runbook."""
    return f"{alert.name.lower()}.md"


def address(link: Link) -> str:
    """Give the address of a dashboard in Grafana, from its root, as a template of Prometheus."""
    query = "&".join(f"var-{name}={{{{ $labels.{label} }}}}" for name, label in link.variables)
    return f"/d/{link.uid}?{query}" if query else f"/d/{link.uid}"


def filled(text: str, settings: Settings, threshold: float | str | None = None) -> str:
    """Fill the places in an expression or a text."""
    chosen = "" if threshold is None else str(threshold)
    return (
        text.replace("{threshold}", chosen)
        .replace("{cluster}", settings.cluster)
        .replace("{selector}", settings.selector)
    )
