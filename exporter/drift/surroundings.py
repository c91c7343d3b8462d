"""What is known beside the objects when their drift is judged: rules, schemas, manifests, what other tools say.

The one place where that is kept; whoever changes it has the objects judged again that it is about. Pure.
"""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from exporter.drift.declarers import Tools
from exporter.drift.known import LAST_APPLIED, Known
from exporter.drift.pack import PACK
from exporter.drift.rules import Rules
from exporter.drift.tools import places, read_verdicts
from exporter.drift.values import Declared, Subject


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.changes.schema import Schema
    from exporter.changes.version import Version
    from exporter.changes.writer import WriterTable
    from exporter.drift.known import Covers
    from exporter.drift.settings import Directory, DriftSettings
    from exporter.drift.tools import Place
    from exporter.drift.values import ToolVerdict
    from exporter.model import ObjectKey, ResourceType
    from exporter.records import Finding
    from exporter.timestamps import Timestamp

# Their objects say of others whether they are as declared.
TOOLS = frozenset(
    {
        ("argoproj.io", "Application"),
        ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        ("helm.toolkit.fluxcd.io", "HelmRelease"),
    }
)


class Declaration(Protocol):
    """One declared object; see `exporter.declared.declarations.Declaration`."""

    @property
    def directory(self) -> Directory:
        """What directory holds it."""

    @property
    def problem(self) -> str:
        """Why it cannot be compared; empty where it can."""

    @property
    def changed(self) -> Timestamp | str:
        """When it came or was changed; empty for what was there from the start."""

    def object(self) -> dict[str, Any]:
        """Give the object."""


class Declarations(Protocol):
    """What is declared; see `exporter.declared.declarations.Declarations`."""

    def find(self, group: str, kind: str, namespace: str, name: str) -> Declaration | None:
        """Give the declaration of an object."""

    def is_orphan(self, group: str, kind: str, namespace: str, name: str) -> bool:
        """Tell whether a live object is not declared although whatever is of its type should be."""


class Surroundings:
    """Knows what there is to know beside the objects.

    Args:
        settings: how drift is judged
        writers: classes of managers
        schema: gives what is known of a type's schema
        redact: takes the secrets out of an object of a type, as out of live ones

    """

    def __init__(
        self,
        settings: DriftSettings,
        writers: WriterTable,
        schema: Callable[[ResourceType], Schema],
        redact: Callable[[ResourceType, dict[str, Any]], dict[str, Any] | None] = lambda *_: None,
    ) -> None:
        self.rules = Rules(settings.ignore, PACK if settings.default_rules else ())
        self._writers = writers
        self._redact = redact
        self.tools = Tools(settings.declarers)
        self._schema = schema
        self._applied = {LAST_APPLIED: "json"} | {one.annotation: one.decoder for one in settings.last_applied}
        self._declarations: Declarations | None = None
        self._known: dict[ResourceType, tuple[Known, str]] = {}
        self._said: dict[tuple[ResourceType, ObjectKey], dict[Place, ToolVerdict]] = {}
        self._verdicts: dict[Place, ToolVerdict] = {}

    def of(self, subject: Subject) -> Known:
        """Give what is known beside an object when it was seen."""
        group, kind, key = subject.type.group, subject.type.kind, subject.key
        known = self._of_type(subject.type, self._schema(subject.type), subject.observed[:10])
        verdict = self._verdict(subject)
        if self._declarations is None:
            return known if verdict is None else replace(known, verdict=verdict)
        return replace(
            known,
            declared=self.declared(subject.type, key),
            orphan=self._declarations.is_orphan(group, kind, key.namespace, key.name),
            verdict=verdict,
        )

    def declared(self, resource_type: ResourceType, key: ObjectKey) -> Declared | None:
        """Give what a directory says of an object, None where none speaks of it."""
        if self._declarations is None:
            return None
        found = self._declarations.find(resource_type.group, resource_type.kind, key.namespace, key.name)
        if found is None:
            return None
        return Declared(
            source="directory", confidence="high", object=found.object(), problem=found.problem, at=found.changed,
            declarer=found.directory.declarer,
        )  # fmt: skip

    # -- what changes -----------------------------------------------------------------------------------------

    def declare(self, declarations: Declarations) -> None:
        """Take over what the directories declare."""
        self._declarations = declarations

    def said(self, resource_type: ResourceType, key: ObjectKey, version: Version | None) -> Iterable[Place]:
        """Take in an object of a tool, None where it is gone; give the places of which it says something else now."""
        was = self._said.pop((resource_type, key), {})
        now = read_verdicts(version.values(version.fields)) if version is not None else {}
        if now:
            self._said[resource_type, key] = now
        self._verdicts.update(now)
        for place in was.keys() - now.keys():
            # What moves from one Application to another is in both for a while.
            other = next((said[place] for said in self._said.values() if place in said), None)
            if other is None:
                del self._verdicts[place]
            else:
                self._verdicts[place] = other
        return [place for place in {**was, **now} if was.get(place) != now.get(place)]

    # -- parts ------------------------------------------------------------------------------------------------

    def _of_type(self, resource_type: ResourceType, schema: Schema, day: str) -> Known:
        """Give what is known beside all objects of a type on one day."""
        known, of_day = self._known.get(resource_type, (None, ""))
        if known is None or known.schema is not schema or of_day != day:
            known = Known(
                writers=self._writers,
                schema=schema,
                tools=self.tools,
                redact=partial(self._redact, resource_type),
                covers=self._covers(date.fromisoformat(day)),
                applied=self._applied,
            )
            self._known[resource_type] = known, day
        return known

    def _verdict(self, subject: Subject) -> ToolVerdict | None:
        if not self._verdicts:
            return None
        return next((self._verdicts[place] for place in places(subject) if place in self._verdicts), None)

    def _covers(self, today: date) -> Covers:
        rules = self.rules

        def covers(subject: Subject, finding: Finding, equals_default: bool) -> str:  # noqa: FBT001 - as called
            return rules.covers(subject, finding, equals_default=equals_default, today=today)

        return covers
