"""The page on security: the keys that it says are redacted are, and those that it says are not are not."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from exporter.changes.redact import MASK, Redactor, mask
from tests.docs.pages import code, page, section


def sentence(start: str, end: str) -> list[str]:
    """The words in backquotes between two phrases of the page."""
    text = section(page("docs/explanation/security.md"), "## What is redacted")
    assert text.count(start) == text.count(end) == 1, (start, end)
    return code(text.partition(start)[2].partition(end)[0])


def redacted(key: str) -> Any:
    """What is shown of a harmless text under a key."""
    obj = {"spec": {key: "harmless"}}
    return mask(Redactor(b"key").redact(obj, msgspec.json.encode(obj), secret=False))["spec"][key]


SENSITIVE = sentence("whose words end in a sensitive one:", "and their plurals")
PAIRS = sentence("or in a pair such", "Words are told apart")


def test_the_words_are_there() -> None:
    """The page names words and pairs of words."""
    assert len(SENSITIVE) > 10
    assert len(PAIRS) > 5


@pytest.mark.parametrize("key", sentence("`adminPassword` and `api_key` are redacted,", "are not;"))
def test_what_the_page_says_is_kept(key: str) -> None:
    """A reference to a secret is no secret."""
    assert redacted(key) == "harmless"


@pytest.mark.parametrize("key", [*SENSITIVE, "adminPassword", "api_key"])
def test_a_word_that_is_named_is_redacted(key: str) -> None:
    """A text under the word goes, and also where another word stands before it."""
    assert redacted(key) == MASK
    assert redacted(f"admin_{key}") == MASK


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_that_is_named_is_redacted(pair: str) -> None:
    """A text under the pair goes, however its words are joined."""
    camel = re.sub(r" (\w)", lambda found: found[1].upper(), pair)
    assert [redacted(key) for key in (pair.replace(" ", "_"), pair.replace(" ", "-"), camel)] == [MASK] * 3
