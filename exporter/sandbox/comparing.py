"""What was done on the scripted day, held against what an observer saw of it and concluded from it.

Pure. Each sentence is a difference; none is what one hopes for.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import UNSET

from exporter.sandbox.script import EXCUSED, UNDECLARED, Conclusion


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Change
    from exporter.records import Finding, Transition, Verdict
    from exporter.sandbox.day import Summary


def differences(summary: Summary, changes: Iterable[Change]) -> list[str]:
    """Compare what was done with what was seen."""
    seen = {(change.uid, change.event, _version(change)): change for change in changes}
    found = []
    for deed in summary.deeds:
        change = seen.pop((deed.uid, deed.event, deed.resource_version), None)
        what = f"{deed.kind} {deed.name}, {deed.change} by {deed.writer or 'nobody known'}"
        if change is None:
            found.append(f"done but not seen: {what} (version {deed.resource_version or 'none'})")
        elif (change.change, change.writer.name, change.heartbeat) != (deed.change, deed.writer, deed.heartbeat):
            beat = " (heartbeat)" if change.heartbeat else ""
            found.append(f"{what}: seen as {change.change}{beat} by {change.writer.name or 'nobody known'}")
    found += [f"seen but not done: {change.kind} {change.name}, {change.change}" for change in seen.values()]
    return found


def disagreements(summary: Summary, told: Iterable[Transition], verdicts: Iterable[Verdict]) -> list[str]:
    """Compare what is to be concluded with what was.

    Args:
        summary: of what was done
        told: what was concluded over the day
        verdicts: of all objects, at its end

    """
    due = Counter(_sentence(place.type.kind, place.name, one) for place, one in summary.conclusions)
    said = Counter(_sentence(one.verdict.kind, one.verdict.name, _concluded(one)) for one in told)
    lasting = {(place, one.path): one.who[0] for place, one in summary.conclusions if one.event == "drift.opened"}
    for place, one in summary.conclusions:
        if one.event == "drift.closed":
            del lasting[place, one.path]
    for state, fields in (("drifted", lasting), ("ignored", EXCUSED), ("undeclared", UNDECLARED)):
        due.update(_standing(state, place.type.kind, place.name, path, who) for (place, path), who in fields.items())
    for verdict in verdicts:
        parts = (verdict.state, verdict.fields), ("ignored", verdict.ignored), ("undeclared", verdict.additions)
        for state, findings in parts:
            said.update(_standing(state, verdict.kind, verdict.name, one.path, _who(one)) for one in findings)
    return [
        *(f"concluded but not so: {one}" for one in (said - due).elements()),
        *(f"so but not concluded: {one}" for one in (due - said).elements()),
    ]


def _concluded(told: Transition) -> Conclusion:
    by = None if told.resolved_by is UNSET else told.resolved_by
    if told.path:
        return Conclusion(told.event, told.path, told.managers, by)
    fields = told.verdict.fields
    return Conclusion(told.event, ", ".join(one.path for one in fields), tuple(sorted(set(map(_who, fields)))), by)


def _who(finding: Finding) -> str:
    return "nobody known" if finding.writer is UNSET else finding.writer.name


def _sentence(kind: str, name: str, one: Conclusion) -> str:
    ended = f", ended by {one.by}" if one.by else ""
    return f"{one.event}: {kind} {name} {one.path} by {' and '.join(one.who)}{ended}"


def _standing(state: str, kind: str, name: str, path: str, who: str) -> str:
    return f"{kind} {name} {path} by {who} is {state}"


def _version(change: Change) -> str:
    return "" if change.event == "deleted" else change.resource_version
