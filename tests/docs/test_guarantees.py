"""docs/explanation/guarantees.md: each promise names the test that proves it, and each of those exists."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from scripts.mutations import MUTATIONS
from tests.docs.pages import ROOT, code, page, section


if TYPE_CHECKING:
    from scripts.mutations import Mutation

PAGE = "docs/explanation/guarantees.md"
PROMISES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in section(page(PAGE), "## Figures and proofs").splitlines()
    if line.startswith("| ") and not line.startswith("| Promise")
]
NAMED = sorted({name for cells in PROMISES for name in code(cells[-1])})


@pytest.mark.parametrize("cells", PROMISES, ids=lambda cells: cells[0][:40])
def test_every_promise_has_a_figure_and_a_test(cells: list[str]) -> None:
    """A promise without a figure, or without a proof, is none."""
    promise, figure, tests = cells
    assert promise
    assert figure
    assert code(tests)


@pytest.mark.parametrize("name", NAMED)
def test_every_named_test_exists(name: str) -> None:
    """A test that the page names is a function of its file, or a test case that is made there."""
    file, _, test = name.partition("::")
    names = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    assert re.match(r"[Tt]est", test)
    assert test in names


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.mechanism)
def test_every_mechanism_can_still_be_taken_away(mutation: Mutation) -> None:
    """What is to be replaced is in its file once: else the proof fails, and only whoever runs it would notice."""
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.before) == 1
