"""Object: what is wrong with one custom resource, what happened to it, who did that, and what came of it?"""

from __future__ import annotations

from dashboards.source.page import OBJECT, OF_OBJECT, PLACE, SPANS, Page, Row
from dashboards.source.panels import (
    BAD_FROM_ONE,
    WORTH_A_LOOK_FROM_ONE,
    Column,
    Query,
    counted,
    lines,
    log,
    named,
    ranking,
    spans_of_time,
    stat,
    table,
    traces,
)  # fmt: skip
from dashboards.source.vocabulary import CHANGES, NAMED, drifted, not_ready


SINCE = f"customresource_drift_since_timestamp_seconds{{{OBJECT}}}"
FIGHT = f"customresource_fight_active{{{OBJECT}}}"
PENDING = f"customresource_reconcile_pending_since_timestamp_seconds{{{OBJECT}}}"
UNREADY = f"customresource_unready_since_timestamp_seconds{{{OBJECT}}}"
MISSING = f"customresource_missing_since_timestamp_seconds{{{OBJECT}}}"
_WHICH = {name: NAMED[name] for name in ("namespace", "customresource_kind")} | {"name": Column("Name")}


def holds(family: str, name: str) -> Query:
    """Give 1 while something holds of one of the objects."""
    return Query(f"max({family}) > bool 0", name)


PAGE = Page(
    uid="customresource-object",
    title="Custom resources / Object",
    description="What is wrong with one custom resource, what happened to it, who did that, and what came of it?",
    variables=("datasource", "loki", "tempo", "cluster", "group", "kind", "namespace", "name"),
    rows=(
        Row(
            "",
            4,
            (
                (
                    4,
                    stat(
                        "Not as declared for", "For how long it has not been as declared.", f"time() - min({SINCE})",
                        "s", steps=((None, "green"), (0, "red")), empty="as declared, or nobody declares it",
                    ),
                ),
                (
                    4,
                    stat(
                        "Fields that differ", "Declared fields that are not as declared.",
                        f"sum(customresource_drift_fields{{{OBJECT}}}) or vector(0)", steps=BAD_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Undeclared fields of people", "Fields that a person owns and nobody declared.",
                        f"sum(customresource_undeclared_fields{{{OBJECT}}}) or vector(0)", steps=WORTH_A_LOOK_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Fought over", "Whether writers undo each other's changes of one of its fields.",
                        f"max({FIGHT}) or vector(0)", steps=BAD_FROM_ONE, mappings=named({"0": "no", "1": "yes"}),
                    ),
                ),
                (
                    4,
                    stat(
                        "Change waits for", "For how long the last change of what is wanted has not come true.",
                        f"time() - min({PENDING})", "s", steps=((None, "green"), (0, "blue"), (300, "orange")),
                        empty="nothing waits",
                    ),
                ),
                (
                    4,
                    stat(
                        "Not ready for", "For how long a condition has not been as it should be.",
                        f"time() - min({UNREADY})", "s", steps=((None, "green"), (0, "orange")), empty="ready",
                    ),
                ),
            ),
        ),
        Row(
            "Why",
            6,
            (
                (
                    12,
                    table(
                        "Drift", "What it is held against, who declared it, of which class whoever changed it is. Which"
                        " field it is stands in the log below.",
                        [drifted(OBJECT)],
                        _WHICH
                        | {
                            "cause": Column("Changed by", width=110),
                            "declarer": Column("Declared by", width=120),
                            "baseline": Column("Held against", width=120),
                            "Value": Column("For", "s", width=100),
                        },
                        sort="For",
                    ),
                ),
                (
                    12,
                    table(
                        "Conditions", "Conditions that are not as they should be, with what they say.",
                        [not_ready(OBJECT)],
                        _WHICH
                        | {
                            "condition": Column("Condition", width=120),
                            "status": Column("Status", width=90),
                            "reason": Column("Reason", width=160),
                            "Value": Column("For", "s", width=100),
                        },
                        sort="For",
                    ),
                ),
            ),
        ),
        Row(
            "What happened",
            12,
            (
                (
                    16,
                    log(
                        "Change log", "Every change that matters, the newest first, with field, old and new value and"
                        " writer. A line opens to the whole difference, and leads to the trace of its rollout.",
                        f'{OF_OBJECT} | customresource_drift_transition=""',
                    ),
                ),
                (
                    8,
                    log(
                        "Drift and fights", "When it ceased to be as declared and when it was put right, by whom, and"
                        " who fought over which field.",
                        f'{OF_OBJECT} | customresource_drift_transition!=""',
                    ),
                ),
            ),
        ),
        Row(
            "When",
            7,
            (
                (
                    16,
                    spans_of_time(
                        "States", "When it was not as declared, fought over, missing, waiting for a change to come"
                        " true, or not ready.",
                        [
                            holds(SINCE, "not as declared"),
                            holds(MISSING, "missing"),
                            holds(FIGHT, "fought over"),
                            holds(PENDING, "change waits"),
                            holds(UNREADY, "not ready"),
                        ],
                    ),
                ),
                (
                    8,
                    ranking(
                        "Who wrote", "Who changed it in the time that is chosen above, by the name that the client gave"
                        " itself.",
                        "sum by (customresource_writer_name, customresource_writer_class, customresource_change_type)"
                        f' (count_over_time({OF_OBJECT} | customresource_change_type!="" [$__range]))',
                        {
                            "customresource_writer_name": Column("Writer"),
                            "customresource_writer_class": Column("Class", width=100),
                            "customresource_change_type": Column("Change", width=100),
                            "Value #A": Column("Changes", "none", width=90),
                        },
                        sort="Changes",
                    ),
                ),
            ),
        ),
        Row(
            "",
            8,
            (
                (
                    12,
                    counted(
                        "Changes of the object", "Its changes that matter, by what changed, as the logs have them.",
                        "sum by (customresource_change_type)"
                        f' (count_over_time({OF_OBJECT} | customresource_change_type!="" [$__auto]))',
                        "{{customresource_change_type}}",
                    ),
                ),
                (
                    12,
                    lines(
                        "Changes of all objects like it", "Versions of all objects of the kind in the namespace, by"
                        " what changed: is it alone?",
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
            ),
        ),
        Row(
            "Rollouts",
            9,
            (
                (
                    24,
                    traces(
                        "Traces of its rollouts", "One trace for each change of what is wanted, from the change until"
                        " the operator had made it true, and what it waited for.",
                        f'{{ {SPANS} && span.customresource.name =~ "$name" }}',
                    ),
                ),
            ),
        ),
    ),
)  # fmt: skip
