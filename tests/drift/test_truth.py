"""The expectations themselves are tried: against what the real API server said when it was asked to declare again."""

from __future__ import annotations

import re

import pytest

from tests.drift.truth import recorded
from tests.drift.truth.expected import DECIDED, EXCEPTIONS, TABLE, UNDECIDED, UNLIKE, expected, leaves
from tests.drift.truth.playing import CASES, Case
from tests.drift.truth.rows import ROWS


RECORDED = {declarer: recorded.read(declarer) for declarer in dict.fromkeys(case.declarer for case in CASES)}


def test_every_row_has_an_expectation_and_was_recorded() -> None:
    """No row is left out of the table or of the recordings, and none is in them that is not played."""
    assert list(ROWS) == list(TABLE)
    assert set(CASES) == {Case(declarer, row) for declarer, rows in RECORDED.items() for row in rows}
    assert {*EXCEPTIONS, *UNLIKE, *UNDECIDED} <= set(CASES)


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: case.namespace)
def test_what_is_expected_to_have_drifted_would_be_changed_by_declaring_again(case: Case) -> None:
    """A field is expected to have drifted where the API server would change it, nowhere else, but for what is named."""
    moved = RECORDED[case.declarer][case.row].moved
    verdict = expected(case)
    paths = {*(one.path for one in verdict.fields), *verdict.ignored}
    # A list is one value to the dry run. The mark of a tool is nothing that a person would be told of.
    drifted = {re.sub(r"(/(?:ports|args|zones))/.*", r"\1", path) for path in paths}
    changed = {leaf for path in moved or () for leaf in leaves(path) if "argocd" not in leaf}
    assert (case in UNLIKE) == (changed != drifted)
    assert (moved is None) == (verdict.state == "gone")


@pytest.mark.parametrize("declarer", RECORDED)
def test_a_recording_begins_with_the_creation_and_ends_with_the_object(declarer: str) -> None:
    """A recording holds every version of one object from its creation, in order, with its managedFields."""
    for recording in RECORDED[declarer].values():
        types = [event.type for event in recording.events]
        assert types[0] == "ADDED"
        assert set(types[1:]) <= {"MODIFIED", "DELETED"}
        assert len({event.object["metadata"]["uid"] for event in recording.events}) == 1
        versions = [int(event.object["metadata"]["resourceVersion"]) for event in recording.events]
        assert sorted(set(versions)) == versions
        assert all(event.object["metadata"]["managedFields"] for event in recording.events)
