"""What one version of an object says of itself: how far its controller has seen it, and whether it is ready.

The meaning is that of kstatus (cli-utils, `pkg/kstatus`): an observedGeneration behind the generation, Reconciling or
a ready condition that is not True mean "not yet", Stalled means "failed", and an object that says nothing is not
judged. Must never keep a value as it came: messages are masked and cut, types and reasons are cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from exporter.changes.pointer import split
from exporter.changes.redact import mask
from exporter.rollout.rules import meaning_of, plain
from exporter.timestamps import Timestamp, normalise


if TYPE_CHECKING:
    from exporter.changes.version import Version
    from exporter.rollout.rules import Meaning, Rules


Word = Literal["silent", "unready", "failed", "ready"]
Basis = Literal["", "observed_generation", "phase", "conditions"]

MAX_CONDITIONS = 32
MAX_WORD = 128
MAX_MESSAGE = 512
_STATUSES = ("True", "False", "Unknown")


class Condition(Struct, frozen=True, gc=False, omit_defaults=True):
    """One condition of an object, or its phase, whose `type` is then a pointer.

    Args:
        type: of the condition
        status: True, False or Unknown; the word itself of a phase
        reason: why, a word
        message: why, for people; masked and cut
        since: when it came to have that status, by its own account
        good: it is as it should be; UNSET where the rules do not say what that is

    """

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: Timestamp | UnsetType = UNSET
    good: bool | UnsetType = UNSET


class Readiness(Struct, frozen=True, gc=False, omit_defaults=True):
    """What an object says.

    Args:
        word: ready or not, by its conditions or phase alone; `failed` where that will not pass by itself
        basis: what says so
        generation: of the version; None where the type has none
        observed: the newest generation that its controller says to have seen; None where it says nothing of it
        explicit: it says so in `status.observedGeneration`, which is there to be kept up; conditions often are not
        conditions: all of them, the first so many
        blame: of those, the one that makes it not ready
        deleting: it is on its way out

    """

    word: Word = "silent"
    basis: Basis = ""
    generation: int | None = None
    observed: int | None = None
    explicit: bool = False
    conditions: tuple[Condition, ...] = ()
    blame: Condition | None = None
    deleting: bool = False


def read(version: Version, rules: Rules) -> Readiness:
    """Read what a version says of itself. Whatever it holds, this does not fail."""
    generation, deleting = _generation(version), _is_deleting(version)
    status = _field(version, "status")
    if not isinstance(status, dict):
        return Readiness(generation=generation, deleting=deleting)
    own = _integer(status.get("observedGeneration"))
    found, seen = _conditions(status.get("conditions"), rules)
    conditions = tuple(one for one, _ in found)
    observed = own if seen is None else seen if own is None else max(own, seen)
    word, blame = _judge(found)
    basis: Basis = "conditions"
    if word == "silent":
        phase = _phase(version, rules)
        if phase is not None:
            conditions = (*conditions, phase)
            basis = "phase"
            word = "ready" if phase.good else "failed" if plain(phase.status) in rules.failed_words else "unready"
            blame = None if phase.good else phase
    if word == "silent":
        word, basis = ("silent", "") if observed is None else ("ready", "observed_generation")
    return Readiness(word, basis, generation, observed, own is not None, conditions, blame, deleting)


def read_before(old: Version, new: Version, seen: Readiness, rules: Rules) -> Readiness:
    """Read the version before another one, of which is known what it says."""
    if old.fields.get("status") != new.fields.get("status") or not rules.of_status:
        return read(old, rules)
    return replace(seen, generation=_generation(old), deleting=_is_deleting(old))


def _generation(version: Version) -> int | None:
    return _integer(_field(version.metadata, "generation"))


def _is_deleting(version: Version) -> bool:
    return "deletionTimestamp" in version.metadata.fields


def _judge(found: list[tuple[Condition, Meaning]]) -> tuple[Word, Condition | None]:
    """Decide by the conditions: what has failed, what is wrong or goes on, what is not ready, what is."""
    if not found:
        return "silent", None
    levels = {}
    ready, unready = False, []
    for one, meaning in found:
        level = meaning.level(one.status, one.reason)
        if level and level not in levels:
            levels[level] = one
        if meaning.rank is not None:
            ready = True
            if one.status != "True":  # False before Unknown, in the rules' order
                unready.append((one.status != "False", meaning.rank, one))
    worst = min(unready)[2] if unready else None
    if "failed" in levels:
        return "failed", levels["failed"]
    if levels:  # that work goes on says less than what is not ready meanwhile
        return "unready", levels.get("bad") or worst or levels["busy"]
    if worst is not None:
        return "unready", worst
    return ("ready" if ready else "silent"), None


def _conditions(value: Any, rules: Rules) -> tuple[list[tuple[Condition, Meaning]], int | None]:  # noqa: ANN401 - any JSON
    """Read a list of conditions, and the lowest generation for which the ready ones among them were set."""
    if not isinstance(value, list):
        return [], None
    found: dict[str, tuple[Condition, Meaning]] = {}
    seen: list[int] = []
    for item in value:
        if not isinstance(item, dict) or len(found) >= MAX_CONDITIONS:
            continue
        type_, status = _cut(item.get("type")), item.get("status")
        if not type_ or status not in _STATUSES or type_ in found:
            continue
        meaning = meaning_of(rules, type_)
        reason = _cut(item.get("reason"))
        one = Condition(
            type_,
            status,
            reason,
            _cut(item.get("message"), MAX_MESSAGE),
            normalise(item.get("lastTransitionTime")) or UNSET,
            meaning.good(status, reason),
        )
        found[type_] = one, meaning
        generation = _integer(item.get("observedGeneration"))
        if generation and meaning.rank is not None:  # 0 is what is written where nothing is meant
            seen.append(generation)
    return list(found.values()), min(seen, default=None)


def _phase(version: Version, rules: Rules) -> Condition | None:
    """Find the phase, if it is a word that means something."""
    for pointer in rules.phases:
        segments = split(pointer)
        value = _field(version, segments[0])
        for segment in segments[1:]:
            value = value.get(segment) if isinstance(value, dict) else None
        if isinstance(value, str):
            word = plain(value)
            known = word in rules.ready_words or word in rules.unready_words or word in rules.failed_words
            return Condition(pointer, _cut(value), good=word in rules.ready_words) if known else None
    return None


def _field(fields: Any, name: str) -> Any:  # noqa: ANN401 - any JSON
    """Decode a field; one that cannot be decoded is as good as none."""
    try:
        return fields.get(name)
    except msgspec.DecodeError:
        return None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


def _cut(value: object, limit: int = MAX_WORD) -> str:
    """Mask a text and cut it; what is no text is empty."""
    if not isinstance(value, str):
        return ""
    text: str = mask(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
