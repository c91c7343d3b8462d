"""The files of manifests below a directory: which there are, and by what it is noticed that they are others.

What git-sync and the kubelet swap at once is found through the link that they swap: the tree is that of the directory
to which the link leads, so that a look never sees half of the old one and half of the new one. Must never open a file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from msgspec import Struct


SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 20_000
# The link by which the kubelet swaps the files of a ConfigMap or another projected volume.
_SWAPPED = "..data"


class Entry(Struct, frozen=True):
    """A file: its path below the root, and what is different after it was written again or another took its place."""

    path: str
    size: int
    modified: int
    changed: int


class Tree(Struct, frozen=True):
    """The files below a directory, as one look saw them.

    Attributes:
        root: the directory itself, behind all links
        entries: the files, in the order of their paths
        unreadable: directories and links that could not be followed, with the system's words
        cut: there are more files than are looked at

    """

    root: str
    entries: tuple[Entry, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    cut: bool = False


def look(path: str) -> Tree:
    """Look at a directory.

    Raises:
        OSError: there is none

    """
    root = os.path.realpath(path)
    swapped = os.path.join(root, _SWAPPED)  # noqa: PTH118 - text is compared with text
    if os.path.islink(swapped):  # noqa: PTH114
        root = os.path.realpath(swapped)
    entries: list[Entry] = []
    unreadable: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()
    left = [""]
    while left and len(entries) <= MAX_FILES:
        below = left.pop()
        try:
            found = [one for one in os.scandir(Path(root, below)) if not one.name.startswith(".")]
        except OSError as error:
            if not below:
                raise
            unreadable.append((below, _words(error)))
            continue
        for one in found:
            name = f"{below}/{one.name}" if below else one.name
            try:
                status = one.stat()
            except OSError as error:
                if one.name.endswith(SUFFIXES):
                    unreadable.append((name, _words(error)))
                continue
            # A link can lead around in a circle.
            if stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                left.append(name)
            elif stat.S_ISREG(status.st_mode) and one.name.endswith(SUFFIXES):
                entries.append(Entry(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    entries.sort(key=lambda entry: entry.path)
    return Tree(root, tuple(entries[:MAX_FILES]), tuple(sorted(unreadable)), cut=len(entries) > MAX_FILES)


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
