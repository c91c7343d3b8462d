"""Selectors: what is none is refused, what is one selects as Kubernetes does."""

from __future__ import annotations

import pytest

from exporter.sandbox.apiserver.selectors import read_selection


NO_LABELS = [
    "team in x", "team in (x", "team in", "in (x)", "team = = x", "team x", ",", "team,", "team=x,,tier", "(team)", "!",
    "tea m", "-team", "team=-x", "team=a/b", "a/b/c", "/team", "team>x", "team <", f"team={'x' * 64}", "tëam=x",
]  # fmt: skip
NO_FIELDS = ["metadata.name", "metadata.name>a", "spec.size=1", "metadata.labels=a"]

OBJECTS = {
    "web": {"team": "a", "tier": "front", "size": "3"},
    "api": {"team": "b", "example.com/tier": "back", "size": "12"},
    "old": {"team": "", "size": "many"},
    "bare": {},
}
LABELS = {
    "": {"web", "api", "old", "bare"},
    "team": {"web", "api", "old"},
    "!team": {"bare"},
    "team=a": {"web"},
    " team == a ": {"web"},
    "team=": {"old"},
    "team!=a": {"api", "old", "bare"},
    "team in (a,b)": {"web", "api"},
    "team in ( a , b )": {"web", "api"},
    "team in (,a)": {"web", "old"},
    "team notin (a)": {"api", "old", "bare"},
    "team,tier": {"web"},
    "team in (a,b),!tier": {"api"},
    "example.com/tier=back": {"api"},
    "size>3": {"api"},
    "size<12": {"web"},
    "team=a,team=b": set(),
}
FIELDS = {
    "": {"web", "api", "old", "bare"},
    "metadata.name=web": {"web"},
    "metadata.name==web": {"web"},
    "metadata.name!=web": {"api", "old", "bare"},
    "metadata.name=web,metadata.namespace=shop": {"web"},
    "metadata.namespace!=shop": set(),
}


@pytest.mark.parametrize("text", NO_LABELS)
def test_what_is_no_label_selector_is_refused(text: str) -> None:
    """Nothing is guessed: a selector that Kubernetes does not take is an error."""
    with pytest.raises(ValueError, match=r"parse|invalid"):
        read_selection(text)


@pytest.mark.parametrize("text", NO_FIELDS)
def test_what_is_no_field_selector_is_refused(text: str) -> None:
    """A field that cannot be selected by, or an unknown comparison, is an error that names it."""
    with pytest.raises(ValueError, match=r"not supported|understand"):
        read_selection("", text)


@pytest.mark.parametrize("text", LABELS)
def test_a_label_selector_selects(text: str) -> None:
    """Every form selects what it says, and nothing where its label is missing or no number."""
    assert LABELS[text] == _selected(text, "")


@pytest.mark.parametrize("text", FIELDS)
def test_a_field_selector_selects(text: str) -> None:
    """Objects are selected by name and namespace."""
    assert FIELDS[text] == _selected("", text)


def test_both_selectors_hold_together() -> None:
    """An object has to meet both; without any requirement a selection is false."""
    assert _selected("team", "metadata.name!=web") == {"api", "old"}
    assert not read_selection()


def _selected(labels: str, fields: str) -> set[str]:
    selection = read_selection(labels, fields)
    return {
        name
        for name, held in OBJECTS.items()
        if selection.accepts({"metadata": {"name": name, "namespace": "shop", "labels": held}})
    }
