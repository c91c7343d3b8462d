"""What keepers keep of single objects, at hand and in the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.journal.store import Journal
from exporter.model import Checkpoint, ObjectKey, Stored
from exporter.records import State
from tests.changes.objects import KEY, SCOPE, WIDGET


if TYPE_CHECKING:
    from collections.abc import Iterator

ONE, OTHER = State(b"one", "in_sync helm"), State(b"other", "drifted helm", due=7, shown=True)
PLACE = ("drift", KEY)


@pytest.fixture(name="journal")
def _journal() -> Iterator[Journal]:
    journal = Journal.open(None)
    journal.register(WIDGET)
    yield journal
    journal.close()


def test_a_commit_that_fails_leaves_what_was_kept(journal: Journal) -> None:
    """What could not be written is not given out as if it had been."""
    journal.commit(Batch(states={PLACE: ONE}))
    unknown = ObjectKey("nobody.example.com", "ghosts", "", "x")
    with pytest.raises(KeyError):
        journal.commit(Batch(states={PLACE: OTHER}, objects={unknown: Stored("u", "1", b"s")}))

    assert journal.states.state(*PLACE) == ONE


def test_what_is_forgotten_is_not_at_hand(journal: Journal) -> None:
    """A scope that is no longer followed takes its states along, and a keeper that is switched off all of its own."""
    journal.commit(Batch(states={PLACE: ONE}, checkpoints={SCOPE: Checkpoint("v1", "7", complete=True)}))
    journal.forget(SCOPE)
    assert journal.states.state(*PLACE) is None

    journal.commit(Batch(states={PLACE: ONE}))
    journal.forget_states("drift")
    assert journal.states.state(*PLACE) is None


def test_who_asks_for_one_scope_does_not_go_through_all_of_them(journal: Journal) -> None:
    """A start that forgets many types asks for each: only what is of the type, and of the namespace, is read."""
    other = replace(WIDGET, resource="gadgets", kind="Gadget")
    journal.register(other)
    far = replace(KEY, namespace="team-b")
    others = {("drift", replace(KEY, resource="gadgets", name=str(number))): OTHER for number in range(1000)}
    journal.commit(Batch(states={PLACE: ONE, ("drift", far): OTHER, ("rollout", KEY): OTHER, **others}))
    steps: list[None] = []
    journal._connection.set_progress_handler(lambda: steps.append(None), 100)

    assert list(journal.states.inside("drift", replace(SCOPE, namespace="team-a"))) == [(KEY, "Widget", ONE)]
    assert {key for key, _, _ in journal.states.inside("drift", SCOPE)} == {KEY, far}
    assert list(journal.states.inside("drift", replace(SCOPE, resource="unheard-of"))) == []
    assert len(steps) < 10


def test_the_newest_is_given_and_is_what_was_written(journal: Journal) -> None:
    """Looked up, written, written anew, removed: what is at hand is always what the journal holds."""
    assert journal.states.state(*PLACE) is None
    for state in (ONE, OTHER, None, ONE):
        journal.commit(Batch(states={PLACE: state}))
        held = [one for _, _, one in journal.states.all("drift")]
        assert ([journal.states.state(*PLACE)], held) == ([state], [] if state is None else [state])


def test_keepers_do_not_see_each_others(journal: Journal) -> None:
    """Each has its own of an object."""
    journal.commit(Batch(states={PLACE: ONE, ("rollout", KEY): OTHER}))

    assert [journal.states.state(name, KEY) for name in ("drift", "rollout", "nobody")] == [ONE, OTHER, None]


def test_what_is_not_at_hand_is_read(journal: Journal) -> None:
    """Of more objects than are kept at hand the journal knows the rest."""
    keys = [replace(KEY, name=f"web-{number}") for number in range(3000)]
    journal.commit(Batch(states={("drift", key): replace(ONE, line=key.name.encode()) for key in keys}))

    found = [journal.states.state("drift", key) for key in keys]
    assert [one and one.line.decode() for one in found] == [key.name for key in keys]
