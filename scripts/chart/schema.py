"""values.schema.json, from values.yaml: what the defaults cannot tell of a value is said here.

A key that values.yaml does not have is refused at every level that the chart itself reads. What goes into the pod as it
is (affinity, volumes) is judged by the API server, not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.chart.configuration import Schema
    from scripts.chart.reading import Path, Value

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
_PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_QUANTITY: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$"}
_DURATION: Schema = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))*$"}
_NAME = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
_RETENTION: Schema = {"enum": ["Retain", "Delete"]}
_TIMES = ("initialDelay", "period", "timeout", "terminationGracePeriod")
_THRESHOLDS = ("success", "failure")
_PROBE: Schema = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": dict.fromkeys(
        (*(f"{name}Seconds" for name in _TIMES), *(f"{name}Threshold" for name in _THRESHOLDS)), _COUNT
    ),
}
_RESOURCES: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"limits": {"type": "object"}, "requests": {"type": "object"}, "claims": _OBJECTS},
}
# What the default does not tell; lists and mappings that are empty by default hold objects and anything.
_SAID: dict[str, Schema] = {
    "commonLabels": _TEXTS,
    "commonAnnotations": _TEXTS,
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "rbac.mode": {"enum": ["aggregated", "byGroup", "namespaced"]},
    # Neither the core group nor a wildcard: both would let Secrets be read.
    "rbac.groups": {"type": "array", "items": {"type": "string", "pattern": f"^{_NAME}$"}, "uniqueItems": True},
    "rbac.plurals": {"type": "object", "additionalProperties": {"type": "string", "pattern": f"^{_NAME}$"}},
    # An empty selector would choose every ClusterRole that there is.
    "rbac.aggregationLabels": {**_TEXTS, "minProperties": 1},
    "serviceAccount.annotations": _TEXTS,
    "otlp.endpoint": {"type": "string", "pattern": r"^(https?://)?[^\s/]*(/\S*)?$"},
    "otlp.protocol": {"enum": ["", "http/protobuf", "grpc"]},
    "otlp.compression": {"enum": ["", "none", "gzip"]},
    "log.level": {"enum": ["debug", "info", "warning", "error"]},
    "log.format": {"enum": ["json", "console"]},
    "web.port": _PORT,
    "web.config.key": {"type": "string", "minLength": 1},
    "web.config.probes": {"enum": ["tcp", "http"]},
    "service.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "service.port": _PORT,
    "service.annotations": _TEXTS,
    "service.labels": _TEXTS,
    "persistence.size": _QUANTITY,
    "persistence.emptyDirSizeLimit": _QUANTITY,
    "persistence.accessModes": {
        "type": "array",
        "minItems": 1,
        "items": {"enum": ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]},
    },
    "persistence.annotations": _TEXTS,
    "persistence.labels": _TEXTS,
    "persistence.retention.whenDeleted": _RETENTION,
    "persistence.retention.whenScaled": _RETENTION,
    "replicas": {"enum": [0, 1]},
    "revisionHistoryLimit": _COUNT,
    "annotations": _TEXTS,
    "podAnnotations": _TEXTS,
    "podLabels": _TEXTS,
    "podSecurityContext": {"type": "object"},
    "securityContext": {"type": "object"},
    "hostUsers": {"type": ["boolean", "null"]},
    "rbac.clusterIdentity": {"type": ["boolean", "null"]},
    "resources": _RESOURCES,
    "terminationGracePeriodSeconds": _COUNT,
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "startupProbe": _PROBE,
    "nodeSelector": _TEXTS,
    "dnsPolicy": {"enum": ["", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]},
    "extraArgs": {"type": "array", "items": {"type": "string", "pattern": "^-"}},
    "monitor.kind": {"enum": ["ServiceMonitor", "PodMonitor"]},
    "monitor.labels": _TEXTS,
    "monitor.annotations": _TEXTS,
    "monitor.interval": _DURATION,
    "monitor.scrapeTimeout": _DURATION,
    "monitor.sampleLimit": _COUNT,
    "monitor.labelLimit": _COUNT,
    "dashboards.labels": _TEXTS,
    "dashboards.annotations": _TEXTS,
    "prometheusRule.labels": _TEXTS,
    "prometheusRule.annotations": _TEXTS,
    "prometheusRule.alertLabels": _TEXTS,
    "prometheusRule.clusterLabel": {"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
    "networkPolicy.apiServerPorts": {"type": "array", "minItems": 1, "items": _PORT},
    "networkPolicy.otlpPorts": {"type": "array", "minItems": 1, "items": _PORT},
    "podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"], "pattern": "^[0-9]{1,3}%$", "minimum": 0},
    "extraManifests": {"type": "array", "items": {"type": ["object", "string"]}},
}
# Charts that have this one as a part put keys of their own there.
_OPEN = {"global"}


def schema(defaults: Mapping[str, Any], told: list[Value], more: Mapping[str, Schema]) -> Schema:
    """Make the schema.

    Args:
        defaults: the content of values.yaml
        told: its keys with their comments
        more: schemas that come from elsewhere, by the path of their key

    Raises:
        ValueError: something is said here of a key that values.yaml does not have

    """
    said = {**_SAID, **more}
    names = {".".join(one.path): one.about for one in told}
    if unknown := sorted(said.keys() - names.keys()):
        msg = f"scripts/chart/schema.py: values.yaml has no {unknown[0]}; remove it from the schema"
        raise ValueError(msg)
    top = _of(defaults, (), said, names)
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values", **top}


def _of(value: Any, path: Path, said: Mapping[str, Schema], names: Mapping[str, str]) -> Schema:  # noqa: ANN401 - any YAML
    name = ".".join(path)
    about = {"description": names[name]} if name in names else {}
    if name in said:
        return {**said[name], **about}
    if isinstance(value, dict) and value:
        below = {key: _of(one, (*path, key), said, names) for key, one in value.items()}
        return {**about, "type": "object", "additionalProperties": name in _OPEN, "properties": below}
    return {**about, **_plain(value)}


def _plain(value: Any) -> Schema:  # noqa: ANN401 - any YAML
    """Tell the type of a default; a bool is an int to Python, so it comes first."""
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "number"}
    if isinstance(value, str):
        return _TEXT
    return _OBJECTS if isinstance(value, list) else {"type": "object"}
