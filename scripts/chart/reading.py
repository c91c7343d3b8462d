"""Reads the chart's values.yaml as its readers do: keys, defaults, and the comments that say what each is for.

Must never know what a value means; that is for the schema.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml
from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str, ...]
_KEY = re.compile(r"^( *)([\w./-]+):")


class Value(Struct, frozen=True):
    """One key that a reader may set, with what the file says of it.

    Args:
        path: of the key, from the top
        default: what holds where nobody says otherwise
        about: what it is for
        heading: the part of the file it stands in

    """

    path: Path
    default: Any
    about: str
    heading: str

    @property
    def name(self) -> str:
        """The path as it is written behind `--set`."""
        return ".".join(part.replace(".", r"\.") for part in self.path)


def read(text: str) -> list[Value]:
    """Give every key that has a comment, in the order of the file.

    Raises:
        ValueError: a key has no comment, and none above it has one

    """
    defaults = yaml.safe_load(text)
    found = list(_commented(text, defaults))
    told = {one.path for one in found}
    for path in _leaves(defaults):
        if not any(path[: end + 1] in told for end in range(len(path))):
            msg = f"values.yaml: {'.'.join(path)} has no comment; write one above it: # -- what it is for"
            raise ValueError(msg)
    return found


def _commented(text: str, defaults: dict[str, Any]) -> Iterator[Value]:
    heading, comment = "", ""
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("# ## "):
            heading = words.removeprefix("# ## ")
        elif words.startswith("# -- "):
            comment = words.removeprefix("# -- ")
        elif words.startswith("# ") and comment:
            comment += f" {words.removeprefix('# ')}"
        elif key := _KEY.match(line):
            indent = len(key[1])
            parents = [(at, name) for at, name in parents if at < indent] + [(indent, key[2])]
            path = tuple(name for _, name in parents)
            if comment:
                yield Value(path, _at(defaults, path), comment, heading)
            comment = ""


def _at(values: Any, path: Path) -> Any:  # noqa: ANN401 - any YAML
    for name in path:
        values = values[name]
    return values


def _leaves(values: dict[str, Any], above: Path = ()) -> Iterator[Path]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name)
