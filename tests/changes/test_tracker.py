"""From observations to changes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.changes.diff import Diff
from exporter.changes.observation import Head, Mode, Observation
from exporter.changes.pointer import compile_patterns
from exporter.changes.schema import Schema
from exporter.model import Event, Scope, Writer, change_id, encode
from tests.changes.objects import KEY, SCOPE, WIDGET, World, at, entry, seen, widget


def words(world: World, *observations: Observation) -> list[tuple[str, str]]:
    """Take observations and give (event, change) of what follows."""
    return [(change.event, change.change) for change in world.take(*observations)]


def test_a_baseline_is_silent() -> None:
    """What was there before anybody watched is stored without a word."""
    world = World()

    assert world.take(seen(widget(), "added", "baseline")) == []
    assert world.stored[KEY].uid == "uid-1"


def test_a_version_that_is_known_is_dropped() -> None:
    """The same version again, as after a resume or in a list, is no change."""
    world = World()
    world.take(seen(widget(1), "added"))

    assert world.take(seen(widget(1), "added"), seen(widget(1)), seen(widget(1), "added", "catch_up")) == []


def test_a_late_event_of_a_deleted_object_does_not_bring_it_back() -> None:
    """After its deletion a live event of the same uid is dropped, a deletion too."""
    world = World()
    world.take(seen(widget(1), "added"))
    world.take(seen(widget(2), "deleted"))

    assert world.take(seen(widget(1), "modified"), seen(widget(2), "deleted")) == []


def late(obj: dict[str, Any], event: Event = "modified", mode: Mode = "live") -> Observation:
    """Observe an object in a stream that has told of later versions."""
    return replace(seen(obj, event, mode), late=True)


def test_a_late_event_takes_nothing_back() -> None:
    """What comes late is news only if it is newer than what is held in its place."""
    world = World()
    world.take(seen(widget(1, spec={"a": 1}), "added"), seen(widget(9, generation=2, spec={"a": 2})))

    assert world.take(late(widget(1, spec={"a": 1}), "added"), late(widget(8, spec={"a": 1}))) == []
    assert world.take(late(widget(7, uid="uid-0"), "added"), late(widget(1), "added", "baseline")) == []
    assert world.take(late(widget(5), "deleted", "left")) == []
    assert world.stored[KEY].resource_version == "9"
    assert words(world, late(widget(10, generation=3, spec={"a": 3}))) == [("modified", "spec")]
    assert words(world, late(widget(4), "deleted")) == [("deleted", "deleted")]


def test_a_late_event_brings_back_none_of_those_that_were_deleted() -> None:
    """Of several objects that came and went in one place each is known to be gone, also where it left a selection."""
    world = World()
    for number in (1, 2):
        uid = f"uid-{number}"
        world.take(seen(widget(number * 10, uid=uid), "added"), seen(widget(number * 10 + 1, uid=uid), "deleted"))

    assert world.take(late(widget(10, uid="uid-1"), "added"), late(widget(20, uid="uid-2"))) == []
    assert world.take(late(widget(10, uid="uid-1"), "added", "baseline")) == []
    assert words(world, late(widget(15, uid="uid-3"), "added")) == [("added", "recreated")]


def test_what_a_list_brings_back_can_go_and_come_again() -> None:
    """After a history that went backwards a deletion that never was is forgotten."""
    world = World()
    world.take(seen(widget(1), "added"), seen(widget(2), "deleted"))
    world.take(seen(widget(1), "added", "catch_up"), seen(widget(1), "deleted", "left"))
    world.buried.clear()  # as after ten minutes

    assert words(world, seen(widget(3), "added")) == [("added", "created")]


@pytest.mark.parametrize(
    ("before", "listed", "backwards"),
    [
        (seen(widget(9)), widget(8), True),
        (seen(widget(9), "deleted"), widget(5), True),
        (seen(widget(9)), widget(10), False),
        (seen(widget(9)), widget(9), False),
        (seen(widget(9), "deleted"), widget(12, uid="uid-2"), False),
    ],
    ids=["an older version", "what was deleted", "a newer version", "what is known", "another object in the place"],
)
def test_a_list_shows_that_the_history_went_backwards(
    before: Observation, listed: dict[str, Any], backwards: bool
) -> None:
    """An older version, or one of what was deleted, begins a new epoch before its own change gets an id."""
    world = World()
    world.take(seen(widget(1), "added"), before)
    epochs = []

    def went_backwards(scope: Scope) -> None:
        epochs.append(scope)
        world.tracker.epoch = 1

    world.tracker._went_backwards = went_backwards
    told = world.take(seen(listed, "added", "catch_up"))

    assert epochs == [SCOPE] * backwards
    assert [change.id for change in told] == [
        change_id("cluster-1", int(backwards), change.uid, change.resource_version, change.event) for change in told
    ]


def test_a_deletion_of_another_uid_is_dropped() -> None:
    """A deletion that is not of the object in the place leaves that alone."""
    world = World()
    world.take(seen(widget(5, uid="uid-2"), "added"))

    assert world.take(seen(widget(2, uid="uid-1"), "deleted")) == []


def test_the_life_of_an_object() -> None:
    """Creation, change, beginning and end of deletion are told with their words, in order, also within one batch."""
    world = World()
    deleting = {"deletionTimestamp": "2026-03-01T10:00:00Z"}

    assert words(
        world,
        seen(widget(1, spec={"a": 1}), "added"),
        seen(widget(2, generation=2, spec={"a": 2})),
        seen(widget(3, generation=3, spec={"a": 2}, meta=deleting)),
        seen(widget(4, generation=3, spec={"a": 2}, meta=deleting), "deleted"),
    ) == [("added", "created"), ("modified", "spec"), ("modified", "deleting"), ("deleted", "deleted")]


def test_a_change_carries_what_is_known_of_it() -> None:
    """A change has its identity, its times, its fields, its writer, and the id that anybody would compute."""
    world = World()
    world.take(seen(widget(1, spec={"a": 1}, meta={"managedFields": [entry("op", "spec.a")]}), "added"))
    later = entry("op", "spec.a", time="2026-03-01T10:00:07Z")

    (change,) = world.take(
        seen(widget(2, generation=2, spec={"a": 2}, meta={"managedFields": [later]}), clock="10:00:07.25")
    )

    assert msgspec.json.decode(encode(change)) == {
        "id": change_id("cluster-1", 0, "uid-1", "2", "modified"),
        "observed": "2026-03-01T10:00:07.250000Z",
        "happened": "2026-03-01T10:00:07.000000Z",
        "event": "modified",
        "change": "spec",
        "group": "example.com",
        "version": "v1",
        "kind": "Widget",
        "namespace": "team-a",
        "name": "web",
        "uid": "uid-1",
        "resource_version": "2",
        "generation": 2,
        "fields": [{"path": "/spec/a", "op": "replace", "old": 1, "new": 2}],
        "writer": {"name": "op", "class": "unknown", "source": "managed_fields", "operation": "Update"},
    }


def test_the_same_name_with_a_new_uid_soon_after_is_recreated() -> None:
    """An object that comes back under its name within ten minutes is recreated, later it is created."""
    world = World()
    world.take(seen(widget(1), "added"), seen(widget(2), "deleted", clock="10:00:00"))
    assert words(world, seen(widget(3, uid="uid-2"), "added", clock="10:09:59")) == [("added", "recreated")]

    world.take(seen(widget(4, uid="uid-2"), "deleted", clock="10:10:00"))
    assert words(world, seen(widget(5, uid="uid-3"), "added", clock="10:20:01")) == [("added", "created")]


def test_another_uid_in_the_place_tells_of_the_deletion_that_was_missed() -> None:
    """A list that shows another uid under a name gives a deletion and a return, both marked as found in a gap."""
    world = World()
    world.take(seen(widget(1), "added"))

    changes = world.take(seen(widget(9, uid="uid-2"), "added", "catch_up"))

    assert [(change.change, change.uid, change.gap) for change in changes] == [
        ("deleted", "uid-1", True),
        ("recreated", "uid-2", True),
    ]


def test_an_inferred_deletion_has_the_id_of_a_seen_one() -> None:
    """A deletion has one id, however it is found out."""
    watched, listed, batch = World(), World(), Batch()
    for world in (watched, listed):
        world.take(seen(widget(1), "added"))
    (told,) = watched.take(seen(widget(2), "deleted"))
    listed.tracker.sweep(WIDGET, [(KEY, "uid-1", "1")], set(), at("10:00:00"), batch)

    assert [change.id for change in batch.changes] == [told.id]


def test_a_sweep_spares_what_was_listed_and_can_be_silent() -> None:
    """Only what a list did not hold is gone, and what is left of a baseline that broke off goes without a word."""
    world, spared, silent = World(), Batch(), Batch()
    world.take(seen(widget(1), "added"))
    held = [(KEY, "uid-1", "1")]
    world.tracker.sweep(WIDGET, held, {"uid-1"}, at("10:00:00"), spared)
    world.tracker.sweep(WIDGET, held, set(), at("10:00:00"), silent, silent=True)

    assert (spared.changes, spared.objects) == ([], {})
    assert (silent.changes, silent.objects, silent.tombstones) == ([], {KEY: None}, {})


def test_a_list_after_a_gap_gives_the_net_change_and_counts_what_it_swallowed() -> None:
    """Between generation 2 and 6 at least three versions are missing."""
    world, batch = World(), Batch()
    world.take(seen(widget(1, generation=2, spec={"a": 1}), "added"))
    world.tracker.observe(seen(widget(9, generation=6, spec={"a": 5}), "added", "catch_up"), batch)

    assert [(change.change, change.gap) for change in batch.changes] == [("spec", True)]
    assert batch.coalesced == 3


@pytest.mark.parametrize(
    ("before", "listed", "selectors", "swallowed"),
    [
        ([], widget(9, generation=6), "", 5),
        ([seen(widget(1, uid="uid-0"), "added")], widget(9, generation=6), "", 5),
        ([], widget(9, generation=1), "", 0),
        ([], widget(9, generation=None), "", 0),
        ([], widget(9, generation=6), "app=web||", 0),
        ([seen(widget(1), "added"), seen(widget(2), "deleted")], widget(1, generation=6), "", 0),
    ],
    ids=["new", "made again", "only made", "no generation", "may have come into a selection", "a restored backup's"],
)
def test_what_a_list_finds_new_had_versions_before(
    before: list[Observation], listed: dict[str, Any], selectors: str, swallowed: int
) -> None:
    """An object that came in a gap was written once for each generation; those before the one listed are missing."""
    world, batch = World(), Batch()
    world.take(*before)
    world.tracker.observe(replace(seen(listed, "added", "catch_up"), scope=replace(SCOPE, selectors=selectors)), batch)

    assert batch.coalesced == swallowed


def test_a_refresh_replaces_only_the_very_version_that_is_known() -> None:
    """Under a new schema the same version is stored as it looks now; another one is left to the watch."""
    world = World()
    world.take(seen(widget(1, spec={"a": 1}), "added"))
    assert world.take(seen(widget(1, spec={"a": 1, "default": True}), "added", "refresh")) == []
    assert world.take(seen(widget(2, spec={"a": 2, "default": True}), "added", "refresh")) == []

    (change,) = world.take(seen(widget(2, generation=2, spec={"a": 2, "default": True})))
    assert [one.path for one in change.fields] == ["/spec/a"]


def test_what_left_the_selection_is_forgotten_not_deleted() -> None:
    """An object that only left the selection goes without a change, and is counted."""
    world, batch = World(), Batch()
    world.take(seen(widget(1), "added"))
    world.tracker.observe(seen(widget(2), "deleted", "left"), batch)

    assert (batch.changes, batch.objects, batch.forgotten) == ([], {KEY: None}, 1)


def test_fields_to_ignore_make_a_version_a_heartbeat() -> None:
    """A change of ignored fields alone is no reason to tell; with another field it is."""
    world = World(ignore=compile_patterns(["/spec/noise", "/metadata/annotations/*"]))
    world.take(seen(widget(1, spec={"noise": 1, "a": 1}), "added"))
    (quiet,) = world.take(seen(widget(2, generation=2, spec={"noise": 2, "a": 1})))
    (told,) = world.take(seen(widget(3, generation=3, spec={"noise": 3, "a": 2})))

    assert (quiet.heartbeat, told.heartbeat) == (True, False)


def test_a_heartbeat_is_a_status_of_times_alone() -> None:
    """A status of which only times moved is marked."""
    world = World()
    world.take(seen(widget(1, status={"lastSeen": "2026-03-01T10:00:00Z"}), "added"))
    (change,) = world.take(seen(widget(2, status={"lastSeen": "2026-03-01T10:01:00Z"})))

    assert (change.change, change.heartbeat) == ("status", True)


@pytest.mark.parametrize("depth", [150, 300, 450, 600, 900, 3000])
@pytest.mark.parametrize("brackets", ["[]", ('{"a":', "}")])
def test_an_object_of_any_depth_is_followed(depth: int, brackets: tuple[str, str]) -> None:
    """However deeply an object is nested, its changes are seen and what is not nested so deeply is compared as ever."""
    world = World()
    changes = []
    for version in (1, 2, 3):
        deep = brackets[0] * depth + str(version) + brackets[1] * depth
        obj = widget(version, generation=version, spec={"deep": "DEEP", "size": version})
        raw = msgspec.json.encode(obj).replace(b'"DEEP"', deep.encode())
        head = Head(name="web", uid="uid-1", namespace="team-a", resource_version=str(version))
        changes += world.take(Observation(WIDGET, SCOPE, "modified", head, raw, at("10:00:00")))
    changes += world.take(Observation(WIDGET, SCOPE, "deleted", head, raw, at("10:00:00")))

    assert [change.change for change in changes] == ["created", "spec", "spec", "deleted"]
    assert [(one.old, one.new) for one in changes[1].fields if one.path == "/spec/size"] == [(1, 2)]
    assert len(changes[1].fields) == 2


def test_an_object_that_cannot_be_read_is_still_followed() -> None:
    """An object that is no JSON inside is known by its hash: others are untouched, and its changes are seen."""
    world, batch = World(), Batch()
    for version in (1, 2):
        raw = msgspec.json.encode(widget(version, spec="BAD")).replace(b"BAD", b"\xff" * version)
        head = Head(name="web", uid="uid-1", namespace="team-a", resource_version=str(version))
        world.tracker.observe(Observation(WIDGET, SCOPE, "modified", head, raw, at("10:00:00")), batch)

    assert [change.change for change in batch.changes] == ["created", "spec"]
    assert batch.unreadable == 2


def test_what_was_cut_off_is_no_heartbeat() -> None:
    """Beside more fields than are told a status may have moved in any way: that is told."""
    world = World()
    before, after = ({f"n{n:03}": f"2026-03-01T10:00:0{second}Z" for n in range(120)} for second in (1, 2))
    world.take(seen(widget(1, status={"seen": before, "phase": "Ready"}), "added"))
    (change,) = world.take(seen(widget(2, status={"seen": after, "phase": "Failed"})))

    assert (change.change, change.truncated, change.heartbeat) == ("status", True, False)


def test_an_observation_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that could not be told is not stored either: the next one is told with what both changed."""
    world, batch = World(), Batch()
    world.take(seen(widget(1, spec={"a": 1}), "added"))
    with monkeypatch.context() as patched:
        patched.setattr(Diff, "compare", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            world.tracker.observe(seen(widget(2, generation=2, spec={"a": 2})), batch)
    world.tracker.observe(seen(widget(3, generation=3, spec={"a": 2, "b": 1})), batch)

    assert [[(one.path, one.op) for one in change.fields] for change in batch.changes] == [
        [("/spec/a", "replace"), ("/spec/b", "add")]
    ]


def test_a_lone_surrogate_is_made_harmless() -> None:
    """Text that is no Unicode does not stop the object from being told, nor the change from being encoded."""
    world = World()
    raw = msgspec.json.encode(widget(1, spec={"a": "MARK"})).replace(b"MARK", rb"x\ud800y")
    head = Head(name="web", uid="uid-1", namespace="team-a", resource_version="1")
    (change,) = world.take(Observation(WIDGET, SCOPE, "added", head, raw, at("10:00:00")))

    assert msgspec.json.encode(change).isascii()


def test_the_schema_tells_list_keys() -> None:
    """Lists are aligned by the keys of the type's schema."""
    world = World(Schema(list_keys={("spec", "ports"): ("port",)}))
    world.take(seen(widget(1, spec={"ports": [{"port": 1, "x": 1}]}), "added"))
    (change,) = world.take(seen(widget(2, generation=2, spec={"ports": [{"port": 2}, {"port": 1, "x": 2}]})))

    assert [(one.path, one.op) for one in change.fields] == [("/spec/ports/0", "add"), ("/spec/ports/1/x", "replace")]


def test_a_deletion_names_nobody() -> None:
    """Nothing in an object tells who deleted it."""
    world = World()
    world.take(seen(widget(1, meta={"managedFields": [entry("kubectl-edit", "spec.a")]}), "added"))
    (change,) = world.take(seen(widget(2), "deleted"))

    assert (change.writer, change.fields, change.happened) == (Writer(source="unresolved"), (), UNSET)


def test_objects_are_counted_with_their_namespace() -> None:
    """The batch tells by how much each type and namespace grew."""
    world, batch = World(), Batch()

    def other(number: int) -> dict[str, Any]:
        return widget(1, uid=f"u{number}", meta={"name": f"n{number}"})

    for number in range(3):
        world.tracker.observe(seen(other(number), "added", "baseline"), batch)
    world.tracker.observe(seen(other(0), "deleted"), batch)

    assert batch.counted == {("example.com", "Widget", "team-a"): 2}
