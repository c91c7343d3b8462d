"""The envelope of a request: whose records they are, one resource for each namespace, in the records' order.

Pure, and the same for logs and traces, whose requests are built alike: `ResourceLogs` and `ResourceSpans`, `ScopeLogs`
and `ScopeSpans` have the same field numbers (opentelemetry-proto 1.x, `logs_service.proto`, `trace_service.proto`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import __version__
from exporter.otlp.wire import Attribute, delimited, length_tag


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.otlp.settings import Settings


SCOPE_NAME = "customresource-exporter"
_KEPT_RESOURCES = 4096
# Request.resource_logs; ResourceLogs.resource, .scope_logs; ScopeLogs.scope, .log_records
_OF_RESOURCE, _RESOURCE, _OF_SCOPE, _SCOPE, _RECORD = (length_tag(number) for number in (1, 1, 2, 1, 2))


class Envelope:
    """Puts records into requests for one endpoint.

    The user's attributes win over ours for `service.*`; what is said of the cluster and the namespace (`k8s.cluster.*`,
    `k8s.namespace.name`) is about the objects, so ours win there: an operator that injects the exporter's own
    namespace must not move every record into it.

    Args:
        settings: for `service.name` and the user's attributes
        journal_id: becomes `service.instance.id`, stable over restarts
        cluster_uid: of the cluster that is watched
        cluster_name: a name for people, may be empty
        detected: what resource detectors found; everything else wins over it

    """

    def __init__(
        self,
        settings: Settings,
        *,
        journal_id: str,
        cluster_uid: str,
        cluster_name: str = "",
        detected: Mapping[str, str] | None = None,
    ) -> None:
        attributes = {
            **(detected or {}),
            "service.version": __version__,
            "service.instance.id": journal_id,
            **dict(settings.attributes),
            "service.name": settings.service_name,
            "k8s.cluster.uid": cluster_uid,
        }
        if cluster_name:
            attributes["k8s.cluster.name"] = cluster_name
        attributes.pop("k8s.namespace.name", None)
        self._attributes = attributes
        self._resources: dict[str, bytes] = {}
        scope = delimited(length_tag(1), SCOPE_NAME.encode()) + delimited(length_tag(2), __version__.encode())
        self._scope = delimited(_SCOPE, scope)

    def request(self, records: Iterable[tuple[str, bytes]]) -> bytes:
        """Make a request of encoded records, each with the namespace of its object."""
        by_namespace: dict[str, list[bytes]] = {}
        for namespace, record in records:
            by_namespace.setdefault(namespace, []).append(delimited(_RECORD, record))
        return b"".join(
            delimited(_OF_RESOURCE, self._resource(namespace) + delimited(_OF_SCOPE, self._scope + b"".join(of_it)))
            for namespace, of_it in by_namespace.items()
        )

    def _resource(self, namespace: str) -> bytes:
        known = self._resources.get(namespace)
        if known is None:
            attributes = self._attributes | ({"k8s.namespace.name": namespace} if namespace else {})
            known = delimited(_RESOURCE, b"".join(Attribute(1, name).text(text) for name, text in attributes.items()))
            if len(self._resources) >= _KEPT_RESOURCES:  # namespaces come and go
                self._resources.clear()
            self._resources[namespace] = known
        return known
