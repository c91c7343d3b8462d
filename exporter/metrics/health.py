"""The exporter's own health as metrics: one object, built once, handed to whoever has something to count.

Nothing here decides anything. A metric that cannot be told apart by a bounded set of labels does not belong here.
"""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from exporter import __version__
from exporter.metrics.lags import Lags


PREFIX = "customresource_exporter"
_TYPE = ("customresource_group", "customresource_kind")
_LAG_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_COMMIT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Health:
    """All self-metrics, each an attribute named as the metric is without its prefix and unit."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"{PREFIX}_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"{PREFIX}_{name}", text, buckets=buckets, registry=registry)

        self.build = Info(f"{PREFIX}_build", "The version that runs, and on what.", registry=registry)
        self.build.info({"version": __version__, "python": platform.python_version()})
        self.config_last_reload_successful = gauge(
            "config_last_reload_successful", "1 while the configuration in force is the one last asked for."
        )
        self.config_last_reload_success = gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration was last read and was good."
        )
        self.web_config_last_reload_successful = gauge(
            "web_config_last_reload_successful", "1 while the web configuration and its files are those in force."
        )
        self.web_config_last_reload_success = gauge(
            "web_config_last_reload_success_timestamp_seconds",
            "When the web configuration and its files were last read and were good.",
        )
        self.web_refused = counter("web_refused", "Requests that were not answered, by why not.", "reason")
        self.web_handshake_failures = counter("web_handshake_failures", "TLS handshakes that failed, by why.", "reason")

        self.watch_synced = gauge("watch_synced", "1 once the type has been listed or its watch was resumed.", *_TYPE)
        self.watch_degraded = gauge(
            "watch_degraded", "1 while the type cannot be followed (forbidden, failing); tried again.", *_TYPE
        )
        self.watch_last_event = gauge(
            "watch_last_event_timestamp_seconds", "When the watch last received anything, bookmarks too.", *_TYPE
        )
        self.watch_restarts = counter("watch_restarts", "Watches opened again, by what ended the one before.", "reason")
        self.lists = counter("lists", "Lists of a whole collection, by what made them necessary.", "reason")
        self.gaps = counter("gaps", "Lists after which versions in between may be missing.")
        self.versions_coalesced = counter(
            "versions_coalesced", "Versions that a list is known to have swallowed: a lower bound."
        )
        self.audits = counter("audits", "Comparisons of what is held with what the server has, by result.", "result")
        self.audit_findings = counter(
            "audit_findings", "Objects of which the server has something else than the journal, by what.", "reason"
        )
        self.audit_last = gauge(
            "audit_last_timestamp_seconds", "When everything that is followed was last compared with the server."
        )
        self.objects_forgotten = counter("objects_forgotten", "Objects that left the selection without being deleted.")
        self.objects_skipped = counter("objects_skipped", "Objects that could not be read, by reason.", "reason")
        self.change_lag = Lags(
            f"{PREFIX}_change_lag_seconds", "From when a change happened, where the object tells, to its commit.",
            _LAG_BUCKETS, registry,
        )  # fmt: skip

        self.journal_bytes = gauge("journal_bytes", "Size of the journal's files, the write-ahead log included.")
        self.journal_wal_bytes = gauge("journal_wal_bytes", "Size of the journal's write-ahead log.")
        self.journal_changes = gauge("journal_changes", "Changes that the journal holds.")
        self.journal_commit = histogram(
            "journal_commit_seconds", "Duration of a commit to the journal.", _COMMIT_BUCKETS
        )
        self.journal_failures = counter("journal_failures", "Commits that failed and were tried again.")
        self.journal_degraded = gauge(
            "journal_degraded", "1 while the journal cannot do its work; the log says why, and what to do."
        )
        self.journal_resets = counter(
            "journal_resets", "Journals that were begun anew since the former could not be used, by why.", "reason"
        )
        self.journal_rescues = counter(
            "journal_rescues", "Times that the files went bad or away while running, and were written anew, whole."
        )
        self.journal_copies_removed = counter(
            "journal_copies_removed", "Journals moved aside that were deleted: there were too many of them."
        )

        self.delivery_backlog = gauge("delivery_backlog_changes", "Changes not yet delivered.", "consumer")
        self.delivery_oldest = gauge(
            "delivery_oldest_seconds", "Age of the oldest change not yet delivered.", "consumer"
        )
        self.delivery_sent = counter("delivery_sent", "Changes that the other side accepted.", "consumer")
        self.delivery_failures = counter("delivery_failures", "Requests that failed, by reason.", "consumer", "reason")
        self.delivery_dropped = counter(
            "delivery_dropped", "Changes that will never be delivered, by reason.", "consumer", "reason"
        )

        self.drift_declared = gauge("drift_declared_objects", "Objects that the directories of manifests declare.")
        self.drift_declared_problems = gauge(
            "drift_declared_problems", "What keeps declarations from being read at present, by kind.", "kind"
        )
        self.drift_rule_hits = counter(
            "drift_rule_hits", "Findings that an ignore rule covered, a shipped one as well, by its reason.", "rule"
        )
        self.series_dropped = counter(
            "series_dropped", "Series of single objects that were left out, for want of room, by family.", "family"
        )
        self.evaluation_errors = counter(
            "evaluation_errors", "Conclusions that were lost by a bug; the changes themselves were not.", "keeper"
        )
        self.redactions = counter("redactions", "Values replaced before anything was stored.")
        self.fields_truncated = counter("fields_truncated", "Changes whose fields were cut to the limits.")
