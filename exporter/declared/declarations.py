"""What all directories declare together, and what is different from what they declared before.

Pure. A file that cannot be read keeps the objects that it had; where two files declare one object, the last one wins,
in the order of the directories and then of the paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from exporter.declared.manifests import Contents, Identity, Problem, Skipped
from exporter.drift.settings import Directory
from exporter.timestamps import Timestamp


if TYPE_CHECKING:
    from collections.abc import Iterable

Type = tuple[str, str]


class Declaration(Struct, frozen=True, kw_only=True):
    """One declared object, and where it comes from.

    Attributes:
        directory: that holds it
        file: its path
        line: on which its document begins
        raw: JSON of it, its secrets replaced as in live objects
        problem: why it cannot be compared; empty where it can
        loaded: when this declaration was first read
        changed: the same, if it came after another one or after the directory was first read; empty for what was
            there from the start, which is no rollout

    """

    directory: Directory
    file: str
    line: int
    raw: bytes
    problem: str
    loaded: Timestamp
    changed: Timestamp | str

    def object(self) -> dict[str, Any]:
        """Give the object."""
        obj: dict[str, Any] = msgspec.json.decode(self.raw)
        return obj

    def says_the_same(self, other: Declaration) -> bool:
        """Tell whether another declaration of the object would be judged alike."""
        return (self.raw, self.problem, self.directory) == (other.raw, other.problem, other.directory)


class Loaded(Struct, frozen=True):
    """What was read of one directory.

    Attributes:
        directory: which
        files: contents by path, in the order of the paths; of a broken file what it held before is among them
        first: it was read for the first time
        complete: every file could be read

    """

    directory: Directory
    files: tuple[tuple[str, Contents], ...]
    first: bool
    complete: bool


class Declarations(Struct, frozen=True):
    """What is declared.

    Attributes:
        objects: by identity
        exclusive: types of which every live object that is not declared is an orphan
        problems: what is wrong at present
        skipped: what was left out on purpose, by reason

    """

    objects: Mapping[Identity, Declaration] = {}
    exclusive: frozenset[Type] = frozenset()
    problems: tuple[Problem, ...] = ()
    skipped: Mapping[Skipped, int] = {}

    def find(self, group: str, kind: str, namespace: str, name: str) -> Declaration | None:
        """Give the declaration of an object, None where there is none."""
        return self.objects.get(Identity(group, kind, namespace, name))

    def is_orphan(self, group: str, kind: str, namespace: str, name: str) -> bool:
        """Tell whether a live object is not declared although whatever is of its type should be."""
        return (group, kind) in self.exclusive and self.find(group, kind, namespace, name) is None


class Difference(Struct, frozen=True):
    """What has to be judged again, and what is to be said.

    Attributes:
        objects: whose declaration came, went or says something else
        types: of which objects have become, or are no longer, orphans
        problems: that were not there before

    """

    objects: frozenset[Identity] = frozenset()
    types: frozenset[Type] = frozenset()
    problems: tuple[Problem, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self.objects or self.types or self.problems)


def combine(
    directories: Iterable[Loaded], problems: Iterable[Problem], former: Declarations, now: Timestamp
) -> Declarations:
    """Put together what the directories hold.

    Args:
        directories: in the order of the configuration
        problems: with the directories themselves
        former: what was declared before
        now: the time of this

    """
    objects: dict[Identity, Declaration] = {}
    told = list(problems)
    skipped: Counter[Skipped] = Counter()
    exclusive: set[Type] = set()
    for loaded in directories:
        for path, contents in loaded.files:
            told.extend(contents.problems)
            skipped.update(contents.skipped)
            for manifest in contents.manifests:
                identity = manifest.identity
                before = objects.get(identity)
                if before is not None:
                    told.append(_twice(identity, before, path, manifest.line))
                if loaded.directory.exclusive and loaded.complete:
                    exclusive.add((identity.group, identity.kind))
                new = Declaration(
                    directory=loaded.directory, file=path, line=manifest.line, raw=manifest.raw,
                    problem=manifest.problem, loaded=now, changed="" if loaded.first else now,
                )  # fmt: skip
                objects[identity] = _aged(new, former.objects.get(identity))
    return Declarations(objects, frozenset(exclusive), tuple(told), skipped)


def compare(old: Declarations, new: Declarations) -> Difference:
    """Tell what is different."""
    was, now = old.objects, new.objects
    changed = {one for one in was.keys() & now.keys() if not was[one].says_the_same(now[one])}
    said = set(old.problems)
    return Difference(
        objects=frozenset(changed | (was.keys() ^ now.keys())),
        types=old.exclusive ^ new.exclusive,
        problems=tuple(problem for problem in new.problems if problem not in said),
    )


def keep(new: Contents, old: Contents | None) -> Contents:
    """Add to what a broken file holds what it held before."""
    if old is None or not new.problems:
        return new
    held = {manifest.identity for manifest in new.manifests}
    kept = tuple(manifest for manifest in old.manifests if manifest.identity not in held)
    return msgspec.structs.replace(new, manifests=new.manifests + kept)


def _aged(new: Declaration, old: Declaration | None) -> Declaration:
    if old is None or not new.says_the_same(old):
        return new if old is None else msgspec.structs.replace(new, changed=new.loaded)
    return msgspec.structs.replace(new, loaded=old.loaded, changed=old.changed)


def _twice(identity: Identity, before: Declaration, path: str, line: int) -> Problem:
    name = "/".join(filter(None, (identity.namespace, identity.name)))
    text = f"declares {identity.kind} {name}, as {before.file}:{before.line} does; remove one, this one is taken"
    return Problem("duplicate", path, line, text)
