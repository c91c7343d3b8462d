"""The section `drift` of the configuration: defaults, rules, and rules that were written for Argo CD and Flux."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from exporter.config import Config, parse
from exporter.drift.rules import IgnoreRule, Match
from exporter.drift.settings import Applied, Directory, DriftSettings, Flapping


SECOND = 10**9


def rules(text: str) -> tuple[IgnoreRule, ...]:
    """Read the items of `drift.ignore`, each a line."""
    items = "\n".join(f"    - {line.strip()}" for line in text.strip().splitlines())
    return parse(f"drift:\n  ignore:\n{items}\n".encode()).drift.ignore


def test_nothing_said_is_the_default() -> None:
    """An empty section, and none, mean: judge, two minutes to settle, the shipped rules."""
    expected = DriftSettings(
        enabled=True, settle_ns=120 * SECOND, clear_ns=60 * SECOND, flapping=Flapping(3, 3600 * SECOND),
        controllers="report", default_rules=True,
    )  # fmt: skip
    assert expected == Config().drift == parse(b"drift: {}").drift == parse(b"drift:\n  # nothing").drift


def test_all_of_it() -> None:
    """Each key means what the reference says."""
    text = """
drift:
  enabled: false
  settle: 0s
  clear: 5m
  flapping: {flips: 5, window: 30m}
  controllers: ignore
  defaultRules: false
  declared:
    - {path: /declared/prod, namespace: prod, declarer: argocd, exclusive: true}
    - {path: /declared/dev}
  lastApplied: [a.io/b, {annotation: c.io/d, decoder: gzip}]
  declarers: {ours: ["our-*", portal]}
"""
    expected = DriftSettings(
        enabled=False,
        settle_ns=0,
        clear_ns=300 * SECOND,
        flapping=Flapping(5, 1800 * SECOND),
        controllers="ignore",
        default_rules=False,
        declared=(
            Directory(path="/declared/prod", namespace="prod", declarer="argocd", exclusive=True),
            Directory(path="/declared/dev", namespace="default", declarer="", exclusive=False),
        ),
        last_applied=(Applied("a.io/b", "json"), Applied("c.io/d", "gzip")),
        declarers={"ours": ("our-*", "portal")},
    )
    assert expected == parse(text.encode()).drift


def test_a_rule_of_ours() -> None:
    """Every part of a rule arrives; a date may stand in quotes or without."""
    every = """{match: {group: "*.io", version: v1, kind: "re:A|B{2}", namespace: "*", name: a, labels: "a in (b,c)",
        annotations: "!d"}, paths: ["/spec/[name=a~1b]", /a/**/b], managers: ["keda*"], classes: [controller, unknown],
        whenEqualDefault: true, reason: late, expires: 2026-12-31}""".replace("\n", " ")
    expected = IgnoreRule(
        match=Match("*.io", "v1", "re:A|B{2}", "*", "a", "a in (b,c)", "!d"),
        paths=("/spec/[name=a~1b]", "/a/**/b"),
        managers=("keda*",),
        classes=("controller", "unknown"),
        when_equal_default=True,
        reason="late",
        expires=date(2026, 12, 31),
    )
    assert (expected, expected) == rules(f"{every}\n{every.replace('2026-12-31', repr('2026-12-31'))}")


def test_a_rule_without_a_reason_is_called_by_its_place() -> None:
    """Its place in the list is the reason, also where an item becomes two rules."""
    text = "{paths: [/a]}\n{kind: A, jsonPointers: [/b], managedFieldsManagers: [c]}\n{paths: [/d], reason: e}"
    expected = ["drift.ignore[0]", "drift.ignore[1]", "drift.ignore[1]", "e"]
    assert expected == [rule.reason for rule in rules(text)]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            "{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}",
            [IgnoreRule(reason="", match=Match(group="apps", kind="Deployment"), paths=("/spec/replicas",))],
        ),
        (
            "{group: '*', kind: '*', managedFieldsManagers: [kube-controller-manager]}",
            [IgnoreRule(reason="", managers=("kube-controller-manager",))],
        ),
        (
            "{kind: ConfigMap, name: a, namespace: b, jsonPointers: [/data]}",
            [IgnoreRule(reason="", match=Match("core", "*", "ConfigMap", "b", "a"), paths=("/data",))],
        ),
        (
            "{group: '', kind: Secret, name: '', namespace: '', jsonPointers: [/data]}",
            [IgnoreRule(reason="", match=Match(group="core", kind="Secret"), paths=("/data",))],
        ),
        (
            "{group: a.io, kind: B, jsonPointers: [/x], managedFieldsManagers: [m], expires: 2026-01-02}",
            [
                IgnoreRule(reason="", match=Match(group="a.io", kind="B"), expires=date(2026, 1, 2), paths=("/x",)),
                IgnoreRule(reason="", match=Match(group="a.io", kind="B"), expires=date(2026, 1, 2), managers=("m",)),
            ],
        ),
        (
            "{paths: [/spec/replicas], target: {kind: Deployment}}",
            [IgnoreRule(reason="", match=Match(kind="Deployment"), paths=("/spec/replicas",))],
        ),
        (
            "{paths: [''], target: {group: a.io, version: v1, kind: A|B, namespace: team-.*, name: ^web$}}",
            [IgnoreRule(reason="", match=Match("re:a.io", "v1", "re:A|B", "re:team-.*", "re:^web$"))],
        ),
        (
            "{paths: [/a], target: {labelSelector: 'a=b', annotationSelector: c}, reason: d}",
            [IgnoreRule(reason="d", match=Match(labels="a=b", annotations="c"), paths=("/a",))],
        ),
        ("{paths: [/spec/replicas]}", [IgnoreRule(reason="", paths=("/spec/replicas",))]),
    ],
)
def test_rules_of_argo_cd_and_flux_mean_the_same_here(item: str, expected: list[IgnoreRule]) -> None:
    """Without a group Argo CD means the core group; its two lists are two rules; Flux writes regular expressions."""
    named = (replace(rule, reason=rule.reason or "drift.ignore[0]") for rule in expected)
    assert tuple(named) == rules(item)
