"""Looking up many places at once: never another answer than that to a question of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.changes.batch import Batch
from exporter.model import ObjectKey, Stored, Tombstone
from exporter.records import State
from tests.changes.objects import KEY, SCOPE, at
from tests.journal.test_store import opened


if TYPE_CHECKING:
    from exporter.journal.store import Journal


KEEPERS = ("drift", "rollout")


def key(number: int) -> ObjectKey:
    """Name a place."""
    return ObjectKey(KEY.group, KEY.resource, f"team-{number % 3}", f"web-{number}")


def stored(number: int) -> Stored:
    """Make what is held of an object."""
    return Stored(f"uid-{number}", str(number), b"s%d" % number)


def asked_of(journal: Journal) -> list[str]:
    """Have the questions written down that the file is asked from now on."""
    asked: list[str] = []
    journal._connection.set_trace_callback(asked.append)
    return asked


def test_a_type_that_is_not_known_is_left_out() -> None:
    """It is an error to whoever asks for such a place by itself, and to nobody else."""
    journal = opened()
    journal.commit(Batch(objects={key(number): stored(number) for number in range(10)}))
    ghost = ObjectKey("nobody.example.com", "ghosts", "", "x")
    journal.foresee([ghost, *(key(number) for number in range(10))])
    journal.states.foresee(KEEPERS, [ghost, *(key(number) for number in range(10))])

    assert [journal.object(key(number)) for number in range(10)] == [stored(number) for number in range(10)]
    with pytest.raises(KeyError):
        journal.object(ghost)
    journal.close()


places = st.sets(st.integers(0, 150))


@given(held=places, buried=places, kept=st.sets(st.tuples(st.sampled_from(KEEPERS), st.integers(0, 150))),
       wanted=st.lists(st.integers(0, 150), max_size=130))  # fmt: skip
def test_the_answers_are_those_to_single_questions(
    held: set[int], buried: set[int], kept: set[tuple[str, int]], wanted: list[int]
) -> None:
    """Of places that are held, buried, both or unknown, asked for once or twice, few or many."""
    journal = opened()
    states = {(keeper, key(number)): State(b"%d" % number, keeper, number, number % 2 == 0) for keeper, number in kept}
    journal.commit(
        Batch(
            objects={key(number): stored(number) for number in held},
            tombstones={key(number): Tombstone(f"dead-{number}", at("09:00:00")) for number in buried},
            states=dict(states),
        )
    )
    journal.states.forget()
    journal.foresee([key(number) for number in wanted])
    journal.states.foresee(KEEPERS, [key(number) for number in wanted])

    for number in {*wanted, *held, *buried}:
        assert journal.object(key(number)) == (stored(number) if number in held else None)
        stone = journal.tombstone(key(number))
        assert stone == (Tombstone(f"dead-{number}", at("09:00:00")) if number in buried else None)
        for keeper in KEEPERS:
            assert journal.states.state(keeper, key(number)) == states.get((keeper, key(number)))
    journal.close()


@pytest.mark.parametrize("count", [8, 50, 58, 120])
def test_what_was_foreseen_is_not_asked_for_again(count: int) -> None:
    """Neither where something is held nor where nothing is: the file is asked once for fifty places."""
    journal = opened()
    journal.commit(Batch(objects={key(1): stored(1)}, states={("drift", key(2)): State(b"2", "a", None, shown=False)}))
    journal.states.forget()
    asked = asked_of(journal)
    journal.foresee([key(number) for number in range(count)])
    journal.states.foresee(KEEPERS, [key(number) for number in range(count)])
    questions = len(asked)
    for number in range(count):
        journal.object(key(number))
        journal.tombstone(key(number))
        for keeper in KEEPERS:
            journal.states.state(keeper, key(number))

    assert (questions, len(asked)) == (2 * -(-count // 50), questions)
    journal.close()


def test_what_is_at_hand_already_is_not_looked_up() -> None:
    """States that were read or written a moment ago stay as they are."""
    journal = opened()
    journal.commit(Batch(states={("drift", key(number)): State(b"x", "a", None, shown=False) for number in range(20)}))
    asked = asked_of(journal)
    journal.states.foresee(("drift",), [key(number) for number in range(20)])

    assert asked == []
    journal.close()


def test_a_commit_ends_what_was_foreseen() -> None:
    """What has changed is seen at once, and so is what has gone."""
    journal = opened()
    journal.commit(Batch(objects={key(1): stored(1), key(2): stored(2)}))
    journal.foresee([key(number) for number in range(20)])
    stone = Tombstone("uid-2", at("10:00:00"))
    journal.commit(Batch(objects={key(1): stored(7), key(2): None}, tombstones={key(2): stone}))

    assert (journal.object(key(1)), journal.object(key(2)), journal.tombstone(key(2))) == (stored(7), None, stone)
    journal.close()


def test_what_is_forgotten_is_not_foreseen() -> None:
    """A scope that is no longer followed takes its objects with it, also between looking up and asking."""
    journal = opened()
    journal.commit(Batch(objects={key(number): stored(number) for number in range(20)}))
    journal.foresee([key(number) for number in range(20)])
    journal.forget(SCOPE)

    assert journal.object(key(1)) is None
    journal.close()
