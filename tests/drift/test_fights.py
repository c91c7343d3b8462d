"""Fights: a value that comes back by another hand, three times within an hour, however slowly; and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from exporter.drift.fights import FLIPS, WINDOW, Fights
from exporter.model import Change, FieldChange, Writer
from exporter.timestamps import from_nanoseconds


MINUTE = 60 * 10**9
START = 1_772_359_200 * 10**9


def change(writer: str, *fields: tuple[str, Any, Any]) -> Change:
    """Make a change in which a writer took fields from another."""
    return Change(
        id="", observed=from_nanoseconds(0), event="modified", change="spec", version="v1", kind="Widget", name="web",
        uid="uid-1", writer=Writer(name=writer, source="managed_fields"),
        fields=tuple(FieldChange(path, "replace", old, new) for path, old, new in fields),
    )  # fmt: skip


class War:
    """Somebody writes after the other."""

    def __init__(self) -> None:
        self.fights = Fights()
        self.values: dict[str, Any] = {}
        self.now = START

    def write(self, writer: str, value: Any, *paths: str, minutes: float = 1) -> tuple[str, ...]:
        """Write a value to fields, some minutes later; the fields that are fought over then."""
        self.now += round(minutes * MINUTE)
        moved = [(path, self.values.get(path, 0), value) for path in paths or ("/spec/a",)]
        self.values.update((path, value) for path, _, value in moved)
        self.fights = self.fights.after(change(writer, *moved), self.now)
        due = self.fights.due()
        assert due is not None
        assert due > self.now
        return tuple(one.path for one in self.fights.active)

    def wait(self, minutes: float) -> tuple[str, ...]:
        """Let minutes go by; the fields that are fought over then."""
        self.now += round(minutes * MINUTE)
        self.fights = self.fights.at(self.now)
        return tuple(one.path for one in self.fights.active)

    def begin(self, *paths: str) -> None:
        """Let two write until it is a fight."""
        for writer, value in (("hpa", 5), ("argocd", 0), ("hpa", 5), ("argocd", 0)):
            self.write(writer, value, *paths)


# -- what is none ------------------------------------------------------------------------------------------------


def test_a_value_that_is_new_each_time_is_no_fight() -> None:
    """However often they take turns, and however fast: nobody undoes what the other did."""
    war = War()

    assert [war.write(("a", "b")[number % 2], number + 1, minutes=0.1) for number in range(40)] == [()] * 40


def test_a_writer_that_goes_back_and_forth_alone_is_no_fight() -> None:
    """Only another hand makes it one."""
    war = War()

    assert [war.write("hpa", number % 2) for number in range(40)] == [()] * 40


def test_two_times_are_no_fight() -> None:
    """A human who tries twice, and is put right twice, has understood."""
    war = War()
    war.write("kubectl-edit", 5)
    war.write("argocd", 0)
    war.write("kubectl-edit", 5)

    assert (war.fights.active, len(war.fights.fields[0].flips)) == ((), FLIPS - 1)


def test_what_is_slower_than_the_window_is_no_fight() -> None:
    """Three times must come within an hour."""
    war = War()

    assert [war.write(("a", "b")[number % 2], number % 2, minutes=31) for number in range(12)] == [()] * 12


# -- what is one -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [0.05, 3, 10, 19])
def test_a_fight_is_found_with_the_third_time_that_a_value_came_back(minutes: float) -> None:
    """A rate never sees the slow ones: one write every ten minutes is found after 40."""
    war = War()
    found = [war.write(("hpa", "argocd")[number % 2], (5, 0)[number % 2], minutes=minutes) for number in range(5)]

    # The first write of each takes, and from the second on a value is there again.
    assert found == [(), (), (), ("/spec/a",), ("/spec/a",)]
    (fight,) = war.fights.active
    assert (fight.managers, fight.began) == (("argocd", "hpa"), START + 4 * round(minutes * MINUTE))


def test_three_can_fight() -> None:
    """A value comes back by another hand, whoever was in between."""
    war = War()
    found = [war.write("abc"[number % 3], number % 3) for number in range(6)]

    assert found[-1] == ("/spec/a",)
    assert war.fights.active[0].managers == ("a", "b", "c")


def test_a_field_that_is_there_and_not_is_fought_over_like_any() -> None:
    """To remove is to write nothing; null is another value than nothing."""
    war = War()
    war.values["/spec/a"] = UNSET
    found = [war.write(("a", "b")[number % 2], (None, UNSET)[number % 2]) for number in range(4)]

    assert found[-1] == ("/spec/a",)


# -- the end -------------------------------------------------------------------------------------------------------


def test_a_fight_ends_an_hour_after_it_was_last_one() -> None:
    """The time is named before; a little later the field is forgotten."""
    war = War()
    war.begin()
    (fight,) = war.fights.active
    due = war.fights.due()

    assert due == fight.flips[0] + WINDOW
    assert war.fights.at(due - 1).active == (fight,)
    ended = war.fights.at(due)
    assert (ended.active, ended.due()) == ((), fight.last + WINDOW)
    assert ended.at(fight.last + WINDOW) == Fights()


@pytest.mark.parametrize("minutes", [58, 61, 6000])
@pytest.mark.parametrize("value", [5, 7])
def test_a_write_that_comes_before_anybody_looked_at_the_clock_ends_it_too(minutes: float, value: int) -> None:
    """After a stop of the program the first that is seen is a write, and what was over meanwhile is over."""
    war = War()
    war.begin()
    goes_on = minutes == 58 and value == 5  # the first time is over, and this is the third again

    assert war.write("hpa", value, minutes=minutes) == (("/spec/a",) if goes_on else ())


# -- memory ----------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_bounded() -> None:
    """However many fields are taken, however often, eight of them with six writes each are kept, and as many turns."""
    war = War()
    for number in range(300):
        war.write(("a", "b")[number % 2], number % 5, *(f"/spec/{number // 30}/{field}" for field in range(30)))

    assert len(war.fights.fields) == 8
    assert all(len(one.writes) <= 6 and len(one.flips) <= 7 for one in war.fights.fields)


def test_a_fight_is_not_forgotten_for_fields_that_are_none() -> None:
    """Somebody who takes many fields does not hide it."""
    war = War()
    war.begin()
    for number in range(10):
        war.write("b", number, *(f"/spec/{number}/{field}" for field in range(9)))

    assert [one.path for one in war.fights.active] == ["/spec/a"]


_WRITES = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.integers(0, 2), st.sampled_from(("/a", "/b")), st.sampled_from((0.1, 9, 25, 61, 500))
    ),
    max_size=25,
)


@given(_WRITES)
def test_any_sequence_names_a_time_that_is_still_to_come_and_survives_a_restart(
    writes: list[tuple[str, int, str, float]],
) -> None:
    """Whatever happens, the next time is ahead, a fight has two sides, and what is kept is read back as it was."""
    war = War()
    for writer, value, path, minutes in writes:
        war.write(writer, value, path, minutes=minutes)
        for fight in war.fights.active:
            assert len(fight.managers) > 1
            assert len(fight.flips) >= FLIPS
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(war.fights), type=Fights) == war.fights
    for _ in range(3 * len(war.fights.fields)):
        due = war.fights.due()
        if due is None:
            break
        assert due > war.now
        war.wait((due - war.now) / MINUTE)
    assert war.fights == Fights()
