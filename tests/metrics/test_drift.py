"""The families of drift: what of a state is shown, what is counted of episodes, and how both survive a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from exporter.changes.batch import Batch
from exporter.drift.evaluate import NO_MEMORY
from exporter.drift.fights import Field, Fights
from exporter.drift.held import Episode, Held
from exporter.drift.values import Evaluation
from exporter.metrics import drift
from exporter.metrics.drift import DriftMetrics
from exporter.metrics.health import Health
from exporter.metrics.series import label_value
from exporter.model import ObjectKey
from exporter.records import RESOLVED_BY, Finding, State, Transition, Verdict
from exporter.timestamps import Timestamp


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.records import DriftState

parse_text: Callable[[str], Any] = text_string_to_metric_families
parse_openmetrics: Callable[[str], Any] = openmetrics_parser.text_string_to_metric_families
SINCE = Timestamp("2026-01-31T12:00:00.250000Z")
SECONDS = 1769860800.25
WHERE = ("example.com", "Widget", "prod")
FINDING = Finding(path="/spec/a", finding="changed")
EPISODE = Episode(SINCE, "observed", 1, 2, cause="human")
FIGHT = Fights((Field("/spec/a", began=1, last=1, flips=(1, 2, 3)),))


def metrics(limit: int = 100, health: Health | None = None) -> DriftMetrics:
    """Make the families, with nothing in them; the plural is the kind."""
    return DriftMetrics(lambda _, resource: resource, limit, (health or Health()).series_dropped)


def key(name: str = "web", namespace: str = "prod", kind: str = "Widget") -> ObjectKey:
    """Name an object."""
    return ObjectKey("example.com", kind, namespace, name)


def state(word: DriftState = "drifted", uid: str = "u", **more: Any) -> State:
    """Keep something of an object."""
    episode = EPISODE if word in ("drifted", "flapping") else None
    found = {"declarer": "argocd", "baseline": "last_applied", "findings": (FINDING,) if episode else ()} | more
    fights = found.pop("fights", Fights())
    return Held(uid, "Widget", word, Evaluation(**found), NO_MEMORY, episode, fights=fights).keep(None)


def moved(before: dict[ObjectKey, State], after: dict[ObjectKey, State | None]) -> Batch:
    """Commit other states than before."""
    batch = Batch()
    for one, now in after.items():
        batch.states["drift", one] = now
        for kept, by in ((before.get(one), -1), (now, 1)):
            if kept is not None:
                series = ("drift", one.group, one.resource, one.namespace, kept.tally)
                batch.tallied[series] = batch.tallied.get(series, 0) + by
        if now is None:
            before.pop(one, None)
        else:
            before[one] = now
    return batch


def transition(event: str = "drift.closed", cause: Any = "human", **more: Any) -> Transition:
    """Tell something of a Widget."""
    verdict = Verdict(group="example.com", kind="Widget", namespace="prod", name="web", state="in_sync", cause=cause)
    told = {"resolved_by": "declarer", "duration": 42.0} if event == "drift.closed" else {}
    return Transition(id="0", event=event, observed=SINCE, verdict=verdict, **(told | more))  # type: ignore[arg-type]


def samples(shown: DriftMetrics, family: str) -> dict[tuple[str, ...], float]:
    """Give the values of a family, by its labels less group, kind and namespace, read by a strict parser."""
    page = (shown.render(openmetrics=True) + b"# EOF\n").decode()
    found: dict[tuple[str, ...], float] = {}
    for one in parse_openmetrics(page):
        for sample in one.samples:
            if sample.name == family:
                found[tuple(list(sample.labels.values())[3:])] = sample.value
    return found


# -- states --------------------------------------------------------------------------------------------------------


def test_nothing_is_shown_where_nothing_is() -> None:
    """Without an object there is no series, only the headings."""
    assert b"{" not in metrics().render(openmetrics=False)


def test_objects_are_counted_by_declarer_and_state() -> None:
    """Every state of a declarer is there from its first object, the others at 0, and what nobody declares apart."""
    shown, kept = metrics(), dict[ObjectKey, State]()
    shown.objects(*WHERE, 3)
    shown.committed(moved(kept, {key("a"): state(), key("b"): state("in_sync")}))
    found = samples(shown, drift.STATES)

    assert {word: found["argocd", word] for word in ("drifted", "in_sync")} == {"drifted": 1, "in_sync": 1}
    assert (found["", "unmanaged"], len(found), sum(found.values())) == (1, 8, 3)


def test_an_object_that_moves_from_one_state_to_another_is_counted_once() -> None:
    """The sum of all states stays the number of objects."""
    shown, kept = metrics(), dict[ObjectKey, State]()
    shown.objects(*WHERE, 1)
    for word in ("in_sync", "pending", "drifted", "flapping", "in_sync", "suspended", "unknown", "ignored"):
        shown.committed(moved(kept, {key(): state(word)}))
        found = samples(shown, drift.STATES)
        assert (found["argocd", word], sum(found.values())) == (1, 1)
    shown.committed(moved(kept, {key(): None}))
    assert samples(shown, drift.STATES) == {("", "unmanaged"): 1}


def test_what_is_declared_and_missing_is_no_object() -> None:
    """It counts as drift, and not among the objects that there are."""
    shown = metrics()
    shown.objects(*WHERE, 1)
    shown.committed(moved({}, {key("gone"): state(uid="")}))
    found = samples(shown, drift.STATES)

    assert (found["argocd", "drifted"], found["", "unmanaged"]) == (1, 1)


def test_a_declarer_of_nothing_is_not_shown() -> None:
    """Whoever applies under one made-up name after the other leaves no series behind."""
    shown, kept = metrics(), dict[ObjectKey, State]()
    shown.objects(*WHERE, 1)
    for number in range(50):
        shown.committed(moved(kept, {key(): state("in_sync", declarer=f"made-up-{number}")}))

    assert {declarer for declarer, _ in samples(shown, drift.STATES)} == {"", "made-up-49"}


def test_a_place_that_is_empty_goes_but_what_is_missing_in_it_stays() -> None:
    """Where all objects of a namespace were deleted, what is declared there is still not as declared."""
    shown, kept = metrics(), dict[ObjectKey, State]()
    shown.objects(*WHERE, 1)
    shown.committed(moved(kept, {key(): state("in_sync")}))
    shown.count([transition()])
    shown.objects(*WHERE, -1)
    shown.committed(moved(kept, {key(): state(uid="")}))
    shown.drop([WHERE])

    assert samples(shown, drift.STATES)["argocd", "drifted"] == 1
    assert samples(shown, drift.EPISODES) == {}
    shown.objects(*WHERE, 1)
    shown.committed(moved(kept, {key(): state("in_sync")}))
    found = samples(shown, drift.STATES)
    assert (found["argocd", "drifted"], found["argocd", "in_sync"], min(found.values())) == (0, 1, 0)


def test_a_type_that_goes_takes_everything_along() -> None:
    """States, episodes and their times; another type keeps its own, and the journal is told of what went."""
    shown, kept = metrics(), dict[ObjectKey, State]()
    other = replace(transition(), verdict=replace(transition().verdict, kind="Gadget"))
    shown.committed(moved(kept, {key(): state(), key(kind="Gadget"): state()}))
    shown.count([transition(), other])
    shown.saved()
    batch = moved(kept, {key(): None})
    batch.removed.append(("example.com", "Widget"))
    shown.committed(batch)
    page = shown.render(openmetrics=False).decode()

    assert 'customresource_kind="Widget"' not in page
    assert 'customresource_kind="Gadget"' in page
    changed, dropped = shown.unsaved()
    assert (changed, {series[2] for series in dropped}) == ({}, {"Widget"})
    assert {series[0] for series in dropped} == {drift.STATES, drift.EPISODES, drift.DURATION}


def test_the_end_of_an_episode_is_a_growth() -> None:
    """From its beginning on the count and the durations are there for each way in which it can end, at 0."""
    shown = metrics()
    shown.count([transition("drift.opened")])
    assert samples(shown, drift.EPISODES) == {("human", by): 0 for by in RESOLVED_BY}
    # Group, kind and cause come first; the helper leaves three labels out.
    assert samples(shown, f"{drift.DURATION}_count") == {(by,): 0 for by in RESOLVED_BY}
    shown.count([transition()])
    assert samples(shown, f"{drift.DURATION}_count")["declarer",] == 1


def test_after_a_restart_the_end_of_an_episode_is_a_growth() -> None:
    """What goes on when the exporter starts has its ends at 0; what has not been told yet has none."""
    told, pending = state(), state("pending")
    shown = metrics()
    shown.load({}, [(key(), "Widget", told), (key(kind="Gadget"), "Gadget", pending)])
    assert samples(shown, drift.EPISODES) == {("human", by): 0 for by in RESOLVED_BY}
    assert samples(shown, f"{drift.DURATION}_count") == {(by,): 0 for by in RESOLVED_BY}


# -- single objects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (state("in_sync"), set()),
        (state("pending"), set()),
        (state("suspended"), set()),
        (state("in_sync", additions=(FINDING,)), {drift.UNDECLARED}),
        (state("in_sync", fights=FIGHT), {drift.FIGHT}),
        (state("drifted"), {drift.SINCE, drift.INFO, drift.FIELDS}),
        (state("flapping", findings=()), {drift.SINCE, drift.INFO}),
        (state("pending", uid="", flags=("missing",)), set()),
        (state("drifted", uid="", flags=("missing",)), {drift.SINCE, drift.INFO, drift.FIELDS, drift.MISSING}),
    ],
)
def test_an_object_is_shown_while_something_lasts(kept: State, expected: set[str]) -> None:
    """And no longer: what is as declared has no series of its own."""
    shown = metrics()
    shown.committed(moved({}, {key(): kept}))
    families = (drift.SINCE, drift.INFO, drift.FIELDS, drift.UNDECLARED, drift.FIGHT, drift.MISSING)

    assert {one for one in families if samples(shown, one)} == expected
    shown.committed(moved({key(): kept}, {key(): state("in_sync")}))
    assert not any(samples(shown, one) for one in families)


def test_what_can_change_while_it_lasts_is_on_the_info() -> None:
    """Another cause or baseline leaves the series of since as it is, and one info for each object."""
    shown, kept = metrics(), dict[ObjectKey, State]()
    for declarer, baseline in (("argocd", "last_applied"), ("flux", "projected")):
        shown.committed(moved(kept, {key(): state(declarer=declarer, baseline=baseline, findings=(FINDING,) * 2)}))
        assert samples(shown, drift.SINCE) == {("web",): SECONDS}
        assert samples(shown, drift.INFO) == {("web", "human", baseline, declarer): 1}
        assert samples(shown, drift.FIELDS) == {("web",): 2}


def test_series_of_objects_are_capped_by_family_and_type_and_come_back() -> None:
    """What does not fit is counted, other types do not suffer, and with room again it is shown."""
    health, kept = Health(), dict[ObjectKey, State]()
    shown = metrics(2, health)
    shown.committed(moved(kept, {key(str(number)): state() for number in range(5)}))
    shown.committed(moved(kept, {key("other", kind="Gadget"): state()}))
    there = sorted(samples(shown, drift.SINCE))
    lost = health.registry.get_sample_value("customresource_exporter_series_dropped_total", {"family": drift.SINCE})

    assert (there, lost, shown.hungry) == ([("0",), ("1",), ("other",)], 3, False)
    shown.committed(moved(kept, {key("0"): None}))
    assert shown.hungry
    shown.feed((one, one.resource, what) for one, what in kept.items())
    assert (len(samples(shown, drift.SINCE)), shown.hungry) == (3, False)


def test_what_a_page_shows_is_how_things_stand_then() -> None:
    """However often, and of however many objects, it was otherwise since the page before."""
    kept = dict[ObjectKey, State]()
    shown = metrics(10_000)
    names = [str(number) for number in range(3_000)]
    for _ in range(2):
        shown.committed(moved(kept, {key(name): state() for name in names}))
        shown.committed(moved(kept, {key(name): None for name in names}))
    shown.committed(moved(kept, {key("0"): state()}))
    assert samples(shown, drift.SINCE) == {("0",): SECONDS}
    shown.committed(moved(kept, {key("0"): None}))
    shown.committed(moved(kept, {key("1"): state()}))
    assert samples(shown, drift.SINCE) == {("1",): SECONDS}


def test_what_is_left_out_is_counted_from_zero() -> None:
    """Every family has its count before anything is left out, so that the first is a growth, which an alert sees."""
    health = Health()
    metrics(1, health)
    (left_out,) = [one for one in health.registry.collect() if one.name == "customresource_exporter_series_dropped"]
    families = {drift.SINCE, drift.INFO, drift.FIELDS, drift.MISSING, drift.UNDECLARED, drift.FIGHT}
    totals = {one.labels["family"]: one.value for one in left_out.samples if one.name.endswith("_total")}
    assert totals == dict.fromkeys(families, 0)


def test_what_is_shown_in_part_comes_back_whole() -> None:
    """An object of which one family had room gets the others as soon as they have."""
    kept = dict[ObjectKey, State]()
    shown = metrics(1)
    shown.committed(moved(kept, {key("a"): state()}))
    shown.committed(moved(kept, {key("b"): state(additions=(FINDING,))}))
    assert (samples(shown, drift.UNDECLARED), sorted(samples(shown, drift.SINCE))) == ({("b",): 1}, [("a",)])
    shown.committed(moved(kept, {key("a"): None}))
    assert shown.hungry
    shown.feed((one, one.resource, what) for one, what in kept.items())

    assert sorted(samples(shown, drift.SINCE)) == [("b",)]


def test_names_that_become_equal_share_a_series_and_never_evade_the_cap() -> None:
    """As long as one of them has it, it is there; however often they come and go, the cap is the cap."""
    kept = dict[ObjectKey, State]()
    shown = metrics(3)
    twins = [key("x" * 130 + str(number)) for number in range(3)]
    for _ in range(5):
        shown.committed(moved(kept, dict.fromkeys(twins, state())))
        shown.committed(moved(kept, {twins[0]: None}))
        assert samples(shown, drift.SINCE) == {("x" * 128,): SECONDS}
        shown.committed(moved(kept, dict.fromkeys(twins)))
        assert samples(shown, drift.SINCE) == {}
    shown.committed(moved(kept, {key(str(number)): state() for number in range(9)}))

    assert len(samples(shown, drift.SINCE)) == 3


# -- episodes ------------------------------------------------------------------------------------------------------


def test_the_first_end_is_an_increase() -> None:
    """With the opening all ends of it are there, at 0, and so they are after a restart."""
    shown = metrics()
    shown.count([transition("drift.opened")])

    assert samples(shown, drift.EPISODES) == {("human", by): 0 for by in RESOLVED_BY}
    shown.count([transition()])
    assert samples(shown, drift.EPISODES)["human", "declarer"] == 1


def test_another_to_blame_while_it_lasts_has_its_zeros_too() -> None:
    """A change of the cause is told, and with that the ends by it are there."""
    shown = metrics()
    shown.count([transition("drift.opened"), transition("drift.changed", "controller")])

    assert samples(shown, drift.EPISODES)["controller", "human"] == 0


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (transition("drift.opened"), 0),
        (transition("drift.changed"), 0),
        (transition("fight.opened"), None),
        (transition("fight.closed", resolved_by="human", duration=1.0), None),
        (transition(), 1),
    ],
)
def test_only_an_end_of_drift_is_an_episode(told: Transition, expected: float | None) -> None:
    """A fight is none."""
    shown = metrics()
    shown.count([told])

    assert samples(shown, drift.EPISODES).get(("human", "declarer")) == expected


def test_who_is_not_known_is_unknown() -> None:
    """An older record without a cause counts as of nobody known."""
    shown = metrics()
    shown.count([transition(cause=UNSET)])

    assert samples(shown, drift.EPISODES)["unknown", "declarer"] == 1


def test_totals_go_on_after_a_restart() -> None:
    """What was saved is restored, what was not is counted from the journal again; buckets and sums too."""
    first = metrics()
    first.count([transition(), transition(duration=100.5)])
    totals, _ = first.unsaved()
    first.saved()
    late = [transition(duration=1e9)]
    first.count(late)
    second = metrics()
    second.restore(totals | {("foreign",): 1.0, (): 2.0})
    second.count(late)

    expected = first.render(openmetrics=True)
    assert second.render(openmetrics=True) == expected
    assert b'_bucket{customresource_group="example.com",customresource_kind="Widget",cause="human",' in expected
    assert b"customresource_drift_episode_duration_seconds_sum{" in expected
    second.saved()
    assert second.unsaved() == ({}, set())


def test_what_is_loaded_is_what_was_committed() -> None:
    """A start from the journal shows the same as who was there all along, but for the zeros of what never was."""
    kept = dict[ObjectKey, State]()
    lived, loaded = metrics(), metrics()
    lived.objects(*WHERE, 4)
    lived.committed(moved(kept, {key(str(number)): state() for number in range(3)}))
    lived.count([transition("drift.opened")])
    lived.committed(moved(kept, {key("0"): state("in_sync"), key("1"): None, key("3"): state(uid="")}))
    loaded.objects(*WHERE, 4)
    tallies: dict[tuple[str, str, str, str], int] = {}
    for one, what in kept.items():
        tallies[one.group, one.resource, one.namespace, what.tally] = (
            tallies.get((one.group, one.resource, one.namespace, what.tally), 0) + 1
        )
    loaded.load(tallies, [(one, one.resource, what) for one, what in kept.items() if what.shown])

    assert loaded.render(openmetrics=False) == lived.render(openmetrics=False)


# -- hostile values ------------------------------------------------------------------------------------------------

# Half a surrogate pair is never in an object: it is read leniently, and made harmless.
_ANY = st.text(st.characters(codec="utf-8"), max_size=40)


@given(st.lists(st.tuples(_ANY, _ANY, _ANY, _ANY), max_size=4), st.booleans())
def test_any_text_in_a_label_comes_back(objects: list[tuple[str, str, str, str]], openmetrics: bool) -> None:
    """Whatever a type, a namespace, an object or a declarer is called, a strict parser reads the same, and once."""
    shown, kept = metrics(), dict[ObjectKey, State]()
    for kind, namespace, name, declarer in objects:
        shown.committed(moved(kept, {key(name, namespace, kind): state(declarer=declarer)}))
        verdict = Verdict(group="g", kind=kind, namespace=namespace, name=name, state="drifted", cause="human")
        shown.count([replace(transition(), verdict=verdict)])
    page = shown.render(openmetrics=openmetrics).decode()
    found = list(parse_openmetrics(page + "# EOF\n") if openmetrics else parse_text(page))
    since = [one for family in found for one in family.samples if one.name == drift.SINCE]
    expected = {(label_value(one.resource), label_value(one.namespace), label_value(one.name)) for one in kept}

    assert sorted(tuple(list(one.labels.values())[1:]) for one in since) == sorted(expected)
    for family in found:
        series = [(one.name, tuple(one.labels.items())) for one in family.samples]
        assert len(series) == len(set(series))
    for one in list(kept):
        shown.committed(moved(kept, {one: None}))
    assert drift.SINCE.encode() + b"{" not in shown.render(openmetrics=openmetrics)
