"""What an object says of itself, by the conventions of those who write it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from exporter.changes.redact import mark
from exporter.changes.version import Version
from exporter.rollout.habits import UNKNOWN, Habits, decode, encode
from exporter.rollout.readiness import MAX_CONDITIONS, MAX_MESSAGE, Readiness, read, read_before
from exporter.rollout.rules import DEFAULT, Rulebook, Rules, claim


def version(status: Any, generation: Any = 2, **meta: Any) -> Version:
    """Make a version of an object."""
    metadata = {"generation": generation, **meta}
    return Version(msgspec.json.encode({"metadata": metadata, **({} if status is None else {"status": status})}))


def condition(type_: str, status: str = "True", **more: Any) -> dict[str, Any]:
    """Make a condition."""
    return {"type": type_, "status": status, **more}


def of(status: Any, kind: str = "example.com/Widget", **more: Any) -> Readiness:
    """Read the readiness of an object with a status."""
    return read(version(status, **more), Rulebook().of(*kind.split("/")))


@pytest.mark.parametrize(
    "status",
    [
        None,
        7,
        "Ready",
        [],
        {},
        {"conditions": None},
        {"conditions": {"type": "Ready"}},
        {"conditions": ["Ready", 7, None, [], {}]},
        {"conditions": [{"type": "Ready"}, {"type": 5, "status": "True"}, {"status": "True"}]},
        {"conditions": [{"type": "Ready", "status": True}, {"type": "Synced", "status": "yes"}]},
        {"conditions": [condition("NamesAccepted"), condition("Scheduled", "False")]},
        {"observedGeneration": True},
        {"observedGeneration": -1},
        {"observedGeneration": "2"},
        {"phase": "Frobnicating"},
        {"phase": {"name": "Ready"}},
        {"phase": ["Ready"]},
    ],
)
def test_who_says_nothing_that_is_understood_is_not_judged(status: Any) -> None:
    """Whatever a status holds, what is no known word of readiness is silence, and no error."""
    assert (of(status).word, of(status).basis, of(status).observed) == ("silent", "", None)


@pytest.mark.parametrize(
    ("kind", "status", "word", "blame"),
    [
        # the ready conditions: all that are there must hold
        ("e/W", [condition("Ready", "False")], "unready", "Ready"),
        ("e/W", [condition("Ready", "Unknown")], "unready", "Ready"),
        ("e/W", [condition("Ready"), condition("Synced", "False")], "unready", "Synced"),
        ("e/W", [condition("Ready", "Unknown"), condition("Synced", "False")], "unready", "Synced"),
        ("e/W", [condition("Synced", "False"), condition("Ready", "False")], "unready", "Ready"),
        ("e/W", [condition("Ready")], "ready", None),
        ("e/W", [condition("Ready"), condition("Synced"), condition("Whatever", "False")], "ready", None),
        ("e/W", [condition("Available"), condition("Reconciled")], "ready", None),
        # kstatus: work goes on, or has stalled, whatever Ready says
        ("e/W", [condition("Ready"), condition("Reconciling")], "unready", "Reconciling"),
        ("e/W", [condition("Ready", "False"), condition("Reconciling")], "unready", "Ready"),
        ("e/W", [condition("Ready"), condition("Reconciling", "False")], "ready", None),
        ("e/W", [condition("Ready", "False"), condition("Stalled")], "failed", "Stalled"),
        ("e/W", [condition("Reconciling"), condition("Stalled")], "failed", "Stalled"),
        ("e/W", [condition("Ready"), condition("Stalled", "False")], "ready", None),
        # a Deployment's, and those of what is made after it
        ("e/W", [condition("Available"), condition("Progressing", reason="NewReplicaSetAvailable")], "ready", None),
        ("e/W", [condition("Available"), condition("Progressing", "False", reason="ProgressDeadlineExceeded")],
         "failed", "Progressing"),
        # OpenShift's operators
        ("config.openshift.io/ClusterOperator", [condition("Available"), condition("Progressing")], "unready",
         "Progressing"),
        ("config.openshift.io/ClusterOperator", [condition("Available"), condition("Progressing", "False")], "ready",
         None),
        ("e/W", [condition("Available"), condition("Degraded")], "unready", "Degraded"),
        # Knative, Tekton
        ("e/W", [condition("Succeeded", "Unknown")], "unready", "Succeeded"),
        ("e/W", [condition("Succeeded", "False")], "failed", "Succeeded"),
        # cert-manager
        ("cert-manager.io/Certificate", [condition("Ready"), condition("Issuing")], "unready", "Issuing"),
        ("cert-manager.io/Certificate", [condition("Ready", "False"), condition("Issuing")], "unready", "Ready"),
        ("e/W", [condition("Ready"), condition("Issuing")], "ready", None),
        ("cert-manager.io/CertificateRequest", [condition("Ready", "False", reason="Pending")], "unready", "Ready"),
        ("cert-manager.io/CertificateRequest", [condition("Ready", "False", reason="Failed")], "failed", "Ready"),
        ("e/W", [condition("Ready", "False", reason="Failed")], "unready", "Ready"),
    ],
)  # fmt: skip
def test_conditions(kind: str, status: list[dict[str, Any]], word: str, blame: str | None) -> None:
    """Conditions mean what those who write them mean by them, and the one to blame is named."""
    seen = of({"conditions": status}, kind)

    assert (word, "conditions", blame) == (seen.word, seen.basis, seen.blame and seen.blame.type)


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        ("e/W", {"phase": "Creating"}, "unready"),
        ("e/W", {"phase": "Failed"}, "unready"),
        ("e/W", {"state": "in progress"}, "unready"),
        ("e/W", {"phase": "Running"}, "ready"),
        ("e/W", {"health": "green"}, "ready"),
        ("argoproj.io/Application", {"health": {"status": "Degraded"}}, "unready"),
        ("argoproj.io/Application", {"health": {"status": "Healthy"}}, "ready"),
        ("argoproj.io/Workflow", {"phase": "Running"}, "unready"),
        ("argoproj.io/Workflow", {"phase": "Error"}, "failed"),
        ("argoproj.io/Workflow", {"phase": "Succeeded", "conditions": [condition("Completed")]}, "ready"),
    ],
)
def test_phases(kind: str, status: dict[str, Any], word: str) -> None:
    """Where no condition says it, a phase does, if its word is known."""
    seen = of(status, kind)

    assert (word, "phase") == (seen.word, seen.basis)
    assert [one.good for one in seen.conditions][-1] is (word == "ready")


def test_conditions_win_over_a_phase() -> None:
    """A phase is not looked at where a condition says it."""
    assert of({"phase": "Running", "conditions": [condition("Ready", "False")]}).word == "unready"


@pytest.mark.parametrize(
    ("status", "observed", "explicit"),
    [
        ({"observedGeneration": 1}, 1, True),
        ({"observedGeneration": 2}, 2, True),
        ({"observedGeneration": 3}, 3, True),
        ({"conditions": [condition("Ready", observedGeneration=1)]}, 1, False),
        ({"conditions": [condition("Ready", observedGeneration=0)]}, None, False),
        ({"conditions": [condition("Other", observedGeneration=2)]}, None, False),
        ({"conditions": [condition(type_, observedGeneration=seen) for type_, seen in (("Ready", 2), ("Synced", 1))]},
         1, False),
        ({"observedGeneration": 1, "conditions": [condition("Ready", observedGeneration=2)]}, 2, True),
        ({"observedGeneration": 2, "conditions": [condition("Ready", observedGeneration=1)]}, 2, True),
    ],
)  # fmt: skip
def test_what_its_controller_has_seen(status: Any, observed: int | None, explicit: bool) -> None:
    """The generation that the controller has seen stands in the status, or in the ready conditions: the lowest."""
    seen = of(status)

    assert (observed, explicit) == (seen.observed, seen.explicit)


def test_that_a_generation_was_seen_is_ready_where_there_is_nothing_else() -> None:
    """Without conditions and phases, kstatus takes a controller that has seen the generation at its word."""
    assert (of({"observedGeneration": 2}).word, of({"observedGeneration": 2}).basis) == ("ready", "observed_generation")


def test_deletion_is_seen() -> None:
    """An object with a deletionTimestamp is on its way out."""
    assert of({}, deletionTimestamp="2026-03-01T10:00:00Z").deleting


def test_what_is_kept_of_a_condition_is_masked_and_cut() -> None:
    """No secret and no unbounded text gets out of a message; times are brought to our form."""
    secret = condition("Ready", "False", message=f"login with {mark('0' * 64)} failed", reason="R" * 1000)
    long = condition("Synced", "False", message="m" * 10_000, lastTransitionTime="2026-03-01T11:00:00+01:00")
    first, second = of({"conditions": [secret, long]}).conditions

    assert first.message == "login with <redacted> failed"
    assert (len(first.reason), first.reason[-1], first.since) == (128, "…", UNSET)
    assert (len(second.message), second.since) == (MAX_MESSAGE, "2026-03-01T10:00:00.000000Z")


def test_of_very_many_conditions_the_first_are_read() -> None:
    """However many conditions there are, so many are looked at; a second one of a type is none."""
    many = [condition(f"C{number}") for number in range(10_000)]
    assert len(of({"conditions": many}).conditions) == MAX_CONDITIONS
    assert of({"conditions": [condition("Ready"), condition("Ready", "False")]}).word == "ready"


def test_rules_of_the_configuration_come_first() -> None:
    """A type that says it otherwise is judged by what the configuration says, and others as ever."""
    own = Rules(
        kinds=("example.com/*",), ready=("Up",), failed=(claim("Up=False:Broken"),), phases=("/status/deep/word",),
        ready_words=frozenset({"fine"}),
    )  # fmt: skip
    rulebook = Rulebook((own,))

    def word(status: Any, group: str = "example.com") -> str:
        return read(version(status), rulebook.of(group, "Widget")).word

    assert word({"conditions": [condition("Ready", "False")]}) == "silent"
    assert word({"conditions": [condition("Up", "False")]}) == "unready"
    assert word({"conditions": [condition("Up", "False", reason="Broken")]}) == "failed"
    assert word({"deep": {"word": "Fine"}}) == "ready"
    assert word({"conditions": [condition("Up", "False")]}, "other.com") == "silent"


@pytest.mark.parametrize(
    ("glob", "group", "kind", "own"),
    [
        ("example.com/Widget", "example.com", "Gadget", False),
        ("example.com/Widget", "other.com", "Widget", False),
        ("v1/*", "example.com", "Widget", False),
        ("*/Widget", "example.com", "Widget", True),
        ("v1/ConfigMap", "", "ConfigMap", True),
    ],
)
def test_rules_are_found_by_their_globs(glob: str, group: str, kind: str, own: bool) -> None:
    """A rule is for the types that its globs match."""
    rule = Rules(kinds=(glob,))
    assert own == (Rulebook((rule,)).of(group, kind) is rule)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Stalled", ("Stalled", "True", "")),
        ("Ready=False", ("Ready", "False", "")),
        ("Ready=False:Failed", ("Ready", "False", "Failed")),
    ],
)
def test_a_test_is_written_in_one_word(text: str, parts: tuple[str, str, str]) -> None:
    """`Type=Status:Reason` names what a condition may say."""
    test = claim(text)
    assert parts == (test.type, test.status, test.reason)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
conditions = st.dictionaries(
    st.sampled_from(["type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"]),
    st.sampled_from(["Ready", "Stalled", "True", "False", "2026-03-01T10:00:00Z"]) | json_values,
)


@given(
    st.dictionaries(
        st.sampled_from(["conditions", "observedGeneration", "phase", "state", "health"]),
        st.lists(conditions, max_size=5) | json_values,
    )
    | json_values,
    st.sampled_from([DEFAULT, *(Rulebook().of(*kind) for kind in [("argoproj.io", "Workflow"), ("a", "b")])]),
)
def test_no_status_is_too_odd(status: Any, rules: Rules) -> None:
    """Whatever a status holds it is read, and who is to blame is among its conditions."""
    try:
        raw = msgspec.json.encode({"metadata": {"generation": 2}, "status": status})
    except (UnicodeEncodeError, OverflowError, msgspec.MsgspecError):
        return
    seen = read(Version(raw), rules)

    assert seen.blame is None or seen.blame in seen.conditions
    assert (seen.word in ("unready", "failed")) == (seen.blame is not None)


# -- habits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "generation", "habits"),
    [
        (None, 2, Habits()),
        ({"observedGeneration": 1}, 2, Habits()),
        ({"observedGeneration": 1}, 1, Habits(observes=True)),
        # set with the first version, and perhaps never again
        ({"conditions": [condition("Ready", observedGeneration=1)]}, 1, Habits(judges=True)),
        ({"conditions": [condition("Ready", observedGeneration=2)]}, 2, Habits(observes=True, judges=True)),
        ({"conditions": [condition("Ready", "False")]}, 2, Habits(judges=True)),
        ({"phase": "Running"}, 2, Habits(judges=True)),
        ({"phase": "Frobnicating"}, 2, Habits()),
    ],
)
def test_what_a_type_does_is_learned_from_its_objects(status: Any, generation: int, habits: Habits) -> None:
    """What a controller was seen to do may be expected of it, and nothing else."""
    assert habits == UNKNOWN.after(of(status, generation=generation))


def test_who_never_says_a_word_is_silent_until_there_is_one() -> None:
    """After three rollouts of which nothing was said, none is expected; a word changes that."""
    habits = UNKNOWN
    silent = []
    for _ in range(4):
        silent.append(habits.silent)
        habits = habits.unsaid()
    heard = habits.after(of({"phase": "Running"}))

    assert silent == [False, False, False, True]
    assert (heard.silent, heard.speaks, heard.mute) == (False, True, 0)


@given(st.builds(Habits, observes=st.booleans(), judges=st.booleans(), mute=st.integers(0, 9)))
def test_habits_survive_being_written(habits: Habits) -> None:
    """What the journal stores comes back equal."""
    assert habits == decode(encode(habits))


_SAID = st.sampled_from(
    (None, {}, {"phase": "Ready"}, {"phase": "Failed"}, {"observedGeneration": 1, "conditions": [condition("Ready")]})
)
_SEEN = st.fixed_dictionaries(
    {"generation": st.integers(1, 2), "status": _SAID, "health": st.sampled_from(("ready", "failed", 1))},
    optional={"deletionTimestamp": st.just("2026-03-01T10:00:00Z")},
)


@given(old=_SEEN, new=_SEEN, phases=st.sampled_from((DEFAULT.phases, ("/health",), ("/status",))))
def test_the_version_before_is_read_as_if_nobody_had_read_the_next(
    old: dict[str, Any], new: dict[str, Any], phases: tuple[str, ...]
) -> None:
    """Also where their status is the same, and what the object says is told elsewhere."""
    rules = Rules(phases=phases, failed_words=frozenset({"failed"}))

    def made(seen: dict[str, Any]) -> Version:
        parts = dict(seen)
        status, health = parts.pop("status"), parts.pop("health")
        return Version(msgspec.json.encode({"metadata": parts, "status": status, "health": health}))

    before, after = made(old), made(new)
    assert read_before(before, after, read(after, rules), rules) == read(before, rules)
