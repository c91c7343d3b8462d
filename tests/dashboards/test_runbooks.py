"""The runbooks: one for each alert, with commands that can be typed and links that lead somewhere; and inhibitions."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from dashboards.source.alerts import ALERTS
from dashboards.source.rules import runbook
from exporter import cli
from exporter.config import load
from tests.dashboards.cases import CASES
from tests.docs.pages import ROOT, blocks, name_of, page


if TYPE_CHECKING:
    from pathlib import Path

RUNBOOKS = ROOT / "dashboards/runbooks"
BOOKS = sorted(RUNBOOKS.glob("*.md"))
PARTS = ["What it means", "Look first", "Put it right", "Silence it properly"]
INHIBITIONS = yaml.safe_load(page("dashboards/alertmanager/inhibit.example.yml"))["inhibit_rules"]
each_book = pytest.mark.parametrize("book", BOOKS, ids=name_of)
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def text_of(book: Path) -> str:
    """A runbook as it is written."""
    return book.read_text(encoding="utf-8")


def commands(book: Path) -> list[str]:
    """The commands of a runbook, a line each."""
    return [line for block in blocks(text_of(book), "sh") for line in block.replace("\\\n", "").splitlines()]


def test_there_is_one_for_each_alert_and_none_besides() -> None:
    """A runbook is named after its alert, in small letters, as its address has it."""
    assert [book.name for book in BOOKS] == sorted(["README.md", *map(runbook, ALERTS)])
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)


@each_alert
def test_it_answers_four_questions(alert: object) -> None:
    """Each says what the alert means, where to look, how to put it right and how to silence it, in this order."""
    text = text_of(RUNBOOKS / runbook(alert))  # type: ignore[arg-type]
    assert text.startswith(f"# {alert.name}\n")  # type: ignore[attr-defined]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:])


@each_alert
def test_one_looks_with_our_commands(alert: object) -> None:
    """The place to look first is our own command line, or the log where the exporter itself is the matter."""
    first = text_of(RUNBOOKS / runbook(alert)).partition("## Look first")[2].partition("## Put")[0]  # type: ignore[arg-type]
    wanted = "customresource-exporter "
    assert wanted in first


@each_book
def test_a_shell_can_read_every_command(book: Path) -> None:
    """Whatever a runbook has to be typed is complete."""
    for block in blocks(text_of(book), "sh"):
        read = subprocess.run(["/bin/bash", "-n", "-c", block], capture_output=True, timeout=10, check=False)
        assert not read.stderr, block


@each_book
def test_our_program_takes_every_command(book: Path) -> None:
    """Each command of ours, also one in a pod or before a pipe, has flags and arguments that the program knows."""
    for line in commands(book):
        for found in re.findall(r"(?:^|-- +|\| )customresource-exporter ([^|]*)", line):
            cli._parser().parse_args(shlex.split(found, comments=True))


def test_a_wrong_flag_is_found() -> None:
    """A flag that the program does not know ends it, so that the test above can fail."""
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["drift", "--kind", "Widget"])


@each_book
def test_links_lead_somewhere(book: Path) -> None:
    """Every relative link leads to a file, and its fragment to a heading there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(book)):
        name, _, fragment = target.partition("#")
        file = book.parent / name
        assert file.exists(), target
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert not fragment or fragment in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


@each_book
def test_configuration_can_be_loaded(book: Path, tmp_path: Path) -> None:
    """Every piece of configuration in a runbook is one that the program takes."""
    for block in blocks(text_of(book), "yaml"):
        file = tmp_path / "config.yaml"
        file.write_text(block, encoding="utf-8")
        load(file)


def test_inhibitions_name_alerts_and_labels_that_they_have() -> None:
    """Each side of an inhibition is an alert, and both have the labels by which they are compared."""
    labels = {name: set(case.labels) for name, case in CASES.items()}  # as promtool has seen them
    for rule in INHIBITIONS:
        sides = []
        for side in ("source_matchers", "target_matchers"):
            (matcher,) = rule[side]
            pattern = re.fullmatch(r'alertname=~?"(.*)"', matcher)
            assert pattern, matcher
            found = [name for name in labels if re.fullmatch(pattern[1], name)]
            assert found, matcher
            assert ("=~" in matcher) == bool(re.search(r"[|+*]", pattern[1])), matcher
            sides.append(found)
        for name in {*sides[0], *sides[1]}:
            assert set(rule["equal"]) <= labels[name] | {"cluster"}, (rule, name)


def test_what_is_quiet_has_a_reason_that_fires() -> None:
    """No alert is on both sides of an inhibition, and nothing but an exporter that is down quiets what is critical."""
    critical = {alert.name for alert in ALERTS if alert.severity == "critical"}
    for rule in INHIBITIONS:
        source, target = rule["source_matchers"][0], rule["target_matchers"][0]
        if "CustomResource.+" in target:
            assert "ExporterDown" in source
            continue
        quiet = set(re.findall(r"CustomResource\w+", target))
        assert not quiet & critical
        assert not quiet & set(re.findall(r"CustomResource\w+", source))
