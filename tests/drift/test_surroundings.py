"""What is known beside the objects: whoever says something of them, until they no longer do, and rules by their day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.changes.schema import Schema
from exporter.changes.version import Version
from exporter.changes.writer import WriterTable
from exporter.drift.rules import IgnoreRule
from exporter.drift.settings import DriftSettings
from exporter.drift.surroundings import Surroundings
from exporter.drift.values import Subject
from exporter.model import ObjectKey, ResourceType
from exporter.records import Finding
from exporter.timestamps import Timestamp
from tests.changes.objects import KEY, WIDGET, widget


if TYPE_CHECKING:
    from exporter.drift.tools import Place


APPLICATION = ResourceType("argoproj.io", "v1alpha1", "applications", "Application")
WEB: Place = ("example.com", "Widget", "team-a", "web")
DB: Place = (*WEB[:3], "db")


def surroundings(*rules: IgnoreRule) -> Surroundings:
    """Make them, with nothing known."""
    settings = DriftSettings(ignore=rules, default_rules=False)
    return Surroundings(settings, WriterTable(), lambda _: Schema(known=True))


def says(known: Surroundings, name: str, told: dict[Place, str] | None) -> set[Place]:
    """Let an Application say something, or go; the places of which something else is said."""
    version = None
    if told is not None:
        resources = [
            dict(zip(("group", "kind", "namespace", "name", "status"), (*place, word), strict=True))
            for place, word in told.items()
        ]
        obj: dict[str, Any] = {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name},
            "spec": {"destination": {"name": "in-cluster"}}, "status": {"resources": resources},
        }  # fmt: skip
        version = Version(msgspec.json.encode(obj))
    return set(known.said(APPLICATION, ObjectKey("argoproj.io", "applications", "argocd", name), version))


def verdict(known: Surroundings, observed: str = "2026-03-01T10:00:00.000000Z") -> bool | None:
    """Tell what is said of the Widget: in sync or not; None where nothing is."""
    said = known.of(subject(observed)).verdict
    return None if said is None else said.in_sync


def subject(observed: str = "2026-03-01T10:00:00.000000Z") -> Subject:
    """Name the Widget under judgement."""
    return Subject(WIDGET, KEY, "uid-1", Version(msgspec.json.encode(widget())), Timestamp(observed))


def test_nothing_is_known_from_the_start() -> None:
    """No manifest, no word of a tool, and nobody is an orphan."""
    known = surroundings().of(subject())

    assert (known.declared, known.verdict, known.orphan) == (None, None, False)


def test_only_what_is_said_otherwise_is_told() -> None:
    """Of a list of many, those that came, went or have another word."""
    known = surroundings()

    assert says(known, "shop", {WEB: "Synced", DB: "Synced"}) == {WEB, DB}
    assert says(known, "shop", {WEB: "Synced", DB: "Synced"}) == set()
    assert says(known, "shop", {WEB: "OutOfSync", DB: "Synced"}) == {WEB}
    assert verdict(known) is False
    assert says(known, "shop", {DB: "Synced"}) == {WEB}
    assert (verdict(known), says(known, "shop", None)) == (None, {DB})
    assert says(known, "shop", None) == set()


@pytest.mark.parametrize("gone", [None, {DB: "Synced"}])
def test_what_two_say_is_still_said_when_one_of_them_goes(gone: dict[Place, str] | None) -> None:
    """An object that moves from one Application to another is in both for a while."""
    known = surroundings()
    says(known, "old", {WEB: "Synced"})
    says(known, "new", {WEB: "OutOfSync"})
    says(known, "old", gone)

    assert verdict(known) is False
    says(known, "new", None)
    assert verdict(known) is None


@pytest.mark.parametrize(
    ("day", "expected"), [("2026-03-01", "late init"), ("2026-03-02", "late init"), ("2026-03-03", "")]
)
def test_a_rule_holds_up_to_its_last_day(day: str, expected: str) -> None:
    """The day is that on which the object was seen."""
    rule = IgnoreRule(paths=("/spec/a",), reason="late init", expires=date(2026, 3, 2))
    one = subject(f"{day}T10:00:00.000000Z")

    assert surroundings(rule).of(one).covers(one, Finding(path="/spec/a", finding="changed"), False) == expected
