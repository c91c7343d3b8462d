"""Rollouts: which changes have not come true, what is not ready, how long it takes, and what failed?"""

from __future__ import annotations

from dashboards.source.page import PLACE, SPANS, TYPE, Page, Row, to_kind
from dashboards.source.panels import (
    BAD_FROM_ONE,
    WORTH_A_LOOK_FROM_ONE,
    Column,
    Query,
    lines,
    stat,
    table,
    traces,
)  # fmt: skip
from dashboards.source.vocabulary import KIND, NAMED, OBJECT, PENDING, SHORT, UNREADY, not_ready


_DURATION = "customresource_reconcile_duration_seconds"
_CAME_TRUE = f'{_DURATION}_bucket{{{TYPE}, result="converged"}}'
_ENDED = f"{_DURATION}_count{{{TYPE}}}"
_FAILED = f'{_DURATION}_count{{{TYPE}, result=~"failed|timed_out"}}'
RESULTS = {
    "converged": "green", "failed": "dark-red", "timed_out": "orange", "superseded": "blue", "deleted": "red",
}  # fmt: skip


def quantile(share: float, by: str = "", window: str = "$__rate_interval", function: str = "rate") -> str:
    """Give in how many seconds so many of the changes came true."""
    grouped = ", ".join(part for part in (by, "le") if part)
    return f"histogram_quantile({share}, sum by ({grouped}) ({function}({_CAME_TRUE}[{window}]))) >= 0"


PAGE = Page(
    uid="customresource-rollouts",
    title="Custom resources / Rollouts",
    description="Which changes have not come true, what is not ready, how long does it take, and what failed?",
    variables=("datasource", "loki", "tempo", "cluster", "group", "kind", "namespace"),
    rows=(
        Row(
            "",
            4,
            (
                (
                    4,
                    stat(
                        "Waiting", "Objects of which a change of what is wanted has not come true.",
                        f"count({PENDING}) or vector(0)",
                    ),
                ),
                (
                    4,
                    stat(
                        "Waiting for half an hour", "Those that have been waiting for more than 30 minutes.",
                        f"count(time() - {PENDING} > 1800) or vector(0)", steps=BAD_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Not ready", "Objects of which a condition is not as it should be.",
                        f"count(count by ({OBJECT}) ({UNREADY})) or vector(0)", steps=WORTH_A_LOOK_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Came true", "Changes that came true in the time that is chosen above.",
                        f'sum(increase({_DURATION}_count{{{TYPE}, result="converged"}}[$__range])) or vector(0)',
                        "none", decimals=0,
                    ),
                ),
                (
                    4,
                    stat(
                        "Failed or timed out", "Changes that failed or took too long, in the time that is chosen"
                        " above.",
                        f"sum(increase({_FAILED}[$__range])) or vector(0)", "none", decimals=0,
                        steps=WORTH_A_LOOK_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "p90 until it came true", "Nine of ten changes came true within this, of those that did in the"
                        " time that is chosen above.",
                        quantile(0.9, window="$__range", function="increase"), "s", empty="none came true",
                    ),
                ),
            ),
        ),
        Row(
            "What does not come true",
            9,
            (
                (
                    12,
                    table(
                        "Changes that wait", "Each object of which a change has not come true, with since how long ago."
                        " A name leads to what it waits for.",
                        [f"time() - min by ({OBJECT}) ({PENDING})"],
                        NAMED | {"Value": Column("For", "s", width=110, steps=((None, "text"), (1800, "red")))},
                        sort="For",
                    ),
                ),
                (
                    12,
                    table(
                        "Conditions that are not as they should be", "Each with what it says and for how long.",
                        [not_ready(PLACE)],
                        SHORT
                        | {
                            "condition": Column("Condition", width=100),
                            "status": Column("Status", width=75),
                            "reason": Column("Reason", width=135),
                            "Value": Column("For", "s", width=100),
                        }
                        | {name: NAMED[name] for name in ("customresource_group", "cluster")},
                        sort="For",
                    ),
                ),
            ),
        ),
        Row(
            "How long it takes, and how it ends",
            8,
            (
                (
                    8,
                    lines(
                        "Until a change comes true", "Half (p50), nine of ten (p90) and 99 of 100 (p99) changes came"
                        " true within this. A dot leads to the trace of one of them.",
                        [
                            Query(quantile(0.5), "p50"),
                            Query(quantile(0.9), "p90"),
                            Query(quantile(0.99), "p99"),
                        ],
                        "s", exemplars=True,
                    ),
                ),
                (
                    8,
                    lines(
                        "How rollouts end", "Rollouts by how they ended.",
                        [
                            Query(
                                f"sum by (result) (rate({_ENDED}[$__rate_interval])) * 60 > 0", "{{result}}"
                            )
                        ],
                        "cpm", bars=True, colours=RESULTS,
                    ),
                ),
                (
                    8,
                    lines(
                        "What waits, and what is not ready", "Objects that wait for a change to come true, and objects"
                        " of which a condition is not as it should be.",
                        [
                            Query(f"count({PENDING}) or vector(0)", "change waits"),
                            Query(f"count(count by ({OBJECT}) ({UNREADY})) or vector(0)", "not ready"),
                        ],
                        colours={"change waits": "blue", "not ready": "orange"},
                    ),
                ),
            ),
        ),
        Row(
            "",
            9,
            (
                (
                    24,
                    table(
                        "By kind", "Of each kind the rollouts that ended in the time that is chosen above, those"
                        " that failed or timed out, and within what half (p50) and nine of ten (p90) came true.",
                        [
                            f"round(sum by ({KIND}) (increase({_ENDED}[$__range]))) > 0",
                            f"round(sum by ({KIND}) (increase({_FAILED}[$__range]))) > 0",
                            quantile(0.5, KIND, "$__range", "increase"),
                            quantile(0.9, KIND, "$__range", "increase"),
                        ],
                        {
                            "cluster": Column("Cluster", width=140),
                            "customresource_group": Column("Group", width=220),
                            "customresource_kind": Column("Kind", link=to_kind("customresource-rollouts")),
                            "Value #A": Column("Rollouts", "none", width=120),
                            "Value #B": Column("Failed", "none", width=120, steps=((None, "text"), (0.5, "red"))),
                            "Value #C": Column("p50", "s", width=120),
                            "Value #D": Column("p90", "s", width=120),
                        },
                        sort="Rollouts",
                    ),
                ),
            ),
        ),
        Row(
            "Traces",
            9,
            (
                (
                    12,
                    traces(
                        "Traces of what failed", "Rollouts that failed or timed out, each with what it waited for.",
                        f'{{ {SPANS} && span.customresource.rollout.result =~ "failed|timed_out" }}',
                    ),
                ),
                (
                    12,
                    traces(
                        "Traces of what was slow", "Rollouts that took longer than a minute to come true.",
                        f'{{ {SPANS} && span.customresource.rollout.result = "converged" && duration > 1m }}',
                    ),
                ),
            ),
        ),
    ),
)  # fmt: skip
