"""The alerts of the exporter itself: while one of these holds, silence of the others means nothing.

The exporter counts these in memory, from 0 with each start, and may have counted before the first scrape. A counter
that is born with a value has an `increase()` of 0. So what a young process has counted counts as well.
"""

from __future__ import annotations

from dashboards.source.rules import IN_CLUSTER, THE_TYPE, TO_EXPORTER, TO_EXPORTERS, TYPE, Alert, number_of


GROUP = "customresource-exporter"


def _grown(counter: str, *labels: str) -> str:
    """Say by how much a counter has grown within 15 minutes, also where it began with that."""
    by = ", ".join(("{cluster}", *labels))
    return (
        f"sum by ({by}) (increase({counter}[15m])) > {{threshold}}\n"
        f"or sum by ({by}) (\n"
        f"  {counter}\n"
        "  and on ({cluster}, job, instance) time() - process_start_time_seconds{{selector}} < 900\n"
        ") > {threshold}"
    )


ALERTS = (
    Alert(
        name="CustomResourceExporterDown",
        group=GROUP,
        severity="critical",
        expr="absent(up{{selector}} == 1)",
        for_="10m",
        summary="No customresource-exporter can be scraped.",
        description=(
            "No exporter answers Prometheus, or none is scraped. Changes and drift are not seen, and none of the other"
            " alerts can fire."
        ),
        link=TO_EXPORTERS,
    ),
    Alert(
        name="CustomResourceExporterDownInCluster",
        group=GROUP,
        severity="critical",
        expr=(
            'group by ({cluster}) (last_over_time(up{{selector}, {cluster}!=""}[1d]))\n'
            "unless group by ({cluster}) (up{{selector}} == 1)"
        ),
        for_="10m",
        summary="The customresource-exporter of a cluster can no longer be scraped.",
        description=(
            "The exporter of cluster {{ $labels.{cluster} }} was scraped within the last day, and is not now. Changes"
            " and drift of that cluster are not seen. After a day it is forgotten, and this alert ends by itself."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterWatchStale",
        group=GROUP,
        severity="warning",
        expr=(
            f"time() - max by ({TYPE}) (customresource_exporter_watch_last_event_timestamp_seconds) > {{threshold}}\n"
            f"unless max by ({TYPE}) (customresource_exporter_watch_degraded) > 0"
        ),
        threshold=900,
        unit="seconds since a type sent anything, bookmarks too",
        for_="5m",
        keep_firing_for="10m",
        summary="The watch of a type has received nothing for a long time.",
        description=(
            f"The watch of {THE_TYPE} has received nothing for a long time, not even a bookmark, of which there should"
            " be one a minute. What happens to these objects is not seen."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterWatchDegraded",
        group=GROUP,
        severity="warning",
        expr=f"max by ({TYPE}) (customresource_exporter_watch_degraded) > 0",
        for_="15m",
        keep_firing_for="10m",
        summary="A type cannot be followed.",
        description=(
            f"{THE_TYPE} cannot be followed: it is forbidden, or fails each time. What happens to these objects is not"
            " seen."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterDeliveryBacklog",
        group=GROUP,
        severity="warning",
        expr=(
            "max by ({cluster}, consumer) (customresource_exporter_delivery_oldest_seconds) > {threshold}"
        ),
        threshold=300,
        unit="seconds that the oldest change has been waiting",
        for_="10m",
        keep_firing_for="10m",
        summary="Changes wait to be delivered to an OTLP endpoint.",
        description=(
            f"The oldest change that {{{{ $labels.consumer }}}}{IN_CLUSTER} has to deliver has been waiting for"
            " {{ $value | humanizeDuration }}. Nothing is lost until the journal's retention takes it."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterDeliveryDropped",
        group=GROUP,
        severity="warning",
        expr=_grown("customresource_exporter_delivery_dropped_total", "consumer", "reason"),
        threshold=0,
        unit="changes within 15 minutes",
        keep_firing_for="15m",
        summary="Changes will never be delivered to an OTLP endpoint.",
        description=(
            f"{{{{ $labels.consumer }}}}{IN_CLUSTER} gave up changes within the last 15 minutes, reason"
            " {{ $labels.reason }}. They are missing in the logs or traces, and are in the journal as long as it"
            " keeps them."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterJournalDegraded",
        group=GROUP,
        severity="critical",
        expr="max by ({cluster}) (customresource_exporter_journal_degraded) > 0",
        for_="5m",
        keep_firing_for="10m",
        summary="The exporter's journal cannot do its work.",
        description=(
            f"The journal of the exporter{IN_CLUSTER} cannot be written or read. Changes wait in the API server, which"
            " keeps them for minutes only; what is lost meanwhile is counted as a gap."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterSeriesCapped",
        group=GROUP,
        severity="warning",
        expr=_grown("customresource_exporter_series_dropped_total", "family"),
        threshold=0,
        unit="series within 15 minutes",
        keep_firing_for="1h",
        summary="Not every object that is in trouble is shown as a metric.",
        description=(
            f"The exporter{IN_CLUSTER} left out series of {{{{ $labels.family }}}}: more objects of a type are in"
            " trouble than it shows one by one. Alerts about single objects are incomplete; counts are not."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterEvaluationErrors",
        group=GROUP,
        severity="warning",
        expr=_grown("customresource_exporter_evaluation_errors_total", "keeper"),
        threshold=0,
        unit="conclusions within 15 minutes",
        keep_firing_for="15m",
        summary="Conclusions about custom resources were lost by a bug of the exporter.",
        description=(
            f"The exporter{IN_CLUSTER} lost conclusions about {{{{ $labels.keeper }}}}. The changes themselves are in"
            " the history."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterConfigReloadFailed",
        group=GROUP,
        severity="warning",
        expr=(
            "min by ({cluster}) (customresource_exporter_config_last_reload_successful) < 1\n"
            "or min by ({cluster}) (customresource_exporter_web_config_last_reload_successful) < 1"
        ),
        for_="10m",
        keep_firing_for="10m",
        summary="The exporter refused its new configuration and runs with the one before.",
        description=(
            f"The exporter{IN_CLUSTER} was given a configuration, or one of its web address, that it could not take."
            " The one before is in force;"
            " a restart would fail."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterDeclarationsUnreadable",
        group=GROUP,
        severity="warning",
        expr="max by ({cluster}, kind) (customresource_exporter_drift_declared_problems) > {threshold}",
        threshold=0,
        unit="problems of a kind",
        for_="15m",
        keep_firing_for="10m",
        summary="Declared manifests cannot be read, so that drift is judged by old ones or not at all.",
        description=(
            f"The exporter{IN_CLUSTER} has {number_of('problem')} of the kind {{{{ $labels.kind }}}} with the"
            " directories of declared manifests."
        ),
        link=TO_EXPORTER,
    ),
    Alert(
        name="CustomResourceExporterGaps",
        group=GROUP,
        severity="info",
        expr=_grown("customresource_exporter_gaps_total"),
        threshold=0,
        unit="lists within 15 minutes",
        keep_firing_for="15m",
        summary="Versions of custom resources may be missing in the history.",
        description=(
            f"The exporter{IN_CLUSTER} had to list types anew after an interruption. Versions in between may be"
            " missing in the history; the state of the objects is right."
        ),
        link=TO_EXPORTER,
    ),
)  # fmt: skip
