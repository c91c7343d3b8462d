"""The annotation of a client-side apply, and when it is believed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from exporter.drift.known import LAST_APPLIED
from tests.drift.objects import CSA, Story, applied, owner, told


LATER = "2026-03-01T11:00:00Z"
LATEST = "2026-03-01T12:00:00Z"
KUBECTL = owner("kubectl-client-side-apply", CSA, "/spec/size")
ARGO = owner("argocd-controller", CSA, "/spec/size")
TRACKED = {"argocd.argoproj.io/tracking-id": "shop:example.com/Widget:team-a/web"}


def test_an_annotation_that_server_side_apply_left_behind_is_not_believed() -> None:
    """When the declarer's newest write is an apply, what its older annotation says is history."""
    applier = owner("argocd-controller", CSA, "/spec/size", operation="Apply", time=LATER)

    evaluation = Story().see(applier, annotations=TRACKED | applied(spec={"size": 1}), spec={"size": 2})

    assert (evaluation.declarer, evaluation.baseline, evaluation.findings) == ("argocd", "projected", ())


def test_an_annotation_that_is_not_the_declarers_is_not_believed() -> None:
    """That a person once applied an object that Helm installs does not make the annotation Helm's."""
    evaluation = Story().see(
        owner("helm", "/spec/size"),
        owner("kubectl-client-side-apply", CSA),
        annotations={"meta.helm.sh/release-name": "web"} | applied(spec={"size": 1}),
        spec={"size": 2},
    )

    assert (evaluation.declarer, evaluation.baseline, evaluation.flags) == ("helm", "projected", ())


@pytest.mark.parametrize("text", ["", "{", "[]", "\uf8f5redacted:0123456789abcdef\uf8f5"])
def test_an_annotation_that_holds_no_object_leaves_the_verdict_open(text: str) -> None:
    """What cannot be read is said."""
    evaluation = Story().see(KUBECTL, annotations={LAST_APPLIED: text}, spec={"size": 2})

    assert (evaluation.unknown, evaluation.findings) == (f"the annotation {LAST_APPLIED} holds no object", ())


def test_an_object_declared_in_another_version_leaves_the_verdict_open() -> None:
    """Fields of another version of the type cannot be compared."""
    old = applied(spec={"size": 1})
    old[LAST_APPLIED] = old[LAST_APPLIED].replace("example.com/v1", "example.com/v1beta1")

    evaluation = Story().see(KUBECTL, annotations=old, spec={"size": 2})

    assert (evaluation.unknown, evaluation.findings) == (
        "declared in example.com/v1beta1, watched in example.com/v1",
        (),
    )


def test_what_was_applied_and_is_so_is_in_sync() -> None:
    """What the live object holds beside it, status and metadata of the server are no difference."""
    evaluation = Story().see(
        KUBECTL,
        annotations=applied(spec={"size": 1}, metadata={"labels": {"a": "b"}}),
        meta={"labels": {"a": "b", "c": "d"}},
        spec={"size": 1, "more": {"x": 1}},
        status={"size": 3},
    )

    assert (evaluation.declarer, evaluation.baseline, evaluation.confidence, evaluation.findings) == (
        "kubectl", "last_applied", "high", ()
    )  # fmt: skip


def test_an_edit_is_found_at_the_first_look() -> None:
    """The annotation is in the object: nothing need be remembered."""
    edit = owner("kubectl-edit", "/spec/size", time=LATER)

    (finding,) = Story().see(
        owner("kubectl-client-side-apply", CSA), edit, annotations=applied(spec={"size": 1}), spec={"size": 2}
    ).findings  # fmt: skip

    assert told((finding,)) == [("/spec/size", "changed", 1, 2, "kubectl-edit")]
    assert (finding.at, finding.writer.class_ if finding.writer else "") == ("2026-03-01T11:00:00.000000Z", "human")


@pytest.mark.parametrize(
    "annotations", [applied(spec={"size": 5}), {}], ids=["a person applied", "a person took it away"]
)
def test_somebody_else_who_moves_the_baseline_does_not_change_what_was_declared(annotations: dict[str, Any]) -> None:
    """What the declarer applied serves until it writes again, and that the baseline was moved is said."""
    story = Story()
    story.see(ARGO, annotations=TRACKED | applied(spec={"size": 1}), spec={"size": 1})
    person = owner("kubectl-client-side-apply", CSA, "/spec/size", time=LATER)
    theirs = (owner("argocd-controller", "/spec/image"), person)
    moved = story.see(*theirs, annotations=TRACKED | annotations, spec={"size": 5})
    again = story.see(*theirs, annotations=TRACKED | annotations, spec={"size": 6})
    argo = owner("argocd-controller", CSA, "/spec/size", time=LATEST)
    back = story.see(argo, annotations=TRACKED | applied(spec={"size": 6}), spec={"size": 6})

    assert told(moved.findings) == [("/spec/size", "changed", 1, 5, "kubectl-client-side-apply")]
    assert told(again.findings) == [("/spec/size", "changed", 1, 6, "kubectl-client-side-apply")]
    assert (moved.flags, again.flags, back.flags) == (("baseline_moved",), ("baseline_moved",), ())
    assert told(back.findings) == []


def test_what_the_declarer_applies_anew_is_the_baseline() -> None:
    """A rollout is no drift."""
    story = Story()
    story.see(KUBECTL, annotations=applied(spec={"size": 1}), spec={"size": 1})
    later = owner("kubectl-client-side-apply", CSA, "/spec/size", time=LATER)

    assert told(story.see(later, annotations=applied(spec={"size": 2}), spec={"size": 2}).findings) == []


def test_an_annotation_that_the_server_brings_up_to_date_for_somebody_else_is_not_the_declarers() -> None:
    """That it moved without a write of its owner shows that a person took fields over by a server-side apply."""
    story = Story()
    story.see(ARGO, annotations=TRACKED | applied(spec={"size": 1}), spec={"size": 1})
    forced = (owner("argocd-controller", CSA), owner("kubectl", "/spec/size", operation="Apply", time=LATER))

    evaluation = story.see(*forced, annotations=TRACKED | applied(spec={"size": 5}), spec={"size": 5})

    assert evaluation.flags == ("baseline_moved",)
    assert told(evaluation.findings) == [("/spec/size", "changed", 1, 5, "kubectl")]


def test_two_applies_within_a_second_are_both_the_declarers() -> None:
    """They have one time between them, and the second one is believed like the first."""
    story = Story()
    for size, observed in ((1, "2026-03-01T10:00:00.2Z"), (2, "2026-03-01T10:00:00.7Z")):
        evaluation = story.see(
            KUBECTL, annotations=applied(spec={"size": size}), observed=observed, spec={"size": size}
        )

        assert (evaluation.flags, evaluation.findings) == ((), ())


def test_what_a_webhook_changed_on_admission_is_no_difference() -> None:
    """The declarer still owns it, so no request has changed it since, and to apply again would give the same."""
    alone = owner("kubectl-client-side-apply", CSA, "/spec/size", "/spec/list")
    live = {"size": 30, "list": ["a", "sidecar"]}
    marks = applied(spec={"size": 3, "list": ["a"]})

    with_another = Story().see(alone, owner("kubectl-edit", "/spec/size"), annotations=marks, spec=live)

    assert told(Story().see(alone, annotations=marks, spec=live).findings) == []
    assert told(with_another.findings) == [("/spec/size", "changed", 3, 30, "kubectl-edit")]


def test_an_annotation_whose_owner_is_forgotten_is_known_again_by_its_text() -> None:
    """Where more than ten managers write, the server puts the oldest together under a name that is nobody's."""
    story = Story()
    ancient = owner("ancient-changes", CSA, "/spec/size")
    story.see(KUBECTL, annotations=applied(spec={"size": 1}), spec={"size": 1})

    evaluation = story.see(ancient, annotations=applied(spec={"size": 1}), spec={"size": 2})

    assert (evaluation.declarer, evaluation.flags) == ("kubectl", ())
    assert told(evaluation.findings) == [("/spec/size", "changed", 1, 2, "ancient-changes")]


def test_without_managed_fields_the_annotation_is_believed_with_less_confidence() -> None:
    """Where the server keeps no entries nobody can be named, and nobody can be shown to have left it behind."""
    evaluation = Story().see(annotations=applied(spec={"size": 1, "gone": 2}), spec={"size": 3})

    assert (evaluation.baseline, evaluation.confidence) == ("last_applied", "medium")
    assert told(evaluation.findings) == [("/spec/size", "changed", 1, 3, ""), ("/spec/gone", "missing", 2, UNSET, "")]


def test_what_differs_and_was_written_by_another_is_drift() -> None:
    """The declarer owns a field no longer, or with another manager: its value is not what was applied."""
    edit = owner("kubectl-edit", "/spec/size")

    for kubectl in (owner("kubectl-client-side-apply", CSA), KUBECTL):
        evaluation = Story().see(kubectl, edit, annotations=applied(spec={"size": 1}), spec={"size": 2})

        assert told(evaluation.findings) == [("/spec/size", "changed", 1, 2, "kubectl-edit")]


def test_what_differs_where_nobody_is_known_to_own_anything_is_drift() -> None:
    """Without managedFields there is no telling who changed it, so it is told."""
    evaluation = Story().see(annotations=applied(spec={"size": 1}), spec={"size": 2})

    assert told(evaluation.findings) == [("/spec/size", "changed", 1, 2, "")]


def test_what_was_changed_on_admission_is_no_drift() -> None:
    """What the declarer alone owns was written by its own request: the difference was made by a webhook."""
    evaluation = Story().see(KUBECTL, annotations=applied(spec={"size": 1}), spec={"size": 30, "note": "admitted"})

    assert (evaluation.findings, evaluation.additions) == ((), ())


def test_an_annotation_whose_owner_is_forgotten_was_not_moved() -> None:
    """Of too many who update the server forgets the first; the annotation that it wrote is the same."""
    story = Story()
    story.see(KUBECTL, annotations=applied(spec={"size": 1}), spec={"size": 1})
    crowd = owner("ancient-changes", CSA, "/spec/size")

    same = story.see(crowd, annotations=applied(spec={"size": 1}), spec={"size": 1})
    moved = story.see(crowd, annotations=applied(spec={"size": 2}), spec={"size": 2})

    assert (same.declarer, same.baseline, same.findings, same.flags) == ("kubectl", "last_applied", (), ())
    assert moved.flags == ("baseline_moved",)
