"""Which word says what a version changed, and whether it is worth a word at all.

Pure rules over two redacted versions of one object; the order of the rules is the contract.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from exporter.timestamps import normalise


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.changes.move import Move
    from exporter.model import ChangeType, FieldChange


# What the server sets for itself: never a reason for a change to be told.
SERVER_METADATA = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "name", "namespace"}
)
_NOT_CONTENT = frozenset({"apiVersion", "kind", "metadata", "status"})

# Both sides of a part of which nothing moved.
_NONE: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# A number under such a name counts what a controller did. Numbers of things (readyCount, failedPods) are no heartbeat.
_COUNTERS = frozenset({"count", "counter", "total", "attempts", "retries", "iterations", "ticks", "sequence", "seq"})
_DEEDS = frozenset(
    {"heartbeat", "heartbeats", "poll", "polls", "probe", "probes", "sync", "syncs", "reconcile", "reconciles",
     "reconciliation", "reconciliations", "check", "checks", "loop", "loops", "refresh", "renewal",
     "observation", "observations", "retry", "attempt", "tick", "iteration", "scrape", "request", "requests", "seen"}
)  # fmt: skip
_STANDING_ALONE = frozenset({"ticks", "iterations", "attempts", "retries", "sequence", "seq", "counter", "heartbeat",
                             "heartbeats", "polls", "probes", "syncs", "reconciles", "checks", "loops"})  # fmt: skip


class Sections(Struct, frozen=True, gc=False):
    """What of an object moved from one version to the next, as far as its bytes did, in parts; (old, new) of each.

    Args:
        content: what it declares or holds: everything outside metadata and status
        metadata: what clients set of it: labels, annotations, finalizers, owners, deletion
        status: both UNSET where not even its bytes moved

    """

    content: tuple[dict[str, Any], dict[str, Any]]
    metadata: tuple[dict[str, Any], dict[str, Any]]
    status: tuple[Any, Any]


def take_apart(move: Move) -> Sections:
    """Take two versions apart."""
    old, new = move.old, move.new
    content = [name for name in move.names if name not in _NOT_CONTENT]
    metadata = [name for name in move.metadata if name not in SERVER_METADATA]
    return Sections(
        (old.values(content), new.values(content)) if content else _NONE,
        (old.metadata.values(metadata), new.metadata.values(metadata)) if metadata else _NONE,
        (old.get("status", UNSET), new.get("status", UNSET)) if "status" in move.names else (UNSET, UNSET),
    )


def classify(move: Move, sections: Sections) -> ChangeType:  # noqa: PLR0911 - one return for each word
    """Say what moved between two versions of the same object that was there before and still is.

    Args:
        move: from the one to the other
        sections: of both

    """
    was, now = move.old.metadata, move.new.metadata
    if "deletionTimestamp" in now.fields and "deletionTimestamp" not in was.fields:
        return "deleting"
    before, after = was.get("generation", UNSET), now.get("generation", UNSET)
    if sections.content[0] != sections.content[1]:
        return "schema" if after is not UNSET and before == after else "spec"
    if UNSET not in (before, after) and before != after:
        return "spec"  # content that is not there to be compared: only metadata is read of the type
    if sections.metadata[0] != sections.metadata[1]:
        return "metadata"
    if sections.status[0] != sections.status[1]:
        return "status"
    if move.old.entries is move.new.entries or was.get("managedFields") == now.get("managedFields"):
        return "noop"
    return "ownership"


def is_heartbeat(fields: Iterable[FieldChange]) -> bool:
    """Tell whether fields of a status say nothing but that time went by: timestamps, and counts of deeds."""
    return all(one.op == "replace" and (_both_times(one) or _counts_deeds(one)) for one in fields)


def _both_times(field: FieldChange) -> bool:
    return normalise(field.old) is not None and normalise(field.new) is not None


def _counts_deeds(field: FieldChange) -> bool:
    old, new = field.old, field.new
    if (
        isinstance(old, bool)
        or isinstance(new, bool)
        or not isinstance(old, int | float)
        or not isinstance(new, int | float)
    ):
        return False
    words = [word.lower() for word in _WORD.findall(field.path.rsplit("/", 1)[-1])]
    if not words or new <= old:
        return False
    if len(words) == 1:
        return words[0] in _STANDING_ALONE
    return words[-1] in _COUNTERS | _STANDING_ALONE and any(word in _DEEDS for word in words)
