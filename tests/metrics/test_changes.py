"""The change families: what a batch adds to them, which series are shown and for how long, and how they are written."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics.changes import (
    CHANGES,
    LAST_CHANGE,
    OBJECTS,
    SPEC_CHANGES,
    ChangeMetrics,
    Deltas,
    tally,
)
from exporter.metrics.series import label_value
from exporter.model import CHANGES_OF, UNRESOLVED, WRITER_CLASSES, Change, Writer
from exporter.timestamps import Timestamp


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.changes.batch import Series

EARLY = Timestamp("2026-01-31T12:00:00.250000Z")
LATE = Timestamp("2026-01-31T12:00:05.500000Z")
EARLY_SECONDS, LATE_SECONDS = 1769860800.25, 1769860805.5
WIDGETS = ("example.com", "Widget", "prod")
COMBINATIONS = [(event, change) for event, changes in CHANGES_OF.items() for change in changes]


def a_change(**parts: Any) -> Change:
    """Make a change of the spec of a Widget, with other parts where they are given."""
    change = Change(
        id="0", observed=EARLY, event="modified", change="spec", group="example.com", version="v1",
        kind="Widget", namespace="prod", name="a", uid="1", writer=UNRESOLVED,
    )  # fmt: skip
    return msgspec.structs.replace(change, **parts)


def lines(metrics: ChangeMetrics, family: str) -> list[str]:
    """Give the samples of a family, as they are written."""
    text = metrics.render(openmetrics=False).decode()
    return [line for line in text.splitlines() if line.startswith(f"{family}{{")]


def series_of(place: tuple[str, str, str]) -> list[Series]:
    """Name the series that a place has from the start, its gauge of objects included."""
    return sorted(
        [(CHANGES, *place, event, change) for event, change in COMBINATIONS]
        + [(SPEC_CHANGES, *place, writer_class) for writer_class in WRITER_CLASSES]
        + [(OBJECTS, *place)]
    )


def expired(metrics: ChangeMetrics, now: float) -> list[Series]:
    """Let time go by and give the series that went."""
    metrics.saved()
    metrics.expire(now)
    return sorted(metrics.unsaved()[1])


# -- tally ----------------------------------------------------------------------------------------------------


def test_nothing_is_counted_for_no_changes() -> None:
    """An empty batch moves nothing."""
    assert Deltas({}, {}) == tally([])


def test_only_a_spec_change_counts_for_its_writer() -> None:
    """A change of the status says nothing of who changes specs."""
    deltas = tally([a_change(change="status", writer=Writer(name="x", class_="controller", source="managed_fields"))])
    assert {(CHANGES, *WIDGETS, "modified", "status"): 1.0} == deltas.adds


@pytest.mark.parametrize(
    ("writer", "expected"),
    [
        (UNRESOLVED, "unknown"),
        (Writer(name="x", class_=UNSET, source="managed_fields"), "unknown"),
        (Writer(name="kubectl", class_="human", source="managed_fields"), "human"),
    ],
)
def test_a_spec_change_counts_by_class(writer: Writer, expected: str) -> None:
    """A writer without a class counts as unknown."""
    expected_adds = {(CHANGES, *WIDGETS, "modified", "spec"): 1.0, (SPEC_CHANGES, *WIDGETS, expected): 1.0}
    assert expected_adds == tally([a_change(writer=writer)]).adds


def test_heartbeats_and_noops_count() -> None:
    """Every version counts, also those that no output tells of."""
    deltas = tally([a_change(change="status", heartbeat=True), a_change(change="noop")])
    assert {
        (CHANGES, *WIDGETS, "modified", "status"): 1.0,
        (CHANGES, *WIDGETS, "modified", "noop"): 1.0,
    } == deltas.adds


def test_the_last_change_is_the_latest_of_the_batch() -> None:
    """The order within a batch does not matter for the time of the last change."""
    changes = [a_change(change="noop", observed=at) for at in (EARLY, LATE, EARLY)]
    assert {(LAST_CHANGE, *WIDGETS, "noop"): LATE_SECONDS} == tally(changes).sets


def test_labels_that_become_equal_are_one_series() -> None:
    """Two hostile namespaces that look the same when they are cut are counted together."""
    deltas = tally([a_change(change="noop", namespace="n" * 128 + end) for end in ("a", "b")])
    assert deltas.adds == {(CHANGES, "example.com", "Widget", "n" * 128, "modified", "noop"): 2.0}


@given(
    changes=st.lists(
        st.builds(
            lambda change, observed, namespace, class_: a_change(
                event=change[0], change=change[1], observed=observed, namespace=namespace,
                writer=Writer(name="x", class_=class_, source="managed_fields"),
            ),
            st.sampled_from(COMBINATIONS),
            st.sampled_from([EARLY, LATE]),
            st.sampled_from(["", "a", "a" * 128, "a" * 129, "\ud800", "?"]),
            st.sampled_from([*WRITER_CLASSES, UNSET]),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_a_batch_counts_what_its_changes_count_one_by_one(changes: list[Change]) -> None:
    """Whatever sorts of changes lie together, of places that may become one when they are cleaned."""
    adds: dict[Series, float] = {}
    sets: dict[Series, float] = {}
    for deltas in [tally([change]) for change in changes]:
        for series, count in deltas.adds.items():
            adds[series] = adds.get(series, 0.0) + count
        for series, value in deltas.sets.items():
            sets[series] = max(sets.get(series, 0.0), value)

    assert tally(changes) == Deltas(adds, sets)


# -- what is shown --------------------------------------------------------------------------------------------


def test_nothing_is_shown_of_a_type_without_objects() -> None:
    """A removal from what never held anything makes no series."""
    metrics = ChangeMetrics()
    metrics.objects(*WIDGETS, 0)
    metrics.objects(*WIDGETS, -1)
    assert ChangeMetrics().render(openmetrics=False) == metrics.render(openmetrics=False)


def test_a_change_without_objects_shows_no_objects() -> None:
    """What was made and deleted within one batch has counters, but never had a number of objects."""
    metrics = ChangeMetrics()
    metrics.count([a_change(event="added", change="created"), a_change(event="deleted", change="deleted")])
    metrics.objects(*WIDGETS, 0)
    assert lines(metrics, OBJECTS) == []


def test_the_number_of_objects_is_never_negative() -> None:
    """More removals than objects leave none."""
    metrics = ChangeMetrics()
    metrics.objects(*WIDGETS, 1)
    metrics.objects(*WIDGETS, -3)
    assert lines(metrics, OBJECTS) == [
        'customresource_objects{customresource_group="example.com",customresource_kind="Widget",namespace="prod"} 0'
    ]


def test_all_combinations_are_there_from_the_first_object() -> None:
    """A place that holds an object has every counter at 0, so that the first change is a growth."""
    metrics = ChangeMetrics()
    metrics.objects(*WIDGETS, 1)
    labels = 'customresource_group="example.com",customresource_kind="Widget",namespace="prod"'
    assert sorted(
        f'{CHANGES}{{{labels},event="{event}",change="{change}"}} 0' for event, change in COMBINATIONS
    ) == sorted(lines(metrics, CHANGES))
    assert sorted(f'{SPEC_CHANGES}{{{labels},writer_class="{one}"}} 0' for one in WRITER_CLASSES) == sorted(
        lines(metrics, SPEC_CHANGES)
    )
    assert lines(metrics, LAST_CHANGE) == []


def test_a_place_is_known_by_a_change_before_its_object() -> None:
    """The change of a batch is applied before its objects are counted; nothing is lost or doubled by that."""
    metrics = ChangeMetrics()
    metrics.count([a_change(event="added", change="created")])
    metrics.objects(*WIDGETS, 1)
    assert len(COMBINATIONS) == len(lines(metrics, CHANGES))
    assert [line[-1] for line in lines(metrics, CHANGES) if 'change="created"' in line] == ["1"]


def test_totals_go_on_after_a_restart() -> None:
    """What the journal kept is what the next changes are added to."""
    metrics = ChangeMetrics()
    metrics.restore({(CHANGES, *WIDGETS, "modified", "spec"): 41.0, (LAST_CHANGE, *WIDGETS, "spec"): EARLY_SECONDS})
    metrics.count([a_change(observed=LATE)])
    assert [line.split()[-1] for line in lines(metrics, CHANGES) if 'change="spec"' in line] == ["42"]
    assert [str(LATE_SECONDS)] == [line.split()[-1] for line in lines(metrics, LAST_CHANGE)]


def test_what_has_not_moved_is_not_saved() -> None:
    """Zeros, gauges, restored totals, and what was saved already are left alone."""
    metrics = ChangeMetrics()
    metrics.objects(*WIDGETS, 1)
    metrics.restore({(CHANGES, *WIDGETS, "modified", "spec"): 41.0})
    assert metrics.unsaved() == ({}, set())
    metrics.count([a_change()])
    metrics.saved()
    assert metrics.unsaved() == ({}, set())


def test_what_has_moved_is_saved_as_it_stands() -> None:
    """Each total that a change moved is given as a whole; one that went is named, unless it came back."""
    metrics = ChangeMetrics()
    spec = (CHANGES, *WIDGETS, "modified", "spec")
    metrics.restore({spec: 41.0})
    metrics.count([a_change(observed=LATE)])
    assert metrics.unsaved()[0] == {
        spec: 42.0,
        (SPEC_CHANGES, *WIDGETS, "unknown"): 1.0,
        (LAST_CHANGE, *WIDGETS, "spec"): LATE_SECONDS,
    }
    metrics.drop_type("example.com", "Widget")
    assert metrics.unsaved()[0] == {}
    assert spec in metrics.unsaved()[1]
    metrics.count([a_change(observed=LATE)])
    assert metrics.unsaved()[0][spec] == 1.0
    assert spec not in metrics.unsaved()[1]


@pytest.mark.parametrize(
    ("series", "value"),
    [
        ((), 1.0),
        (("customresource_drift_episodes_total", "a"), 1.0),
        ((CHANGES, *WIDGETS, "modified"), 1.0),
        ((CHANGES, *WIDGETS, "modified", "spec"), float("nan")),
    ],
)
def test_foreign_totals_are_left_alone(series: Series, value: float) -> None:
    """Totals of other families, or of a form that is not ours, do not get onto the page."""
    metrics = ChangeMetrics()
    metrics.restore({series: value})
    assert ChangeMetrics().render(openmetrics=False) == metrics.render(openmetrics=False)


# -- for how long ---------------------------------------------------------------------------------------------


def test_a_place_with_objects_never_expires() -> None:
    """Time alone removes nothing."""
    metrics = ChangeMetrics()
    metrics.objects(*WIDGETS, 1)
    assert [expired(metrics, now) for now in (0.0, 1e9)] == [[], []]


def test_an_empty_place_expires_after_15_minutes() -> None:
    """It is shown for 15 minutes at 0, then all of it goes, and the page is what it was before."""
    metrics = ChangeMetrics()
    before = metrics.render(openmetrics=False)
    metrics.objects(*WIDGETS, 1)
    metrics.objects(*WIDGETS, -1)
    assert [[], [], series_of(WIDGETS), []] == [expired(metrics, now) for now in (100.0, 999.9, 1000.0, 1000.1)]
    assert before == metrics.render(openmetrics=False)


def test_an_object_in_between_begins_the_time_again() -> None:
    """A place that held an object meanwhile is shown for 15 minutes more."""
    metrics = ChangeMetrics()
    metrics.objects(*WIDGETS, 1)
    metrics.objects(*WIDGETS, -1)
    assert expired(metrics, 0.0) == []
    metrics.objects(*WIDGETS, 1)
    metrics.objects(*WIDGETS, -1)
    assert [[], series_of(WIDGETS)] == [expired(metrics, now) for now in (900.0, 1800.0)]


def test_a_clock_that_is_set_back_only_delays() -> None:
    """After a step back the 15 minutes are counted from there."""
    metrics = ChangeMetrics()
    metrics.objects(*WIDGETS, 1)
    metrics.objects(*WIDGETS, -1)
    assert [[], [], series_of(WIDGETS)] == [expired(metrics, now) for now in (10_000.0, 50.0, 950.0)]


def test_a_total_of_a_former_run_expires_too() -> None:
    """A place that is restored but holds nothing any more does not stay for ever."""
    metrics = ChangeMetrics()
    metrics.restore({(CHANGES, *WIDGETS, "deleted", "deleted"): 3.0})
    metrics.expire(0.0)
    assert (CHANGES, *WIDGETS, "deleted", "deleted") in expired(metrics, 900.0)


def test_a_dropped_type_takes_nothing_else_with_it() -> None:
    """All places of the type go, and no place of another type."""
    metrics = ChangeMetrics()
    gadgets = ("example.com", "Gadget", "prod")
    tests = ("example.com", "Widget", "test")
    metrics.objects(*gadgets, 1)
    only_gadgets = metrics.render(openmetrics=False)
    metrics.objects(*WIDGETS, 1)
    metrics.objects(*tests, 1)
    metrics.drop_type("example.com", "Widget")
    assert set(series_of(WIDGETS) + series_of(tests)) == metrics.unsaved()[1]
    assert only_gadgets == metrics.render(openmetrics=False)


# -- how it is written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\ud800b", "a\ufffdb"),
        ("x" * 129, "x" * 128),
        ("x" * 127 + "é", "x" * 127),
        ("x" * 126 + "é", "x" * 126 + "é"),
        ("\ud800" * 43, "\ufffd" * 42),
    ],
)
def test_a_label_value_is_made_harmless(text: str, expected: str) -> None:
    """Half characters are replaced, and what is longer than 128 bytes is cut between characters."""
    assert expected == label_value(text)


def test_the_order_is_stable() -> None:
    """The order in which places come up does not show."""
    places = [("b", "K", "n"), ("a", "K", "n"), ("a", "K", "m"), ("a", "J", "z")]
    pages = []
    for order in (places, places[::-1]):
        metrics = ChangeMetrics()
        for place in order:
            metrics.objects(*place, 1)
            metrics.render(openmetrics=False)
        pages.append(metrics.render(openmetrics=False))
    assert pages[0] == pages[1]


def test_the_page_is_kept_until_something_changes() -> None:
    """Two scrapes with nothing between them are one and the same page; a change makes a new one."""
    metrics = ChangeMetrics()
    metrics.objects(*WIDGETS, 1)
    page = metrics.render(openmetrics=True)
    assert page is metrics.render(openmetrics=True)
    metrics.objects(*WIDGETS, 1)
    assert page != metrics.render(openmetrics=True)


def _openmetrics(page: bytes) -> list[Any]:
    return list(parse_openmetrics(page.decode() + "# EOF\n"))  # type: ignore[no-untyped-call]


def _text(page: bytes) -> list[Any]:
    return list(parse_text(page.decode()))


@pytest.mark.parametrize(("openmetrics", "parse"), [(False, _text), (True, _openmetrics)])
@given(
    places=st.lists(st.tuples(*[st.text(st.characters(exclude_categories=()), max_size=60)] * 3), max_size=4),
)
@settings(deadline=None)
def test_any_text_in_a_label_comes_back(
    openmetrics: bool,
    parse: Callable[[bytes], list[Any]],
    places: list[tuple[str, str, str]],
) -> None:
    """Whatever a label holds, a strict parser reads the same from the page, and no series twice."""
    metrics = ChangeMetrics()
    for place in places:
        metrics.objects(*place, 1)
    clean = [tuple(map(label_value, place)) for place in places]
    (family,) = [one for one in parse(metrics.render(openmetrics=openmetrics)) if one.name == OBJECTS]
    found = [tuple(sample.labels.values()) for sample in family.samples]
    assert sorted((place, float(clean.count(place))) for place in set(clean)) == sorted(
        (place, sample.value) for place, sample in zip(found, family.samples, strict=True)
    )
    assert all(before < after for before, after in pairwise(found))
