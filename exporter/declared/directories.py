"""Follows the directories of declared manifests: looks, reads what is new, and tells what is different.

`poll` is to be called every few seconds, in a thread, since it waits for the disk or for the network behind one. What
was swapped at once is read at once; what is written in place is read when two looks have seen the same. A reading
during which the files moved counts for nothing. Whatever cannot be read keeps what it declared before.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from exporter.declared.declarations import Declarations, Difference, Loaded, combine, compare, keep
from exporter.declared.manifests import Contents, Problem, Reading
from exporter.declared.tree import MAX_FILES, look


if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.changes.redact import Redactor
    from exporter.declared.manifests import Kinds
    from exporter.declared.tree import Entry, Tree
    from exporter.drift.settings import Directory
    from exporter.timestamps import Timestamp

MAX_FILE_BYTES = 8 * 1024**2
MAX_BYTES = 256 * 1024**2


class Directories:
    """All directories of declared manifests.

    Args:
        directories: in the order of the configuration
        redactor: takes the secrets out; used by nobody else, since files are read in a thread
        kinds: tells what is known of a kind; `reread` when it knows more

    Attributes:
        declarations: what is declared, as of the last look

    """

    def __init__(self, directories: Iterable[Directory], redactor: Redactor, kinds: Kinds) -> None:
        self._watched = [_Watched(directory, Reading(redactor, kinds)) for directory in directories]
        self.declarations = Declarations()
        self._problems: list[Problem] = []
        self._loaded: list[Loaded] = []

    def poll(self, now: Timestamp) -> Difference:
        """Look, read what is new, and tell what is different from the last look; falsy where nothing is."""
        problems = [problem for watched in self._watched for problem in watched.poll()]
        loaded = [watched.loaded for watched in self._watched if watched.loaded is not None]
        # Most looks find nothing, and then there is nothing to compare either.
        if problems == self._problems and list(map(id, loaded)) == list(map(id, self._loaded)):
            return Difference()
        former = self.declarations
        self._problems, self._loaded = problems, loaded
        self.declarations = combine(loaded, problems, former, now)
        return compare(former, self.declarations)

    def reread(self) -> None:
        """Read everything anew with the next look: more, or something else, is known of some kinds."""
        for watched in self._watched:
            watched.forget()


class _Watched:
    """One directory.

    Attributes:
        loaded: what was read of it last; None before

    """

    def __init__(self, directory: Directory, reading: Reading) -> None:
        self.loaded: Loaded | None = None
        self._directory = directory
        self._reading = reading
        self._read: Tree | None = None  # as it was when it was read
        self._seen: Tree | None = None  # at the last look
        self._contents: dict[str, tuple[bytes, Contents]] = {}  # with the digest of the file
        self._problems: tuple[Problem, ...] = ()

    def forget(self) -> None:
        """Take nothing of what was read as still true; it is kept where reading fails."""
        self._read = self._seen = None
        self._contents = {path: (b"", contents) for path, (_, contents) in self._contents.items()}

    def poll(self) -> tuple[Problem, ...]:
        """Look at it, and read it if that is due; give what is wrong with the directory itself."""
        path = self._directory.path
        try:
            tree = look(path)
        except OSError as error:
            self._seen = None
            self._problems = (self._unreadable("", error.strerror or type(error).__name__),)
            return self._problems
        seen, self._seen = self._seen, tree
        if tree == self._read:
            return self._problems
        in_place = self._read is not None and tree.root == self._read.root
        if in_place and tree != seen:
            return self._problems
        contents, problems = self._load(tree)
        if not any(one.manifests or one.problems for _, one in contents.values()):
            # A volume that is not mounted, or not filled yet, looks exactly like this.
            text = "holds no manifests; fill it, or remove it from drift.declared"
            self._problems = (Problem("empty", path, 0, text), *problems)
            return self._problems
        try:
            moved = look(path) != tree
        except OSError:
            moved = True
        if moved:
            self._seen = None
            return (*self._problems, Problem("moving", path, 0, "changed while it was read, and is read again"))
        first = self.loaded is None
        self._read, self._contents, self._problems = tree, contents, problems
        files = tuple((self._path(name), one) for name, (_, one) in contents.items())
        complete = not problems and not any(one.problems for _, one in files)
        self.loaded = Loaded(self._directory, files, first, complete)
        return self._problems

    def _load(self, tree: Tree) -> tuple[dict[str, tuple[bytes, Contents]], tuple[Problem, ...]]:
        """Read the files of a tree; what cannot be read keeps what it held before."""
        problems = [self._unreadable(name, why) for name, why in tree.unreadable]
        if tree.cut:
            problems.append(self._too_large("", f"holds more than {MAX_FILES} files"))
        loaded: dict[str, tuple[bytes, Contents]] = {}
        left = MAX_BYTES
        for entry in tree.entries:
            left -= entry.size
            loaded[entry.path] = self._load_file(tree.root, entry, within_limit=left >= 0)
        # Of a directory below that could not be looked into, the files are still there.
        for name, (digest, contents) in self._contents.items():
            if name not in loaded and any(name == one or name.startswith(f"{one}/") for one, _ in tree.unreadable):
                loaded[name] = (digest, contents)
        return dict(sorted(loaded.items())), tuple(problems)

    def _load_file(self, root: str, entry: Entry, *, within_limit: bool) -> tuple[bytes, Contents]:
        digest, old = self._contents.get(entry.path, (b"", None))
        if entry.size > MAX_FILE_BYTES or not within_limit:
            limit = f"is larger than {MAX_FILE_BYTES}" if within_limit else f"is beyond the first {MAX_BYTES}"
            problem = self._too_large(entry.path, f"{limit} bytes")
            return b"", msgspec.structs.replace(old or Contents(), problems=(problem,))
        try:
            content = Path(root, entry.path).read_bytes()
        except OSError as error:
            problem = self._unreadable(entry.path, error.strerror or type(error).__name__)
            return b"", msgspec.structs.replace(old or Contents(), problems=(problem,))
        now = hashlib.sha256(content).digest()
        if old is not None and now == digest:
            return digest, old
        return now, keep(self._reading.read(content, self._path(entry.path), self._directory.namespace), old)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory.path, name) if name else self._directory.path  # noqa: PTH118

    def _unreadable(self, name: str, why: str) -> Problem:
        text = f"cannot be read ({why}); mount it, or let this process read it"
        return Problem("unreadable", self._path(name), 0, text)

    def _too_large(self, name: str, what: str) -> Problem:
        return Problem("too_large", self._path(name), 0, f"{what}; declare fewer objects in it")
