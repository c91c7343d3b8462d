"""What is known beside the objects when their drift is judged: rules, schemas, manifests, what other tools say.

The one place where that is kept; whoever changes it has the objects reviewed that it is about. Pure.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from exporter.drift.known import LAST_APPLIED, Known
from exporter.drift.pack import PACK
from exporter.drift.rules import Rules


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.changes.schema import Schema
    from exporter.changes.writer import WriterTable
    from exporter.drift.known import Covers
    from exporter.drift.settings import DriftSettings
    from exporter.drift.values import Subject
    from exporter.model import ObjectKey, ResourceType
    from exporter.records import Finding
    from exporter.timestamps import Timestamp


class Surroundings:
    """Knows what there is to know beside the objects.

    Args:
        settings: how drift is judged
        writers: classes of managers
        schema: gives what is known of a type's schema

    """

    def __init__(self, settings: DriftSettings, writers: WriterTable, schema: Callable[[ResourceType], Schema]) -> None:
        self.rules = Rules(settings.ignore, PACK if settings.default_rules else ())
        self._writers = writers
        self._schema = schema
        self._applied = {LAST_APPLIED: "json"} | {one.annotation: one.decoder for one in settings.last_applied}

    def of(self, resource_type: ResourceType, key: ObjectKey, at: Timestamp) -> Known:
        """Give what is known beside an object at a time."""
        del key
        return Known(
            writers=self._writers,
            schema=self._schema(resource_type),
            covers=self._covers(_date(at[:10])),
            applied=self._applied,
        )

    def _covers(self, today: date) -> Covers:
        rules = self.rules

        def covers(subject: Subject, finding: Finding, equals_default: bool) -> str:  # noqa: FBT001 - as called
            return rules.covers(subject, finding, equals_default=equals_default, today=today)

        return covers


@lru_cache(maxsize=4)
def _date(text: str) -> date:
    return date.fromisoformat(text)
