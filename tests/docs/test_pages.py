"""The pages as a whole: links, examples that a shell can read, targets of make, dependencies, README and licence."""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, first_column, name_of, page, section
from tests.docs.session import steps


if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_can_be_typed(path: Path) -> None:
    """A shell can read each command that a page shows, whether a test runs it or not."""
    text = path.read_text(encoding="utf-8")
    commands = [step.do for step in steps(text) if step.do not in ("", "^C") and not step.file] + blocks(text, "sh")
    for command in commands:
        read = subprocess.run(["/bin/bash", "-n", "-c", command], capture_output=True, timeout=10, check=False)
        assert not read.stderr, command


def test_every_dependency_has_its_row() -> None:
    """docs/explanation/design.md says why each package that is installed with the program is there, and of no other."""
    project = tomllib.loads(page("pyproject.toml"))["project"]
    expected = sorted(re.split(r"[<>=!~\[; ]", one, maxsplit=1)[0] for one in project["dependencies"])
    assert expected == sorted(first_column(section(page("docs/explanation/design.md"), "## Dependencies")))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_relative_links_resolve(path: Path) -> None:
    """A link or a picture that is no address of the web leads to a file, and its fragment to a heading there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (path.parent / name) if name else path
        assert file.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert fragment in slugs, target


def links(path: Path) -> set[Path]:
    """The files that a page leads to."""
    targets = re.findall(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    return {(path.parent / target).resolve() for target in targets}


def test_every_page_is_linked() -> None:
    """README.md leads to docs/index.md, and the two of them to every other page."""
    readme, index = ROOT / "README.md", ROOT / "docs/index.md"
    assert index in links(readme)
    assert set(PAGES) <= {readme} | links(readme) | links(index)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_make_target_exists(path: Path) -> None:
    """A document names no target of make that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z0-9-]+):", page("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z0-9-]+)", path.read_text(encoding="utf-8"))) <= targets


def test_the_readme_is_short() -> None:
    """README.md has at most 150 lines."""
    assert len(page("README.md").splitlines()) <= 150


def test_the_licence_is_whole() -> None:
    """LICENSE is the text of Apache-2.0, from its title to the end of its appendix."""
    text = page("LICENSE")
    assert re.search(r"Apache License\s+Version 2.0, January 2004\s", text)
    assert text.rstrip().endswith("limitations under the License.")
