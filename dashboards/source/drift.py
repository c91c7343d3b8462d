"""Drift and writers: what is not as declared, since when, by whom, who puts it right, and who writes at all?"""

from __future__ import annotations

from dashboards.source.page import CLUSTER, PLACE, RECORDS, TYPE, Page, Row
from dashboards.source.panels import (
    BAD_FROM_ONE,
    WORTH_A_LOOK_FROM_ONE,
    Column,
    Query,
    lines,
    log,
    ranking,
    stat,
    table,
)  # fmt: skip
from dashboards.source.vocabulary import DECLARED, DRIFTED, NAMED, OBJECT, SHORT, STATES, WRITERS, drifted


STATE = "customresource_drift_state_objects"
FIELDS = f"customresource_drift_fields{{{PLACE}}}"
FIGHT = f"customresource_fight_active{{{PLACE}}}"
MISSING = f"customresource_missing_since_timestamp_seconds{{{PLACE}}}"
UNDECLARED = f"customresource_undeclared_fields{{{PLACE}}}"
EPISODES = f"customresource_drift_episodes_total{{{PLACE}}}"
RULE_HITS = f"customresource_exporter_drift_rule_hits_total{{{CLUSTER}}}"
LASTED = f"customresource_drift_episode_duration_seconds_bucket{{{TYPE}}}"
_PLACED = ("cluster", "customresource_group")
_WHICH = SHORT | {name: NAMED[name] for name in _PLACED}


PAGE = Page(
    uid="customresource-drift",
    title="Custom resources / Drift and writers",
    description="What is not as declared, since when, by whom, who puts it right, and who writes at all?",
    variables=("datasource", "loki", "tempo", "cluster", "group", "kind", "namespace"),
    rows=(
        Row(
            "",
            4,
            (
                (
                    4,
                    stat(
                        "Not as declared", "Objects that are not as somebody declared them, those that come and go"
                        " included.",
                        f"sum({DRIFTED}) or vector(0)", steps=BAD_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Coming and going", "Objects that cease to be as declared again and again.",
                        f'sum({STATE}{{{PLACE}, state="flapping"}}) or vector(0)', steps=BAD_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Fought over", "Objects with a field that writers take from each other.",
                        f"count({FIGHT}) or vector(0)", steps=BAD_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Declared and missing", "Objects that a directory of manifests declares, and that are not"
                        " there.",
                        f"count({MISSING}) or vector(0)", steps=BAD_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "With undeclared fields", "Objects of which a person owns fields that nobody declared.",
                        f"count({UNDECLARED}) or vector(0)", steps=WORTH_A_LOOK_FROM_ONE,
                    ),
                ),
                (
                    4,
                    stat(
                        "Silenced", "Objects that differ and are ignored by rules, or for which nothing is told.",
                        f'sum({STATE}{{{PLACE}, state=~"ignored|suspended"}}) or vector(0)',
                    ),
                ),
            ),
        ),
        Row(
            "What is not as declared",
            10,
            (
                (
                    24,
                    table(
                        "Objects that are not as declared", "Each object with for how long, the class of who changed"
                        " it, who declared it, and what it is held against. A name leads to field, values and writer.",
                        [
                            drifted(PLACE),
                            f"max by ({OBJECT}) ({FIELDS})",
                        ],
                        NAMED
                        | {
                            "cause": Column("Changed by", width=110),
                            "declarer": Column("Declared by", width=130),
                            "baseline": Column("Held against", width=120),
                            "Value #B": Column("Fields", "none", width=80),
                            "Value #A": Column("For", "s", width=110),
                        },
                        sort="For",
                    ),
                ),
            ),
        ),
        Row(
            "",
            7,
            (
                (
                    8,
                    table(
                        "Fights", "Objects with a field that writers take from each other; who, stands in the log.",
                        [f"max by ({OBJECT}) ({FIGHT})"], _WHICH, sort="Name", falling=False,
                    ),
                ),
                (
                    8,
                    table(
                        "Missing objects", "Objects that are declared and not there, with for how long.",
                        [f"time() - min by ({OBJECT}) ({MISSING})"],
                        SHORT | {"Value": Column("For", "s", width=100)}
                        | {name: NAMED[name] for name in _PLACED},
                        sort="For",
                    ),
                ),
                (
                    8,
                    table(
                        "Undeclared fields of people", "Objects of which a person owns most fields that nobody"
                        " declared.",
                        [f"topk(20, max by ({OBJECT}) ({UNDECLARED}))"],
                        SHORT | {"Value": Column("Fields", "none", width=80)}
                        | {name: NAMED[name] for name in _PLACED},
                        sort="Fields",
                    ),
                ),
            ),
        ),
        Row(
            "How it goes",
            8,
            (
                (
                    8,
                    lines(
                        "State of what is declared", "Objects that somebody declares, by the state of their drift.",
                        [Query(f"sum by (state) ({DECLARED}) > 0", "{{state}}")], stacked=True, colours=STATES,
                    ),
                ),
                (
                    8,
                    lines(
                        "Episodes by cause", "Times that an object had not been as declared, when they ended, by the"
                        " class of who changed it.",
                        [
                            Query(
                                f"sum by (cause) (rate({EPISODES}[$__rate_interval])) * 3600 > 0",
                                "{{cause}}",
                            )
                        ],
                        "suffix: /h", bars=True, colours=WRITERS,
                    ),
                ),
                (
                    8,
                    lines(
                        "Who puts it right", "The same by who ended them: the declarer, the class of another writer, or"
                        " a deletion.",
                        [
                            Query(
                                f"sum by (resolved_by) (rate({EPISODES}[$__rate_interval])) * 3600 > 0",
                                "{{resolved_by}}",
                            )
                        ],
                        "suffix: /h", bars=True, colours=WRITERS | {"declarer": "light-green", "deleted": "red"},
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
                    table(
                        "By who declares", "How much each tool declares, and how much of that is not as declared.",
                        [f"sum by (declarer) ({DECLARED}) > 0", f"sum by (declarer) ({DRIFTED}) > 0"],
                        {
                            "declarer": Column("Declared by"),
                            "Value #A": Column("Objects", "none", width=100),
                            "Value #B": Column("Drifted", "none", width=100, steps=BAD_FROM_ONE),
                        },
                        sort="Drifted",
                    ),
                ),
                (
                    8,
                    table(
                        "How long it lasts", "Of the episodes that ended in the time that is chosen above, half (p50)"
                        " and nine of ten (p90) were over within this, by the class of who changed the object.",
                        [
                            f"histogram_quantile(0.5, sum by (cause, le) (increase({LASTED}[$__range]))) >= 0",
                            f"histogram_quantile(0.9, sum by (cause, le) (increase({LASTED}[$__range]))) >= 0",
                        ],
                        {
                            "cause": Column("Changed by"),
                            "Value #A": Column("p50", "s", width=110),
                            "Value #B": Column("p90", "s", width=110),
                        },
                        sort="p90",
                    ),
                ),
                (
                    8,
                    table(
                        "Ignore rules", "Findings that an ignore rule covered in the time that is chosen above, by its"
                        " reason. A rule that covers nothing can go.",
                        [
                            f"round(sum by (rule) (increase({RULE_HITS}[$__range]))) > 0",
                        ],
                        {"rule": Column("Reason"), "Value": Column("Findings", "none", width=100)},
                        sort="Findings",
                    ),
                ),
            ),
        ),
        Row(
            "Who writes",
            8,
            (
                (
                    12,
                    lines(
                        "Changes of what is wanted", "Changes of the desired state, by the class of who wrote them.",
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
                    12,
                    ranking(
                        "Writers", "Who changed the desired state most often in the time that is chosen above, by the"
                        " name that the client gave itself.",
                        "topk(20, sum by (customresource_writer_name, customresource_writer_class, customresource_kind)"
                        f' (count_over_time({RECORDS} | customresource_change_type="spec" [$__range])))',
                        {
                            "customresource_writer_name": Column("Writer"),
                            "customresource_writer_class": Column("Class", width=110),
                            "customresource_kind": Column("Kind", width=160),
                            "Value #A": Column("Changes", "none", width=100),
                        },
                        sort="Changes",
                    ),
                ),
            ),
        ),
        Row(
            "",
            10,
            (
                (
                    12,
                    log(
                        "Changes by hand", "What people changed, the newest first.",
                        f'{RECORDS} | customresource_writer_class="human"'
                        ' | customresource_change_type=~"created|recreated|deleted|spec|metadata"',
                    ),
                ),
                (
                    12,
                    log(
                        "Drift and fights", "Each beginning, change and end, with fields, values and writers.",
                        f'{RECORDS} | customresource_drift_transition!=""',
                    ),
                ),
            ),
        ),
    ),
)  # fmt: skip
