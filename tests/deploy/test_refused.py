"""Values that cannot be meant are refused before anything is applied, with a sentence that names the key."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.chart import refusal, render


pytestmark = pytest.mark.usefixtures("_helm")


def nested(path: str, value: Any) -> dict[str, Any]:
    """A mapping with one value at a path of dots."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


# A key, a value, and what is said of it.
SCHEMA: list[tuple[str, Any, str]] = [
    ("persist", {}, "additional properties 'persist' not allowed"),
    ("image.repo", "x", "at '/image': additional properties 'repo' not allowed"),
    ("image.tag", 1.2, "at '/image/tag': got number, want string"),
    ("image.digest", "latest", "at '/image/digest': 'latest' does not match pattern"),
    ("image.pullPolicy", "Sometimes", "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ("replicas", 2, "at '/replicas': value must be one of 0, 1"),
    ("rbac.mode", "cluster", "at '/rbac/mode': value must be one of 'aggregated', 'byGroup', 'namespaced'"),
    ("rbac.groups", ["*"], "at '/rbac/groups/0': '*' does not match pattern"),
    ("rbac.groups", [""], "at '/rbac/groups/0': '' does not match pattern"),
    (
        "rbac.aggregationLabels",
        {"customresource-exporter/aggregate-to-reader": None},
        "at '/rbac/aggregationLabels': minProperties",
    ),
    ("rbac.allowSecrets", "yes", "at '/rbac/allowSecrets': got string, want boolean"),
    ("log.level", "trace", "at '/log/level': value must be one of 'debug'"),
    ("otlp.protocol", "http/json", "at '/otlp/protocol': value must be one of"),
    ("otlp.headers", "a=b", "at '/otlp': additional properties 'headers' not allowed"),
    ("web.port", 0, "at '/web/port': minimum: got 0, want 1"),
    ("persistence.size", "lots", "at '/persistence/size': 'lots' does not match pattern"),
    ("persistence.accessModes", ["ReadOnlyMany"], "at '/persistence/accessModes/0'"),
    ("monitor.kind", "Probe", "at '/monitor/kind': value must be one of 'ServiceMonitor', 'PodMonitor'"),
    ("monitor.interval", "often", "at '/monitor/interval': 'often' does not match pattern"),
    ("livenessProbe.path", "/", "at '/livenessProbe': additional properties 'path' not allowed"),
    ("podLabels", {"a": 1}, "at '/podLabels/a': got number, want string"),
    ("extraArgs", ["log.level=debug"], "at '/extraArgs/0'"),
    ("config.watch.includes", ["a/b"], "at '/config/watch': additional properties 'includes' not allowed"),
    ("config.watch.include", "a/b", "at '/config/watch/include': got string, want array"),
    ("config.journal.retention", 7, "at '/config/journal/retention': got number, want string"),
    ("config.drift.enabled", "no", "at '/config/drift/enabled': got string, want boolean"),
    ("config.rollout.rules", [{"kind": "x"}], "at '/config/rollout/rules/0': additional properties 'kind' not allowed"),
]


@pytest.mark.parametrize(("key", "value", "said"), SCHEMA, ids=[f"{key}={value}" for key, value, _ in SCHEMA])
def test_the_schema(key: str, value: Any, said: str) -> None:
    """A key that is not known, and a value that cannot be meant, is named with its place."""
    assert said in refusal(nested(key, value))


SECRETS = "lets Secrets be read"
TOGETHER: list[tuple[dict[str, Any], str]] = [
    ({"config": {"watch": {"include": ["v1/Secret"]}}}, SECRETS),
    ({"config": {"watch": {"include": ["v1/*"]}}}, SECRETS),
    ({"config": {"watch": {"include": ["core/Secr*"]}}}, SECRETS),
    ({"rbac": {"extraRules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get"]}]}}, SECRETS),
    ({"rbac": {"extraRules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]}}, SECRETS),
    (
        {"rbac": {"mode": "byGroup"}},
        'config.watch.include: RBAC has no wildcard for a part of a group, as in "*/*"; name the groups',
    ),
    (
        {"rbac": {"mode": "namespaced"}, "config": {"watch": {"include": ["*.example.com/*"], "namespaces": ["a"]}}},
        'config.watch.include: "*.example.com/*" has a wildcard in its group',
    ),
    (
        {"rbac": {"mode": "namespaced"}, "config": {"watch": {"include": ["example.com/*"]}}},
        "config.watch.namespaces: is empty",
    ),
    ({"existingConfigMap": "mine", "config": {"cluster": "a"}}, 'existingConfigMap: "mine" is given, and so is config'),
    (
        {"existingConfigMap": "mine", "rbac": {"mode": "namespaced"}},
        "rbac.mode: namespaced needs to know the namespaces",
    ),
    (
        {"web": {"config": {"secretName": "a", "configMapName": "b"}}},
        "web.config: has a secretName and a configMapName",
    ),
    ({"web": {"config": {"tls": True}}}, "web.config.tls: is true, and there is no web configuration"),
    ({"otlp": {"headersSecret": {"name": "a"}}}, "otlp.headersSecret.name: is given, and nothing is sent"),
    ({"persistence": {"enabled": False, "existingClaim": "a"}}, "persistence.existingClaim: is given"),
]


@pytest.mark.parametrize(("values", "said"), TOGETHER, ids=[str(values)[:70] for values, _ in TOGETHER])
def test_what_does_not_go_together(values: dict[str, Any], said: str) -> None:
    """Values that contradict each other, or would let Secrets be read, are refused with the remedy."""
    told = refusal(values)
    assert said in told
    assert "; " in told.partition(said.split(maxsplit=1)[0])[2], "no remedy"


def test_secrets_on_request() -> None:
    """With `rbac.allowSecrets` Secrets can be followed like anything else."""
    objects = render(
        {"config": {"watch": {"include": ["v1/Secret"]}}, "rbac": {"allowSecrets": True, "mode": "byGroup"}}
    )
    rules = [rule for each in objects if each["kind"] == "ClusterRole" for rule in each["rules"]]
    assert {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]} in rules
