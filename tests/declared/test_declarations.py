"""What all directories declare together: duplicates, orphans, what is different, and since when it is so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.declared.declarations import Declarations, Difference, Loaded, combine, compare, keep
from exporter.declared.manifests import Contents, Identity, Manifest, Problem
from exporter.drift.settings import Directory
from exporter.timestamps import Timestamp


THEN, NOW, LATER = (Timestamp(f"2026-01-01T00:00:0{second}.000000Z") for second in (1, 2, 3))
PROD = Directory(path="/prod")
OWNED = Directory(path="/owned", exclusive=True)
BROKEN = Problem("yaml", "/prod/a.yaml", 1, "is broken")


def identity(name: str, kind: str = "Widget") -> Identity:
    """A widget in the namespace `default`."""
    return Identity("example.com", kind, "default", name)


def manifest(name: str, value: object = 1, line: int = 1, **parts: Any) -> Manifest:
    """Declare a widget."""
    return Manifest(identity(name), line, msgspec.json.encode({"spec": value}), **parts)


def loaded(
    *manifests: Manifest, directory: Directory = PROD, first: bool = True, complete: bool = True, file: str = "/a.yaml"
) -> Loaded:
    """A directory that holds these in one file."""
    return Loaded(directory, ((f"{directory.path}{file}", Contents(manifests)),), first, complete)


def declared(*directories: Loaded, former: Declarations | None = None, now: Timestamp = THEN) -> Declarations:
    """Combine directories."""
    return combine(directories, (), former or Declarations(), now)


def test_nothing_is_not_different_from_nothing() -> None:
    """There is no difference where nothing is declared, and it is falsy."""
    assert Difference() == compare(Declarations(), declared())
    assert not Difference()
    assert declared().find("", "A", "", "a") is None


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ([manifest("a")], [manifest("a")], ""),
        ([manifest("a")], [manifest("a", line=7)], ""),
        ([manifest("a")], [manifest("a", 2)], "a"),
        ([manifest("a")], [manifest("a", problem="is encrypted with SOPS")], "a"),
        ([manifest("a")], [], "a"),
        ([], [manifest("a")], "a"),
        ([manifest("a"), manifest("b")], [manifest("b", 2), manifest("c")], "abc"),
    ],
)
def test_what_has_to_be_judged_again(before: list[Manifest], after: list[Manifest], changed: str) -> None:
    """What came, went, or says something else; where it stands in a file does not matter."""
    old = declared(loaded(*before))
    new = declared(loaded(*after, first=False), former=old, now=NOW)
    assert Difference(objects=frozenset(map(identity, changed))) == compare(old, new)


def test_another_directory_may_judge_otherwise() -> None:
    """An object that moves to a directory of another declarer is judged again."""
    old = declared(loaded(manifest("a")))
    other = Directory(path="/prod", declarer="argocd")
    new = declared(loaded(manifest("a"), directory=other), former=old, now=NOW)
    assert frozenset({identity("a")}) == compare(old, new).objects


def test_what_was_there_from_the_start_is_no_rollout() -> None:
    """A declaration has changed when it came after the first reading, or after another one; a reload moves nothing."""
    start = declared(loaded(manifest("a"), manifest("b")))
    reload = declared(loaded(manifest("a"), manifest("b", 2), manifest("c"), first=False), former=start, now=NOW)
    again = declared(loaded(manifest("a"), manifest("b", 2), manifest("c"), first=False), former=reload, now=LATER)
    expected = {"a": (THEN, ""), "b": (NOW, NOW), "c": (NOW, NOW)}
    for declarations in (reload, again):
        assert expected == {key.name: (one.loaded, one.changed) for key, one in declarations.objects.items()}
    assert {(THEN, "")} == {(one.loaded, one.changed) for one in start.objects.values()}


def test_an_object_that_another_directory_takes_over_has_changed() -> None:
    """A directory that is read for the first time changes what another one declared otherwise."""
    old = declared(loaded(manifest("a")))
    new = declared(loaded(manifest("a")), loaded(manifest("a", 2), directory=OWNED), former=old, now=NOW)
    found = new.find("example.com", "Widget", "default", "a")
    assert found is not None
    assert (found.changed, found.object()) == (NOW, {"spec": 2})


def test_of_two_declarations_the_last_one_wins_and_both_are_named() -> None:
    """In the order of the directories, then of the paths."""
    files = (("/prod/a.yaml", Contents((manifest("a", 1, 3),))), ("/prod/b.yaml", Contents((manifest("a", 2, 5),))))
    declarations = declared(Loaded(PROD, files, first=True, complete=True), loaded(manifest("a", 3), directory=OWNED))
    assert [str(problem) for problem in declarations.problems] == [
        "/prod/b.yaml:5: declares Widget default/a, as /prod/a.yaml:3 does; remove one, this one is taken",
        "/owned/a.yaml:1: declares Widget default/a, as /prod/b.yaml:5 does; remove one, this one is taken",
    ]
    assert declarations.objects[identity("a")].object() == {"spec": 3}


@pytest.mark.parametrize(
    ("name", "kind", "directory", "complete", "orphan"),
    [
        ("b", "Widget", PROD, True, False),
        ("a", "Widget", OWNED, True, False),
        ("b", "Gadget", OWNED, True, False),
        ("b", "Widget", OWNED, False, False),
        ("b", "Widget", OWNED, True, True),
    ],
)
def test_what_is_an_orphan(name: str, kind: str, directory: Directory, *, complete: bool, orphan: bool) -> None:
    """Only what an exclusive directory does not declare, of the types it holds, while all of it can be read."""
    declarations = declared(loaded(manifest("a"), directory=directory, complete=complete))
    assert orphan == declarations.is_orphan("example.com", kind, "default", name)


def test_types_that_begin_or_cease_to_have_orphans_are_told() -> None:
    """When a file of an exclusive directory breaks, the objects of its types have to be judged again."""
    old = declared(loaded(manifest("a"), directory=OWNED))
    new = declared(loaded(manifest("a"), directory=OWNED, complete=False), former=old)
    assert Difference(types=frozenset({("example.com", "Widget")})) == compare(old, new) == compare(new, old)


def test_a_problem_is_told_once() -> None:
    """A problem that was there before is not told again, and one that is gone is told of no more."""
    broken = combine((), [BROKEN], Declarations(), THEN)
    assert Difference(problems=(BROKEN,)) == compare(Declarations(), broken)
    assert Difference() == compare(broken, broken)
    assert Difference() == compare(broken, Declarations())


def test_what_was_left_out_is_counted() -> None:
    """By reason, over all files."""
    files = (("/a", Contents(skipped=("hook", "hook"))), ("/b", Contents(skipped=("hook", "kustomization"))))
    assert declared(Loaded(PROD, files, first=True, complete=True)).skipped == {"hook": 3, "kustomization": 1}


def test_a_broken_file_keeps_what_it_held() -> None:
    """What can still be read of it is new, all else is as it was; a file without a problem is taken as it is."""
    old = Contents((manifest("a"), manifest("b")))
    broken = Contents((manifest("b", 2),), problems=(BROKEN,))
    assert broken == keep(broken, None)
    assert Contents((manifest("b", 2), manifest("a")), (BROKEN,)) == keep(broken, old)
    assert Contents((manifest("b", 2),)) == keep(Contents((manifest("b", 2),)), old)


names = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2))


@given(names, names)
def test_a_difference_is_what_it_takes_from_one_to_the_other(before: dict[str, int], after: dict[str, int]) -> None:
    """An object is in the difference if and only if it is declared otherwise before and after."""
    old = declared(loaded(*(manifest(name, value) for name, value in before.items())))
    new = declared(loaded(*(manifest(name, value) for name, value in after.items()), first=False), former=old, now=NOW)
    expected = {identity(name) for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert expected == compare(old, new).objects == compare(new, old).objects
    assert {name for name in after if before.get(name) != after[name]} == {
        key.name for key, one in new.objects.items() if one.changed
    }
