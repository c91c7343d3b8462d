"""How a page is read and held to what happens: whoever writes a page that is wrong hears of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.session import PageError, Session, Step, agrees, steps


if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("shows", "printed", "expected"),
    [
        ("patched", "patched (no change)", False),
        ("a", "", False),
        ("", "a", False),
        ("a\nb", "b\na", False),
        ("/spec/replicas 2 → 5", "/spec/replicas 2 → 6", False),
        ("human 2", "human 1", False),
        ("…\nb", "a\nc", False),
        ("…\nb", "a\na\nb", True),
        ("deleted…", "deleted from default namespace", True),
        ("2026-11-24 02:11:52Z  a", "2031-01-01 00:00:00Z  a", True),
        ("at 2026-11-24 02:11:52Z", "at once", False),
        ("http://127.0.0.1:9838/metrics", "http://127.0.0.1:30612/metrics", True),
    ],
)
def test_what_agrees(shows: str, printed: str, expected: bool) -> None:
    """What was printed agrees with a page, but for times, ids, ports and what the page leaves out with `…`."""
    assert expected is agrees(shows, printed)


def test_how_a_page_is_read() -> None:
    """Commands, what they print, other terminals, interrupts and files come in the order of the page."""
    text = (
        "```yaml file=a.yaml\nx: 1\n```\n\n```sh\nnot run\n```\n\n"
        "```console\n$ one \\\n    two\nprinted\n$ three\n```\n"
        "```console terminal=b\n$ stays\n```\n```console terminal=b\nlater\n^C\nbye\n```\n"
    )
    expected = [
        Step(2, "x: 1\n", file="a.yaml"),
        Step(10, "one \\\n    two", "printed"),
        Step(13, "three"),
        Step(16, "stays", terminal="b"),
        Step(19, "", "later\n", terminal="b"),
        Step(20, "^C", "bye", terminal="b"),
    ]
    assert expected == list(steps(text))


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (Step(1, "echo one", "two"), "--- the page\ntwo\n--- exit code 0\n--- printed\none"),
        (Step(1, "echo one; false", "one"), "exit code 1"),
        (Step(7, "nonsense-that-nobody-installed", ""), "line 7"),
    ],
)
def test_a_page_that_is_wrong(tmp_path: Path, step: Step, complaint: str) -> None:
    """A command that prints something else, or fails, is told with its line, the page and what was printed."""
    with Session(tmp_path) as reader, pytest.raises(PageError, match=re.escape(complaint)):
        reader.play(step)


def test_what_comes_sooner_than_the_page_is_left_to_its_next_block(tmp_path: Path) -> None:
    """Two blocks may have been printed before the first of them is looked at; what comes in another order is wrong."""
    stays = Step(1, "sh -c 'printf \"one\\ntwo\\n\"; exec sleep 60'", "one", terminal="t")
    with Session(tmp_path) as reader:
        assert reader.play(stays) == "one\n"
        assert reader.play(Step(2, "", "two", terminal="t")) == "two\n"
        reader.play(Step(3, "^C", terminal="t"))
    with Session(tmp_path) as reader:
        reader.play(stays)
        with pytest.raises(AssertionError, match="no page shows that it printed\ntwo"):
            reader.play(Step(2, "^C", terminal="t"))
