"""Judges one version of one object: what of it is not as declared, who owns that now, and what is excused.

`evaluate` is all that the rest of the program calls; whatever it needs to know is handed to it. Time has no say here.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from exporter.changes.diff import show
from exporter.changes.redact import mask
from exporter.drift.additions import find_additions
from exporter.drift.baselines import BASELINES
from exporter.drift.compare import MAX_DIFFERENCES, is_default
from exporter.drift.look import Look
from exporter.drift.suspended import find_pause
from exporter.drift.values import Evaluation, Memory
from exporter.records import Finding


if TYPE_CHECKING:
    from exporter.changes.version import Version
    from exporter.drift.baselines.found import Found
    from exporter.drift.compare import Difference
    from exporter.drift.known import Known
    from exporter.drift.values import Subject
    from exporter.model import Change
    from exporter.records import DriftFlag

NO_MEMORY = Memory()
# Versions of which nothing moved that anybody declares.
_NO_REASON = frozenset({"status", "noop"})


def needs_evaluation(change: Change | None, old: Version | None, new: Version | None) -> bool:
    """Tell whether a version can be judged otherwise than the one before it.

    Args:
        change: what was told of it; None for a first look, or one under a new schema
        old: the version before, None where it is not at hand
        new: the version, None where the object is gone

    """
    return new is not None and (old is None or change is None or change.change not in _NO_REASON)


def evaluate(subject: Subject, memory: Memory, known: Known) -> tuple[Evaluation, Memory]:
    """Judge one version.

    Args:
        subject: the object
        memory: what came out beside the evaluation before, `NO_MEMORY` at first
        known: what is known beside the object

    Returns:
        the evaluation, and the memory for the next one

    """
    look = Look(subject, memory, known)
    if "unreadable" in subject.version.fields and "apiVersion" not in subject.version.fields:
        return Evaluation(declarer=look.declarer.name, unknown="the object cannot be read"), memory
    found = _read(look)
    declared = found.declared if found is not None else None
    findings, ignored, additions, left_out = _told(look, found)
    flags: list[DriftFlag] = []
    if additions:
        flags.append("additions")
    if declared is not None and declared.moved:
        flags.append("baseline_moved")
    if known.orphan:
        flags.append("orphan")
    pause = find_pause(look)
    declared_at = max(look.declared_at, declared.at if declared is not None else "")
    evaluation = Evaluation(
        declarer=mask(look.declarer.name) or ("directory" if known.declared is not None else ""),
        baseline=declared.source if declared is not None else "",
        confidence=declared.confidence if declared is not None else "",
        findings=findings,
        ignored=ignored,
        additions=additions,
        flags=tuple(flags),
        unknown=declared.problem if declared is not None else "",
        suspended=pause.reason,
        suspended_until=pause.until,
        # By a clock that is ahead, or a time that somebody made up, a rollout would last until then.
        declared_at=min(declared_at, subject.observed or declared_at),
        problems=(pause.problem,) if pause.problem else (),
        left_out=left_out,
    )
    return evaluation, found.memory if found is not None else Memory(look.declarer.name)


def _read(look: Look) -> Found | None:
    """Hold the object against the first baseline that there is."""
    for read in BASELINES.values():
        found = read(look)
        if found is not None:
            return found
    return None


def _told(look: Look, found: Found | None) -> tuple[tuple[Finding, ...], tuple[Finding, ...], tuple[Finding, ...], int]:
    """Turn differences into findings, those that a rule covers, and additions; and count what is left out."""
    findings: list[Finding] = []
    ignored: list[Finding] = []
    additions: list[Finding] = []
    left_out = 0
    if found is not None:
        left_out = found.left_out
        for difference in found.differences:
            one = _finding(look, difference)
            (ignored if one.rule else findings).append(one)
    if look.declarer.name and (found is None or not found.declared.problem):
        declares = found.declares if found is not None else lambda _: False
        told = [one.path for one in found.differences if one.live is not UNSET] if found is not None else []
        for difference in find_additions(look, declares, told):
            one = _finding(look, difference)
            if one.rule:
                continue
            if len(additions) < MAX_DIFFERENCES:
                additions.append(one)
            else:
                left_out += 1
    return tuple(findings), tuple(ignored), tuple(additions), left_out


def _finding(look: Look, one: Difference) -> Finding:
    """Say who owns a difference now, and which rule covers it."""
    writer, at = look.writer(one.owned) if one.owned else (UNSET, UNSET)
    finding = Finding(
        path=mask(one.path),
        finding=one.kind,
        declared=show(one.declared)[0],
        live=show(one.live)[0],
        writer=writer,
        at=at,
    )
    equals_default = one.live is not UNSET and is_default(one.live, one.place, look.known.schema)
    rule = look.known.covers(look.subject, finding, equals_default)
    return replace(finding, rule=rule) if rule else finding
