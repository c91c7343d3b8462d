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
WEB = {"tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"}
OTHERS = {"apiVersion", "scrape_configs", "groups", "rule_files"} | WEB


def config_keys(parents: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key that holds a value; `[]` stands for the items of a list that are mappings."""
    for key in known_keys(parents):
        below = next((form for form in (key, f"{key}[]") if known_keys((*parents, form))), None)
        if below is None:
            yield ".".join((*parents, key))
        else:
            yield from config_keys((*parents, below))


def known_keys(parents: tuple[str, ...]) -> list[str]:
    """The keys of a mapping, asked of the program itself: an unknown key makes it list those that it knows."""
    value: object = {"zzzzzzzz": 1}
    for key in reversed(parents):
        value = {key.removesuffix("[]"): [value] if key.endswith("[]") else value}
    with pytest.raises(ValueError, match="; ") as refused:
        parse(msgspec.json.encode(value))
    found = re.search(r"zzzzzzzz: is not known; the keys here are: (.*)", str(refused.value))
    return found[1].split(", ") if found else []


def configurations(path: Path) -> list[str]:
    """The blocks of YAML of a page that are configurations of the exporter; one with a mark is something else."""
    marked = re.compile(r"^```yaml \w+=\S+\n.*?^```$", re.MULTILINE | re.DOTALL)
    texts = blocks(marked.sub("", path.read_text(encoding="utf-8")), "yaml")
    return [text for text in texts if not any(OTHERS & set(document) for document in yaml.safe_load_all(text))]


def test_every_key_has_its_row() -> None:
    """The page lists the keys of the configuration, and no others."""
    assert sorted(config_keys()) == sorted(first_column(section(page(CONFIGURATION), "## Every key")))


def test_the_defaults_of_drift_are_as_told() -> None:
    """A file that gives all the defaults of drift in the table says what no file says."""
    told = {code(cells[0])[0]: code(cells[2]) for cells in rows(section(page(CONFIGURATION), "## Every key"))}
    given = {key.split(".", 1)[1]: default[0] for key, default in told.items() if key.startswith("drift.") and default}
    flips, window = given.pop("flapping.flips"), given.pop("flapping.window")
    single = ", ".join(f"{key}: {default}" for key, default in given.items() if "[]" not in key)
    assert Config() == parse(f"drift: {{{single}, flapping: {{flips: {flips}, window: {window}}}}}".encode())


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
    wanted |= {"docs/how-to/silence-drift.md", "docs/how-to/declared-manifests.md"}
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
