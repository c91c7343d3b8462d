"""Cutting what is nested too deeply."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.changes.redact import mask
from exporter.changes.shallow import MAX_DEPTH, shallow


def nested(depth: int, inmost: str = "1", *, around: str = "") -> bytes:
    """Make JSON of so many levels."""
    return f'{around}{{"a":{"[" * (depth - 1)}{inmost}{"]" * (depth - 1)}}}'.encode()


def test_what_lies_too_deep_is_a_mark() -> None:
    """From the first level that is too deep on nothing is left but a mark, shown as any secret is."""
    cut = msgspec.json.decode(shallow(nested(MAX_DEPTH + 5, '"hunter2"')))
    for _ in range(MAX_DEPTH - 1):
        (cut,) = cut.values() if isinstance(cut, dict) else cut

    assert mask(cut) == ["<redacted>"]


def test_a_change_of_what_lies_too_deep_is_seen() -> None:
    """The mark differs where what it stands for does, and only there."""
    first, second, again = (shallow(nested(5000, inmost)) for inmost in ("1", "2", "1"))

    assert first != second
    assert first == again


@pytest.mark.parametrize(
    "raw",
    [
        nested(MAX_DEPTH),
        nested(3, '"' + "[{" * 500 + '"'),
        nested(3, r'"\"' + "[" * 500 + r'\\"'),
        b"[1,2]" + b"]" * 500,
        b"",
    ],
)
def test_what_is_not_too_deep_stays_as_it_is(raw: bytes) -> None:
    """Brackets inside strings count for nothing, and what is no JSON does no harm."""
    assert shallow(raw) == raw


@pytest.mark.parametrize("around", [1, 2])
def test_an_object_is_cut_at_the_same_level_wherever_it_comes_from(around: int) -> None:
    """What a list shows and what a watch shows of an object are the same."""
    raw = nested(MAX_DEPTH + 7)

    assert shallow(b"[" * around + raw + b"]" * around, around) == b"[" * around + shallow(raw) + b"]" * around


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    )
)
def test_whatever_it_holds_it_is_the_same_json(value: object) -> None:
    """Nothing of an object that is not too deep is touched."""
    raw = msgspec.json.encode(value)

    assert shallow(raw) == raw
