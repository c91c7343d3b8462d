"""The alerts of drift: what is not as declared, and who writes beside those who declare.

Ages are read from `…_since_timestamp_seconds`, so that neither a restart of the exporter nor one of Prometheus sets a
clock back. Labels that change meanwhile are looked up for the text and are never labels of an alert.
"""

from __future__ import annotations

from dashboards.source.rules import (
    OBJECT,
    PLACE,
    THE_OBJECT,
    THE_PLACE,
    TO_DRIFT,
    TO_OBJECT,
    Alert,
    Link,
    number_of,
)  # fmt: skip


GROUP = "customresource-drift"

_MATCHERS = (
    '{customresource_group=%q,customresource_kind=%q,namespace=%q,name=%q,{cluster}=%q}"'
    " $labels.customresource_group $labels.customresource_kind $labels.namespace $labels.name $labels.{cluster}"
)
# Empty while nothing is known, such as during a restart.
WHO = (
    '{{ range query (printf "customresource_drift_info' + _MATCHERS + ") }}"
    " It was declared by {{ .Labels.declarer }}; who changed it is of the class {{ .Labels.cause }}.{{ end }}"
)
_DRIFTED = 'customresource_drift_state_objects{state=~"drifted|flapping"}'
_DECLARED = 'customresource_drift_state_objects{state!="unmanaged"}'
_BY_HAND = 'customresource_spec_changes_total{writer_class="human"}'
_AGE = f"time() - max by ({OBJECT}) (customresource_drift_since_timestamp_seconds) > {{threshold}}"


ALERTS = (
    Alert(
        name="CustomResourceDriftDetected",
        group=GROUP,
        severity="warning",
        expr=_AGE,
        threshold=900,
        unit="seconds that an object has not been as declared",
        keep_firing_for="10m",
        summary="A custom resource is not as it was declared.",
        description=f"{THE_OBJECT} has not been as declared for {{{{ $value | humanizeDuration }}}}.{WHO}",
        link=TO_OBJECT,
    ),
    Alert(
        name="CustomResourceDriftLongLived",
        group=GROUP,
        severity="warning",
        expr=_AGE,
        threshold=86400,
        unit="seconds that an object has not been as declared",
        keep_firing_for="10m",
        summary="A custom resource has not been as declared for a long time, and nobody puts it right.",
        description=f"{THE_OBJECT} has not been as declared for {{{{ $value | humanizeDuration }}}}.{WHO}",
        link=TO_OBJECT,
    ),
    Alert(
        name="CustomResourceDriftFlapping",
        group=GROUP,
        severity="warning",
        expr=f'sum by ({PLACE}) (customresource_drift_state_objects{{state="flapping"}}) > {{threshold}}',
        threshold=0,
        unit="objects of a kind in a namespace",
        keep_firing_for="30m",
        summary="Custom resources cease to be as declared again and again.",
        description=f"Of {THE_PLACE}, {number_of('object')} ceased to be as declared again and again.",
        link=TO_DRIFT,
    ),
    Alert(
        name="CustomResourceDriftFight",
        group=GROUP,
        severity="warning",
        expr=f"max by ({OBJECT}) (customresource_fight_active) > 0",
        keep_firing_for="10m",
        summary="Writers undo each other's changes of a custom resource.",
        description=f"A field of {THE_OBJECT} has come back by another hand three times within an hour.",
        link=TO_OBJECT,
    ),
    Alert(
        name="CustomResourceDriftMass",
        group=GROUP,
        severity="critical",
        expr=(
            f"sum by ({{cluster}}) ({_DRIFTED}) / sum by ({{cluster}}) ({_DECLARED}) > {{threshold}}\n"
            f"and sum by ({{cluster}}) ({_DRIFTED}) > 10"
        ),
        threshold=0.2,
        unit="of the declared objects, as a share; and more than 10 objects",
        for_="10m",
        keep_firing_for="10m",
        summary="A large share of the declared custom resources is not as declared.",
        description=(
            "{{ $value | humanizePercentage }} of the declared objects{{ with $labels.{cluster} }} in cluster {{ . }}"
            "{{ end }} are not as declared. That is rarely many edits: look for one writer, or for a declarer that"
            " stands still."
        ),
        link=Link("customresource-drift"),
    ),
    Alert(
        name="CustomResourceManualChange",
        group=GROUP,
        severity="info",
        expr=f"sum by ({PLACE}) (increase({_BY_HAND}[15m])) > {{threshold}}",
        threshold=0,
        unit="changes within 15 minutes",
        keep_firing_for="10m",
        summary="A person changed the desired state of custom resources by hand.",
        description=f"A person changed what is wanted of {THE_PLACE} by hand within the last 15 minutes.",
        link=TO_DRIFT,
    ),
    Alert(
        name="CustomResourceUndeclaredFields",
        group=GROUP,
        severity="info",
        expr=f"max by ({OBJECT}) (customresource_undeclared_fields) > {{threshold}}",
        threshold=0,
        unit="fields of an object",
        for_="15m",
        keep_firing_for="10m",
        summary="A person owns fields of a declared custom resource that nobody declared.",
        description=f"A person owns {number_of('field')} of {THE_OBJECT} that nobody declared.",
        link=TO_OBJECT,
    ),
    Alert(
        name="CustomResourceDeclaredMissing",
        group=GROUP,
        severity="warning",
        expr=f"time() - max by ({OBJECT}) (customresource_missing_since_timestamp_seconds) > {{threshold}}",
        threshold=900,
        unit="seconds that an object has been missing",
        keep_firing_for="10m",
        summary="A custom resource is declared, and not there.",
        description=(
            f"{THE_OBJECT} is in the directory of declarations, and has not been in the cluster for"
            " {{ $value | humanizeDuration }}."
        ),
        link=TO_OBJECT,
    ),
)  # fmt: skip
