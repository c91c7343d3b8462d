"""The page on the command line: commands, flags, exit codes, words and fields, and the flags that other pages use."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, get_args

import msgspec
import pytest

from exporter import cli
from exporter.errors import ExporterError
from exporter.model import Change, ChangeType, Event, FieldChange, Writer
from exporter.sandbox.demo import INTERRUPTED
from tests.docs.pages import PAGES, blocks, first_column, name_of, page, section


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CLI = "docs/reference/cli.md"
COMMANDS: Mapping[str, argparse.ArgumentParser] = next(
    action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)
).choices


def flags(command: argparse.ArgumentParser) -> set[str]:
    """The flags of a command, without -h."""
    return {flag for action in command._actions for flag in action.option_strings} - {"-h", "--help"}


def test_every_command_has_its_row() -> None:
    """The page lists the commands that the program has, and no other."""
    table = page(CLI).partition("## Exit codes")[0]
    assert set(COMMANDS) == set(first_column(table))


def test_every_exit_code_has_its_row() -> None:
    """The page lists 0, the exit codes of our errors and that of an interrupted demo, and no others."""
    told = re.findall(r"^\| (\d+) \|", section(page(CLI), "## Exit codes"), re.MULTILINE)
    assert sorted({0, *exit_codes(ExporterError), INTERRUPTED}) == sorted(map(int, told))


def exit_codes(error: type[ExporterError]) -> Iterator[int]:
    """The exit codes of an error and of all its kinds."""
    yield error.exit_code
    for kind in error.__subclasses__():
        yield from exit_codes(kind)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_has_its_row(name: str) -> None:
    """The section of a command has a row for each of its flags, and for no other."""
    text = section(page(CLI), f"## `{name}`")
    documented = {cell.split()[0] for cell in first_column(text) if cell.startswith("-")}
    assert flags(COMMANDS[name]) == documented


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_flag_that_is_used_exists(path: Path) -> None:
    """A flag behind the program's name in an example is one of the command that is called."""
    program = re.compile(rf"(?<!/)customresource-exporter ({'|'.join(COMMANDS)})\b((?:\\\n|[^\n|#`])*)")
    for command, rest in program.findall(path.read_text(encoding="utf-8")):
        used = set(re.findall(r"(?<=\s)(-{1,2}[a-z][\w.-]*)", rest))
        assert used <= flags(COMMANDS[command]), rest


def test_every_field_of_the_json_has_its_row() -> None:
    """The page lists the fields of a change, of what moved and of the writer, and no others."""
    text = section(page(CLI), "### `changes -o json`")
    expected = [field.encode_name for kind in (Change, FieldChange, Writer) for field in msgspec.structs.fields(kind)]
    assert sorted(expected) == sorted(first_column(text))


def test_the_words_have_their_rows() -> None:
    """The page explains each word for an event and for a change, and no other."""
    text = section(page(CLI), "### The words")
    assert sorted([*get_args(Event), *get_args(ChangeType)]) == sorted(first_column(text))


def test_the_example_of_json_is_a_change() -> None:
    """The line of JSON is one that the program could have printed."""
    (line,) = blocks(page(CLI), "json")
    change = msgspec.json.decode(line, type=Change)
    assert line.rstrip() == msgspec.json.encode(change).decode()
