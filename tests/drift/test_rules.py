"""Ignore rules: what they leave alone, what they cover, and what is told of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from exporter.changes.pointer import escape
from exporter.changes.version import Version
from exporter.drift.rules import IgnoreRule, Match, Rules
from exporter.drift.values import Subject
from exporter.model import ObjectKey, ResourceType, Writer
from exporter.records import Finding


TODAY = date(2026, 6, 15)
WIDGETS = ResourceType("example.com", "v1", "widgets", "Widget")
OBJECT = {
    "metadata": {"name": "web", "namespace": "team-a", "labels": {"app": "shop"}, "annotations": {"who": "us"}},
    "spec": {
        "containers": [
            {"name": "app", "image": "a", "ports": [{"port": 80}]},
            {"name": "istio-proxy", "image": "b"},
        ],
        "a/b": {"~": 1},
        "on": True,
    },
}


def subject(type_: ResourceType = WIDGETS, **other: Any) -> Subject:
    """Make an object, with other top-level fields if told so."""
    key = ObjectKey(type_.group, type_.resource, "team-a" if type_.namespaced else "", "web")
    return Subject(type_, key, "1", Version(msgspec.json.encode(OBJECT | other)))


def found(path: str, writer: Writer | None = None, **parts: Any) -> Finding:
    """Make a finding."""
    return Finding(path=path, writer=writer or UNSET, **{"finding": "changed", "declared": 1, "live": 2, **parts})


def written(name: str, **parts: Any) -> Writer:
    """Make a writer."""
    return Writer(name=name, source="managed_fields", **parts)


def is_covered(finding: Finding, of: Subject | None = None, *, default: bool = False, **rule: Any) -> bool:
    """Ask one rule."""
    rules = Rules([IgnoreRule(reason="because", **rule)])
    reason = rules.covers(of or subject(), finding, equals_default=default, today=TODAY)
    assert reason in ("", "because")
    return bool(reason)


@pytest.mark.parametrize(
    "match",
    [
        Match(group="example"),
        Match(group="*.example.com"),
        Match(group="core"),
        Match(group="Example.com"),
        Match(version="v1beta1"),
        Match(kind="Widgets"),
        Match(kind="re:Widge"),
        Match(kind="re:idget"),
        Match(namespace="team-b"),
        Match(namespace="re:team"),
        Match(name="we"),
        Match(name="w?"),
        Match(labels="app=web"),
        Match(labels="!app"),
        Match(annotations="who=them"),
        Match(group="example.com", kind="Widget", name="other"),
    ],
)
def test_other_objects_are_left_alone(match: Match) -> None:
    """An object that one part of the match does not fit is not covered, whatever the others say."""
    assert not is_covered(found("/spec/a"), match=match)


@pytest.mark.parametrize(
    "match",
    [
        Match(),
        Match(group="example.com", version="v1", kind="Widget", namespace="team-a", name="web"),
        Match(group="*.com", version="v*", kind="W*", namespace="team-[a-c]", name="w?b"),
        Match(group=r"re:example\.(com|org)", kind="re:W.*t", namespace="re:team-.*", name="re:web|shop"),
        Match(labels="app in (shop, web),tier!=x", annotations="who=us"),
    ],
)
def test_matching_objects_are_covered(match: Match) -> None:
    """Globs, regular expressions of the whole text, and selectors of labels and annotations."""
    assert is_covered(found("/spec/a"), match=match)


@pytest.mark.parametrize("group", ["core", "v1"])
def test_the_core_group_has_a_name(group: str) -> None:
    """The core group is written as everywhere else, and is no other group."""
    core = subject(ResourceType("", "v1", "configmaps", "ConfigMap"))
    assert not is_covered(found("/data/a"), match=Match(group=group))
    assert is_covered(found("/data/a"), core, match=Match(group=group))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/spec/a", "/spec"),
        ("/spec/a", "/spec/ab"),
        ("/spec/a", "/status/a"),
        ("/spec/*/c", "/spec/c"),
        ("/spec/*/c", "/spec/a/b/c"),
        ("/spec/**/c", "/spec/a/b"),
        ("/spec/**", "/spec"),
        ("/spec/a/b", "/spec/a~1b"),
        ("/spec/a~1b/~1", "/spec/a~1b/~0"),
        ("/spec/x-*", "/spec/y-x-"),
        ("/metadata/annotations/*-validated", "/metadata/annotations/validated"),
        ("/spec/containers/[name=istio-proxy]", "/spec/containers/0/image"),
        ("/spec/containers/[name=istio-proxy]", "/spec/containers"),
        ("/spec/containers/[name=istio-proxy]/image", "/spec/containers/1/ports"),
        ("/spec/containers/[name=istio-proxy]", "/spec/containers/2"),
        ("/spec/containers/[name=istio-proxy]", "/spec/containers/x"),
        ("/spec/containers/[label=app]", "/spec/containers/0"),
        ("/spec/containers/*/ports/[port=8*]", "/spec/containers/1/ports/0"),
        ("/spec/[name=app]", "/spec/on"),
        ("/spec/[name=app]/b", "/spec/a~1b/b"),
        ("/none/[name=app]", "/none/0"),
    ],
)
def test_other_fields_are_left_alone(pattern: str, path: str) -> None:
    """What is above a path, beside it, or in another item of the list is not covered."""
    assert not is_covered(found(path), paths=(pattern,))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/spec/a", "/spec/a"),
        ("/spec/a", "/spec/a/b/c"),
        ("/spec/*/c", "/spec/a/c/d"),
        ("/spec/**/c", "/spec/c"),
        ("/spec/**/c", "/spec/a/b/c/d"),
        ("/spec/**", "/spec/a"),
        ("/**/c", "/spec/a/c"),
        ("/spec/a~1b/~0", "/spec/a~1b/~0"),
        ("/metadata/annotations/*-validated", "/metadata/annotations/prometheus-operator-validated"),
        ("/metadata/annotations/a.io~1*", "/metadata/annotations/a.io~1b"),
        ("/spec/containers/[name=istio-proxy]", "/spec/containers/1/image"),
        ("/spec/containers/[name=istio-*]", "/spec/containers/1"),
        ("/spec/containers/[name=re:app|web]", "/spec/containers/0"),
        ("/spec/containers/*/ports/[port=8*]/port", "/spec/containers/0/ports/0/port"),
        ("/spec/**/[port=80]", "/spec/containers/0/ports/0"),
        ("", "/spec/a"),
    ],
)
def test_fields_at_and_below_a_path_are_covered(pattern: str, path: str) -> None:
    """`*` is a segment or a part of one, `**` any number of segments, brackets an item of a list."""
    assert is_covered(found(path), paths=(pattern,))


def test_an_item_is_looked_up_in_the_object_that_is_asked_about() -> None:
    """What a path leads to in one object says nothing of what it leads to in another one of the type."""
    rules = Rules([IgnoreRule(reason="because", paths=("/spec/containers/[name=istio-proxy]/image",))])
    turned = subject(spec={"containers": [{"name": "istio-proxy", "image": "b"}]})
    asked = [
        rules.covers(of, found("/spec/containers/0/image"), equals_default=False, today=TODAY)
        for of in (subject(), turned, subject(), turned)
    ]

    assert asked == ["", "because", "", "because"]


def test_a_missing_item_is_known_by_what_was_declared() -> None:
    """The index of an item that is missing is not that of the live list, where another item stands there."""
    missing = found("/spec/containers/0", finding="missing", declared={"name": "gone"}, live=UNSET)
    assert not is_covered(missing, paths=("/spec/containers/[name=app]",))
    assert is_covered(missing, paths=("/spec/containers/[name=gone]",))


@pytest.mark.parametrize(
    ("rule", "writer"),
    [
        ({"managers": ("keda*",)}, None),
        ({"managers": ("*",)}, None),
        ({"managers": ("*",)}, Writer(source="unresolved", candidates=("keda",))),
        ({"managers": ("keda*", "hpa")}, written("kubectl-edit")),
        ({"classes": ("controller",)}, None),
        ({"classes": ("controller", "gitops")}, written("kubectl-edit", class_="human")),
        ({"classes": ("unknown",)}, written("kubectl-edit", class_="human")),
        ({"classes": ("human",), "managers": ("oc",)}, written("kubectl-edit", class_="human")),
    ],
)
def test_other_writers_are_left_alone(rule: dict[str, Any], writer: Writer | None) -> None:
    """Who cannot be named is nobody's glob, and every condition has to hold."""
    assert not is_covered(found("/spec/a", writer), **rule)


@pytest.mark.parametrize(
    ("rule", "writer"),
    [
        ({"managers": ("hpa", "keda*")}, written("keda-operator")),
        ({"classes": ("human",)}, written("kubectl-edit", class_="human")),
        ({"classes": ("unknown",)}, None),
        ({"classes": ("unknown",)}, Writer(source="unresolved")),
    ],
)
def test_writers_are_covered(rule: dict[str, Any], writer: Writer | None) -> None:
    """By the name of the manager, or by the class; who cannot be named is `unknown`."""
    assert is_covered(found("/spec/a", writer), **rule)


def test_only_defaults_are_covered_where_a_rule_says_so() -> None:
    """`whenEqualDefault` asks for a live value that is the schema's default."""
    assert not is_covered(found("/spec/a"), when_equal_default=True, paths=("/spec/a",))
    assert is_covered(found("/spec/a"), when_equal_default=True, paths=("/spec/a",), default=True)


@pytest.mark.parametrize(("expires", "covered"), [(date(2026, 6, 14), False), (TODAY, True), (None, True)])
def test_an_expired_rule_covers_nothing(expires: date | None, *, covered: bool) -> None:
    """A rule holds through the day on which it expires."""
    assert covered == is_covered(found("/spec/a"), expires=expires)


def test_the_first_rule_gives_the_reason() -> None:
    """The configuration is asked before what is shipped, each in its order."""
    own = [IgnoreRule(reason="b", paths=("/spec/b",)), IgnoreRule(reason="any", paths=("/spec",))]
    rules = Rules(own, [IgnoreRule(reason="shipped")])
    asked = ["/spec/b", "/spec/c", "/status"]
    reasons = [rules.covers(subject(), found(path), equals_default=False, today=TODAY) for path in asked]
    assert reasons == ["b", "any", "shipped"]


def test_what_was_of_no_use_is_told() -> None:
    """Hits are counted by reason; of the shipped rules none is called unused."""
    own = [IgnoreRule(reason="a", paths=("/a",)), IgnoreRule(reason="b", paths=("/b",), expires=date(2026, 1, 1))]
    rules = Rules(own, [IgnoreRule(reason="shipped", paths=("/c",)), IgnoreRule(reason="idle", paths=("/d",))])
    for path in ("/a", "/a/b", "/b", "/c"):
        rules.covers(subject(), found(path), equals_default=False, today=TODAY)
    assert rules.hits() == {"a": 2, "b": 0, "shipped": 1, "idle": 0}
    assert ((own[1],), (own[1],)) == (rules.unused(), rules.expired(TODAY))


@pytest.mark.parametrize("match", [Match(name="re:("), Match(kind="re:a{2,1}"), Match(name="re:(?=a)")])
def test_what_is_no_regular_expression_is_refused(match: Match) -> None:
    """An expression that RE2 does not know is an error when the rules are made, not when they are asked."""
    with pytest.raises(ValueError, match=r"is no regular expression .*; write one in the syntax of RE2"):
        Rules([IgnoreRule(reason="a", match=match)])


segments = st.text(st.characters(codec="utf-8", exclude_characters="*["), max_size=6)
PATHS = st.lists(segments, min_size=1, max_size=6)


@given(PATHS, PATHS)
def test_a_path_covers_exactly_itself_and_what_is_below(first: list[str], second: list[str]) -> None:
    """Without wildcards a rule covers a field if and only if its segments begin that field's."""
    rule, path = ("".join(f"/{escape(one)}" for one in parts) for parts in (first, second))
    assert (second[: len(first)] == first) == is_covered(found(path), paths=(rule,))
    assert is_covered(found(rule + path), paths=(rule,))


@given(PATHS, st.data())
def test_wildcards_stand_for_segments(parts: list[str], data: st.DataObject) -> None:
    """A field is covered by its own path with any segment turned to `*`, and any run of segments to `**`."""
    path = "".join(f"/{escape(one)}" for one in parts)
    at = data.draw(st.integers(0, len(parts) - 1))
    to = data.draw(st.integers(at, len(parts)))
    escaped = [escape(one) for one in parts]
    one = "/".join(("", *escaped[:at], "*", *escaped[at + 1 :]))
    run = "/".join(("", *escaped[:at], "**", *escaped[to:]))
    assert is_covered(found(path), paths=(one,))
    assert is_covered(found(path), paths=(run,))
