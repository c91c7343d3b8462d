"""How the objects of a type say that they are ready: which conditions and phases mean what.

What is shipped follows kstatus and the operators' own conventions; a configuration puts rules of its own before it.
Values and look-ups only; nothing here sees an object.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from msgspec import Struct


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

    def holds(self, type_: str, status: str, reason: str) -> bool:
        """Tell whether a condition says it."""
        return type_ == self.type and status == self.status and self.reason in ("", reason)


def claim(text: str) -> Claim:
    """Read `Type`, `Type=Status` or `Type=Status:Reason`."""
    type_, _, rest = text.partition("=")
    status, _, reason = rest.partition(":")
    return Claim(type_, status or "True", reason)


def plain(word: str) -> str:
    """Write a word of a phase as it is compared: without case, blanks and dashes."""
    return word.lower().replace(" ", "").replace("-", "").replace("_", "")


class Rules(Struct, frozen=True, kw_only=True):
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
