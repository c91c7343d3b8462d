"""Following directories on a real file system: swaps, half-written trees, broken files, and what is kept of them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.changes.redact import Redactor
from exporter.declared import directories as module
from exporter.declared import tree
from exporter.declared.directories import Directories
from exporter.declared.manifests import Kind
from exporter.drift.settings import Directory
from exporter.timestamps import Timestamp


if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.declared.declarations import Difference

NOW = Timestamp("2026-01-01T00:00:00.000000Z")


def widget(name: str, size: int = 1) -> str:
    """A manifest."""
    return f"apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: {name}}}\nspec: {{size: {size}}}\n"


def fill(directory: Path, **files: str) -> Path:
    """Write files `name.yaml` into a directory, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / f"{name}.yaml").write_text(content)
    return directory


def follow(*paths: Path, **parts: Any) -> Directories:
    """Follow directories."""
    wanted = [Directory(path=str(path), **parts) for path in paths]
    return Directories(wanted, Redactor(b"k" * 32), lambda group, kind: Kind(namespaced=bool(group and kind)))


def sizes(followed: Directories) -> dict[str, int]:
    """What is declared, by name."""
    return {key.name: one.object()["spec"]["size"] for key, one in followed.declarations.objects.items()}


def changed(difference: Difference) -> set[str]:
    """The names of what has to be judged again."""
    return {one.name for one in difference.objects}


def problems(followed: Directories) -> list[tuple[str, str]]:
    """What is wrong, by kind and file name."""
    return [(one.kind, one.file.rpartition("/")[2]) for one in followed.declarations.problems]


def swap(link: Path, target: Path) -> None:
    """Let a link lead elsewhere at once, as git-sync and the kubelet do."""
    new = link.with_name(f"{link.name}.new")
    new.symlink_to(target)
    new.rename(link)


# -- what cannot be read --------------------------------------------------------------------------------------


def test_a_directory_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    """It is named, once; when it comes, it is read."""
    followed = follow(tmp_path / "later")
    first = followed.poll(NOW)
    assert [one.kind for one in first.problems] == ["unreadable"]
    assert "later: cannot be read (No such file or directory); mount it, or let this" in str(first.problems[0])
    assert not followed.poll(NOW)
    fill(tmp_path / "later", a=widget("a"))
    assert ({"a"}, []) == (changed(followed.poll(NOW)), problems(followed))


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """A path to a file is a problem of the configuration, and said as one."""
    fill(tmp_path, a=widget("a"))
    (problem,) = follow(tmp_path / "a.yaml").poll(NOW).problems
    assert "cannot be read (Not a directory)" in str(problem)


@pytest.mark.parametrize("how", ["gone", "emptied"])
def test_a_directory_that_goes_away_keeps_what_it_declared(tmp_path: Path, how: str) -> None:
    """A volume that is not mounted is no order to forget everything."""
    path = fill(tmp_path / "prod", a=widget("a"))
    followed = follow(path)
    followed.poll(NOW)
    (path / "a.yaml").unlink()
    if how == "gone":
        path.rmdir()
    differences = [followed.poll(NOW) for _ in range(3)]
    assert ({"a": 1}, [set()] * 3) == (sizes(followed), [changed(one) for one in differences])
    assert [("unreadable" if how == "gone" else "empty", "prod")] == problems(followed)
    fill(path, a=widget("a", 22))  # another length: the clock of a file system may tick slowly
    assert {"a"} == changed(followed.poll(NOW)) | changed(followed.poll(NOW))
    assert problems(followed) == []


def test_a_directory_without_manifests_is_named(tmp_path: Path) -> None:
    """One that is empty from the start is said to be, whatever else is in it."""
    (tmp_path / "README.md").write_text("nothing")
    followed = follow(tmp_path)
    followed.poll(NOW)
    assert [("empty", tmp_path.name)] == problems(followed)


def test_a_broken_file_costs_no_other_and_keeps_what_it_declared(tmp_path: Path) -> None:
    """Its objects keep their declaration until it can be read again; then those that it left out are gone."""
    followed = follow(fill(tmp_path, a=widget("a"), b=widget("b") + "---\n" + widget("c")), exclusive=True)
    followed.poll(NOW)
    fill(tmp_path, a=widget("a", 2), b=widget("b", 2) + "---\na: [\n")
    difference = followed.poll(NOW) or followed.poll(NOW)
    assert {"a", "b"} == changed(difference)
    assert sizes(followed) == {"a": 2, "b": 2, "c": 1}
    assert problems(followed) == [("yaml", "b.yaml")]
    assert frozenset() == followed.declarations.exclusive
    assert frozenset({("example.com", "Widget")}) == difference.types
    fill(tmp_path, b=widget("b", 2))
    followed.poll(NOW)
    assert {"c"} == changed(followed.poll(NOW))
    assert problems(followed) == []


def test_what_is_broken_from_the_start_is_told_and_not_all_is_lost(tmp_path: Path) -> None:
    """There is nothing to keep, so what can be read is taken; nothing is an orphan meanwhile."""
    followed = follow(fill(tmp_path, a="a: [", b=widget("b") + "---\n{{ x }}\n"), exclusive=True)
    difference = followed.poll(NOW)
    assert ({"b": 1}, frozenset()) == (sizes(followed), followed.declarations.exclusive)
    assert [("yaml", f"{tmp_path}/a.yaml"), ("yaml", f"{tmp_path}/b.yaml")] == [
        (one.kind, one.file) for one in difference.problems
    ]


def test_large_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file above the limit, and what is above the limit of all together, keeps what it declared."""
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 300)
    monkeypatch.setattr(module, "MAX_BYTES", 400)
    followed = follow(fill(tmp_path, a=widget("a"), b=widget("b")))
    followed.poll(NOW)
    fill(tmp_path, a=widget("a", 2) + "#" * 300, b=widget("b", 2), c=widget("c") + "#" * 250)
    followed.poll(NOW)
    followed.poll(NOW)
    assert sizes(followed) == {"a": 1, "b": 1}
    texts = {one.file.rpartition("/")[2]: one.text for one in followed.declarations.problems}
    assert texts == {
        "a.yaml": "is larger than 300 bytes; declare fewer objects in it",
        "b.yaml": "is beyond the first 400 bytes; declare fewer objects in it",
        "c.yaml": "is beyond the first 400 bytes; declare fewer objects in it",
    }


def test_too_many_files_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first files are read, and that there are more is a problem."""
    monkeypatch.setattr(tree, "MAX_FILES", 2)
    followed = follow(fill(tmp_path, a=widget("a"), b=widget("b"), c=widget("c")), exclusive=True)
    followed.poll(NOW)
    assert ({"a", "b"}, [("too_large", tmp_path.name)]) == (set(sizes(followed)), problems(followed))
    assert frozenset() == followed.declarations.exclusive


@pytest.fixture
def anybody() -> Iterator[Path]:
    """A directory of a user who is not root, to whom everything could be read."""
    with tempfile.TemporaryDirectory() as directory:
        root = os.geteuid() == 0
        if root:
            os.chown(directory, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(directory)
        finally:
            if root:
                os.seteuid(0)


def test_what_may_not_be_read_keeps_what_it_declared(anybody: Path) -> None:
    """A file or a directory below without permission is named; nothing of it is forgotten."""
    fill(anybody, a=widget("a"))
    below = fill(anybody / "below", b=widget("b"))
    followed = follow(anybody)
    followed.poll(NOW)
    (anybody / "a.yaml").chmod(0)
    below.chmod(0)
    followed.poll(NOW)
    followed.poll(NOW)
    below.chmod(0o700)
    assert sizes(followed) == {"a": 1, "b": 1}
    assert problems(followed) == [("unreadable", "below"), ("unreadable", "a.yaml")]


def test_a_link_that_leads_nowhere_is_said(tmp_path: Path) -> None:
    """A dangling link to a manifest is a problem; one to anything else is nobody's business."""
    fill(tmp_path, a=widget("a"))
    (tmp_path / "b.yaml").symlink_to(tmp_path / "none")
    (tmp_path / "c").symlink_to(tmp_path / "none")
    followed = follow(tmp_path)
    followed.poll(NOW)
    assert problems(followed) == [("unreadable", "b.yaml")]


# -- which files ----------------------------------------------------------------------------------------------


def test_which_files_are_read(tmp_path: Path) -> None:
    """By their suffix, at any depth, in the order of their paths; nothing that begins with a dot."""
    fill(tmp_path / "deep/er", a=widget("a"))
    fill(tmp_path / ".git", b=widget("b"))
    fill(tmp_path, **{".c": widget("c")})
    for name, file in {"d": "d.yml", "e": "e.txt", "f": "f.yaml.bak", "g": "g.YAML"}.items():
        (tmp_path / file).write_text(widget(name))
    (tmp_path / "h.json").write_text(
        '{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "h"}, "spec": {"size": 1}}'
    )
    (tmp_path / "pipe.yaml.d").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    followed = follow(tmp_path)
    followed.poll(NOW)
    assert (list(sizes(followed)), problems(followed)) == (["d", "a", "h"], [])


def test_links_that_lead_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    """A link to a directory is followed, and no directory is read twice through it."""
    fill(tmp_path / "a", a=widget("a")).joinpath("up").symlink_to(tmp_path)
    followed = follow(tmp_path)
    followed.poll(NOW)
    assert (sizes(followed), problems(followed)) == ({"a": 1}, [])


def test_the_last_directory_wins(tmp_path: Path) -> None:
    """Two directories are one set of declarations; what both declare is said."""
    one, two = fill(tmp_path / "one", a=widget("a"), b=widget("b")), fill(tmp_path / "two", a=widget("a", 2))
    followed = follow(one, two)
    followed.poll(NOW)
    assert (sizes(followed), problems(followed)) == ({"a": 2, "b": 1}, [("duplicate", "a.yaml")])


# -- changes --------------------------------------------------------------------------------------------------


def test_where_nothing_moved_nothing_is_different(tmp_path: Path) -> None:
    """A look that finds the same is falsy, and makes nothing anew."""
    followed = follow(fill(tmp_path, a=widget("a")))
    followed.poll(NOW)
    before = followed.declarations
    assert not followed.poll(NOW)
    assert before is followed.declarations


def test_what_is_written_in_place_is_read_when_it_is_quiet(tmp_path: Path) -> None:
    """A directory that is being written is left alone until two looks have seen the same."""
    followed = follow(fill(tmp_path, a=widget("a"), b=widget("b")))
    followed.poll(NOW)
    fill(tmp_path, a=widget("a", 2))
    assert not followed.poll(NOW)
    fill(tmp_path, b=widget("b", 20))
    assert not followed.poll(NOW)
    assert {"a", "b"} == changed(followed.poll(NOW))


def test_a_file_of_the_same_length_is_noticed(tmp_path: Path) -> None:
    """A file that takes another's place with its size and its time of modification is read."""
    followed = follow(fill(tmp_path, a=widget("a", 1)))
    followed.poll(NOW)
    status = (tmp_path / "a.yaml").stat()
    other = fill(tmp_path / ".other", a=widget("a", 2)) / "a.yaml"
    while other.stat().st_ctime_ns == status.st_ctime_ns:  # a file system may have a clock that ticks slowly
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(tmp_path / "a.yaml")
    followed.poll(NOW)
    assert {"a"} == changed(followed.poll(NOW))


@pytest.mark.parametrize("below", ["", "prod"])
def test_a_swapped_link_is_read_at_once(tmp_path: Path, below: str) -> None:
    """As git-sync moves its link, at the path itself or above it: the very next look reads the new tree, whole."""
    for revision in (1, 2):
        fill(tmp_path / f".worktrees/{revision}/{below}", a=widget("a", revision), b=widget("b"))
    link = tmp_path / "current"
    link.symlink_to(tmp_path / ".worktrees/1")
    followed = follow(link / below)
    followed.poll(NOW)
    swap(link, tmp_path / ".worktrees/2")
    assert ({"a"}, {"a": 2, "b": 1}) == (changed(followed.poll(NOW)), sizes(followed))
    assert {f"{link / below}/a.yaml", f"{link / below}/b.yaml"} == {
        one.file for one in followed.declarations.objects.values()
    }


def test_a_config_map_is_read_at_once(tmp_path: Path) -> None:
    """As the kubelet moves `..data`, to which each file leads: the very next look reads the new files."""
    for revision in (1, 2):
        fill(tmp_path / f"..{revision}", a=widget("a", revision), **({"b": widget("b")} if revision == 2 else {}))
    (tmp_path / "..data").symlink_to("..1")
    for name in "ab":
        (tmp_path / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
    followed = follow(tmp_path)
    followed.poll(NOW)
    assert (sizes(followed), problems(followed)) == ({"a": 1}, [])
    swap(tmp_path / "..data", tmp_path / "..2")
    assert ({"a", "b"}, {"a": 2, "b": 1}) == (changed(followed.poll(NOW)), sizes(followed))


def test_what_moves_while_it_is_read_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A swap in the middle of a reading: nothing of it is taken, that is said, and the next look reads the new tree."""
    for revision in (1, 2, 3):
        fill(tmp_path / f".w/{revision}", a=widget("a", revision), b=widget("b", revision))
    link = tmp_path / "current"
    link.symlink_to(tmp_path / ".w/1")
    followed = follow(link)
    followed.poll(NOW)
    swap(link, tmp_path / ".w/2")
    looks = iter([False, True])

    def look(path: str) -> tree.Tree:
        if next(looks, False):
            swap(link, tmp_path / ".w/3")
        return tree.look(path)

    monkeypatch.setattr(module, "look", look)
    difference = followed.poll(NOW)
    assert ({"a": 1, "b": 1}, set()) == (sizes(followed), changed(difference))
    assert problems(followed) == [("moving", "current")]
    followed.poll(NOW)
    assert (sizes(followed), problems(followed)) == ({"a": 3, "b": 3}, [])


def test_everything_is_read_anew_when_more_is_known(tmp_path: Path) -> None:
    """A kind that turns out to be cluster-scoped is known by another identity, without a change of its file."""
    scopes = {"Widget": True}
    followed = Directories(
        [Directory(path=str(fill(tmp_path, a=widget("a"))))],
        Redactor(b"k" * 32),
        lambda _, kind: Kind(namespaced=scopes[kind]),
    )
    followed.poll(NOW)
    scopes["Widget"] = False
    assert not followed.poll(NOW)
    followed.reread()
    assert {("default", "a"), ("", "a")} == {(one.namespace, one.name) for one in followed.poll(NOW).objects}
    assert followed.declarations.find("example.com", "Widget", "", "a") is not None


def test_a_declarer_gone_from_a_file_is_forgotten(tmp_path: Path) -> None:
    """A file that is removed takes its objects with it, as long as others are left."""
    followed = follow(fill(tmp_path, a=widget("a"), b=widget("b")))
    followed.poll(NOW)
    (tmp_path / "a.yaml").unlink()
    followed.poll(NOW)
    assert ({"a"}, {"b": 1}) == (changed(followed.poll(NOW)), sizes(followed))


def test_only_files_with_other_content_are_read_again(tmp_path: Path) -> None:
    """A new revision in which one file of two is another costs the reading of that one."""
    for revision in (1, 2):
        fill(tmp_path / f".w/{revision}", a=widget("a", revision), b=widget("b"))
    (tmp_path / "current").symlink_to(tmp_path / ".w/1")
    asked: list[str] = []

    def kinds(_: str, kind: str) -> Kind:
        asked.append(kind)
        return Kind()

    followed = Directories([Directory(path=str(tmp_path / "current"))], Redactor(b"k" * 32), kinds)
    followed.poll(NOW)
    assert len(asked) == 2
    swap(tmp_path / "current", tmp_path / ".w/2")
    followed.poll(NOW)
    assert len(asked) == 3


def test_what_comes_after_the_first_reading_has_changed(tmp_path: Path) -> None:
    """What was there from the start is no rollout; what is declared later is one, from then on."""
    followed = follow(fill(tmp_path, a=widget("a")))
    followed.poll(NOW)
    fill(tmp_path, b=widget("b"))
    later = Timestamp("2026-01-01T00:00:05.000000Z")
    followed.poll(later)
    followed.poll(later)
    assert {"a": (NOW, ""), "b": (later, later)} == {
        key.name: (one.loaded, one.changed) for key, one in followed.declarations.objects.items()
    }
