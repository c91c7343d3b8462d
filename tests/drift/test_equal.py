"""When two values are the same to an API server."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.changes.schema import Schema
from exporter.drift.equal import duration, equal, is_empty, quantity


NOWHERE = ("spec", "version")
CPU = ("spec", "resources", "requests", "cpu")
TIMEOUT = ("spec", "connectTimeout")
HINTED = Schema(known=True, quantities=frozenset({("spec", "size")}), durations=frozenset({("spec", "every")}))


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        (True, 1, NOWHERE),
        (False, 0, NOWHERE),
        (1, True, CPU),
        ("1", 1, NOWHERE),
        ("1.10", "1.1", NOWHERE),
        ("5m", "5m0s", NOWHERE),
        ("1", True, CPU),
        ("1000m", "1001m", CPU),
        ("1Gi", "1G", CPU),
        ("one", "1", CPU),
        ("5m", "300000m", TIMEOUT),
        ("", "0", CPU),
        ("0", "", TIMEOUT),
        (None, 0, NOWHERE),
        (None, "", NOWHERE),
        ("a", "b", CPU),
        ("9" * 100, "9" * 101, CPU),
    ],
)
def test_what_only_looks_alike_is_not_equal(one: Any, other: Any, place: tuple[str, ...]) -> None:
    """True is not 1, a version is no amount, and an amount is one only where its place says so."""
    assert not equal(one, other, place, Schema())


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        (1, 1.0, NOWHERE),
        (0, -0.0, NOWHERE),
        ("a", "a", NOWHERE),
        ("1000m", "1", CPU),
        (1, "1000m", CPU),
        ("1Gi", "1024Mi", ("spec", "limits", "memory")),
        ("1e3", "1k", CPU),
        ("0.5", "500m", ("spec", "storage")),
        ("5m", "5m0s", TIMEOUT),
        ("90s", "1m30s", ("spec", "syncInterval")),
        ("1h", "60m", ("spec", "every")),
        ("1024Mi", "1Gi", ("spec", "size")),
        ("-1", "-1000m", CPU),
    ],
)
def test_the_same_amount_is_equal_where_amounts_are_held(one: Any, other: Any, place: tuple[str, ...]) -> None:
    """Numbers are compared as numbers; quantities and durations by what they mean, by the schema or by their name."""
    assert equal(one, other, place, HINTED)


@pytest.mark.parametrize(
    "text", ["", "1x", "1 Gi", "Gi", "1e", "1Ki2", "--1", "1.2.3", "0x10", "inf", "nan", "1e9999", True, None]
)
def test_what_is_no_quantity_is_none(text: Any) -> None:
    """Only the grammar of the API counts."""
    assert quantity(text) is None


@pytest.mark.parametrize("text", ["", "5", "5x", "m", "5m ", "1d", "P1D", "1h-5m", 5, None])
def test_what_is_no_duration_is_none(text: Any) -> None:
    """Only the grammar of Go counts: it has no days."""
    assert duration(text) is None


@given(st.integers(-(10**12), 10**12), st.sampled_from(["", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_a_thousand_thousandths_are_one(number: int, suffix: str) -> None:
    """A quantity is the same with a factor in its number or in its suffix."""
    assert [quantity(f"{number}m"), quantity(f"{number}")] == [Decimal(number) / 1000, Decimal(number)]
    assert quantity(f"{number * 1024}Ki") == quantity(f"{number}Mi")
    assert quantity(f"{number}{suffix}") is not None


@pytest.mark.parametrize("value", [0, False, "", [None], [{}], {"a": 0}, {"a": []} | {"b": 1}])
def test_what_holds_something_is_not_empty(value: Any) -> None:
    """Zero values are stored, and so is a list of nothings."""
    assert not is_empty(value)


@pytest.mark.parametrize("value", [None, {}, [], {"a": None}, {"a": {"b": []}}])
def test_what_the_server_prunes_is_empty(value: Any) -> None:
    """Null, and what holds nothing else, is as good as absent."""
    assert is_empty(value)
