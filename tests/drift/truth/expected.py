"""What is to be said of the object at the end of each row, by declarer, once nothing has happened for a while.

Before that while is over, what is `drifted` here is `pending`. Each row has one expectation, which holds for those who
declare server-side; exceptions name the declarers for whom the truth is another one, and why. Where nobody can know
who it was, the writer is empty.

"Is it drift?" is not a matter of opinion: a field has drifted if declaring the object once more would change it, and
the recordings hold what the API server said to that (`Recording.moved`). Where an expectation is not that, `UNLIKE`
says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tests.drift.truth import pump
from tests.drift.truth.declarers import DECLARERS
from tests.drift.truth.playing import CASES, Case
from tests.drift.truth.rows import AUTOSCALER, HOTFIX, OPERATOR, STRANGER


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.records import BaselineName, DriftFlag, DriftState, FindingKind, SinceSource
    from tests.drift.truth.pump import Object


class Found(NamedTuple):
    """One finding: where, what, and who owns the value now, with the class; both empty where nobody can know."""

    path: str
    finding: FindingKind
    writer: str = ""
    writer_class: str = ""


class Added(NamedTuple):
    """A field that a person owns and nobody declared: its topmost path, and who."""

    path: str
    writer: str


class Expected(NamedTuple):
    """A verdict. `gone` is the absence of one: there is no object. Findings and additions are in order of path.

    `ignored` holds paths in the spec alone: whether a mark of a tool is compared and ignored, or not compared, is
    nobody's business.
    """

    state: DriftState | Literal["gone"]
    declarer: str = ""
    baseline: BaselineName | Literal[""] = ""
    cause: str = ""
    since: SinceSource | Literal[""] = ""
    fields: tuple[Found, ...] = ()
    ignored: tuple[str, ...] = ()
    additions: tuple[Added, ...] = ()
    flags: tuple[DriftFlag, ...] = ()


# -- words ----------------------------------------------------------------------------------------------------------

_PATCH = ("kubectl-patch", "human")
_EDIT = ("kubectl-edit", "human")
_APPLY = ("kubectl-client-side-apply", "human")
_SERVER_SIDE = ("kubectl", "human")
_IN_SYNC = Expected("in_sync")
GONE = Expected("gone")
_UNMANAGED = Expected("unmanaged")
_CONTACT = "/metadata/annotations/example.com~1contact"
_TEAM = "/metadata/labels/team"


def _drifted(*fields: Found, since: SinceSource = "managed_fields", flags: tuple[DriftFlag, ...] = ()) -> Expected:
    classes = {one.writer_class or "unknown" for one in fields}
    cause = next(name for name in ("human", "unknown", "controller") if name in classes)
    return Expected("drifted", cause=cause, since=since, fields=tuple(sorted(fields)), flags=flags)


def _removed(*paths: str) -> Expected:
    """Of a pure removal nothing is known but that it was seen."""
    return _drifted(*(Found(path, "missing") for path in paths), since="observed")


def _added(*additions: Added) -> Expected:
    return _IN_SYNC._replace(additions=additions, flags=("additions",))


# -- the table ------------------------------------------------------------------------------------------------------

_SIZE = Found("/spec/size", "changed", *_PATCH)
_COLOR = Found("/spec/color", "changed", *_EDIT)
_MEMORY = Found("/spec/limits/memory", "changed", AUTOSCALER, "controller")

TABLE: dict[str, Expected] = {
    "declared": _IN_SYNC,
    "declared-again": _IN_SYNC,
    "rolled-out": _IN_SYNC,
    "rolled-out-less": _IN_SYNC,
    "human-changes-field": _drifted(_SIZE),
    "human-edits-field": _drifted(_COLOR),
    "human-forces-field": _drifted(Found("/spec/size", "changed", *_SERVER_SIDE)),
    "human-forces-one-field": _drifted(Found("/spec/size", "changed", *_SERVER_SIDE)),
    "human-forces-field-by-a-name": _drifted(Found("/spec/size", "changed", HOTFIX, "human")),
    "human-changes-two-fields": _drifted(_SIZE, _COLOR),
    "human-changes-label": _drifted(Found(_TEAM, "changed", "kubectl-label", "human")),
    "human-changes-annotation": _drifted(Found(_CONTACT, "changed", "kubectl-annotate", "human")),
    "human-deletes-field": _removed("/spec/size"),
    "human-deletes-and-changes": _drifted(Found("/spec/color", "changed", *_PATCH), Found("/spec/size", "missing")),
    "human-deletes-label": _removed(_TEAM),
    "human-deletes-object": GONE,
    "human-rewrites-quantity": _IN_SYNC,
    "human-changes-quantity": _drifted(Found("/spec/limits/memory", "changed", *_PATCH)),
    # The API server has one owner for the whole of an atomic list, so even what was taken out of it has a writer.
    "human-changes-atomic-list": _drifted(Found("/spec/args/0", "changed", *_PATCH)),
    "human-appends-to-atomic-list": _drifted(Found("/spec/args/2", "extra_in_list", *_PATCH)),
    "human-shortens-atomic-list": _drifted(Found("/spec/args/1", "missing", *_PATCH)),
    "human-changes-map-entry": _drifted(Found("/spec/ports/1/name", "changed", *_PATCH)),
    "human-adds-map-entry": _added(Added("/spec/ports/2", "kubectl-patch")),
    "human-deletes-map-entry": _removed("/spec/ports/1"),
    "human-reorders-map-list": _IN_SYNC,
    "human-adds-set-entry": _added(Added("/spec/zones/2", "kubectl-patch")),
    "human-deletes-set-entry": _removed("/spec/zones/1"),
    "human-adds-field": _added(Added("/spec/note", "kubectl-patch")),
    "human-adds-label": _added(Added("/metadata/labels/mood", "kubectl-label")),
    "human-changes-default": _added(Added("/spec/mode", "kubectl-patch")),
    "human-restores-default": _IN_SYNC,
    "human-deletes-defaulted-field": _IN_SYNC,
    "human-deletes-undeclared-field": _IN_SYNC,
    "human-applies-over": _drifted(Found("/spec/size", "changed", *_APPLY)),
    "human-applies-over-then-declared-again": _IN_SYNC,
    "human-applies-the-same": _IN_SYNC,
    "human-reverts-own-edit": _IN_SYNC,
    "human-restores-what-was-deleted": _IN_SYNC,
    "declarer-reverts-edit": _IN_SYNC,
    "declarer-reverts-deletion": _IN_SYNC,
    # An apply prunes nothing that another manager owns: a set and a list with keys keep what the person added.
    "declarer-reverts-list": _added(Added("/spec/ports/2", "kubectl-patch"), Added("/spec/zones/2", "kubectl-patch")),
    "rolled-out-over-edit": _IN_SYNC,
    "rolled-out-to-the-edit": _IN_SYNC,
    "edited-after-rollout": _drifted(_SIZE),
    "controller-changes-field": _drifted(_MEMORY),
    # A scaler owns replicas by a rule that is shipped.
    "controller-scales": Expected("ignored", ignored=("/spec/replicas",)),
    "stranger-changes-field": _drifted(Found("/spec/size", "changed", STRANGER, "unknown")),
    "controller-and-human-change": _drifted(_MEMORY, _SIZE),
    "controller-fills-field": _IN_SYNC,
    "controller-adds-map-entry": _IN_SYNC,
    "controller-writes-status": _IN_SYNC,
    "controller-lags": _IN_SYNC._replace(flags=("lagging",)),
    "controller-fights": _drifted(Found("/spec/color", "changed", OPERATOR, "controller"))._replace(state="flapping"),
    # More than ten who update: the API server puts the oldest together, under a name that is nobody's.
    "controllers-crowd-the-entries": _IN_SYNC,
    "human-is-crowded-out": _drifted(Found("/spec/size", "changed", "ancient-changes", "unknown")),
    # What differs because of a webhook is owned by the declarer still, or by nobody: to declare again would not help.
    "on-admission-fields-are-set": _IN_SYNC,
    "on-admission-and-human-changes": _drifted(_COLOR),
    # While it is let be, nothing begins.
    "human-pauses-flux": _drifted(_SIZE)._replace(
        state="suspended",
        cause="",
        since="",
        additions=(Added("/metadata/annotations/kustomize.toolkit.fluxcd.io~1reconcile", "kubectl-annotate"),),
        flags=("additions",),
    ),
    "human-silences": _drifted(_SIZE)._replace(state="suspended", cause="", since=""),
}

CLIENT_SIDE = ("kubectl", "argocd")
KUBECTL = ("kubectl", "kubectl-server-side")
_REST = tuple(
    Found(path, "missing")
    for path in (
        _CONTACT, _TEAM, "/spec/args", "/spec/color", "/spec/limits/cpu", "/spec/limits/memory", "/spec/ports",
        "/spec/replicas", "/spec/zones",
    )
)  # fmt: skip

EXCEPTIONS: dict[Case, Expected] = {
    # A client-side apply sends a merge patch, which replaces a list whole, whatever kind of list it is: what is in it
    # and was not declared would go.
    **{
        Case(name, row): _drifted(found)
        for name in CLIENT_SIDE
        for row, found in {
            "human-adds-map-entry": Found("/spec/ports/2", "extra_in_list", *_PATCH),
            "human-adds-set-entry": Found("/spec/zones/2", "extra_in_list", *_PATCH),
            "controller-adds-map-entry": Found("/spec/ports/2", "extra_in_list", OPERATOR, "controller"),
        }.items()
    },
    **{Case(name, "declarer-reverts-list"): _IN_SYNC for name in CLIENT_SIDE},
    # Flux takes over what kubectl owns before it applies, so it does prune.
    Case("flux-kustomize", "declarer-reverts-list"): _IN_SYNC,
    # Where kubectl declares, a person who applies with kubectl has declared: nothing tells the two apart.
    **{
        Case(name, row): _IN_SYNC
        for name in KUBECTL
        for row in ("human-forces-field", "human-forces-one-field", "human-applies-over")
    },
    # The person's apply has moved the annotation that says what Argo CD had declared.
    Case("argocd", "human-applies-over"): TABLE["human-applies-over"]._replace(flags=("baseline_moved",)),
    # `kubectl apply --server-side` takes over all that any client-side apply owns, with the annotation, and prunes what
    # the person's manifest lacks: after one field nothing is left but that, and of Argo CD no trace.
    Case("argocd", "human-forces-field"): TABLE["human-forces-field"]._replace(flags=("baseline_moved",)),
    Case("argocd", "human-forces-one-field"): _drifted(
        *TABLE["human-forces-one-field"].fields, *_REST, flags=("baseline_moved",)
    ),
    # An upgrade of Helm 3 sends what differs between the two charts: the edit survives the rollout of another field…
    Case("flux-helm", "rolled-out-over-edit"): _drifted(_SIZE),
    # …and a chart that says just what was edited writes nothing at all, so this is a false alarm that only a directory
    # of manifests could prevent.
    Case("flux-helm", "rolled-out-to-the-edit"): _drifted(_SIZE),
    # An upgrade that only takes something out leaves its own entry with less and no new time: as a person's removal.
    Case("flux-helm", "rolled-out-less"): _removed("/spec/color", "/spec/limits/cpu", "/spec/ports/1", "/spec/zones/1"),
    # Nobody declares: until somebody does, with kubectl.
    **{case: _UNMANAGED for case in CASES if case.declarer == "nobody" and TABLE[case.row] != GONE},
    Case("nobody", "human-forces-field"): Expected("in_sync", "kubectl", "projected"),
    Case("nobody", "human-applies-over"): Expected("in_sync", "kubectl", "last_applied"),
}

# Nobody declares, and then somebody declares one field of all, or takes kubectl's declaration back.
UNDECIDED = frozenset(
    Case("nobody", row)
    for row in (
        "human-forces-one-field",
        "human-forces-field-by-a-name",
        "human-applies-the-same",
        "human-applies-over-then-declared-again",
    )
)

# By whose name a declarer is known, and what serves as a baseline.
_DECLARERS: dict[str, tuple[str, BaselineName | Literal[""]]] = {
    "kubectl": ("kubectl", "last_applied"),
    "kubectl-server-side": ("kubectl", "projected"),
    "helm": ("helm", "projected"),
    "argocd": ("argocd", "last_applied"),
    # Its annotation stayed behind from before, and says another size.
    "argocd-server-side": ("argocd", "projected"),
    "flux-kustomize": ("flux", "projected"),
    "flux-helm": ("flux", "projected"),
    "nobody": ("", ""),
    "terraform": ("terraform", "projected"),
}
# kubectl moves from the one way of applying to the other.
_BASELINES: dict[Case, BaselineName] = {
    Case("kubectl", "human-forces-field"): "projected",
    Case("kubectl", "human-forces-one-field"): "projected",
    Case("kubectl-server-side", "human-applies-over"): "last_applied",
}


def expected(case: Case) -> Expected:
    """Give the verdict that a case has to come to."""
    one = EXCEPTIONS.get(case, TABLE[case.row])
    if one.state in ("gone", "unmanaged") or one.baseline:
        return one
    declarer, baseline = _DECLARERS[case.declarer]
    return one._replace(declarer=declarer, baseline=_BASELINES.get(case, baseline))


# What a first look finds of a person where a longer one finds nothing: they own a field, and nobody knows any more that
# its value is as it was declared.
_OWNED: dict[str, tuple[str, ...]] = {
    "human-reverts-own-edit": ("/spec/size",),
    "human-restores-what-was-deleted": ("/spec/size",),
    "human-rewrites-quantity": ("/spec/limits/cpu", "/spec/limits/memory"),
}


def expected_at_first_sight(case: Case) -> Expected:
    """Give the verdict of one who sees the object for the first time when all is over.

    The annotation of a client-side apply still tells what was declared. Where only ownership tells, what the declarer
    owns is in sync and what it lost is not known: of a person it is an addition, of others nothing can be said.
    """
    one = expected(case)
    if case in _FORGOTTEN:
        return _FORGOTTEN[case]
    if one.state == "flapping":
        one = one._replace(state="drifted")  # what is there, and not how it came
    if one.baseline != "projected":
        return one
    owned = {Added(path, _PATCH[0]) for path in _OWNED.get(case.row, ())}
    owned |= {Added(_whole(found.path), found.writer) for found in one.fields if found.writer_class == "human"}
    additions = tuple(sorted({*one.additions, *owned}))
    flags = tuple(sorted({*one.flags, *(("additions",) if additions else ())}))
    state: DriftState = "suspended" if one.state == "suspended" else "in_sync"
    return Expected(state, one.declarer, one.baseline, additions=additions, flags=flags)


def _whole(path: str) -> str:
    """An atomic list has one owner."""
    return "/spec/args" if path.startswith("/spec/args/") else path


_FORGOTTEN = {
    # Nothing on the object tells of Argo CD any more.
    **{
        Case("argocd", row): Expected("in_sync", "kubectl", "projected")
        for row in ("human-forces-field", "human-forces-one-field")
    },
    # The entry of who updated first is nobody's any more.
    **{
        Case(name, row): _UNMANAGED
        for name in ("kubectl", "argocd", "flux-helm")
        for row in ("controllers-crowd-the-entries", "human-is-crowded-out")
    },
    # The annotation is another's, and what it said before is gone.
    Case("argocd", "human-applies-over"): Expected(
        "in_sync", "argocd", "projected", additions=(Added("/spec/size", _APPLY[0]),), flags=("additions",)
    ),
}

DECIDED = tuple(case for case in CASES if case not in UNDECIDED)

# Where a verdict is not what the API server would make of one more declaration, and why.
_SAME = "it says the same in another way"
_BY_KUBECTL = "what kubectl declared last is what the person applied"
UNLIKE: dict[Case, str] = {
    **{
        Case(name, row): _SAME
        for name in DECLARERS
        if name != "nobody"
        for row in ("human-rewrites-quantity", "human-reorders-map-list")
    },
    **{
        Case(name, row): _BY_KUBECTL
        for name in KUBECTL
        for row in ("human-forces-field", "human-forces-one-field", "human-applies-over")
    },
    Case("flux-helm", "rolled-out-to-the-edit"): "nothing was written, so nobody can know",
    Case("flux-helm", "rolled-out-less"): "a removal has no writer, so nobody can know whose it was",
}


# -- what was said, in the same words -------------------------------------------------------------------------------


def said(verdict: Object | None) -> Expected:
    """Put a line of `drift -o json` in the words of the table; None, or nothing in it, where there is none."""
    if not verdict:
        return GONE
    return Expected(
        verdict["state"],
        verdict.get("declarer", ""),
        verdict.get("baseline", ""),
        verdict.get("cause", ""),
        verdict.get("since_source", ""),
        tuple(sorted(_found(verdict.get("fields", ())))),
        tuple(sorted(one["path"] for one in verdict.get("ignored", ()) if one["path"].startswith("/spec/"))),
        tuple(sorted(Added(one["path"], one["writer"]["name"]) for one in verdict.get("additions", ()))),
        tuple(sorted(verdict.get("flags", ()))),
    )


def _found(fields: Iterable[Object]) -> Iterator[Found]:
    for one in fields:
        writer = one.get("writer", {})
        for path in leaves(one["path"]) if one["finding"] == "missing" else (one["path"],):
            yield Found(path, one["finding"], writer.get("name", ""), writer.get("class", ""))


def leaves(path: str) -> list[str]:
    """Give the declared fields at or below a path, a list being one: what is missing may be told as a whole or not."""
    value: Any = pump.declared()
    for segment in path.split("/")[1:]:
        name = segment.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or name not in value:
            return [path]
        value = value[name]
    return list(_below(value, path))


def _below(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield path
        return
    for name, below in value.items():
        yield from _below(below, f"{path}/{name.replace('~', '~0').replace('/', '~1')}")
