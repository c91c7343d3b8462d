"""The judgement of one version, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from exporter.changes.schema import Schema
from exporter.changes.version import Version, opaque
from exporter.drift.evaluate import NO_MEMORY, evaluate, needs_evaluation
from exporter.drift.known import PREFIX
from exporter.drift.values import Declared, Memory, Subject
from exporter.model import Change, Writer
from tests.changes.objects import KEY, WIDGET, at, seen, widget
from tests.drift.objects import CSA, KNOWN, Story, applied, fields, owner, subject, told


if TYPE_CHECKING:
    from exporter.model import ChangeType
    from exporter.records import Finding

SECRET = "\uf8f5redacted:0123456789abcdef\uf8f5"
KUBECTL = owner("kubectl-client-side-apply", CSA, "/spec/size")
EDIT = owner("kubectl-edit", "/spec/size", "/spec/note")
OLD = Version(b"{}")


def change(word: ChangeType) -> Change:
    """Make a change of a kind."""
    return Change(
        id="1", observed=at("10:00:00"), event="modified", change=word, version="v1", kind="Widget", name="web",
        uid="uid-1", writer=Writer(source="unresolved"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "old", "new", "expected"),
    [
        ("status", OLD, OLD, False),
        ("noop", OLD, OLD, False),
        ("deleted", OLD, None, False),
        ("status", None, OLD, True),
        (None, OLD, OLD, True),
        ("spec", OLD, OLD, True),
        ("schema", OLD, OLD, True),
        ("metadata", OLD, OLD, True),
        ("ownership", OLD, OLD, True),
    ],
)
def test_a_version_of_which_only_the_status_moved_is_judged_as_the_one_before(
    word: ChangeType | None, old: Version | None, new: Version | None, expected: bool
) -> None:
    """What is declared, and who owns it, has to move; a first look, and one under a new schema, is one."""
    assert needs_evaluation(None if word is None else change(word), old, new) is expected


def test_an_object_that_cannot_be_read_leaves_the_verdict_open() -> None:
    """Its identity is all that is known of it, and what was remembered stays."""
    memory = Memory(declarer="flux", wrote="2026-03-01T10:00:00Z")
    unread = Subject(WIDGET, KEY, "uid-1", opaque(b"?", seen(widget()).head))

    found, after = evaluate(unread, memory, KNOWN)

    assert (found.unknown, after) == ("the object cannot be read", memory)


@pytest.mark.parametrize(
    "entries",
    [
        [owner("some-operator", "/spec/note")],
        [owner("kubectl-edit", "/status/phase")],
        [owner("kubectl-edit", "/spec/size")],
        [owner("kubectl-edit", "/spec/gone")],
        [owner("kubectl-annotate", f"/metadata/annotations/{PREFIX.replace('/', '~1')}silence-until")],
        [owner("kubectl-edit", "/spec/mode"), owner("kubectl-edit", "/spec/nothing")],
    ],
)
def test_what_is_declared_or_nobodys_work_is_no_addition(entries: list[dict[str, Any]]) -> None:
    """Neither what controllers fill in, nor status, nor our own annotations, nor a value that is the default."""
    known = replace(KNOWN, schema=Schema(known=True, defaults={("spec", "mode"): "auto"}))
    marks = applied(spec={"size": 1}) | {f"{PREFIX}silence-until": "2026-03-01T10:00:00Z"}
    live = {"size": 1, "note": "x", "mode": "auto", "nothing": None}

    evaluation = Story(known).see(KUBECTL, *entries, annotations=marks, spec=live, status={"phase": "x"})

    assert (evaluation.additions, evaluation.flags) == ((), ())


def test_a_field_that_a_person_added_is_told_apart_from_drift() -> None:
    """It is an addition with its owner, and no finding."""
    evaluation = Story().see(KUBECTL, EDIT, annotations=applied(spec={"size": 1}), spec={"size": 1, "note": "x"})

    assert (evaluation.findings, evaluation.flags) == ((), ("additions",))
    assert told(evaluation.additions) == [("/spec/note", None, UNSET, "x", "kubectl-edit")]


def test_an_item_that_a_person_added_is_one_addition() -> None:
    """The outermost field that is not declared is told, with what it holds."""
    port = '/spec/ports/{"port":9}'
    entry = owner("kubectl-edit", f"{port}/port", f"{port}/name")
    entry["fieldsV1"]["f:spec"]["f:ports"]['k:{"port":9}']["."] = {}
    schema = Schema(known=True, list_keys={("spec", "ports"): ("port",)})
    declared = owner("helm", '/spec/ports/{"port":1}/port', operation="Apply")

    evaluation = Story(replace(KNOWN, schema=schema)).see(
        declared, entry, spec={"ports": [{"port": 1}, {"port": 9, "name": "x"}]}
    )

    assert told(evaluation.additions) == [("/spec/ports/1", None, UNSET, {"port": 9, "name": "x"}, "kubectl-edit")]


def test_what_a_person_put_into_a_list_that_is_sent_whole_is_told_once() -> None:
    """A client-side apply would take it out: it is drift, and no addition beside that."""
    schema = Schema(known=True, sets=frozenset({("spec", "zones")}))
    edit = owner("kubectl-edit", '/spec/zones/="b"')

    evaluation = Story(replace(KNOWN, schema=schema)).see(
        KUBECTL, edit, annotations=applied(spec={"zones": ["a"]}), spec={"zones": ["a", "b"]}
    )

    assert told(evaluation.findings) == [("/spec/zones/1", "extra_in_list", UNSET, "b", "kubectl-edit")]
    assert evaluation.additions == ()


def test_what_took_the_place_of_something_missing_has_not_removed_it() -> None:
    """An item of a set is gone, and another is where it was: of that one's owner nothing can be said."""
    schema = Schema(known=True, sets=frozenset({("spec", "zones")}))
    entries = (owner("helm", '/spec/zones/="a"', operation="Apply"), owner("kubectl-edit", '/spec/zones/="c"'))
    known = replace(
        KNOWN,
        schema=schema,
        declared=Declared(source="directory", confidence="high", object={"spec": {"zones": ["a", "b"]}}),
    )

    evaluation = Story(known).see(*entries, spec={"zones": ["a", "c"]})

    assert told(evaluation.findings) == [("/spec/zones/1", "missing", "b", UNSET, "")]
    assert told(evaluation.additions) == [("/spec/zones/1", None, UNSET, "c", "kubectl-edit")]


def test_what_a_controller_made_has_no_baseline_but_additions() -> None:
    """What an operator projects onto its children changes with every release of it: only people are told of."""
    parent = {"ownerReferences": [{"kind": "Kafka", "name": "main", "uid": "u", "controller": True}]}
    story = Story()
    story.see(owner("strimzi", "/spec/size", operation="Apply"), meta=parent, spec={"size": 1})

    evaluation = story.see(owner("strimzi", operation="Apply"), EDIT, meta=parent, spec={"size": 2})

    assert (evaluation.declarer, evaluation.baseline, evaluation.findings) == ("Kafka", "", ())
    assert [one.path for one in evaluation.additions] == ["/spec/size"]


def covers(_subject: Subject, finding: Finding, equals_default: bool) -> str:
    """Cover what is the default, and notes."""
    return "default" if equals_default else "notes" if finding.path == "/spec/note" else ""


def test_what_a_rule_covers_is_told_apart_with_its_reason() -> None:
    """An ignored finding keeps its values; an addition that is covered is none."""
    known = replace(KNOWN, covers=covers, schema=Schema(known=True, defaults={("spec", "size"): 5}))

    evaluation = Story(known).see(
        KUBECTL, EDIT, annotations=applied(spec={"size": 1, "name": "a"}), spec={"size": 5, "name": "b", "note": "x"}
    )

    assert told(evaluation.findings) == [("/spec/name", "changed", "a", "b", "")]
    assert told(evaluation.ignored) == [("/spec/size", "changed", 1, 5, "kubectl-edit")]
    assert ([one.rule for one in evaluation.ignored], evaluation.additions) == (["default"], ())


def test_secrets_are_compared_and_never_shown() -> None:
    """A marker that differs is a finding, and what is shown of it is a mask; long values are cut."""
    other = SECRET.replace("0", "1")
    text = "x" * 5000

    evaluation = Story().see(
        KUBECTL, annotations=applied(spec={"size": 1, "token": SECRET, "same": SECRET, "long": ""}),
        spec={"size": 1, "token": other, "same": SECRET, "long": text},
    )  # fmt: skip

    assert told(evaluation.findings)[0] == ("/spec/token", "changed", "<redacted>", "<redacted>", "")
    assert evaluation.findings[1].live == text[:2048] + "…"
    assert len(evaluation.findings) == 2


def test_more_additions_than_the_limit_are_counted() -> None:
    """No more than a hundred are told, and the rest is not forgotten."""
    names = [f"n{number}" for number in range(103)]
    edit = owner("kubectl-edit", *(f"/spec/{name}" for name in names))

    evaluation = Story().see(
        KUBECTL, edit, annotations=applied(spec={"size": 1}), spec={**dict.fromkeys(names, 1), "size": 1}
    )

    assert (len(evaluation.additions), evaluation.left_out) == (100, 3)


def test_of_those_who_own_a_field_the_one_who_wrote_last_is_named() -> None:
    """Others come before the declarer; the time is that of the entry, and there may be none."""
    story = Story()
    entries = (
        owner("kubectl-client-side-apply", CSA, "/spec/size", time="2026-03-01T12:00:00Z"),
        owner("some-operator", "/spec/size", time="2026-03-01T10:00:00Z"),
        owner("kubectl-scale", "/spec/size", time=None, subresource="scale"),
    )

    (finding,) = story.see(*entries, annotations=applied(spec={"size": 1}), spec={"size": 2}).findings
    (other,) = story.see(entries[0], entries[2], annotations=applied(spec={"size": 1}), spec={"size": 2}).findings

    assert finding.writer == Writer(
        name="some-operator", class_="controller", source="managed_fields", operation="Update"
    )
    assert finding.at == "2026-03-01T10:00:00.000000Z"
    assert (told((other,))[0][4], other.at) == ("kubectl-scale", UNSET)


def test_what_the_declarer_writes_is_when_it_was_declared() -> None:
    """A rollout is told by its time."""
    evaluation = Story().see(owner("helm", "/spec/size", time="2026-03-01T11:00:00Z"), spec={"size": 1})

    assert evaluation.declared_at == "2026-03-01T11:00:00.000000Z"


# -- whatever the object ---------------------------------------------------------------------------------------------

_NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=2)


@given(_NAMES, st.data())
def test_one_field_that_is_taken_over_or_away_is_found_at_just_its_path(names: list[str], data: st.DataObject) -> None:
    """By either baseline, with who took it, or nobody where it is gone."""
    taken = data.draw(st.sampled_from(names))
    gone = data.draw(st.booleans())
    declared = dict.fromkeys(names, 1)
    live = {name: value for name, value in declared.items() if name != taken} | ({} if gone else {taken: 2})
    rest = [f"/spec/{name}" for name in names if name != taken]
    person = [] if gone else [owner("kubectl-edit", f"/spec/{taken}")]
    expected = [
        (f"/spec/{taken}", "missing" if gone else "changed", 1, UNSET if gone else 2, "" if gone else "kubectl-edit")
    ]

    projected, annotated = Story(), Story()
    projected.see(owner("helm", *rest, f"/spec/{taken}", operation="Apply"), spec=declared)
    by_owner = projected.see(owner("helm", *rest, operation="Apply"), *person, spec=live)
    by_annotation = annotated.see(
        owner("kubectl-client-side-apply", CSA, *rest), *person, annotations=applied(spec=declared), spec=live
    )

    assert told(by_owner.findings) == expected
    assert told(by_annotation.findings) == expected


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.integers() | st.none() | st.lists(st.integers(), max_size=2), min_size=1
    ),
    st.dictionaries(st.sampled_from("stuv"), st.integers()),
)
def test_status_and_foreign_marks_never_matter(spec: dict[str, Any], foreign: dict[str, int]) -> None:
    """Whatever status, labels, annotations and fields others write, an object that is as declared stays so."""
    marks = {name: str(value) for name, value in foreign.items()}
    entries = (owner("kubectl-client-side-apply", CSA, *(f"/spec/{name}" for name in spec)),)
    other = {
        **owner("some-operator"),
        "fieldsV1": fields(*(f"/metadata/labels/{name}" for name in foreign), "/status/x"),
    }

    evaluation = Story().see(
        *entries, other,
        annotations=applied(spec=spec) | marks, meta={"labels": marks}, spec={**spec, **foreign}, status=foreign,
    )  # fmt: skip

    assert (evaluation.findings, evaluation.additions) == ((), ())


@given(st.binary(max_size=40))
def test_whatever_is_in_managed_fields_nothing_breaks(noise: bytes) -> None:
    """Entries may be cut or odd: what cannot be read owns nothing."""
    odd: list[Any] = [
        {
            "manager": "helm",
            "operation": "Apply",
            "fieldsV1": {"f:spec": noise.hex(), f"k:{noise.hex()}": {}, "v:": {"x": 1}},
        },
        {"manager": None, "fieldsV1": []},
        {},
    ]

    evaluation, memory = evaluate(subject(*odd, spec={"size": [1, {"x": 2}]}), NO_MEMORY, KNOWN)

    assert evaluation.findings == ()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=Memory) == memory
