"""Types and objects come, change and go on a real API server, while the exporter runs and while it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.exporting import Exporter
from tests.integration.widgets import CHANGES, LISTS, Widgets, eventually_told, series, states, told, total, version
from tests.waiting import eventually


if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.launch import Cluster

INSTALLED = ("first", "restart", "removed", "replaced", "gone", "default")


@pytest.fixture(scope="module", autouse=True)
def installed(cluster: Cluster) -> None:
    """Install the types of most tests at once: a server takes seconds until it accepts a new type's first object."""
    for name in INSTALLED:
        Widgets(cluster, f"{name}.lifecycle.example.com").install()
    Widgets(cluster, "versions.lifecycle.example.com").install(version("v1"), version("v2", storage=False))


def test_what_is_there_at_the_first_start_is_silent_and_counts_from_zero(cluster: Cluster, tmp_path: Path) -> None:
    """The first start tells of nothing; each counter is there at zero, so that the first change is a growth."""
    widgets = Widgets(cluster, "first.lifecycle.example.com")
    widgets.create("a", "b")

    with Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config) as exporter:
        counters = eventually(lambda: [value for (name, _), value in exporter.metrics().items() if name == CHANGES])
        assert told(exporter) == []
        assert set(counters) == {0.0}
        assert total(exporter, "customresource_objects", customresource_group=widgets.group) == 2

        widgets.resize("a", 2)

        assert eventually_told(exporter, 1) == [("spec", "a")]
        assert total(exporter, CHANGES, change="spec") == 1
        assert total(exporter, CHANGES) == 1


def test_a_restart_resumes_and_tells_what_was_missed_and_nothing_else(cluster: Cluster, tmp_path: Path) -> None:
    """After a restart there is no second list; changes of the time between come one by one, and totals go on."""
    widgets = Widgets(cluster, "restart.lifecycle.example.com")
    widgets.create("a", "b")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        widgets.resize("a", 2)
        before = eventually_told(exporter, 1)
        assert total(exporter, LISTS) == 1
    with exporter:
        assert told(exporter) == before
        assert total(exporter, LISTS) == 0
        assert total(exporter, CHANGES) == 1

    widgets.resize("a", 3)
    widgets.resize("a", 4)
    widgets.delete("b")
    widgets.create("c")
    widgets.create("b")

    with exporter:
        missed = [("spec", "a"), ("spec", "a"), ("deleted", "b"), ("created", "c"), ("recreated", "b")]
        assert eventually_told(exporter, 6) == [*before, *missed]
        assert [change["name"] for change in exporter.changes() if change.get("gap")] == []
        assert total(exporter, LISTS) == 0
        assert total(exporter, CHANGES) == 6
        assert total(exporter, "customresource_objects") == 3


def test_objects_of_a_type_installed_while_running_are_created(cluster: Cluster, tmp_path: Path) -> None:
    """A CRD that comes is followed without a restart, and its objects are news."""
    widgets = Widgets(cluster, "installed.lifecycle.example.com")
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config) as exporter:
        widgets.install()
        widgets.create("a", "b")

        assert sorted(eventually_told(exporter, 2)) == [("created", "a"), ("created", "b")]

        widgets.resize("a", 2)

        assert eventually_told(exporter, 3)[2:] == [("spec", "a")]


def test_objects_of_a_type_installed_while_the_exporter_was_down_are_created(cluster: Cluster, tmp_path: Path) -> None:
    """A CRD that came meanwhile is known as new by the journal, which remembers all CRDs there were."""
    widgets = Widgets(cluster, "meanwhile.lifecycle.example.com")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        assert told(exporter) == []

    widgets.install()
    widgets.create("a", "b")

    with exporter:
        assert sorted(eventually_told(exporter, 2)) == [("created", "a"), ("created", "b")]
    with exporter:
        assert len(told(exporter)) == 2


def test_a_removed_type_takes_its_series_and_its_objects_are_deleted(cluster: Cluster, tmp_path: Path) -> None:
    """A CRD that goes leaves no series, in memory or over a restart; it can come again, with all its series."""
    widgets = Widgets(cluster, "removed.lifecycle.example.com")
    widgets.create("a", "b")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        assert series(exporter, widgets.group) != []

        widgets.remove()

        assert sorted(eventually_told(exporter, 2)) == [("deleted", "a"), ("deleted", "b")]
        eventually(lambda: series(exporter, widgets.group) == [])
    with exporter:
        assert series(exporter, widgets.group) == []

        widgets.install()
        widgets.create("a")

        assert eventually_told(exporter, 3)[2:] == [("recreated", "a")]
        assert "customresource_exporter_watch_synced" in series(exporter, widgets.group)


def test_a_type_replaced_at_once_keeps_its_series(cluster: Cluster, tmp_path: Path) -> None:
    """A CRD that is removed and installed again in one go ends followed, with its state shown."""
    widgets = Widgets(cluster, "replaced.lifecycle.example.com")
    widgets.create("a", "b")
    with Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config) as exporter:
        widgets.remove()
        widgets.install()
        widgets.create("a")
        eventually(lambda: "type removed" in exporter.log)
        # Not before: what is done to it until the new type is listed comes as one version.
        eventually(lambda: ("recreated", "a") in told(exporter))
        widgets.resize("a", 2)

        eventually(lambda: told(exporter)[-1:] == [("spec", "a")])
        assert sorted(told(exporter))[:2] == [("deleted", "a"), ("deleted", "b")]
        assert total(exporter, "customresource_exporter_watch_synced", customresource_group=widgets.group) == 1
        assert total(exporter, "customresource_objects", customresource_group=widgets.group) == 1


def test_a_type_removed_while_the_exporter_was_down_is_told(cluster: Cluster, tmp_path: Path) -> None:
    """The objects of a CRD that went meanwhile are deleted, as a gap, and nothing of it is shown any more."""
    widgets = Widgets(cluster, "gone.lifecycle.example.com")
    widgets.create("a", "b")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        assert told(exporter) == []

    widgets.remove()

    with exporter:
        assert sorted(eventually_told(exporter, 2)) == [("deleted", "a"), ("deleted", "b")]
        assert [change.get("gap") for change in exporter.changes()] == [True, True]
        eventually(lambda: series(exporter, widgets.group) == [])


def test_a_new_default_in_the_schema_is_silent(cluster: Cluster, tmp_path: Path) -> None:
    """Objects that only look different by a new default did not change, now and at their next change."""
    widgets = Widgets(cluster, "default.lifecycle.example.com")
    widgets.create("a", "b")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        widgets.install(version(colour={"type": "string", "default": "red"}))
        eventually(lambda: total(exporter, LISTS, reason="schema") == 1)
        eventually(lambda: all(b"red" in state for state in states(exporter.data_dir).values()))
        widgets.resize("a", 2)

        assert eventually_told(exporter, 1) == [("spec", "a")]
        assert [field["path"] for field in exporter.changes()[0]["fields"]] == ["/spec/size"]

    widgets.install(version(colour={"type": "string", "default": "red"}, shape={"type": "string", "default": "round"}))

    with exporter:
        widgets.resize("b", 2)

        assert eventually_told(exporter, 2)[1:] == [("spec", "b")]
        assert [field["path"] for field in exporter.changes()[1]["fields"]] == ["/spec/size"]


def test_a_switch_of_the_versions_is_silent(cluster: Cluster, tmp_path: Path) -> None:
    """Another storage version, and a version that is no longer served, are no change of any object."""
    widgets = Widgets(cluster, "versions.lifecycle.example.com")
    widgets.create("a", "b")
    exporter = Exporter(cluster.kubeconfig, tmp_path / "data", config=widgets.config)
    with exporter:
        widgets.install(version("v1", storage=False), version("v2"))
        eventually(lambda: total(exporter, LISTS, reason="schema") >= 1)
        widgets.resize("a", 2)

        assert eventually_told(exporter, 1) == [("spec", "a")]
        assert [(one["version"], one["fields"][0]["path"]) for one in exporter.changes()] == [("v2", "/spec/size")]

    widgets.install(version("v1"), version("v2", storage=False) | {"served": False})

    with exporter:
        widgets.resize("b", 2)

        assert eventually_told(exporter, 2)[1:] == [("spec", "b")]
        assert [len(one["fields"]) for one in exporter.changes()] == [1, 1]
