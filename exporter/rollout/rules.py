"""How the objects of a type say that they are ready: which conditions and phases mean what.

What is shipped follows kstatus and the operators' own conventions; a configuration puts rules of its own before it.
Values and look-ups only; nothing here sees an object.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from msgspec import UNSET, Struct, UnsetType


Level = Literal["failed", "bad", "busy"]


_CORE = frozenset({"", "v1", "core"})

# Conditions that hold when the object is as it should be. All that an object has of them must be True.
READY = ("Ready", "Synced", "Available", "Healthy", "Reconciled", "Succeeded", "Complete")
# `Type`, `Type=Status` or `Type=Status:Reason`; without a status, True is meant.
BUSY = ("Reconciling", "Progressing=Unknown")
BAD = ("Degraded", "NotReady")
FAILED = ("Stalled", "Succeeded=False", "Failed", "Progressing=False:ProgressDeadlineExceeded")

# Where an operator without conditions keeps its word for what it is doing.
PHASES = ("/status/phase", "/status/state", "/status/health/status", "/status/health")
READY_WORDS = frozenset(
    {"ready", "running", "active", "available", "healthy", "succeeded", "completed", "complete", "bound", "deployed",
     "provisioned", "established", "synced", "online", "green", "ok"}
)  # fmt: skip
# A word that is in none of the lists says nothing.
UNREADY_WORDS = frozenset(
    {"pending", "progressing", "creating", "updating", "provisioning", "installing", "initializing", "initialising",
     "reconciling", "applyingchanges", "scaling", "upgrading", "waiting", "starting", "restarting", "inprogress",
     "notready", "unavailable", "yellow", "red", "failed", "failure", "error", "degraded", "unhealthy", "missing",
     "unknown", "createfailed", "updatefailed", "syncfailed"}
)  # fmt: skip


class Claim(Struct, frozen=True):
    """What a condition may say: with an empty reason, whatever the reason is."""

    type: str
    status: str = "True"
    reason: str = ""


def claim(text: str) -> Claim:
    """Read `Type`, `Type=Status` or `Type=Status:Reason`."""
    type_, _, rest = text.partition("=")
    status, _, reason = rest.partition(":")
    return Claim(type_, status or "True", reason)


# The words of phases are few.
@lru_cache(maxsize=1024)
def plain(word: str) -> str:
    """Write a word of a phase as it is compared: without case, blanks and dashes."""
    return word.lower().replace(" ", "").replace("-", "").replace("_", "")


class Rules(Struct, frozen=True, kw_only=True, cache_hash=True):
    """How the objects of some types say that they are ready.

    Args:
        kinds: globs of `group/Kind`
        follow: False: their rollouts are nobody's business
        ready: types of conditions; all that an object has of them must be True
        busy: what says that work goes on
        bad: what says that something is wrong that may still pass
        failed: what says that it will not pass by itself: the end of a rollout
        phases: pointers to a word, for objects without such conditions; the first that is there counts
        ready_words: of those, as `plain` writes them, what means ready
        unready_words: what means not (yet) ready; any other word says nothing
        failed_words: of the unready ones, what is the end of a rollout
        timeout_ns: how long a rollout may take, nanoseconds; None as set for all

    """

    kinds: tuple[str, ...] = ("*/*",)
    follow: bool = True
    ready: tuple[str, ...] = READY
    busy: tuple[Claim, ...] = tuple(map(claim, BUSY))
    bad: tuple[Claim, ...] = tuple(map(claim, BAD))
    failed: tuple[Claim, ...] = tuple(map(claim, FAILED))
    phases: tuple[str, ...] = PHASES
    ready_words: frozenset[str] = READY_WORDS
    unready_words: frozenset[str] = UNREADY_WORDS
    failed_words: frozenset[str] = frozenset()
    timeout_ns: int | None = None

    @property
    def of_status(self) -> bool:
        """Whether an object says all that it says in its status."""
        return all(pointer.startswith("/status/") for pointer in self.phases)


class Meaning(Struct, frozen=True):
    """What the conditions of one type mean.

    Args:
        claims: what they may say, the worst first, each with its level: failed, bad or busy
        rank: their place among the ready conditions; None where they are none

    """

    claims: tuple[tuple[Level, Claim], ...]
    rank: int | None

    def level(self, status: str, reason: str) -> Level | None:
        """Give the worst that a condition says; None where it says nothing of that kind."""
        for level, claim_ in self.claims:
            if status == claim_.status and claim_.reason in ("", reason):
                return level
        return None

    def good(self, status: str, reason: str) -> bool | UnsetType:
        """Tell whether a condition is as it should be; that work goes on is neither good nor bad."""
        if self.level(status, reason) in ("failed", "bad"):
            return False
        if self.rank is not None:
            return status == "True"
        return True if any(level != "busy" for level, _ in self.claims) else UNSET


# Types of conditions are few, and are looked up for each version of each object.
@lru_cache(maxsize=8192)
def meaning_of(rules: Rules, type_: str) -> Meaning:
    """Say what the conditions of a type mean by some rules."""
    levels: tuple[tuple[Level, tuple[Claim, ...]], ...] = (
        ("failed", rules.failed), ("bad", rules.bad), ("busy", rules.busy),
    )  # fmt: skip
    claims = tuple((level, one) for level, of_level in levels for one in of_level if one.type == type_)
    return Meaning(claims, rules.ready.index(type_) if type_ in rules.ready else None)


DEFAULT = Rules()


def _with(kinds: str, **more: tuple[str, ...]) -> Rules:
    """Add to what holds for all."""
    claims = {name: getattr(DEFAULT, name) + tuple(map(claim, texts)) for name, texts in more.items()}
    return Rules(kinds=(kinds,), **claims)


SHIPPED = (
    # A certificate keeps its Ready of before while a new one is issued.
    _with("cert-manager.io/Certificate", busy=("Issuing",)),
    _with("cert-manager.io/CertificateRequest", failed=("Ready=False:Failed", "Ready=False:Denied", "InvalidRequest")),
    # Theirs is False when done; a Deployment's and those made after it stay True.
    _with("config.openshift.io/*", busy=("Progressing",)),
    _with("operator.openshift.io/*", busy=("Progressing",)),
    Rules(
        kinds=("argoproj.io/Workflow",),
        ready_words=frozenset({"succeeded"}),
        unready_words=frozenset({"pending", "running", "failed", "error"}),
        failed_words=frozenset({"failed", "error"}),
        ready=(),
    ),
)


class Rulebook:
    """Finds the rules of a type.

    Args:
        own: the configuration's, before those that are shipped; the first whose glob matches counts

    """

    def __init__(self, own: tuple[Rules, ...] = ()) -> None:
        rules = (*own, *SHIPPED, DEFAULT)

        @lru_cache(maxsize=4096)
        def of(group: str, kind: str) -> Rules:
            return next(one for one in rules if any(_matches(glob, group, kind) for glob in one.kinds))

        self.of = of


def _matches(glob: str, group: str, kind: str) -> bool:
    """Tell whether a glob of `group/Kind` matches a type; `*` as the group is any, also none."""
    group_glob, _, kind_glob = glob.rpartition("/")
    in_group = not group if group_glob in _CORE else fnmatchcase(group, group_glob)
    return in_group and fnmatchcase(kind, kind_glob)
