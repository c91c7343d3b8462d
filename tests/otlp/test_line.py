"""Tests of `exporter.otlp.line`."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.model import UNRESOLVED, FieldChange, Writer
from exporter.otlp.line import MAX_LINE, line
from tests.otlp.made import made


NESTED: list[Any] = []
for _ in range(10_000):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    "parts",
    [
        {"name": "a\nforged line"},
        {"writer": Writer(name="x\r\u2028\x1b[2J\u202e", source="managed_fields")},
        {"fields": (FieldChange("/metadata/annotations/a\x85b", "replace", 1, 2),)},
        {"fields": (FieldChange("/a", "replace", "\ud800", NESTED),)},
    ],
)
def test_is_one_printable_line(parts: dict[str, Any]) -> None:
    """Nothing in an object can begin a second line or move the cursor of a terminal."""
    text = line(made(**parts))

    assert text.isprintable()
    assert len(text.splitlines()) == 1


def test_is_bounded() -> None:
    """Long names, paths and values are cut."""
    long = "x" * 10_000
    text = line(made(name=long, fields=(FieldChange("/" + long, "replace", long, long),)))

    assert len(text) == MAX_LINE


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "Widget team-a/web spec changed by kubectl-edit: /spec/replicas 2 → 3 (+1 more)"),
        (
            {"fields": (FieldChange("/spec/a", "add", new={"b": None}),), "writer": UNRESOLVED},
            'Widget team-a/web spec changed: /spec/a added {"b":null}',
        ),
        (
            {"fields": (FieldChange("/status/a", "remove", old="x"),), "change": "status"},
            'Widget team-a/web status changed by kubectl-edit: /status/a removed (was "x")',
        ),
        (
            {"fields": (FieldChange("/spec/a", "replace", 1, 2),), "truncated": True},
            "Widget team-a/web spec changed by kubectl-edit: /spec/a 1 → 2 (and more)",
        ),
        ({"change": "created", "fields": (), "namespace": ""}, "Widget web created by kubectl-edit"),
        ({"change": "recreated", "fields": ()}, "Widget team-a/web created again by kubectl-edit"),
        ({"change": "deleting", "fields": ()}, "Widget team-a/web marked for deletion by kubectl-edit"),
        ({"change": "deleted", "fields": (), "writer": UNRESOLVED}, "Widget team-a/web deleted"),
        ({"change": "ownership", "fields": ()}, "Widget team-a/web ownership changed by kubectl-edit"),
    ],
)
def test_tells(parts: dict[str, Any], text: str) -> None:
    """A change is told in one line: what, where, by whom, and the first field."""
    assert text == line(made(**parts))
