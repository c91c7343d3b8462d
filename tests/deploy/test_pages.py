"""What the pages show of values, roles and overlays is what Helm, kustomize and the chart make of it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.deploy.chart import NAME, ROOT, Object, one, render
from tests.docs.pages import first_column, page, section
from tests.docs.session import Session, steps
from tests.servers import build


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("_helm")
INSTALL, PERMISSIONS = "docs/how-to/install.md", "docs/explanation/permissions.md"


def marked(name: str, mark: str) -> Iterator[tuple[str, str]]:
    """The blocks of YAML of a page that carry a mark, by its value."""
    yield from re.findall(rf"^```yaml {mark}=(\S+)\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)


VALUES = [*marked(INSTALL, "values"), *marked(PERMISSIONS, "values")]


@pytest.mark.parametrize(("name", "text"), VALUES, ids=[name for name, _ in VALUES])
def test_values(name: str, text: str, tmp_path: Path) -> None:
    """Helm takes every file of values that a page shows."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert render(tmp_path / name)


def test_roles() -> None:
    """The rules that the page explains are those that the chart gives for the types that it names."""
    told = {role: yaml.safe_load(text)["rules"] for role, text in marked(PERMISSIONS, "role")}
    include = ["cert-manager.io/Certificate", "db.example.com/*"]
    objects = render({"rbac": {"mode": "byGroup"}, "config": {"watch": {"include": include}}})
    given = {
        "discovery": one(objects, "ClusterRole", f"{NAME}-discovery")["rules"],
        "objects": one(objects, "ClusterRole", NAME)["rules"],
    }
    assert told == given


def test_plurals() -> None:
    """The plural that the page corrects is in the role."""
    (text,) = [text for name, text in VALUES if name == "plurals.yaml"]
    rules = one(render(yaml.safe_load(text)), "ClusterRole", f"{NAME}-selected")["rules"]
    assert rules == [{"apiGroups": ["example.com"], "resources": ["indices"], "verbs": ["list", "watch"]}]


def test_every_mode_is_told() -> None:
    """The page has a row for each mode of giving rights, and the chart takes each of these words."""
    told = first_column(section(page(PERMISSIONS), "## Who gives the rights: `rbac.mode`"))
    schema = yaml.safe_load((ROOT / f"deploy/helm/{NAME}/values.schema.json").read_text(encoding="utf-8"))
    modes = schema["properties"]["rbac"]["properties"]["mode"]["enum"]
    assert modes == told


@pytest.mark.usefixtures("_kubectl")
def test_an_overlay_of_ones_own(tmp_path: Path) -> None:
    """The overlay that the page shows has the image and the configuration of whoever writes it."""
    ((_, text),) = marked(INSTALL, "kustomization")
    # kustomize follows no link out of a directory, so the base is copied.
    mine = tmp_path / "overlays/mine"
    mine.mkdir(parents=True)
    (tmp_path / "deploy/kustomize").mkdir(parents=True)
    for path in (ROOT / "deploy/kustomize/base").iterdir():
        (tmp_path / "deploy/kustomize/base").mkdir(exist_ok=True)
        (tmp_path / "deploy/kustomize/base" / path.name).write_bytes(path.read_bytes())
    (mine / "kustomization.yaml").write_text(text, encoding="utf-8")
    (mine / "config.yaml").write_text("cluster: mine\n", encoding="utf-8")
    command: list[str | Path] = [build.required("kubectl"), "kustomize", mine]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    made: list[Object] = [*yaml.safe_load_all(text)]
    assert one(made, "ConfigMap")["data"] == {"config.yaml": "cluster: mine\n"}
    spec = one(made, "StatefulSet")["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == "registry.example.com/customresource-exporter:0.1.0"


def test_what_helm_refuses(tmp_path: Path) -> None:
    """What the page shows in a terminal is what Helm says."""
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    with Session(tmp_path, path=(build.required("helm").parent,)) as reader:
        for step in steps(page(INSTALL)):
            reader.play(step)
