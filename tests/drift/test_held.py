"""What is kept of an object between two looks, and how it is counted and told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from exporter.drift.evaluate import NO_MEMORY
from exporter.drift.fights import Field, Fights
from exporter.drift.held import Episode, Held, cause, held, tallied
from exporter.drift.values import Evaluation, Memory
from exporter.model import Writer, WriterClass
from exporter.records import DRIFT_STATES, DriftState, Finding
from tests.changes.objects import KEY, at


EPISODE = Episode(at("10:00:00"), "managed_fields", 1, 2, "told", 3, "declarer", "human", (), "c" * 32)
FINDING = Finding(path="/spec/a", finding="changed", declared=1, live=2)
FIGHT = Field("/spec/a", (("", "1"), ("a", "2")), (5, 6, 7), 7, 7)


def written_by(class_: WriterClass | None) -> Finding:
    """Find something that a writer of some class wrote, or nobody who is known."""
    if class_ is None:
        return FINDING
    return Finding(path="/spec/b", finding="changed", writer=Writer(name="x", class_=class_, source="managed_fields"))


@given(st.sampled_from(DRIFT_STATES), st.text(), st.booleans())
def test_a_tally_is_taken_apart_as_it_was_made(state: DriftState, declarer: str, exists: bool) -> None:
    """Whatever a declarer is called, and anybody may call it anything, it is not taken for a state."""
    made = Held("uid-1" if exists else "", "Widget", state, Evaluation(declarer=declarer), NO_MEMORY).keep(None)

    assert tallied(made.tally) == (declarer, state, exists)


@pytest.mark.parametrize(
    "kept",
    [
        Held("", "Widget", "unmanaged", Evaluation(), NO_MEMORY),
        Held(
            "uid-1", "Widget", "drifted", Evaluation(declarer="argocd", baseline="projected", findings=(FINDING,)),
            Memory("argocd", "projected", "10:00", "digest", b"\x00\xff"), EPISODE, (1, 2), Fights((FIGHT,)),
            lagging=True,
        ),
    ],
)  # fmt: skip
def test_what_is_kept_is_read_back(kept: Held) -> None:
    """Nothing of it is lost, nothing is added."""
    assert held(kept.keep(7)) == kept
    assert kept.keep(7).due == 7


@pytest.mark.parametrize(
    ("state", "found", "fights", "expected"),
    [
        ("in_sync", Evaluation(), Fights(), False),
        ("pending", Evaluation(findings=(FINDING,)), Fights(), False),
        ("suspended", Evaluation(findings=(FINDING,)), Fights(), False),
        ("in_sync", Evaluation(), Fights((Field("/a"),)), False),
        ("in_sync", Evaluation(), Fights((FIGHT,)), True),
        ("in_sync", Evaluation(additions=(FINDING,)), Fights(), True),
        ("drifted", Evaluation(), Fights(), True),
        ("flapping", Evaluation(), Fights(), True),
    ],
)
def test_what_people_want_to_see_by_itself_is_shown(
    state: DriftState, found: Evaluation, fights: Fights, expected: bool
) -> None:
    """Only drift that counts, fields that nobody declared, and fights."""
    assert Held("u", "Widget", state, found, NO_MEMORY, fights=fights).keep(None).shown is expected


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([], "unknown"),
        ([None], "unknown"),
        (["controller"], "controller"),
        (["controller", "gitops"], "gitops"),
        (["controller", None], "unknown"),
        (["controller", "unknown", "human"], "human"),
    ],
)
def test_the_worst_is_to_blame(classes: list[WriterClass | None], expected: str) -> None:
    """A person before nobody known, and those before whoever may be meant to write."""
    assert cause(map(written_by, classes)) == expected


def test_a_verdict_without_an_episode_says_no_since() -> None:
    """What is not wrong has no beginning and nobody to blame."""
    said = Held("uid-1", "Widget", "in_sync", Evaluation(baseline="last_applied"), NO_MEMORY).verdict(KEY)

    assert (said.since, said.since_source, said.cause, said.baseline) == (UNSET, UNSET, UNSET, "last_applied")
    assert (said.group, said.kind, said.namespace, said.name, said.uid) == (
        "example.com", "Widget", "team-a", "web", "uid-1",
    )  # fmt: skip


@pytest.mark.parametrize("state", ["pending", "drifted", "flapping", "suspended", "unknown", "in_sync"])
def test_a_verdict_with_an_episode_says_since_when_and_who(state: DriftState) -> None:
    """Also where it is silenced, and of one that is over."""
    said = Held("uid-1", "Widget", state, Evaluation(), NO_MEMORY, EPISODE).verdict(KEY)

    assert (said.since, said.since_source, said.cause) == (at("10:00:00"), "managed_fields", "human")


def test_flags_and_reasons_are_said() -> None:
    """What is found beside the state, and why there is no telling."""
    found = Evaluation(unknown="too large", flags=("orphan",), ignored=(FINDING,), additions=(FINDING,))
    said = Held("uid-1", "Widget", "unknown", found, NO_MEMORY, lagging=True).verdict(KEY)

    assert (said.flags, said.reason, said.ignored, said.additions) == (
        ("orphan", "lagging"), "too large", (FINDING,), (FINDING,),
    )  # fmt: skip
