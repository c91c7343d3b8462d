"""Overview: is anything wrong, with which objects, and what has changed?"""

from __future__ import annotations

from dashboards.source.page import CLUSTER, PLACE, RECORDS, Page, Row, to, to_kind
from dashboards.source.panels import BAD_FROM_ONE, WORTH_A_LOOK_FROM_ONE, Column, Query, lines, log, stat, table
from dashboards.source.vocabulary import (
    CHANGES,
    DECLARED,
    DRIFTED,
    KIND,
    NAMED,
    OBJECT,
    PENDING,
    SINCE,
    STATES,
    UNREADY,
    WRITERS,
    since,
)  # fmt: skip


FIRING = f'ALERTS{{{CLUSTER}, alertname=~"CustomResource.*", alertstate="firing"}}'
# By their names, `info` would come before `warning`.
_RANKED = f"max by (severity, alertname, cluster, namespace, customresource_kind, name) ({FIRING})"
for _rank, _severity in enumerate(("critical", "warning", "info"), start=1):
    _RANKED = f'label_replace({_RANKED}, "severity", "{_rank} {_severity}", "severity", "{_severity}")'
_EDITS = f"customresource_spec_changes_total{{{PLACE}}}"


PAGE = Page(
    uid="customresource-overview",
    title="Custom resources / Overview",
    description="Is anything wrong, with which objects, and what has changed?",
    variables=("datasource", "loki", "tempo", "cluster", "group", "kind", "namespace"),
    rows=(
        Row(
            "",
            4,
            (
                (
                    4,
                    stat(
                        "Not as declared", "Objects that are not as somebody declared them.",
                        f"sum({DRIFTED}) or vector(0)", steps=BAD_FROM_ONE, link=to("customresource-drift"),
                    ),
                ),
                (
                    4,
                    stat(
                        "As declared", "Share of the objects that somebody declares which are as declared.",
                        f"1 - sum({DRIFTED}) / sum({DECLARED})", "percentunit", empty="nothing is declared",
                        steps=((None, "red"), (0.95, "orange"), (0.9999, "green")), decimals=1,
                        link=to("customresource-drift"),
                    ),
                ),
                (
                    4,
                    stat(
                        "Waiting for 5 minutes",
                        "Objects of which a change of what is wanted has not come true for more than 5 minutes.",
                        f"count(time() - {PENDING} > 300) or vector(0)", steps=WORTH_A_LOOK_FROM_ONE,
                        link=to("customresource-rollouts"),
                    ),
                ),
                (
                    4,
                    stat(
                        "Not ready", "Objects of which a condition is not as it should be.",
                        f"count(count by ({OBJECT}) ({UNREADY})) or vector(0)", steps=WORTH_A_LOOK_FROM_ONE,
                        link=to("customresource-rollouts"),
                    ),
                ),
                (
                    4,
                    stat(
                        "Changed by hand", "Changes of the desired state by people, in the time that is chosen above.",
                        f'sum(increase(customresource_spec_changes_total{{{PLACE}, writer_class="human"}}[$__range]))',
                        steps=WORTH_A_LOOK_FROM_ONE, decimals=0, link=to("customresource-drift"),
                    ),
                ),
                (
                    4,
                    stat(
                        "Types not followed",
                        "Types that cannot be followed, of all that should be: what happens to these is not seen.",
                        'sum(customresource_exporter_watch_degraded{cluster=~"$cluster"})', steps=BAD_FROM_ONE,
                        empty="no exporter", link=to("customresource-exporter"),
                    ),
                ),
            ),
        ),
        Row(
            "What needs a look",
            9,
            (
                (
                    14,
                    table(
                        "Objects in trouble",
                        "Every object that is not as declared, waits for a change to come true, or is not ready, with"
                        " for how long. A name leads to all about it.",
                        [
                            " or ".join(
                                (
                                    since(SINCE, "not as declared"),
                                    since(PENDING, "change has not come true"),
                                    since(UNREADY, "not ready"),
                                )
                            )
                        ],
                        NAMED | {"trouble": Column("Trouble", width=190), "Value": Column("For", "s", width=90)},
                        sort="For",
                    ),
                ),
                (
                    10,
                    table(
                        "Alerts that fire",
                        "Alerts of the shipped rules that fire now, where the chosen Prometheus evaluates them.",
                        [_RANKED],
                        {
                            "severity": Column("Severity", width=90),
                            "alertname": Column("Alert", width=270),
                            "cluster": Column("Cluster", width=70),
                            "namespace": Column("Namespace", width=90),
                            "customresource_kind": Column("Kind", width=110),
                            "name": Column("Name"),
                        },
                        sort="Severity",
                        falling=False,
                    ),
                ),
            ),
        ),
        Row(
            "What changes",
            8,
            (
                (
                    8,
                    lines(
                        "Changes", "Versions that changed something, by what changed. Heartbeats count as status.",
                        [
                            Query(
                                f'sum by (change) (rate(customresource_changes_total{{{PLACE}, change!="noop"}}'
                                "[$__rate_interval])) * 60 > 0",
                                "{{change}}",
                            )
                        ],
                        "cpm", bars=True, colours=CHANGES,
                    ),
                ),
                (
                    8,
                    lines(
                        "Who changes what is wanted", "Changes of the desired state, by the class of who wrote them.",
                        [
                            Query(
                                f"sum by (writer_class) (rate(customresource_spec_changes_total{{{PLACE}}}"
                                "[$__rate_interval])) * 60 > 0",
                                "{{writer_class}}",
                            )
                        ],
                        "cpm", bars=True, colours=WRITERS,
                    ),
                ),
                (
                    8,
                    lines(
                        "State of what is declared", "Objects that somebody declares, by the state of their drift.",
                        [Query(f"sum by (state) ({DECLARED}) > 0", "{{state}}")],
                        stacked=True, colours=STATES,
                    ),
                ),
            ),
        ),
        Row(
            "",
            9,
            (
                (
                    10,
                    table(
                        "By kind", "How many objects there are of each kind, how many are in trouble now, and how"
                        " often their spec was changed in the time that is chosen above.",
                        [
                            f"sum by ({KIND}) (customresource_objects{{{PLACE}}})",
                            f"sum by ({KIND}) ({DRIFTED}) > 0",
                            f"count by ({KIND}) (count by ({OBJECT}) ({UNREADY}))",
                            f"round(sum by ({KIND}) (increase({_EDITS}[$__range])))",
                        ],
                        {
                            "cluster": Column("Cluster", width=70),
                            "customresource_group": Column("Group", width=140),
                            "customresource_kind": Column("Kind", link=to_kind("customresource-drift")),
                            "Value #A": Column("Objects", "short", width=80),
                            "Value #B": Column("Drifted", "short", width=80, steps=BAD_FROM_ONE),
                            "Value #C": Column("Not ready", "short", width=85, steps=WORTH_A_LOOK_FROM_ONE),
                            "Value #D": Column("Edits", "none", width=70),
                        },
                        sort="Drifted",
                    ),
                ),
                (
                    14,
                    log(
                        "Change log", "What happened, one line for each change that matters, the newest first. A line"
                        " opens to the fields that moved and who moved them.",
                        f'{RECORDS} | customresource_change_type!="status"',
                    ),
                ),
            ),
        ),
    ),
)  # fmt: skip
