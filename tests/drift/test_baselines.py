"""The baselines beside an annotation and a projection: manifests, verdicts of tools, approved states."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from exporter.changes.schema import Schema
from exporter.drift.baselines import BASELINES
from exporter.drift.baselines.snapshot import content_hash
from exporter.drift.known import APPROVED, Known
from exporter.drift.tools import places, read_verdicts
from exporter.drift.values import Declared, ToolVerdict
from tests.drift.objects import CSA, KNOWN, Story, applied, owner, subject, told


LATER = "2026-03-01T11:00:00Z"
PLACE = ("example.com", "Widget", "team-a", "web")


def manifest(problem: str = "", **content: Any) -> Known:
    """Know a manifest of the object."""
    obj = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "web"}, **content}
    declared = Declared(source="directory", confidence="high", object=obj, problem=problem, at=LATER)
    return replace(KNOWN, declared=declared)


def verdict(**said: Any) -> Known:
    """Know what a tool says of the object."""
    return replace(KNOWN, verdict=ToolVerdict("argocd", **said))


def flux(*paths: str, **more: Any) -> dict[str, Any]:
    """Make the entry of a server-side apply of Flux."""
    return owner("kustomize-controller", *paths, operation="Apply", **more)


def test_baselines_are_looked_for_in_this_order() -> None:
    """What is closer to what somebody wrote down comes first."""
    assert list(BASELINES) == ["directory", "last_applied", "tool_status", "projected", "snapshot"]


# -- directory -------------------------------------------------------------------------------------------------------


def test_a_manifest_that_cannot_be_told_of_leaves_the_verdict_open() -> None:
    """A problem with the manifest is the reason, and no field is told."""
    evaluation = Story(manifest("declared in v2", spec={"size": 1})).see(flux("/spec/size"), spec={"size": 2})

    assert (evaluation.unknown, evaluation.findings, evaluation.additions) == ("declared in v2", (), ())


def test_a_manifest_is_believed_before_anything_on_the_object() -> None:
    """What is in the directory counts, with the time when it was loaded, whatever the annotation says."""
    evaluation = Story(manifest(spec={"size": 1})).see(
        owner("kubectl-client-side-apply", CSA, "/spec/size"), annotations=applied(spec={"size": 2}), spec={"size": 2}
    )

    assert (evaluation.declarer, evaluation.baseline, evaluation.declared_at) == ("kubectl", "directory", LATER)
    assert told(evaluation.findings) == [("/spec/size", "changed", 1, 2, "kubectl-client-side-apply")]


def test_what_nobody_on_the_object_declares_the_directory_does() -> None:
    """Without a mark the declarer is the directory itself."""
    assert Story(manifest(spec={})).see(spec={}).declarer == "directory"


def test_what_the_declarer_still_owns_and_no_longer_declares_is_stale() -> None:
    """The next apply will take it out; marks of tools and what has its default are none of it."""
    schema = Schema(known=True, defaults={("spec", "mode"): "auto"})
    known = replace(manifest(spec={"size": 1}), schema=schema)
    entry = flux(
        "/spec/size", "/spec/old", "/spec/mode", "/metadata/labels/team",
        "/metadata/labels/kustomize.toolkit.fluxcd.io~1name",
    )  # fmt: skip
    labels = {"team": "a", "kustomize.toolkit.fluxcd.io/name": "apps"}

    evaluation = Story(known).see(entry, meta={"labels": labels}, spec={"size": 1, "old": 2, "mode": "auto"})

    assert told(evaluation.findings) == [
        ("/spec/old", "stale_owned", UNSET, 2, "kustomize-controller"),
        ("/metadata/labels/team", "stale_owned", UNSET, "a", "kustomize-controller"),
    ]


def test_what_an_update_owns_may_have_been_filled_in() -> None:
    """To whom sends an object whole the server attributes more than was sent."""
    evaluation = Story(manifest(spec={"size": 1})).see(owner("helm", "/spec/size", "/spec/x"), spec={"size": 1, "x": 2})

    assert told(evaluation.findings) == []


def test_what_was_applied_last_and_is_no_longer_declared_is_stale() -> None:
    """A client-side apply knows by its annotation what it has to take out."""
    evaluation = Story(manifest(spec={"size": 1})).see(
        owner("kubectl-client-side-apply", CSA, "/spec/size", "/spec/old"),
        annotations=applied(spec={"size": 1, "old": 2, "gone": 3}),
        spec={"size": 1, "old": 2, "theirs": 4},
    )

    assert told(evaluation.findings) == [("/spec/old", "stale_owned", UNSET, 2, "kubectl-client-side-apply")]


def test_an_orphan_is_flagged() -> None:
    """Whoever reads the directory knows that the object is not in it."""
    assert Story(replace(KNOWN, orphan=True)).see(flux("/spec/size"), spec={"size": 1}).flags == ("orphan",)


# -- verdicts of tools -----------------------------------------------------------------------------------------------


def test_a_tool_that_does_not_say_is_no_baseline() -> None:
    """Then what was projected serves."""
    assert Story(verdict()).see(flux("/spec/size"), spec={"size": 1}).baseline == "projected"


def test_what_a_tool_calls_in_sync_is() -> None:
    """It knows which differences it was told to ignore."""
    story = Story(verdict(in_sync=True))
    story.see(flux("/spec/size"), spec={"size": 1})

    evaluation = story.see(flux(), owner("kubectl-edit", "/spec/size"), spec={"size": 2})

    assert (evaluation.baseline, evaluation.findings) == ("tool_status", ())


def test_what_a_tool_calls_out_of_sync_is_told_by_field_where_that_is_known() -> None:
    """The projection names the fields, else the object as a whole differs."""
    story = Story(verdict(in_sync=False))

    first = story.see(flux("/spec/size"), spec={"size": 1})
    second = story.see(flux(), owner("kubectl-edit", "/spec/size"), spec={"size": 2})

    assert told(first.findings) == [("", "changed", UNSET, UNSET, "")]
    assert told(second.findings) == [("/spec/size", "changed", 1, 2, "kubectl-edit")]
    assert (first.baseline, second.baseline) == ("tool_status", "tool_status")


def application(**more: Any) -> dict[str, Any]:
    """Make an Application of Argo CD."""
    resource = {"group": "example.com", "kind": "Widget", "namespace": "team-a", "name": "web", "version": "v1"}
    resources = [{**resource, "status": status, **extra} for status, extra in more.pop("resources")]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"annotations": more.pop("annotations", {})},
        "spec": {"destination": more.pop("destination", {"server": "https://kubernetes.default.svc"})},
        "status": {"resources": resources},
    }


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"apiVersion": 1, "kind": "Application"},
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "status": {"resources": [None, 1]}},
        {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmChart"},
        application(resources=[("Synced", {})], destination={"server": "https://elsewhere"}),
        application(resources=[("Synced", {})], destination={"name": "prod-2"}),
        application(resources=[("Synced", {"hook": True})]),
    ],
)
def test_what_is_no_verdict_on_this_cluster_is_left_out(obj: dict[str, Any]) -> None:
    """What is odd, is deployed elsewhere or is a hook says nothing of the objects here."""
    assert read_verdicts(obj) == {}


@pytest.mark.parametrize(
    ("status", "expected"), [("Synced", True), ("OutOfSync", False), ("Unknown", None), (None, None)]
)
def test_argo_cd_has_a_word_for_each_resource(status: str | None, expected: bool | None) -> None:
    """Any other word says nothing."""
    assert read_verdicts(application(resources=[(status, {})])) == {PLACE: ToolVerdict("argocd", expected)}


def test_an_application_that_is_skipped_says_nothing_new() -> None:
    """What it said before it was skipped is old."""
    found = read_verdicts(
        application(resources=[("Synced", {})], annotations={"argocd.argoproj.io/skip-reconcile": "true"})
    )

    assert found == {PLACE: ToolVerdict("argocd", None, "Argo CD skips the Application")}


def release(drifted: str = "", message: str = "", **spec: Any) -> dict[str, Any]:
    """Make a HelmRelease of Flux."""
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"namespace": "flux", "name": "shop"},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready"}, {"type": "Drifted", "status": drifted, "message": message}],
            "inventory": {
                "entries": [{"id": "team-a_web_example.com_Widget", "v": "v1"}, {"id": "_x__y_rbac_Role"}, {}]
            },
        },
    }


ITSELF = ("helm.toolkit.fluxcd.io", "HelmRelease", "flux", "shop")
ROLE = ("rbac", "Role", "", "x:y")


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (release(), {PLACE: None, ROLE: None, ITSELF: None}),
        (release("False"), {PLACE: True, ROLE: True, ITSELF: True}),
        (release("True", "something differs"), {PLACE: None, ROLE: None, ITSELF: None}),
        (
            release("True", "has drifted:\nWidget/team-a/web changed (0 additions, 1 changes, 0 removals)"),
            {PLACE: False, ROLE: True, ITSELF: None},
        ),
        (release("False", suspend=True), {PLACE: None, ROLE: None, ITSELF: None}),
    ],
)
def test_flux_tells_of_a_release_and_names_what_drifted(obj: dict[str, Any], expected: Any) -> None:
    """What the message names has drifted, the rest has not; where it names nothing nobody knows."""
    found = read_verdicts(obj)

    assert {place: one.in_sync for place, one in found.items()} == expected
    assert {one.suspended for one in found.values()} == {"Flux suspends the HelmRelease" if obj["spec"] else ""}


def test_a_verdict_is_looked_up_under_the_object_and_then_its_release() -> None:
    """Older releases of Flux keep no inventory: then the labels lead to what the release says."""
    labels = {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "flux"}

    assert places(subject(meta={"labels": labels})) == (PLACE, ITSELF)
    assert places(subject()) == (PLACE,)


# -- approved states -------------------------------------------------------------------------------------------------

HASH = content_hash({"spec": {"size": 1}})


@pytest.mark.parametrize("approved", [HASH[:7], "", "0" * 32])
def test_a_hash_that_is_not_the_objects_says_that_it_differs(approved: str) -> None:
    """Where the approved state was never seen, it differs somewhere."""
    evaluation = Story().see(annotations={APPROVED: approved}, spec={"size": 1})

    assert (evaluation.baseline, evaluation.confidence) == ("snapshot", "low")
    assert told(evaluation.findings) == [("/spec", "changed", UNSET, UNSET, "")]


@pytest.mark.parametrize("approved", [HASH, HASH[:8]])
def test_what_was_approved_is_in_sync_and_then_told_by_field(approved: str) -> None:
    """Once the approved state was seen, what moves is named; what was only added is somewhere."""
    story = Story()
    first = story.see(annotations={APPROVED: approved}, spec={"size": 1})
    changed = story.see(annotations={APPROVED: approved}, spec={"size": 2})
    added = story.see(annotations={APPROVED: approved}, spec={"size": 1, "x": 2})

    assert (first.baseline, first.findings) == ("snapshot", ())
    assert told(changed.findings) == [("/spec/size", "changed", 1, 2, "")]
    assert told(added.findings) == [("/spec", "changed", UNSET, UNSET, "")]


def test_what_was_approved_is_not_taken_for_what_was_applied() -> None:
    """What is remembered is of one baseline: an annotation that was never there was not moved by anybody."""
    story = Story()
    marks = {APPROVED: HASH, "argocd.argoproj.io/tracking-id": "shop:example.com/Widget:team-a/web"}
    story.see(annotations=marks, spec={"size": 1})

    again = story.see(annotations=marks, spec={"size": 2})

    assert (again.declarer, again.baseline, again.unknown, again.flags) == ("argocd", "snapshot", "", ())


# -- other annotations -----------------------------------------------------------------------------------------------


def packed(obj: Any) -> str:
    """Write an object as an annotation that is compressed."""
    return base64.b64encode(gzip.compress(json.dumps(obj).encode())).decode()


OTHER = "example.com/applied"
OBJECT = {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"size": 1, "password": "secret"}}


@pytest.mark.parametrize("text", ["", "x", packed([]), packed(OBJECT)[:-12], base64.b64encode(b"x").decode()])
def test_a_compressed_annotation_that_cannot_be_read_is_said(text: str) -> None:
    """Neither what is broken nor what is no object is compared."""
    known = replace(KNOWN, applied={OTHER: "gzip"}, redact=lambda obj: obj)
    entry = owner("kubectl-client-side-apply", "/metadata/annotations/example.com~1applied", "/spec/a")

    evaluation = Story(known).see(entry, annotations={OTHER: text}, spec={})

    assert evaluation.unknown == f"the annotation {OTHER} holds no object"


def test_what_was_hidden_from_the_redaction_is_not_looked_at_without_it() -> None:
    """Secrets in a compressed annotation have to be taken out before anything of it is compared."""
    entry = owner("kubectl-client-side-apply", "/metadata/annotations/example.com~1applied", "/spec/a")
    hidden = replace(KNOWN, applied={OTHER: "gzip"})
    shown = replace(hidden, redact=lambda obj: {**obj, "spec": {**obj["spec"], "password": "<marker>"}})

    story = Story(shown)
    closed = Story(hidden).see(entry, annotations={OTHER: packed(OBJECT)}, spec={"size": 1})
    found = story.see(entry, annotations={OTHER: packed(OBJECT)}, spec={"size": 2, "password": "<marker>"})

    assert (closed.unknown, closed.findings) == (f"the annotation {OTHER} holds no object", ())
    assert told(found.findings) == [("/spec/size", "changed", 1, 2, "")]
