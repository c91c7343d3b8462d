"""The pages that show a terminal: what they say is typed does what they say it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import page
from tests.docs.session import steps


if TYPE_CHECKING:
    from tests.docs.session import Session


@pytest.mark.timeout(240)
def test_the_tutorial(reader: Session) -> None:
    """Each command of the tutorial, from an emulated API server to a log record, prints what the page shows."""
    for step in steps(page("docs/tutorial.md")):
        reader.play(step)


def test_the_readme_shows_what_the_tutorial_shows() -> None:
    """The output in README.md is one that the tutorial, which is played, has for the same command."""
    told = [step for step in steps(page("README.md")) if step.shows]
    assert told
    played = {(step.do, step.shows) for step in steps(page("docs/tutorial.md"))}
    assert {(step.do, step.shows) for step in told} <= played


def test_how_to_select_types(reader: Session) -> None:
    """The selection that the page shows is what `check-config` tells of it."""
    for step in steps(page("docs/how-to/select-types.md")):
        reader.play(step)
