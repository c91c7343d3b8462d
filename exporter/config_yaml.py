"""YAML as the configuration files are read: strictly, and without what could grow or be read in two ways.

Must never guess: what is written twice, or cannot be read, is an error with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


_MAX_BYTES = 1024 * 1024


def read(content: bytes) -> Any:  # noqa: ANN401 - any YAML
    """Read a document.

    Raises:
        ValueError: it is none; the message is the half of a sentence that follows the file's name

    """
    if len(content) > _MAX_BYTES:
        raise ValueError("is larger than 1 MiB; is it a configuration file?")
    try:
        return yaml.load(content, Loader=_Loader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        msg = f"{where}{error.problem or error.context}; correct the YAML"
        raise ValueError(msg) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        text = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        msg = f"cannot be read as YAML ({text}); correct it"
        raise ValueError(msg) from error


def content_of(path: str | Path) -> bytes:
    """Read a file, as far as it can be a configuration.

    Raises:
        OSError: it cannot be read

    """
    with Path(path).open("rb") as file:
        return file.read(_MAX_BYTES + 1)


class _Loader(yaml.SafeLoader):
    """Without aliases, of which a few lines can grow to any size, and without keys that are given twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed: write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in seen:
                text = f"the key {key.value!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
