"""Makes the versions, schemas and judgements that the tests of drift are about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from exporter.changes.schema import Schema
from exporter.changes.version import Version
from exporter.changes.writer import WriterTable
from exporter.drift.evaluate import NO_MEMORY, evaluate
from exporter.drift.known import LAST_APPLIED, Known
from exporter.drift.values import Evaluation, Memory, Subject
from tests.changes.objects import KEY, WIDGET, widget


if TYPE_CHECKING:
    from exporter.records import Finding

Json = dict[str, Any]
KNOWN = Known(writers=WriterTable(), schema=Schema(known=True))


def subject(
    *entries: Json, annotations: Json | None = None, meta: Json | None = None, observed: str = "", **content: Any
) -> Subject:
    """Make a Widget with these managedFields; what is neither annotations nor metadata nor a time is content."""
    metadata = {**(meta or {}), "managedFields": list(entries)}
    if annotations is not None:
        metadata["annotations"] = annotations
    return Subject(WIDGET, KEY, "uid-1", Version(msgspec.json.encode(widget(meta=metadata, **content))), observed)


def fields(*paths: str) -> Json:
    """Write the FieldsV1 of some pointers; a segment that is `{…}` is the key of an item, `=…` a value of a set."""
    tree: Json = {}
    for path in paths:
        node = tree
        for segment in path.split("/")[1:]:
            name = segment.replace("~1", "/").replace("~0", "~")
            key = f"k:{name}" if name[:1] == "{" else f"v:{name[1:]}" if name[:1] == "=" else f"f:{name}"
            node = node.setdefault(key, {})
    return tree


def owner(
    manager: str, *paths: str, operation: str = "Update", time: str | None = "2026-03-01T10:00:00Z", **more: Any
) -> Json:
    """Make an entry of managedFields."""
    made = {"manager": manager, "operation": operation, "apiVersion": "example.com/v1", "fieldsV1": fields(*paths)}
    return {**made, **({"time": time} if time else {}), **more}


def applied(**declared: Any) -> Json:
    """Write a last-applied annotation."""
    meta = {"name": "web", "namespace": "team-a", **declared.pop("metadata", {})}
    return {LAST_APPLIED: json.dumps({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, **declared})}


CSA = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"


class Story:
    """Judges one version of the object after the other."""

    def __init__(self, known: Known = KNOWN) -> None:
        self.known = known
        self.memory: Memory = NO_MEMORY

    def see(self, *entries: Json, **content: Any) -> Evaluation:
        """Judge the next version."""
        evaluation, self.memory = evaluate(subject(*entries, **content), self.memory, self.known)
        return evaluation


def told(findings: tuple[Finding, ...]) -> list[tuple[str, Any, Any, Any, str]]:
    """Give (path, what, declared, live, who) of each."""
    return [
        (
            one.path,
            None if one.finding is UNSET else one.finding,
            one.declared,
            one.live,
            "" if one.writer is UNSET else one.writer.name,
        )
        for one in findings
    ]
