"""For every alert, what has to make it fire, and what lies next to that and must not.

An alert without a case is an error of the test that reads this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.dashboards.minutes import OBJECT, PLACE, TYPE, Series, Values, absent, growing, steady


LOGS = {"consumer": "otlp-logs"}
POISON = {**LOGS, "reason": "poison"}
SINCE = "customresource_drift_since_timestamp_seconds"
STATES = "customresource_drift_state_objects"
SPECS = "customresource_spec_changes_total"
MISSING = "customresource_missing_since_timestamp_seconds"
PENDING = "customresource_reconcile_pending_since_timestamp_seconds"
UNREADY = "customresource_unready_since_timestamp_seconds"
ENDED = "customresource_reconcile_duration_seconds_count"
BUCKET = "customresource_reconcile_duration_seconds_bucket"
EVENT = "customresource_exporter_watch_last_event_timestamp_seconds"
DEGRADED = "customresource_exporter_watch_degraded"
OLDEST = "customresource_exporter_delivery_oldest_seconds"
DROPPED = "customresource_exporter_delivery_dropped_total"
JOURNAL = "customresource_exporter_journal_degraded"
LEFT_OUT = "customresource_exporter_series_dropped_total"
ERRORS = "customresource_exporter_evaluation_errors_total"
RELOADED = "customresource_exporter_config_last_reload_successful"
WEB_RELOADED = "customresource_exporter_web_config_last_reload_successful"
PROBLEMS = "customresource_exporter_drift_declared_problems"
GAPS = "customresource_exporter_gaps_total"
START = "process_start_time_seconds"


@dataclass(frozen=True)
class Case:
    """What is known of one alert.

    Args:
        fires: series that make it fire
        at: the minute at which it does
        labels: that the alert has, beside its severity
        innocent: sets of series that must never make it fire, each with a name
        early: so many minutes before, it surely does not; more than one where versions of Prometheus differ in windows
        bridged: it goes on firing, with its clock, when the exporter is restarted in the middle

    """

    fires: list[Series]
    at: int
    labels: dict[str, str]
    innocent: dict[str, list[Series]] = field(default_factory=dict)
    early: int = 1
    bridged: bool = True


def states(drifted: Values, in_sync: Values, unmanaged: int = 0) -> list[Series]:
    """Count objects by state."""
    labels = PLACE | {"declarer": "argocd"}
    return [
        Series(STATES, labels | {"state": "drifted"}, drifted),
        Series(STATES, labels | {"state": "in_sync"}, in_sync),
        Series(STATES, labels | {"declarer": "", "state": "unmanaged"}, steady(unmanaged, len(drifted))),
    ]


def up(*values: Values, cluster: str = "a") -> list[Series]:
    """Targets that can be scraped (1) or not (0)."""
    return [
        Series("up", {"cluster": cluster, "instance": f"exporter-{number}:9838"}, one)
        for number, one in enumerate(values)
    ]


def in_memory(name: str, labels: dict[str, str], values: Values, start: float = -86400.0) -> list[Series]:
    """A counter that a restart sets to 0, of a process that started at that second."""
    return [Series(name, labels, values, in_memory=True), Series(START, {}, steady(start, len(values)))]


def rollouts(**ended: Values) -> list[Series]:
    """Count rollouts by how they ended."""
    return [Series(ENDED, TYPE | {"result": result}, values) for result, values in ended.items()]


def slow_from(minute: int, before: str, after: str, minutes: int) -> list[Series]:
    """Have a rollout come true each minute, in one bucket up to a minute, in another one from then on."""
    bounds = ["5", "30", "60", "120", "300", "600", "+Inf"]
    found = []
    for number, bound in enumerate(bounds):
        fast, slow = number >= bounds.index(before), number >= bounds.index(after)
        values: Values = [float(min(now, minute) * fast + max(0, now - minute) * slow) for now in range(minutes)]
        found.append(Series(BUCKET, TYPE | {"result": "converged", "le": bound}, values))
    return found


def events(last: Values) -> list[Series]:
    """The last event of a watch, in seconds, minute by minute."""
    return [Series(EVENT, TYPE, last)]


A = {"cluster": "a"}
TWO_HOURS = 120
CASES = {
    "CustomResourceDriftDetected": Case(
        fires=[Series(SINCE, OBJECT, absent(10) + steady(600, 60))],
        at=26,
        labels=A | OBJECT,
        innocent={"put right in time": [Series(SINCE, OBJECT, absent(10) + steady(600, 14) + absent(90))]},
    ),
    "CustomResourceDriftLongLived": Case(
        fires=[Series(SINCE, OBJECT, absent(10) + steady(600, 1500))],
        at=1451,
        labels=A | OBJECT,
        innocent={"put right within the day": [Series(SINCE, OBJECT, absent(10) + steady(600, 1430) + absent(60))]},
    ),
    "CustomResourceDriftFlapping": Case(
        fires=[Series(STATES, PLACE | {"declarer": "flux", "state": "flapping"}, steady(0, 10) + steady(2, 60))],
        at=10,
        labels=A | PLACE,
        innocent={"drifted and staying so": states(steady(3, TWO_HOURS), steady(5, TWO_HOURS))},
    ),
    "CustomResourceDriftFight": Case(
        fires=[Series("customresource_fight_active", OBJECT, absent(10) + steady(1, 60))],
        at=10,
        labels=A | OBJECT,
        innocent={"drifted, and nobody fights": [Series(SINCE, OBJECT, steady(0, TWO_HOURS))]},
    ),
    "CustomResourceDriftMass": Case(
        fires=states(steady(0, 10) + steady(30, 60), steady(100, 10) + steady(70, 60), unmanaged=9000),
        at=20,
        labels=A,
        innocent={
            "a large share of few": states(steady(8, TWO_HOURS), steady(4, TWO_HOURS)),
            "many, and a small share": states(steady(15, TWO_HOURS), steady(85, TWO_HOURS)),
            "a wave that passes": states(steady(50, 9) + steady(0, 111), steady(50, 9) + steady(100, 111)),
        },
    ),
    "CustomResourceManualChange": Case(
        fires=[Series(SPECS, PLACE | {"writer_class": "human"}, steady(0, 20) + steady(1, 60))],
        at=20,
        labels=A | PLACE,
        innocent={
            "written by others": [Series(SPECS, PLACE | {"writer_class": "gitops"}, growing(1, 3, TWO_HOURS))],
            "long ago": [Series(SPECS, PLACE | {"writer_class": "human"}, steady(7, TWO_HOURS))],
        },
    ),
    "CustomResourceUndeclaredFields": Case(
        fires=[Series("customresource_undeclared_fields", OBJECT, absent(10) + steady(2, 60))],
        at=25,
        labels=A | OBJECT,
        innocent={"tried out": [Series("customresource_undeclared_fields", OBJECT, steady(2, 14) + absent(90))]},
    ),
    "CustomResourceDeclaredMissing": Case(
        fires=[Series(MISSING, OBJECT, absent(10) + steady(600, 60))],
        at=26,
        labels=A | OBJECT,
        innocent={
            "made in time": [Series(MISSING, OBJECT, absent(10) + steady(600, 14) + absent(90))],
            "there, and drifted": [Series(SINCE, OBJECT, steady(0, TWO_HOURS))],
        },
    ),
    "CustomResourceRolloutStuck": Case(
        fires=[Series(PENDING, OBJECT, absent(10) + steady(600, 90))],
        at=41,
        labels=A | OBJECT,
        innocent={"came true in time": [Series(PENDING, OBJECT, absent(10) + steady(600, 29) + absent(90))]},
    ),
    "CustomResourceRolloutSlow": Case(
        fires=slow_from(400, "30", "300", 600),
        at=425,
        early=5,
        labels=A | TYPE,
        innocent={
            "somewhat slower": slow_from(400, "120", "300", 600),
            "slower, and still quick": slow_from(400, "5", "30", 600),
            "nothing to compare with": slow_from(0, "5", "600", 60),
        },
    ),
    "CustomResourceRolloutFailing": Case(
        fires=rollouts(
            converged=steady(5, 100), failed=steady(0, 20) + growing(1, 1, 5) + steady(4, 75), timed_out=steady(2, 100)
        ),
        at=23,
        labels=A | TYPE,
        innocent={
            "two of two": rollouts(converged=steady(0, 120), failed=steady(0, 60) + steady(2, 60)),
            "few of many": rollouts(converged=growing(1, 1, 120), timed_out=growing(1, 15, 120)),
            "superseded": rollouts(converged=steady(9, 120), failed=steady(0, 120), superseded=growing(1, 2, 120)),
        },
    ),
    "CustomResourceUnready": Case(
        fires=[
            Series(UNREADY, OBJECT | {"condition": "Ready"}, absent(10) + steady(600, 60)),
            Series(UNREADY, OBJECT | {"condition": "Synced"}, absent(20) + steady(1200, 50)),
        ],
        at=26,
        labels=A | OBJECT,
        innocent={
            "ready in time": [
                Series(UNREADY, OBJECT | {"condition": "Ready"}, absent(10) + steady(600, 14) + absent(90))
            ],
        },
    ),
    "CustomResourceExporterDown": Case(
        fires=up(steady(1, 10) + steady(0, 60)),
        at=20,
        labels={},
        innocent={
            "a restart": up(steady(1, 30) + steady(0, 5) + steady(1, 60)),
            "one of two": up(steady(0, TWO_HOURS), steady(1, TWO_HOURS)),
        },
        bridged=False,
    ),
    "CustomResourceExporterDownInCluster": Case(
        fires=[*up(steady(1, 10) + absent(60)), *up(steady(1, 70), cluster="b")],
        at=20,
        labels=A,
        innocent={
            "a restart": [*up(steady(1, 30) + steady(0, 5) + steady(1, 60)), *up(steady(1, 95), cluster="b")],
            "one of two": up(steady(0, TWO_HOURS), steady(1, TWO_HOURS)),
            "a cluster without a name": up(steady(1, 10) + steady(0, 60), cluster=""),
        },
        bridged=False,
    ),
    "CustomResourceExporterWatchStale": Case(
        fires=events([60.0 * min(minute, 10) for minute in range(90)]),
        at=31,
        labels=A | TYPE,
        innocent={
            "nothing but bookmarks": events([60.0 * minute for minute in range(TWO_HOURS)]),
            "refused, which is told apart": [
                *events(steady(0, TWO_HOURS)),
                Series(DEGRADED, TYPE, steady(1, TWO_HOURS)),
            ],
        },
    ),
    "CustomResourceExporterWatchDegraded": Case(
        fires=[Series(DEGRADED, TYPE, steady(0, 10) + steady(1, 60))],
        at=25,
        labels=A | TYPE,
        innocent={"for a moment": [Series(DEGRADED, TYPE, steady(0, 10) + steady(1, 14) + steady(0, 90))]},
    ),
    "CustomResourceExporterDeliveryBacklog": Case(
        fires=[Series(OLDEST, LOGS, steady(0, 10) + growing(60, 1, 90))],
        at=26,
        labels=A | LOGS,
        innocent={
            "an endpoint that restarts": [Series(OLDEST, LOGS, growing(60, 1, 14) + steady(0, 90))],
            "always a little behind": [Series(OLDEST, LOGS, steady(200, TWO_HOURS))],
        },
    ),
    "CustomResourceExporterDeliveryDropped": Case(
        fires=in_memory(DROPPED, POISON, steady(0, 20) + growing(1, 3, 90, start=1.0)),
        at=20,
        labels=A | POISON,
        innocent={"long ago": in_memory(DROPPED, POISON, steady(5, TWO_HOURS))},
    ),
    "CustomResourceExporterJournalDegraded": Case(
        fires=[Series(JOURNAL, {}, steady(0, 10) + steady(1, 60))],
        at=15,
        labels=A,
        innocent={"for a moment": [Series(JOURNAL, {}, steady(0, 10) + steady(1, 4) + steady(0, 90))]},
    ),
    "CustomResourceExporterSeriesCapped": Case(
        fires=in_memory(LEFT_OUT, {"family": SINCE}, steady(7, 90), start=0.0),
        at=0,
        labels=A | {"family": SINCE},
        innocent={
            "long ago": in_memory(LEFT_OUT, {"family": SINCE}, steady(7, TWO_HOURS)),
            "none": in_memory(LEFT_OUT, {"family": SINCE}, steady(0, TWO_HOURS), start=0.0),
        },
    ),
    "CustomResourceExporterEvaluationErrors": Case(
        fires=in_memory(ERRORS, {"keeper": "drift"}, steady(0, 20) + growing(1, 3, 90, start=1.0)),
        at=20,
        labels=A | {"keeper": "drift"},
        innocent={"long ago": in_memory(ERRORS, {"keeper": "drift"}, steady(2, TWO_HOURS))},
    ),
    "CustomResourceExporterConfigReloadFailed": Case(
        fires=[Series(RELOADED, {}, steady(1, 70)), Series(WEB_RELOADED, {}, steady(1, 10) + steady(0, 60))],
        at=20,
        labels=A,
        innocent={
            "put right at once": [Series(RELOADED, {}, steady(1, 10) + steady(0, 9) + steady(1, 90))],
            "both are in force": [Series(RELOADED, {}, steady(1, 90)), Series(WEB_RELOADED, {}, steady(1, 90))],
        },
    ),
    "CustomResourceExporterDeclarationsUnreadable": Case(
        fires=[Series(PROBLEMS, {"kind": "yaml"}, absent(10) + steady(1, 60))],
        at=25,
        labels=A | {"kind": "yaml"},
        innocent={"in the middle of a checkout": [Series(PROBLEMS, {"kind": "moving"}, steady(1, 14) + absent(90))]},
    ),
    "CustomResourceExporterGaps": Case(
        fires=in_memory(GAPS, {}, steady(1, 90), start=0.0),
        at=0,
        labels=A,
        innocent={
            "a first start": in_memory(GAPS, {}, steady(0, TWO_HOURS), start=0.0),
            "long ago": in_memory(GAPS, {}, steady(3, TWO_HOURS)),
        },
    ),
}
