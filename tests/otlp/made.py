"""Changes for the tests of this folder."""

from __future__ import annotations

from typing import Any

from exporter.model import Change, FieldChange, Writer
from exporter.timestamps import Timestamp


def made(**parts: Any) -> Change:
    """Make a change of the spec of Widget team-a/web, with some parts as given."""
    usual: dict[str, Any] = {
        "id": "c" * 32,
        "observed": Timestamp("2026-11-23T12:00:01.500000Z"),
        "event": "modified",
        "change": "spec",
        "group": "example.com",
        "version": "v1",
        "kind": "Widget",
        "namespace": "team-a",
        "name": "web",
        "uid": "u-1",
        "resource_version": "17",
        "generation": 4,
        "fields": (FieldChange("/spec/replicas", "replace", 2, 3), FieldChange("/spec/x", "add", new=None)),
        "writer": Writer(name="kubectl-edit", class_="human", source="managed_fields", operation="Update"),
    }
    return Change(**(usual | parts))
