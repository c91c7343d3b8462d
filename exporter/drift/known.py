"""What the rest of the program knows when one version of an object is judged. Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from exporter.changes.schema import NO_SCHEMA, Schema
from exporter.changes.writer import WriterTable
from exporter.drift.declarers import SHIPPED, Tools
from exporter.drift.values import Declared, Subject, ToolVerdict
from exporter.records import Finding


# Gives the reason of the ignore rule that covers a finding of an object, empty where none does; the last argument says
# whether the live value is the default of the schema.
Covers = Callable[[Subject, Finding, bool], str]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
PREFIX = "customresource-exporter.io/"
SILENCE = f"{PREFIX}silence-until"
APPROVED = f"{PREFIX}approved"


def _nothing(_subject: Subject, _finding: Finding, _equals_default: bool) -> str:  # noqa: FBT001 - as called
    return ""


def _unreadable(_obj: dict[str, Any]) -> None:
    return None


class Known(Struct, frozen=True, kw_only=True):
    """What is known beside the object itself.

    Args:
        writers: classes of managers
        schema: of the type
        declared: what a directory of manifests says of the object
        orphan: such a directory holds what the object's declarer declares, and the object is not in it
        verdict: what the tool that declares the object says of it
        tools: that declare objects
        covers: the ignore rules
        applied: annotations that hold what was last applied, and how each is written: a name in
            `baselines.last_applied.DECODERS`
        redact: takes the secrets out of an object of the type as they were taken out of the live one; None where nobody
            can, so that nothing that was hidden from the redaction is looked at
        children: also objects that a controller made are held against what their maker projected

    """

    writers: WriterTable
    schema: Schema = NO_SCHEMA
    declared: Declared | None = None
    orphan: bool = False
    verdict: ToolVerdict | None = None
    tools: Tools = SHIPPED
    covers: Covers = _nothing
    applied: Mapping[str, str] = MappingProxyType({LAST_APPLIED: "json"})
    redact: Callable[[dict[str, Any]], dict[str, Any] | None] = _unreadable
    children: bool = False
