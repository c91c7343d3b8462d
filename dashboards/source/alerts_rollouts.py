"""The alerts of rollouts and conditions: what does not come true, takes long, fails, or is not ready.

Must never name a condition or its reason as a label of an alert: those change while an object is not ready.
"""

from __future__ import annotations

from dashboards.source.rules import OBJECT, THE_OBJECT, THE_TYPE, TO_OBJECT, TO_ROLLOUTS, TYPE, Alert, Recording


GROUP = "customresource-rollouts"

# Ninety of a hundred changes came true within so many seconds, by kind, of those of the last hour. Without a rollout
# there is no sample: a comparison is never true of NaN.
USUAL = "customresource_kind:customresource_reconcile_duration_seconds:p90_rate1h"
RECORDINGS = (
    Recording(
        record=USUAL,
        group="customresource-recordings",
        expr=(
            f"histogram_quantile(0.9, sum by ({TYPE}, le) ("
            'rate(customresource_reconcile_duration_seconds_bucket{result="converged"}[1h]))) >= 0'
        ),
    ),
)

_WHAT = (
    '{{ range query (printf "customresource_unready_info{customresource_group=%q,customresource_kind=%q,namespace=%q,'
    'name=%q,{cluster}=%q}" $labels.customresource_group $labels.customresource_kind $labels.namespace $labels.name'
    " $labels.{cluster}) }} {{ .Labels.condition }} is {{ .Labels.status }}"
    "{{ with .Labels.reason }} ({{ . }}){{ end }}.{{ end }}"
)
_ENDED = 'increase(customresource_reconcile_duration_seconds_count{{result=~"{results}"}}[1h])'
_FAILED = f"sum by ({TYPE}) ({_ENDED.format(results='failed|timed_out')})"
_ALL = f"sum by ({TYPE}) ({_ENDED.format(results='converged|failed|timed_out')})"


ALERTS = (
    Alert(
        name="CustomResourceRolloutStuck",
        group=GROUP,
        severity="warning",
        expr=f"time() - max by ({OBJECT}) (customresource_reconcile_pending_since_timestamp_seconds) > {{threshold}}",
        threshold=1800,
        unit="seconds since the change",
        keep_firing_for="10m",
        summary="A change of a custom resource does not come true.",
        description=(
            f"What was changed of {THE_OBJECT} {{{{ $value | humanizeDuration }}}} ago has not come true.{_WHAT}"
        ),
        link=TO_OBJECT,
    ),
    Alert(
        name="CustomResourceRolloutSlow",
        group=GROUP,
        severity="info",
        expr=(
            f"{USUAL} > {{threshold}} * avg_over_time({USUAL}[1d] offset 1h)\n"
            f"and {USUAL} > 60"
        ),
        threshold=3,
        unit="times the average of the day before; and more than a minute",
        for_="15m",
        keep_firing_for="10m",
        summary="Changes of a kind of custom resource take much longer to come true than the day before.",
        description=(
            f"One change in ten of {THE_TYPE} now takes longer than {{{{ $value | humanizeDuration }}}} to come true,"
            " more than {threshold} times as long as the day before."
        ),
        link=TO_ROLLOUTS,
    ),
    Alert(
        name="CustomResourceRolloutFailing",
        group=GROUP,
        severity="warning",
        expr=f"{_FAILED} / {_ALL} > {{threshold}}\nand {_FAILED} > 2",
        threshold=0.2,
        unit="of the rollouts that ended within an hour, as a share; and at least 3",
        keep_firing_for="15m",
        summary="Many changes of a kind of custom resource fail or time out.",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the rollouts of {THE_TYPE} that ended within the last hour"
            " failed or timed out."
        ),
        link=TO_ROLLOUTS,
    ),
    Alert(
        name="CustomResourceUnready",
        group=GROUP,
        severity="warning",
        expr=f"time() - min by ({OBJECT}) (customresource_unready_since_timestamp_seconds) > {{threshold}}",
        threshold=900,
        unit="seconds that an object has not been ready",
        keep_firing_for="10m",
        summary="A custom resource is not ready.",
        description=f"{THE_OBJECT} has not been ready for {{{{ $value | humanizeDuration }}}}.{_WHAT}",
        link=TO_OBJECT,
    ),
)  # fmt: skip
