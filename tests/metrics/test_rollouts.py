"""Rollouts as metrics: what is shown while it lasts, what is counted when it ends, and what goes on after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.changes.batch import Batch
from exporter.metrics.health import Health
from exporter.metrics.rollouts import DURATION, INFO, PENDING, UNREADY, RolloutMetrics
from exporter.model import ObjectKey
from exporter.records import ROLLOUT_RESULTS, Begun, State
from exporter.rollout.keeper import NAME
from exporter.rollout.readiness import Condition
from exporter.rollout.values import Kept, Open, encode
from exporter.timestamps import Timestamp, to_nanoseconds
from tests.otlp.test_spans import rollout


if TYPE_CHECKING:
    from prometheus_client.samples import Sample

SINCE = Timestamp("2026-11-23T12:00:00.500000Z")
SECONDS = to_nanoseconds(SINCE) / 1e9
KEY = ObjectKey("example.com", "widgets", "team-a", "web")
BAD = Condition("Ready", "False", "Broken", since=SINCE, good=False)


def metrics(limit: int = 100, health: Health | None = None) -> RolloutMetrics:
    """Make the families; a type's plural stands for its kind."""
    return RolloutMetrics(lambda _, resource: resource, limit, (health or Health()).series_dropped)


def kept(**parts: Any) -> State:
    """Make the state of an object."""
    made = Kept(uid="u", group="example.com", kind="Widget", **parts)
    return State(encode(made), made.tally, shown=made.shown)


def begun(opened: Any = "spec") -> Begun:
    """Make the beginning of a rollout."""
    return Begun(id="i", trace="t", span="s", version="v1", kind="Widget", name="web", uid="u", generation=1,
                 opened=opened, started=SINCE)  # fmt: skip


def open_(*, opened: Any = "spec", speaks: bool = True) -> Open:
    """Make an open rollout."""
    return Open(begun=begun(opened), timeout=1, speaks=speaks)


def samples(of: RolloutMetrics) -> dict[str, list[Sample]]:
    """Give what a page shows, by name, but for what is 0."""
    shown: dict[str, list[Sample]] = {}
    for family in parse_text(of.render(openmetrics=False).decode()):
        for sample in family.samples:
            if sample.value:
                shown.setdefault(sample.name, []).append(sample)
    return shown


@pytest.mark.parametrize(
    "state",
    [
        kept(),
        kept(trace="t", span="s"),
        kept(open=open_(speaks=False)),
        kept(open=open_(opened="readiness")),
    ],
)
def test_what_waits_for_nothing_has_no_series(state: State) -> None:
    """An object at rest, one that has never said a word, and one that only lost its readiness wait for no change."""
    shown = metrics()
    shown.committed(Batch(states={(NAME, KEY): state}))

    assert samples(shown) == {}


@pytest.mark.parametrize("state", [kept(open=open_()), kept(overdue=begun())])
def test_a_change_that_has_not_come_true_is_shown_since_when(state: State) -> None:
    """Whether its rollout goes on or was given up: a change waits until it is true, and then no longer."""
    shown = metrics()
    shown.committed(Batch(states={(NAME, KEY): state}))
    (pending,) = samples(shown)[PENDING]
    shown.committed(Batch(states={(NAME, KEY): None}))

    place = {"customresource_group": "example.com", "customresource_kind": "widgets", "namespace": "team-a"}
    assert (pending.labels, pending.value) == ({**place, "name": "web"}, SECONDS)
    assert PENDING not in samples(shown)


def test_a_condition_that_does_not_hold_is_shown_with_its_words_beside_it() -> None:
    """What the condition says is on an info, so that its time does not begin again when that changes."""
    shown = metrics()
    shown.committed(Batch(states={(NAME, KEY): kept(unready=(BAD,))}))
    found = samples(shown)
    (since,), (info,) = found[UNREADY], found[INFO]

    assert (since.labels["condition"], since.value) == ("Ready", SECONDS)
    assert tuple(info.labels[name] for name in ("condition", "status", "reason")) == ("Ready", "False", "Broken")


def test_what_another_keeper_keeps_is_not_shown() -> None:
    """Only states of rollouts are read."""
    shown = metrics()
    shown.committed(Batch(states={("drift", KEY): State(b"", "", shown=True)}))

    assert samples(shown) == {}


def test_rollouts_are_counted_when_they_have_ended_with_those_that_they_hold() -> None:
    """Each rollout counts under its own kind and result; one that took nobody knows how long does not."""
    shown = metrics()
    child = rollout(kind="Part", result="timed_out", span="1" * 16)
    shown.committed(Batch(records=[rollout(children=(child,)), rollout(settled=True)]))
    counts = {(one.labels["customresource_kind"], one.labels["result"]): one.value
              for one in samples(shown)[f"{DURATION}_count"]}  # fmt: skip

    assert counts == {("Widget", "converged"): 1.0, ("Part", "timed_out"): 1.0}


def test_all_results_of_a_kind_are_there_before_the_first() -> None:
    """The first rollout of each result is a growth: the series begin at 0 with the first rollout that begins."""
    shown = metrics()
    shown.committed(Batch(states={(NAME, KEY): kept(open=open_())}))
    results = {
        sample.labels["result"]
        for family in parse_text(shown.render(openmetrics=False).decode())
        for sample in family.samples
        if sample.name == f"{DURATION}_count"
    }

    assert set(ROLLOUT_RESULTS) == results


def test_exemplars_lead_to_the_trace() -> None:
    """In OpenMetrics the bucket of a rollout carries its trace; that of one that is held, its owner's."""
    shown = metrics()
    child = rollout(kind="Part", trace="f" * 32, span="1" * 16)
    shown.committed(Batch(records=[rollout(children=(child,))]))
    page = shown.render(openmetrics=True).decode() + "# EOF\n"
    exemplars = {
        sample.labels["customresource_kind"]: (sample.exemplar.labels["trace_id"], sample.exemplar.value)
        for family in parse_openmetrics(page)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    }

    assert exemplars == {"Widget": ("a" * 32, 8.5), "Part": ("a" * 32, 8.5)}
    assert "trace_id" not in shown.render(openmetrics=False).decode()


def test_totals_go_on_after_a_restart() -> None:
    """What was counted is in the journal, and goes on from there."""
    before, after = metrics(), metrics()
    before.committed(Batch(records=[rollout()]))
    after.restore(before.unsaved()[0])
    after.count([rollout()])
    (count,) = samples(after)[f"{DURATION}_count"]

    assert count.value == 2.0


def test_more_objects_than_there_is_room_for_are_left_out_counted_and_shown_later() -> None:
    """The number of series is bounded; what was left out comes back when there is room."""
    health = Health()
    shown = metrics(1, health)
    keys = [ObjectKey("example.com", "widgets", "team-a", f"w{number}") for number in range(2)]
    shown.committed(Batch(states={(NAME, key): kept(overdue=begun()) for key in keys}))
    assert (len(samples(shown)[PENDING]), shown.hungry) == (1, False)
    shown.committed(Batch(states={(NAME, keys[0]): None}))
    assert shown.hungry
    shown.feed([(keys[1], "widgets", kept(overdue=begun()))])

    assert [one.labels["name"] for one in samples(shown)[PENDING]] == ["w1"]
    assert health.series_dropped.labels(PENDING)._value.get() == 1.0
