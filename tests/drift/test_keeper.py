"""The keeper of drift, told of each step of an object as the tracker tells it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from exporter.drift.held import held
from exporter.drift.known import SILENCE
from exporter.drift.settings import Directory, DriftSettings
from exporter.model import ObjectKey, ResourceType
from exporter.timestamps import to_nanoseconds
from tests.changes.objects import KEY, widget
from tests.drift.keeping import SECOND, Json, Life, Manifest, declared
from tests.drift.objects import owner


APPLICATION = ResourceType("argoproj.io", "v1alpha1", "applications", "Application")


def drifted(settings: DriftSettings | None = None, **more: Any) -> Life:
    """Give the life of an object that a human has changed, long enough ago."""
    life = Life(settings)
    life.see(declared(**more), "added")
    assert life.see(declared(live=5, by="kubectl-edit", generation=2, **more)) == "pending"
    assert life.wait(200) == "drifted"
    return life


# -- what costs nothing ---------------------------------------------------------------------------------------------


def test_a_step_of_the_status_alone_costs_no_look_up() -> None:
    """Most versions are of that sort: nothing is read, nothing is written."""
    life = Life()
    life.see(declared(status={"phase": "A", "observedGeneration": 1}), "added")
    kept, asked = dict(life.kept), life.asked
    for number in range(5):
        life.see(declared(status={"phase": str(number), "observedGeneration": 1 + number}))

    assert (life.kept, life.asked, life.told) == (kept, asked, [])


def test_nothing_is_kept_of_what_nobody_declares() -> None:
    """An object that nobody declares leaves no state, however often it is written."""
    life = Life()
    life.see(widget(meta={"managedFields": [owner("operator", "/spec/a")]}, spec={"a": 1}), "added")
    life.see(widget(meta={"managedFields": [owner("operator", "/spec/a")]}, spec={"a": 2}, generation=2))

    assert (life.kept, life.told) == ({}, [])


# -- an episode -----------------------------------------------------------------------------------------------------


def test_an_episode_is_told_with_everything_that_is_known() -> None:
    """The opening says what, since when and by whom, and the change that led to it where one did."""
    life = drifted()
    (opened,) = life.told
    verdict = opened.verdict

    assert (opened.event, opened.change, opened.resolved_by, opened.duration) == ("drift.opened", "", UNSET, UNSET)
    assert (verdict.state, verdict.cause, verdict.baseline, verdict.declarer) == (
        "drifted", "human", "last_applied", "kubectl",
    )  # fmt: skip
    (found,) = verdict.fields
    assert (found.path, found.finding, found.declared, found.live) == ("/spec/replicas", "changed", 2, 5)
    assert verdict.since == "2026-03-01T10:00:02.000000Z"  # the writer's own second is that of the declarer's write


def test_the_end_says_what_it_was_and_who_ended_it() -> None:
    """Whoever counts episodes by cause has the cause and the since of the one that is over."""
    life = drifted()
    since = life.verdict.since
    life.see(declared(generation=3))
    life.wait(60)
    closed = life.told[-1]

    assert life.events == ["drift.opened", "drift.closed"]
    assert (closed.verdict.state, closed.verdict.cause, closed.verdict.since) == ("in_sync", "human", since)
    assert (closed.resolved_by, closed.duration) == ("declarer", 201.0)


def test_the_declarer_is_known_by_its_name_among_those_who_put_it_right() -> None:
    """Another human is no declarer."""
    life = drifted()
    life.see(declared(live=2, by="kubectl-edit", generation=3))
    life.wait(60)

    assert life.told[-1].resolved_by == "human"


def test_a_change_is_told_with_the_version_that_brought_it() -> None:
    """Another value is something else that is wrong."""
    life = drifted()
    life.see(declared(live=7, by="kubectl-edit", generation=3))

    assert life.events == ["drift.opened", "drift.changed"]
    assert life.told[-1].change != ""
    assert life.told[-1].verdict.fields[0].live == 7


def test_a_controller_is_left_out_where_that_is_asked_for() -> None:
    """What controllers write is not drift then, but is shown as ignored; what humans write still is."""
    life = Life(DriftSettings(controllers="ignore"))
    life.see(declared(), "added")
    life.see(declared(live=5, by="hpa", generation=2, status={"a": 1}))
    status = owner("hpa", "/status/a", subresource="status")
    obj = declared(live=6, by="hpa", generation=3, status={"a": 1})
    obj["metadata"]["managedFields"].append(status)  # whoever writes the status is a controller
    life.see(obj)
    life.wait(500)

    assert (life.state, [one.rule for one in life.verdict.ignored]) == ("ignored", ["a controller wrote it"])
    life.see(declared(live=7, by="kubectl-edit", generation=4))
    life.wait(500)
    assert life.state == "drifted"


# -- ids ------------------------------------------------------------------------------------------------------------


def story(life: Life) -> list[str]:
    """Let everything happen that is told of; the ids."""
    life.see(declared(), "added")
    generation = 1
    for _ in range(2):
        for live in (5, 7):
            generation += 1
            life.see(declared(live=live, by="kubectl-edit", generation=generation))
            life.wait(200)
        generation += 1
        life.see(declared(generation=generation))
        life.wait(4000)
    life.see(declared(generation=generation), "deleted")
    return [one.id for one in life.told]


def test_ids_are_the_same_for_the_same_and_different_for_others() -> None:
    """Two exporters that see the same tell the same, and nothing that is told has the id of something else."""
    ids = story(Life())

    assert ids == story(Life())
    assert len(ids) == len(set(ids)) == 6


def test_an_id_does_not_hang_on_when_it_was_seen() -> None:
    """A second replica that sees the same versions a moment later gives the same ids to what they bring about."""
    life = Life()
    life.now += 300 * SECOND // 1000

    assert [one for one in story(Life()) if one] == story(life)


# -- gone, and back -------------------------------------------------------------------------------------------------


def test_the_end_of_the_object_is_the_end_of_its_drift() -> None:
    """A deletion ends it, is said to, and leaves nothing behind."""
    life = drifted()
    life.see(declared(live=5, by="kubectl-edit", generation=2), "deleted")

    assert (life.events, life.told[-1].resolved_by, life.kept) == (["drift.opened", "drift.closed"], "deleted", {})
    assert [one.path for one in life.told[-1].verdict.fields] == ["/spec/replicas"]


def test_what_left_the_selection_was_not_deleted() -> None:
    """Nobody knows what became of it, and nothing is kept of it."""
    life = drifted()
    life.see(declared(live=5, by="kubectl-edit", generation=2), "deleted", "left")

    assert (life.events, life.told[-1].resolved_by, life.kept) == (["drift.opened", "drift.closed"], "unknown", {})


def test_an_object_that_was_made_anew_has_no_past() -> None:
    """Another uid is another object: what was wrong with the old one is no episode of the new one."""
    life = drifted()
    life.see(declared(live=5, by="kubectl-edit", uid="uid-2"), "added")

    assert (life.events, life.told[-1].resolved_by) == (["drift.opened", "drift.closed"], "deleted")
    assert (life.state, life.verdict.uid) == ("pending", "uid-2")


def by_directory(replicas: int = 2, **more: Any) -> Manifest:
    """Declare the object in a directory."""
    return Manifest({"replicas": replicas}, Directory(path="/d", declarer="argocd"), **more)


def live(replicas: int = 2, uid: str = "uid-1", generation: int = 1, by: str = "argocd-controller") -> Json:
    """Make the object that a directory declares."""
    entries = [owner(by, "/spec/replicas")]
    return widget(uid=uid, generation=generation, meta={"managedFields": entries}, spec={"replicas": replicas})


def test_a_declared_object_that_is_not_there_is_missing() -> None:
    """It has no uid, is wrong as a whole, and counts after the time to settle."""
    life = Life(manifest=by_directory())

    assert life.review() == "pending"
    assert (life.verdict.uid, life.verdict.flags, life.verdict.declarer) == ("", ("missing",), "argocd")
    assert [(one.path, one.finding) for one in life.verdict.fields] == [("", "missing")]
    assert life.wait(120) == "drifted"
    assert life.kept[KEY].tally == "drifted? argocd"


def test_it_comes_back_and_that_is_the_end_of_it() -> None:
    """The episode of the declaration goes on in the object that was made, until that is right."""
    life = Life(manifest=by_directory())
    life.review()
    life.wait(120)
    life.see(live(5, by="kubectl-create"), "added")
    assert (life.state, life.verdict.since) == ("drifted", life.told[0].verdict.since)
    life.see(live(2, generation=2))
    life.wait(60)

    assert life.events == ["drift.opened", "drift.changed", "drift.closed"]
    assert (life.told[-1].resolved_by, life.verdict.uid, life.state) == ("declarer", "uid-1", "in_sync")
    assert life.kept[KEY].tally == "in_sync argocd"


def test_to_be_deleted_again_and_again_is_each_time_something_new() -> None:
    """Each time that it is missing has an id of its own."""
    life = Life(manifest=by_directory())
    for number in range(3):
        life.see(live(uid=f"uid-{number}"), "added")
        life.wait(60)
        life.see(live(uid=f"uid-{number}"), "deleted")
        life.wait(200)
        assert life.state == "drifted"

    assert life.events == ["drift.opened", "drift.closed"] * 2 + ["drift.opened"]
    assert len({one.id for one in life.told}) == 5


def test_what_is_no_longer_declared_is_no_longer_missing() -> None:
    """The manifest goes, and with it what was kept of an object that never was."""
    life = Life(manifest=by_directory())
    life.review()
    life.wait(120)

    assert (life.declare(None), life.kept) == ("", {})


def test_nothing_is_kept_of_a_place_where_nothing_is_nor_should_be() -> None:
    """A review of it asks, and that is all."""
    life = Life()

    assert (life.review(), life.kept, life.told) == ("", {}, [])


def test_another_manifest_judges_the_same_version_otherwise() -> None:
    """The object did not change, what is declared of it did: pending while the manifest is young, then drift."""
    life = Life(manifest=by_directory())
    life.see(live(), "added")
    assert life.state == "in_sync"
    changed = by_directory(3, changed="2026-03-01T10:01:00.000000Z")
    life.wait(60)

    assert life.declare(changed) == "pending"
    assert life.wait(120) == "drifted"
    assert (life.told[0].change, life.verdict.cause) == ("", "gitops")


def test_what_is_no_longer_declared_is_no_drift_and_declared_again_it_is_another_one() -> None:
    """Nothing of the object moved, so only when it was found tells the two apart."""
    life = Life(manifest=by_directory())
    life.see(live(5, by="operator"), "added")
    assert life.wait(200) == "drifted"
    life.declare(None)
    life.wait(4000)
    assert (life.events, life.state) == (["drift.opened", "drift.closed"], "unmanaged")
    life.declare(by_directory())
    life.wait(200)

    assert life.events == ["drift.opened", "drift.closed", "drift.opened"]
    assert len({one.id for one in life.told}) == 3


# -- silence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", ["2999-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_silence_that_outlasts_us_all_can_be_kept(until: str) -> None:
    """Nobody has to know how far the journal counts."""
    life = Life()
    life.see(declared(live=5, by="kubectl-edit", annotations={SILENCE: until}), "added")

    assert (life.state, life.kept[KEY].due) == ("suspended", 2**63 - 1)


def test_when_the_silence_is_over_it_is_judged_by_itself() -> None:
    """No version is needed for that."""
    life = Life()
    life.see(declared(live=5, by="kubectl-edit", annotations={SILENCE: "2026-03-01T10:30:00Z"}), "added")
    assert (life.wait(1700), life.told) == ("suspended", [])

    assert life.wait(300) == "drifted"
    assert life.events == ["drift.opened"]


def test_a_write_of_the_declarer_in_the_future_is_one_of_now() -> None:
    """A server's clock that is ahead, or a time that somebody made up, holds nothing up for longer than a rollout."""
    life = Life()
    obj = declared(live=5, by="kubectl-edit")
    obj["metadata"]["managedFields"][0]["time"] = "2999-01-01T00:00:00Z"
    life.see(obj, "added")

    assert life.wait(119) == "pending"
    assert life.wait(1) == "drifted"


# -- the controller's own word --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, ()),
        ({"observedGeneration": 2}, ()),
        ({"observedGeneration": 3}, ()),
        ({"observedGeneration": 1}, ("lagging",)),
        ({"observedGeneration": "1"}, ()),
        ({"observedGeneration": None}, ()),
        (["observedGeneration"], ()),
        ("observedGeneration", ()),
    ],
)
def test_a_controller_that_is_behind_is_said_to_be(status: Any, expected: tuple[str, ...]) -> None:
    """Only where it says so itself, in a number."""
    life = Life()
    life.see(declared(generation=2, status=status), "added")

    assert life.verdict.flags == expected


def test_a_status_that_catches_up_is_noticed() -> None:
    """It is the one thing of the status that matters here."""
    life = Life()
    life.see(declared(generation=2, status={"observedGeneration": 1}), "added")
    life.see(declared(generation=2, status={"observedGeneration": 2}))

    assert (life.verdict.flags, life.state) == ((), "in_sync")


# -- fights ---------------------------------------------------------------------------------------------------------


def fighting(life: Life, rounds: int = 3, pause: float = 10) -> None:
    """Let a human and the declarer undo each other."""
    life.see(declared(), "added")
    for number in range(rounds):
        life.wait(pause)
        life.see(declared(live=5, by="kubectl-edit", generation=2 * number + 2))
        life.wait(pause)
        life.see(declared(generation=2 * number + 3))


def fights(life: Life) -> list[tuple[str, str, tuple[str, ...]]]:
    """Give what was told of fights."""
    return [(one.event, one.path, one.managers) for one in life.told if one.event.startswith("fight.")]


def test_the_rollouts_of_the_declarer_leave_nothing() -> None:
    """Who writes its own fields over and over, with values that come back, fights nobody."""
    life = Life()
    life.see(declared(), "added")
    for number in range(20):
        life.see(declared(replicas=2 + number % 2, generation=number + 2, wrote=life.clock))

    assert (life.told, held(life.kept[KEY]).fights.fields) == ([], ())


@pytest.mark.parametrize("pause", [10, 300])
def test_a_fight_is_told_once_and_when_it_ends(pause: float) -> None:
    """However long it goes on; its end says how long that was."""
    life = Life()
    fighting(life, rounds=6, pause=pause)
    sides = ("kubectl-client-side-apply", "kubectl-edit")
    assert fights(life) == [("fight.opened", "/spec/replicas", sides)]
    opened = next(one for one in life.told if one.event == "fight.opened")
    life.wait(7200)

    assert fights(life)[1:] == [("fight.closed", "/spec/replicas", sides)]
    closed = next(one for one in life.told if one.event == "fight.closed")
    between = (to_nanoseconds(closed.observed) - to_nanoseconds(opened.observed)) / SECOND
    assert (closed.duration, closed.id != opened.id) == (between, True)
    assert not life.kept[KEY].shown


def test_a_fight_ends_with_its_object() -> None:
    """Nobody waits for the end of a fight over what is not there."""
    life = Life()
    fighting(life)
    life.see(declared(generation=7), "deleted")

    assert [event for event, _, _ in fights(life)] == ["fight.opened", "fight.closed"]


def test_a_write_after_a_long_stop_ends_a_fight_and_is_judged() -> None:
    """What is seen first after a stop of hours is a version, not the clock."""
    life = Life()
    fighting(life)
    life.now += 4 * 3600 * SECOND
    life.see(declared(live=9, by="kubectl-edit", generation=8))

    assert [event for event, _, _ in fights(life)] == ["fight.opened", "fight.closed"]
    assert life.verdict.fields[0].live == 9


# -- tools ----------------------------------------------------------------------------------------------------------


def application(status: str, uid: str = "uid-app") -> Json:
    """Make an Application that says something of the object."""
    meta = {"name": "shop", "namespace": "argocd", "uid": uid}
    one = {"group": "example.com", "kind": "Widget", "namespace": "team-a", "name": "web", "status": status}
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta,
        "spec": {"destination": {"server": "https://kubernetes.default.svc"}}, "status": {"resources": [one]},
    }  # fmt: skip


def test_what_a_tool_says_of_others_has_them_judged_again() -> None:
    """Once for each that it says something else of, also when it goes; its own state is another matter."""
    life = Life()
    place = ("example.com", "Widget", "team-a", "web")
    life.see(application("Synced"), "added", of=APPLICATION)
    life.see(application("Synced"), of=APPLICATION)
    assert life.reviewed == [place]
    life.see(application("OutOfSync"), of=APPLICATION)
    assert life.reviewed == [place] * 2
    life.see(application("OutOfSync"), "deleted", of=APPLICATION)

    assert life.reviewed == [place] * 3
    assert ObjectKey("argoproj.io", "applications", "argocd", "shop") not in life.kept
