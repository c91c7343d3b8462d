"""Who wrote a version."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporter.changes.entries import Entries
from exporter.changes.writer import WriterTable, find_writer, owns
from exporter.model import ChangeType, FieldChange, Writer, WriterClass
from tests.changes.objects import entry


TABLE = WriterTable()
LATER = "2026-03-01T10:00:07Z"
REPLICAS = FieldChange("/spec/replicas", "replace", 1, 2)


def writer(
    old: list[dict[str, Any]],
    new: list[dict[str, Any]],
    *fields: FieldChange,
    change: ChangeType = "spec",
    created: str = "",
) -> Writer:
    """Find the writer."""
    before, after = (Entries(msgspec.json.encode(entries)) for entries in (old, new))
    came, went = after.moved(before)
    return find_writer(TABLE, after, after.at(came), before.at(went), change=change, fields=fields, created=created)[0]


def test_without_any_entries_the_writer_is_unresolved() -> None:
    """Where the server keeps no managedFields nobody is named."""
    assert writer([], [], REPLICAS) == Writer(source="unresolved")


def test_a_pure_removal_leaves_the_losers_as_candidates() -> None:
    """When entries only lost fields, nobody is named, and those that lost are candidates."""
    old = [entry("helm", "spec.replicas", "spec.image"), entry("op", "status.phase")]
    new = [entry("helm", "spec.image"), entry("op", "status.phase")]

    assert writer(old, new, FieldChange("/spec/replicas", "remove", 1)) == Writer(
        source="unresolved", candidates=("helm",)
    )


def test_who_owns_what_is_left_of_a_set_has_not_removed_the_rest() -> None:
    """An entry taken out of a set that another owns is not the owner's doing."""
    maker = entry("maker", "metadata.finalizers")
    fewer = [FieldChange("/metadata/finalizers/0", "remove", "a"), FieldChange("/metadata/finalizers/1", "remove", "b")]

    assert writer([maker], [maker], *fewer, change="metadata").source == "unresolved"


def test_two_writers_that_both_moved_are_unresolved() -> None:
    """Two entries that both own what moved are candidates, not writers."""
    new = [entry("a", "spec.replicas", time=LATER), entry("b", "spec.replicas", time=LATER)]

    assert writer([entry("a", "spec.replicas"), entry("b", "spec.replicas")], new, REPLICAS) == Writer(
        source="unresolved", candidates=("a", "b")
    )


def test_a_new_entry_is_the_writer() -> None:
    """A manager that had no entry before wrote this version; the one it took the field from did not."""
    old = [entry("kubectl-create", "spec.replicas", "spec.image")]
    new = [entry("kubectl-create", "spec.image"), entry("kubectl-edit", "spec.replicas", time=LATER)]

    assert writer(old, new, REPLICAS) == Writer(
        name="kubectl-edit", class_="human", source="managed_fields", operation="Update"
    )


def test_an_entry_without_time_that_gained_a_field_is_the_writer() -> None:
    """The scale subresource writes entries without a time: what it gained names it."""
    old = [entry("kubectl-create", "spec.replicas")]
    new = [
        entry("kubectl-create", time="2026-03-01T10:00:00Z"),
        entry("kubectl", "spec.replicas", time=None, subresource="scale"),
    ]

    assert writer(old, new, REPLICAS) == Writer(
        name="kubectl", class_="human", source="managed_fields", operation="Update", subresource="scale"
    )


def test_a_time_that_moved_names_the_writer_of_its_own_fields() -> None:
    """A manager that writes again a value that it owns already shows by its time."""
    old = [entry("op", "spec.replicas"), entry("x", "spec.image")]
    new = [entry("op", "spec.replicas", time=LATER), entry("x", "spec.image")]

    assert writer(old, new, REPLICAS).name == "op"


def test_within_the_same_second_the_only_owner_is_the_writer() -> None:
    """Where no entry moved at all, who owns everything that moved wrote it."""
    entries = [entry("op", "spec.replicas"), entry("x", "spec.image")]

    assert writer(entries, entries, REPLICAS).name == "op"


def test_who_owns_the_very_leaf_comes_before_who_owns_what_is_around_it() -> None:
    """An entry that an owner left behind empty, as a server keeps it, does not hide the one that owns the field."""
    entries = [entry("kubectl-create", "spec"), entry("kubectl", "spec.replicas", time=None, subresource="scale")]

    assert writer(entries, entries, REPLICAS).subresource == "scale"


def test_an_owner_that_disappears_is_a_candidate() -> None:
    """When the last field of an entry goes the entry goes: who had it is named among those who may have done it."""
    old = [entry("kubectl-annotate", "metadata.annotations.note"), entry("op", "status.phase")]

    assert writer(old, old[1:], FieldChange("/metadata/annotations/note", "remove", "x"), change="metadata") == Writer(
        source="unresolved", candidates=("kubectl-annotate",)
    )


def test_of_several_entries_that_moved_the_owner_of_what_moved_is_the_writer() -> None:
    """Among entries that moved together, the one that owns the fields is preferred."""
    old = [entry("a", "spec.replicas"), entry("b", "spec.image")]
    new = [entry("a", "spec.replicas", time=LATER), entry("b", "spec.image", time=LATER)]

    assert writer(old, new, REPLICAS).name == "a"


def test_the_creator_is_the_entry_of_the_creation() -> None:
    """Of the entries of an object that is found later, the one from its creation made it."""
    created = "2026-03-01T10:00:00Z"
    entries = [
        entry("argocd-controller", "spec.replicas", time=created),
        entry("op", "status.phase", time=LATER, subresource="status"),
    ]

    assert writer([], entries, change="created", created=created).name == "argocd-controller"


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        ("something", "unknown"),
        ("kubectl-edit", "human"),
        ("kubectl", "human"),
        ("Mozilla", "human"),
        ("argocd-controller", "gitops"),
        ("kustomize-controller", "gitops"),
        ("helm", "gitops"),
        ("Terraform", "gitops"),
        ("widget-operator", "controller"),
        ("kube-controller-manager", "controller"),
    ],
)
def test_the_class_comes_from_the_name(manager: str, expected: WriterClass) -> None:
    """A shipped table knows the usual managers by name; who is not in it is unknown."""
    assert TABLE.class_of(manager, []) == expected


def test_who_writes_the_status_is_a_controller_unless_its_name_says_otherwise() -> None:
    """A manager that the table does not know is a controller if it writes the object's status."""
    entries = [entry("mystery", "status.phase", subresource="status"), entry("kubectl-edit", "status.phase")]

    assert TABLE.class_of("mystery", entries) == "controller"
    assert TABLE.class_of("kubectl-edit", entries) == "human"


def test_configured_names_come_first() -> None:
    """Globs of the configuration win over the shipped table."""
    assert WriterTable({"gitops": ["kubectl-*"]}).class_of("kubectl-apply", []) == "gitops"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/spec/image", False),
        ("/spec/ports/0/host", False),
        ("/spec/replicas", True),
        ("/spec/ports/0/port", True),
        ("/spec/atomic/3/x", True),
        ("/spec/template/spec/anything", True),
    ],
)
def test_owning_follows_the_paths_of_fields_v1(path: str, expected: bool) -> None:
    """An entry owns its leaves, everything in what it owns as a whole, and entries of lists by any of their keys."""
    fields = entry("a", "spec.replicas", "spec.atomic", "spec.template.spec")
    fields["fieldsV1"]["f:spec"]["f:ports"] = {'k:{"port":80}': {".": {}, "f:port": {}}}

    assert owns(fields, path) == expected
