"""Who declares an object."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.changes.writer import WriterTable
from exporter.drift.declarers import SHIPPED, TOOLS, Tools, is_mark
from exporter.drift.evaluate import NO_MEMORY
from exporter.drift.known import LAST_APPLIED, Known
from exporter.drift.look import Look
from exporter.drift.values import Memory
from tests.drift.objects import KNOWN, owner, subject


TRACKED = {"argocd.argoproj.io/tracking-id": "shop:example.com/Widget:team-a/web"}
HELM = {"meta.helm.sh/release-name": "web"}
APPLIED = {LAST_APPLIED: "{}"}
PARENT = {"ownerReferences": [{"kind": "Kafka", "name": "main", "uid": "u", "controller": True}]}
OTHER_PARENT = {"ownerReferences": [{"kind": "Kafka", "name": "main", "uid": "u"}, "odd"]}


def apply(manager: str, *paths: str, **more: Any) -> dict[str, Any]:
    """Make the entry of a server-side apply."""
    return owner(manager, *(paths or ("/spec/size",)), operation="Apply", **more)


def declarer(
    *entries: dict[str, Any],
    annotations: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    before: str = "",
    known: Known = KNOWN,
) -> str:
    """Name the declarer, with a mark where it is a maker."""
    seen = subject(*entries, annotations=annotations, meta=meta, spec={"size": 1})
    found = Look(seen, Memory(declarer=before) if before else NO_MEMORY, known).declarer
    return f"{found.name} makes" if found.maker else found.name


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [owner("kubectl-create", "/spec/size"), owner("kubectl-edit", "/spec/size")],
        [owner("some-operator", "/spec/size"), apply("some-operator")],
        [apply("kustomize-controller", "/status/x"), apply("kustomize-controller", "/metadata/labels/a")],
        [apply("helm", subresource="status")],
        [apply("new-operator", "/metadata/finalizers"), apply("new-operator", "/status/x", subresource="status")],
    ],
)
def test_nobody_declares_what_was_only_written(entries: list[dict[str, Any]]) -> None:
    """To create, to edit, to look after and to write a status is not to declare."""
    assert declarer(*entries) == ""


def test_marks_that_were_copied_prove_nothing() -> None:
    """Controllers copy labels to what they make; without anything that the tool owns they are no sign of it."""
    copied = {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}

    assert declarer(owner("strimzi-cluster-operator", "/spec/size"), meta=copied | PARENT) == "Kafka makes"
    assert declarer(owner("strimzi-cluster-operator", "/spec/size"), meta=copied) == ""


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([owner("argocd-controller", "/spec/size")], "argocd"),
        ([apply("kustomize-controller")], "flux"),
        ([owner("helm-controller", "/spec/size")], "flux"),
        ([apply("helm")], "helm"),
        ([apply("Terraform")], "terraform"),
        ([apply("configsync.gke.io")], "configsync"),
        ([owner("fleetagent", "/spec/size")], "fleet"),
        ([owner("pulumi-kubernetes-3a", "/spec/size")], "pulumi"),
        ([owner("kubectl-client-side-apply", "/spec/size")], "kubectl"),
        ([apply("kubectl")], "kubectl"),
        ([apply("our-pipeline")], "our-pipeline"),
        ([apply("our-pipeline"), apply("kubectl")], "our-pipeline"),
        ([apply("kubectl-hotfix"), apply("kubectl", "/spec/a", "/spec/b")], "kubectl"),
        ([apply("apiextensions.crossplane.io/composed-a1b2")], "crossplane makes"),
        ([apply("capi-topology")], "capi makes"),
        ([owner("helm", "/spec/size"), owner("argocd-controller", "/spec/size")], "argocd"),
        ([owner("kubectl-client-side-apply", "/spec/size"), owner("helm", "/spec/x")], "helm"),
    ],
)
def test_who_owns_it_declares_it(entries: list[dict[str, Any]], expected: str) -> None:
    """A tool is known by its field managers; whoever else applies declares by that."""
    assert declarer(*entries) == expected


def test_of_two_tools_the_one_that_marked_it_declares_it() -> None:
    """What an earlier tool still owns does not outweigh the marks of the present one; people write over either."""
    both = (owner("argocd-controller", "/spec/size"), owner("helm", "/spec/x"))
    person = owner("kubectl-client-side-apply", "/spec/size")

    assert (declarer(*both, annotations=HELM), declarer(*both, annotations=TRACKED)) == ("helm", "argocd")
    assert declarer(*both, person, annotations=HELM | APPLIED) == "helm"
    assert declarer(both[1], person, annotations=APPLIED) == "helm"


@pytest.mark.parametrize(
    ("entries", "meta", "expected"),
    [
        ([owner("strimzi", "/spec/size")], PARENT, "Kafka makes"),
        ([owner("strimzi", "/spec/size")], OTHER_PARENT, ""),
        ([apply("apiextensions.crossplane.io/composed")], PARENT, "crossplane makes"),
        ([owner("argocd-controller", "/spec/size")], PARENT, "argocd"),
        ([apply("our-pipeline")], PARENT, "Kafka makes"),
    ],
)
def test_what_a_controller_made_is_declared_by_what_it_was_made_of(
    entries: list[dict[str, Any]], meta: dict[str, Any], expected: str
) -> None:
    """An owner that controls it made it, unless a tool that people use declares it: some operators adopt."""
    assert declarer(*entries, meta=meta) == expected


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [(TRACKED, "argocd"), (HELM, "helm"), (APPLIED, "kubectl"), (TRACKED | APPLIED, "argocd"), ({}, "")],
)
def test_without_managed_fields_marks_are_all_there_is(annotations: dict[str, Any], expected: str) -> None:
    """Where a server keeps no entries the marks are believed."""
    assert declarer(annotations=annotations) == expected


def test_a_tool_from_which_people_took_everything_still_declares() -> None:
    """Who declared before still does when only people own the fields now, and nobody who declares came in its place."""
    person = owner("kubectl-client-side-apply", "/spec/size")

    assert (declarer(person, before="argocd"), declarer(person)) == ("argocd", "kubectl")
    assert declarer(apply("Terraform"), before="argocd") == "terraform"


def test_a_name_of_ones_own_comes_before_the_shipped_ones() -> None:
    """Globs of the configuration name a declarer, or add to one that is known."""
    tools = Tools({"our-cd": ("deployer-*", "helm"), "flux": ("gitops-thing",)})
    known = Known(writers=WriterTable(), tools=tools)

    assert declarer(owner("deployer-7", "/spec/size"), known=known) == "our-cd"
    assert declarer(owner("helm", "/spec/size"), known=known) == "our-cd"
    assert declarer(owner("gitops-thing", "/spec/size"), known=known) == "flux"


def test_every_tool_is_known_by_its_managers_and_marks() -> None:
    """The shipped table answers for each of its rows."""
    names = [tool.name for tool in TOOLS]

    assert [SHIPPED.of(tool.managers[0].replace("*", "x")) for tool in TOOLS] == list(TOOLS)
    assert len(set(names)) == len(names)
    assert is_mark("meta.helm.sh/release-name")
    assert not is_mark("team")
    assert SHIPPED.of("nobody") is None
