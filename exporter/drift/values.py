"""What the judgement of one object is made from, and what it comes to before time has its say.

`evaluate` looks at one version and gives an `Evaluation`; how long something has to last before it counts is decided
elsewhere, from one evaluation after the other. Values only.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from exporter.changes.version import Version
from exporter.model import ObjectKey, ResourceType
from exporter.records import BaselineName, Confidence, DriftFlag, Finding
from exporter.timestamps import Timestamp


class Subject(Struct, frozen=True, gc=False):
    """One live object, without its secrets.

    Args:
        type: in the version that is watched
        key: its place
        uid: its identity
        version: the object; `version.entries` are its managedFields
        observed: when it was seen; empty where that is not known

    """

    type: ResourceType
    key: ObjectKey
    uid: str
    version: Version
    observed: Timestamp | str = ""


class Declared(Struct, frozen=True, gc=False, kw_only=True):
    """What a baseline says was declared of an object.

    Args:
        source: which baseline says so
        confidence: in it
        object: the declared fields, secrets replaced as in the live object; None where only a verdict is known
        problem: why there is no telling (then the state is `unknown`): another version, too large, not readable
        moved: somebody other than the declarer has moved the baseline itself
        at: when its manifest was loaded; empty where the declarer's own writes tell
        declarer: who applies the manifest, if somebody has said so

    """

    source: BaselineName
    confidence: Confidence
    object: dict[str, Any] | None = None
    problem: str = ""
    moved: bool = False
    at: Timestamp | str = ""
    declarer: str = ""


class ToolVerdict(Struct, frozen=True, gc=False):
    """What another tool says of an object that it declares.

    Args:
        tool: its name, as that of a declarer
        in_sync: None where it does not say
        suspended: why it lets the object be for now; empty where it does not

    """

    tool: str
    in_sync: bool | None = None
    suspended: str = ""


class Memory(Struct, frozen=True, gc=False, omit_defaults=True, array_like=True):
    """What the next evaluation of the object has to know of this one. Kept in the journal, so it is small.

    Args:
        declarer: who declares the object, by name
        source: the baseline that served; of another one nothing is remembered
        wrote: when the declarer last wrote, by its entry in managedFields
        applied: by what the baseline is known again: a digest of the annotation, or the hash that was approved
        kept: what it held, packed JSON

    """

    declarer: str = ""
    source: BaselineName | Literal[""] = ""
    wrote: str = ""
    applied: str = ""
    kept: bytes = b""


class Evaluation(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What one look at one version found, whatever the time.

    Args:
        declarer: the name by which the declarer is shown; empty where nobody declares the object
        baseline: what served; "" where nothing does (unmanaged)
        confidence: in it
        findings: declared fields that are not as declared, and no rule covers
        ignored: those that a rule covers; `rule` says which
        additions: fields that a person owns and nobody declared, and no rule covers
        flags: baseline_moved, missing, orphan
        unknown: why there is no telling; empty where there is
        suspended: what tells the declarer to pause, or silences the object; empty where nothing does
        suspended_until: when that ends by itself, if it does
        declared_at: when the declarer last wrote or its manifest was loaded; what is younger than the time to settle
            is a rollout, not drift
        problems: what is wrong with what people wrote on the object for us; a sentence each
        left_out: so many more findings and additions than are told here

    """

    declarer: str = ""
    baseline: BaselineName | Literal[""] = ""
    confidence: Confidence | Literal[""] = ""
    findings: tuple[Finding, ...] = ()
    ignored: tuple[Finding, ...] = ()
    additions: tuple[Finding, ...] = ()
    flags: tuple[DriftFlag, ...] = ()
    unknown: str = ""
    suspended: str = ""
    suspended_until: Timestamp | str = ""
    declared_at: Timestamp | str = ""
    problems: tuple[str, ...] = ()
    left_out: int = 0
