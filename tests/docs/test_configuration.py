"""The page on the configuration: every key, the shipped lists, the messages, and examples that load."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest
import yaml

from exporter.changes.writer import CONTROLLER, GITOPS, HUMAN
from exporter.config import NOISY, Config, parse
from tests.docs.pages import PAGES, blocks, code, first_column, name_of, page, rows, section


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIGURATION = "docs/reference/configuration.md"
# What a block of YAML that is no configuration of ours has at its top.
OTHERS = {"apiVersion", "scrape_configs", "groups"}


def config_keys(parents: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key that holds a value, asked of the program itself: an unknown key makes it list those that it knows."""
    with pytest.raises(ValueError, match="zzzzzzzz") as refused:
        parse(msgspec.json.encode(_nested((*parents, "zzzzzzzz"), 1)))
    found = re.search(r"is not known; the keys here are: (.*)", str(refused.value))
    if "no key is known here yet" in str(refused.value):
        yield ".".join(parents)
    elif found is None:
        raise AssertionError(refused.value)
    else:
        for key in found[1].split(", "):
            try:
                parse(msgspec.json.encode(_nested((*parents, key), {})))
            except ValueError:
                yield ".".join((*parents, key))  # no mapping, so it holds a value
            else:
                yield from config_keys((*parents, key))


def _nested(keys: tuple[str, ...], value: object) -> object:
    for key in reversed(keys):
        value = {key: value}
    return value


def configurations(path: Path) -> list[str]:
    """The blocks of YAML of a page that are configurations of the exporter."""
    texts = blocks(path.read_text(encoding="utf-8"), "yaml")
    return [text for text in texts if not any(OTHERS & set(document) for document in yaml.safe_load_all(text))]


def test_every_key_has_its_row() -> None:
    """The page lists the keys of the configuration, and no others."""
    assert sorted(config_keys()) == sorted(first_column(section(page(CONFIGURATION), "## Every key")))


def test_the_bounds_of_the_journal_are_as_told() -> None:
    """A file that gives the journal the defaults in the table says what no file says."""
    told = {code(cells[0])[0]: code(cells[2]) for cells in rows(section(page(CONFIGURATION), "## Every key"))}
    (retention,), (size,) = told["journal.retention"], told["journal.size"]
    assert Config() == parse(f"journal: {{retention: {retention}, size: {size}}}".encode())


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_examples_of_configuration_load(path: Path) -> None:
    """Every block of YAML that is a configuration is one that the program takes, and says something."""
    for example in configurations(path):
        assert Config() != parse(example.encode()) or "cilium" in example, example


def test_there_are_examples() -> None:
    """The pages where somebody looks for a configuration have one."""
    wanted = {"README.md", CONFIGURATION, "docs/how-to/select-types.md", "docs/how-to/silence-noise.md"}
    assert wanted <= {name_of(path) for path in PAGES if configurations(path)}


def test_the_shipped_exclusions_are_told() -> None:
    """The example with the noisy kinds is the list that is shipped, in its order."""
    (example,) = [block for block in blocks(page(CONFIGURATION), "yaml") if "cilium" in block]
    expected = NOISY
    assert expected == parse(example.encode()).watch.exclude


def test_the_shipped_writers_are_told() -> None:
    """The table of writers is the one that is shipped."""
    told = {code(cells[0])[0]: tuple(code(cells[1])) for cells in rows(section(page(CONFIGURATION), "## `changes`"))}
    expected = {"human": HUMAN, "gitops": GITOPS, "controller": CONTROLLER}
    assert expected == told


def test_the_messages_are_as_told() -> None:
    """Each example of a bad file is refused with the sentence beside it."""
    errors = section(page(CONFIGURATION), "## Errors")
    examples = [(code(cells[0])[0], code(cells[1])[0]) for cells in rows(errors)]
    assert examples
    for content, sentence in examples:
        with pytest.raises(ValueError, match=r"\A" + re.escape(sentence) + r"\Z"):
            parse(content.encode())
