"""Exporter: does it see everything, keep everything and deliver everything, and what does it take for that?"""

from __future__ import annotations

from dashboards.source.page import CLUSTER, Page, Row
from dashboards.source.panels import BAD_FROM_ONE, Column, Query, lines, named, stat, table


P = "customresource_exporter"
TYPES = "cluster, customresource_group, customresource_kind"
BUILD = f"{P}_build_info{{{CLUSTER}}}"
DEGRADED = f"{P}_watch_degraded{{{CLUSTER}}}"
LAST = f"{P}_watch_last_event_timestamp_seconds{{{CLUSTER}}}"


def counted(family: str, *labels: str, scale: int = 60) -> str:
    """Give how often something was counted, a minute."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (rate({P}_{family}_total{{{CLUSTER}}}[$__rate_interval])) * {scale}"


def quantile(share: float, family: str) -> str:
    """Give a quantile of a histogram of the exporter."""
    return f"histogram_quantile({share}, sum by (le) (rate({P}_{family}_bucket{{{CLUSTER}}}[$__rate_interval]))) >= 0"


def process(family: str) -> str:
    """Give something of the processes of the exporters, and of no other."""
    return f"{family} and on (cluster, job, instance) {BUILD}"


PAGE = Page(
    uid="customresource-exporter",
    title="Custom resources / Exporter",
    description="Does the exporter see everything, keep everything, deliver everything, and what does that take?",
    variables=("datasource", "cluster"),
    annotated=False,
    rows=(
        Row(
            "",
            4,
            (
                (
                    4,
                    stat(
                        "Exporters", "Exporters that answer Prometheus now.", f"count({BUILD}) or vector(0)",
                        steps=((None, "red"), (1, "green")),
                    ),
                ),
                (
                    4,
                    stat(
                        "Types followed", "Types of which everything that happens is seen.",
                        f"sum({P}_watch_synced{{{CLUSTER}}}) or vector(0)", steps=((None, "red"), (1, "green")),
                    ),
                ),
                (
                    4,
                    stat(
                        "Types not followed", "Types that cannot be followed: forbidden, or refused.",
                        f"sum({DEGRADED}) or vector(0)", steps=BAD_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Journal", "Whether the journal can do its work; if not, the log of the exporter says why.",
                        f"max({P}_journal_degraded{{{CLUSTER}}})", steps=BAD_FROM_ONE,
                        mappings=named({"0": "works", "1": "degraded"}), empty="no exporter",
                    ),
                ),
                (
                    4,
                    stat(
                        "Waiting for delivery", "Since when the oldest change that is not delivered has waited.",
                        f"max({P}_delivery_oldest_seconds{{{CLUSTER}}})", "s", empty="no endpoint",
                        steps=((None, "green"), (60, "orange"), (300, "red")),
                    ),
                ),
                (
                    4,
                    stat(
                        "Configuration", "Whether what was last asked for is in force, of the web address, too.",
                        f"min({P}_config_last_reload_successful{{{CLUSTER}}}"
                        f" * on (cluster, job, instance) {P}_web_config_last_reload_successful)",
                        steps=((None, "red"), (1, "green")), mappings=named({"0": "refused", "1": "in force"}),
                        empty="no exporter",
                    ),
                ),
            ),
        ),
        Row(
            "Following the cluster",
            9,
            (
                (
                    10,
                    table(
                        "Types that are silent or refused", "The 20 types that have sent nothing for longest, and those"
                        " that cannot be followed. A bookmark should come each minute.",
                        [f"topk(20, time() - max by ({TYPES}) ({LAST} > 0))", f"max by ({TYPES}) ({DEGRADED}) > 0"],
                        {
                            "cluster": Column("Cluster", width=100),
                            "customresource_group": Column("Group"),
                            "customresource_kind": Column("Kind"),
                            "Value #A": Column("Silent for", "s", width=110, steps=((None, "text"), (900, "red"))),
                            "Value #B": Column("Refused", "none", width=90, steps=((None, "text"), (1, "red"))),
                        },
                        sort=("Refused", "Silent for"),
                    ),
                ),
                (
                    7,
                    lines(
                        "Watches opened again", "By what ended the one before. `ended` and `empty` are usual.",
                        [Query(counted("watch_restarts", "reason") + " > 0", "{{reason}}")], "cpm", bars=True,
                    ),
                ),
                (
                    7,
                    lines(
                        "Lists", "Lists of whole collections, by what made them necessary: each costs the API server.",
                        [Query(counted("lists", "reason") + " > 0", "{{reason}}")], "cpm", bars=True,
                    ),
                ),
            ),
        ),
        Row(
            "",
            8,
            (
                (
                    8,
                    lines(
                        "Until a change is in the journal", "From when a change happened, as its object tells to the"
                        " second, to its commit: for half of them (p50) and for 99 of 100 (p99).",
                        [
                            Query(quantile(0.5, "change_lag_seconds"), "p50"),
                            Query(quantile(0.99, "change_lag_seconds"), "p99"),
                        ],
                        "s",
                    ),
                ),
                (
                    8,
                    lines(
                        "What was lost", "Everything that is missing somewhere: in the history, in the metrics of"
                        " single objects, in conclusions. All of it should be 0.",
                        [
                            Query(counted("gaps"), "gaps"),
                            Query(counted("versions_coalesced"), "versions in gaps"),
                            Query(counted("objects_skipped"), "objects not read"),
                            Query(counted("series_dropped"), "series left out"),
                            Query(counted("evaluation_errors"), "conclusions"),
                            Query(counted("audit_findings"), "found by the audit"),
                            Query(counted("delivery_dropped"), "never delivered"),
                        ],
                        "cpm", bars=True,
                    ),
                ),
                (
                    8,
                    lines(
                        "Declared manifests", "Objects that directories of manifests declare, and problems with"
                        " reading them.",
                        [
                            Query(f"sum({P}_drift_declared_objects{{{CLUSTER}}})", "objects"),
                            Query(f"sum by (kind) ({P}_drift_declared_problems{{{CLUSTER}}})", "{{kind}}"),
                        ],
                    ),
                ),
            ),
        ),
        Row(
            "Journal",
            8,
            (
                (
                    8,
                    lines(
                        "Size", "Size of the journal's files, and of its write-ahead log.",
                        [
                            Query(f"sum({P}_journal_bytes{{{CLUSTER}}})", "journal"),
                            Query(f"sum({P}_journal_wal_bytes{{{CLUSTER}}})", "write-ahead log"),
                        ],
                        "bytes",
                    ),
                ),
                (
                    8,
                    lines(
                        "Changes kept", "Changes that the journal holds: how far back one can look.",
                        [Query(f"sum({P}_journal_changes{{{CLUSTER}}})", "changes")],
                    ),
                ),
                (
                    8,
                    lines(
                        "Commits", "Half (p50) and 99 of 100 (p99) of the commits took no longer than this.",
                        [
                            Query(quantile(0.5, "journal_commit_seconds"), "p50"),
                            Query(quantile(0.99, "journal_commit_seconds"), "p99"),
                        ],
                        "s",
                    ),
                ),
            ),
        ),
        Row(
            "Delivery",
            8,
            (
                (
                    8,
                    lines(
                        "Backlog", "Changes not yet delivered.",
                        [
                            Query(
                                f"sum by (consumer) ({P}_delivery_backlog_changes{{{CLUSTER}}})",
                                "{{consumer}}",
                            )
                        ],
                    ),
                ),
                (
                    8,
                    lines(
                        "Delivered", "Changes that the other side accepted.",
                        [Query(counted("delivery_sent", "consumer", scale=1), "{{consumer}}")], "cps",
                    ),
                ),
                (
                    8,
                    lines(
                        "Failures", "Requests that failed, by reason. They are tried again, but for what is dropped.",
                        [
                            Query(
                                counted("delivery_failures", "consumer", "reason") + " > 0", "{{consumer}} {{reason}}"
                            ),
                            Query(
                                counted("delivery_dropped", "consumer", "reason") + " > 0",
                                "dropped: {{consumer}} {{reason}}",
                            ),
                        ],
                        "cpm", bars=True,
                    ),
                ),
            ),
        ),
        Row(
            "Process",
            7,
            (
                (
                    6,
                    lines(
                        "Memory", "Memory that the exporter holds.",
                        [Query(process("process_resident_memory_bytes"), "{{instance}}")], "bytes",
                    ),
                ),
                (
                    6,
                    lines(
                        "CPU", "Processors that the exporter keeps busy.",
                        [Query(process("rate(process_cpu_seconds_total[$__rate_interval])"), "{{instance}}")], "short",
                    ),
                ),
                (
                    6,
                    lines(
                        "Running for", "Since its last start.",
                        [Query("time() - (" + process("process_start_time_seconds") + ")", "{{instance}}")], "s",
                    ),
                ),
                (
                    6,
                    table(
                        "Versions", "The versions that run, and on which Python.",
                        [f"count by (cluster, version, python) ({BUILD})"],
                        {
                            "cluster": Column("Cluster"),
                            "version": Column("Version", width=90),
                            "python": Column("Python", width=90),
                            "Value": Column("Exporters", "none", width=90),
                        },
                        sort="Cluster", falling=False,
                    ),
                ),
            ),
        ),
    ),
)  # fmt: skip
