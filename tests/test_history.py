"""Which changes a filter selects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporter.history import Filters, changes_like, query
from exporter.model import UNRESOLVED, Change, Writer
from exporter.timestamps import Timestamp


CHANGE = Change(
    id="0",
    observed=Timestamp("2026-01-31T12:00:00.500000Z"),
    event="modified",
    change="spec",
    group="cert-manager.io",
    version="v1",
    kind="Certificate",
    namespace="team-a",
    name="web[1]",
    uid="1",
    writer=Writer(name="kubectl-edit", class_="human", source="managed_fields", user="alice@example.com"),
)


@pytest.mark.parametrize(
    "filters",
    [
        {"since": "2026-01-31T12:00:00.500001Z"},
        {"kind": "issuer"},
        {"kind": "certificate.example.com"},
        {"kind": "cert"},
        {"kind": ""},
        {"namespace": "team"},
        {"namespace": "Team-A"},
        {"namespace": ""},
        {"name": "web?"},
        {"name": ""},
        {"writer": "kubectl"},
        {"writer": "unresolved"},
        {"writer": "gitops"},
        {"change": "status"},
        {"change": "spec", "namespace": "team-b"},
    ],
)
def test_what_does_not_fit_is_not_selected(filters: dict[str, Any]) -> None:
    """A filter fits the whole word, and all filters must fit."""
    assert not Filters(**filters).selects(CHANGE)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"since": "2026-01-31T12:00:00.500000Z"},
        {"kind": "Certificate"},
        {"kind": "CERTIFICATES"},
        {"kind": "certificate.cert-manager.io"},
        {"kind": "certificates.Cert-Manager.io"},
        {"kind": "cert-manager.io/certificate"},
        {"kind": "*.cert-manager.io"},
        {"kind": "cert*"},
        {"namespace": "team-*"},
        {"name": "web[1]"},
        {"name": "web*"},
        {"writer": "kubectl-edit"},
        {"writer": "kubectl*"},
        {"writer": "alice@*"},
        {"writer": "human"},
        {"change": "s*"},
        {"change": "spec", "namespace": "team-a", "kind": "certificates", "name": "w*", "writer": "human"},
    ],
)
def test_what_fits_is_selected(filters: dict[str, Any]) -> None:
    """A name fits as it is and as a glob; the kind in any case, in the plural, with its group."""
    assert Filters(**filters).selects(CHANGE)


@pytest.mark.parametrize(
    ("kind", "plural"),
    [("Policy", "policies"), ("Gateway", "gateways"), ("Ingress", "ingresses"), ("Mesh", "meshes"), ("Node", "nodes")],
)
def test_the_usual_plurals_fit(kind: str, plural: str) -> None:
    """What kubectl shows as the plural selects the kind."""
    assert Filters(kind=plural).selects(msgspec.structs.replace(CHANGE, kind=kind))


def test_a_candidate_is_not_the_writer() -> None:
    """A change whose writer is not known is found as unresolved, not by one of those who may have written it."""
    change = msgspec.structs.replace(CHANGE, writer=msgspec.structs.replace(UNRESOLVED, candidates=("a", "b")))
    assert [Filters(writer=writer).selects(change) for writer in ("unresolved", "a")] == [True, False]


def test_the_core_group_has_no_name() -> None:
    """A kind without a group is found by its kind."""
    change = msgspec.structs.replace(CHANGE, group="", kind="ConfigMap")
    assert [Filters(kind=kind).selects(change) for kind in ("configmaps", "configmaps.v1")] == [True, False]


def test_cluster_scoped_objects_have_an_empty_namespace() -> None:
    """An empty namespace selects what is in none."""
    assert Filters(namespace="").selects(msgspec.structs.replace(CHANGE, namespace=""))


def test_a_query_keeps_order_and_numbers() -> None:
    """The rows that are wanted come with their numbers, as they came."""
    rows = [(number, msgspec.structs.replace(CHANGE, name=name)) for number, name in ((3, "a"), (5, "b"), (9, "a"))]
    assert [rows[0], rows[2]] == list(query(iter(rows), Filters(name="a")))


@pytest.mark.parametrize(
    ("pattern", "expected"), [("Spec", ()), ("", ()), ("spec", ("spec",)), ("*created", ("created", "recreated"))]
)
def test_words_for_changes(pattern: str, expected: tuple[str, ...]) -> None:
    """A word that no change is called matches none."""
    assert expected == changes_like(pattern)
