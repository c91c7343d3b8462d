"""What is made of something else in deploy/ is up to date, and says the same as where it comes from."""

from __future__ import annotations

import re
import shutil
import tomllib
from typing import TYPE_CHECKING

import pytest
import yaml

from scripts.chart import __main__ as chart
from scripts.chart import configuration, readme, rendering, schema
from scripts.chart.reading import read
from tests.deploy.chart import CHART, ROOT, refusal, render
from tests.servers import build


if TYPE_CHECKING:
    from pathlib import Path

VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
CONFIGS = ROOT / "tests/config"
# What an ignore rule may hold depends on whose form it has; only the exporter tells.
UNKNOWN_KEYS = sorted(
    path for path in CONFIGS.glob("bad/*-key*.yml") if path.name.startswith(("unknown", "rollout", "drift-u"))
)


def test_what_needs_no_helm() -> None:
    """Schema, README, alerts and dashboards of the chart are what `make chart` would write."""
    assert chart.main(["--check"]) == 0


@pytest.mark.usefixtures("_helm")
def test_what_is_rendered() -> None:
    """deploy/kustomize and deploy/manifests are what the chart gives, and there is no file beside."""
    made = dict(rendering.rendered(build.required("helm"), ROOT))
    for path, text in made.items():
        assert text == path.read_text(encoding="utf-8"), f"{path.relative_to(ROOT)}: run `make chart`"
    there = {path for name in ("kustomize", "manifests") for path in (ROOT / "deploy" / name).rglob("*.yaml")}
    assert {path for path in there if path.name != "kustomization.yaml"} == set(made)


def test_a_stale_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed value whose README was not written anew ends the check with 1 and the name of the file."""
    for name in ("deploy", "docs", "dashboards"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.setattr(chart, "ROOT", tmp_path)
    monkeypatch.setattr(chart, "CHART", tmp_path / CHART.relative_to(ROOT))
    assert chart.main(["--check"]) == 0
    values = tmp_path / CHART.relative_to(ROOT) / "values.yaml"
    values.write_text(VALUES.replace("\nreplicas: 1", "\nreplicas: 0"), encoding="utf-8")
    assert chart.main(["--check"]) == 1
    assert "README.md is not up to date: run `make chart`" in capsys.readouterr().err


def test_versions() -> None:
    """The chart's appVersion, and the label in kustomize, are the version of the program."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert about["appVersion"] == version
    for path in (ROOT / "deploy/kustomize").rglob("kustomization.yaml"):
        said = re.findall(r"app.kubernetes.io/version: (\S+)", path.read_text(encoding="utf-8"))
        assert set(said) <= {version}, path
    page = (ROOT / "docs/how-to/install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"customresource-exporter:(\d\S*)", page)) == {version}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\n", "values.yaml: a has no comment"),
        ("# -- About a\na:\n  b: 1\nc:\n  d: 1\n", "values.yaml: c.d has no comment"),
    ],
)
def test_a_value_without_a_comment(text: str, complaint: str) -> None:
    """A key that nobody explains is an error, unless a key above it is explained."""
    with pytest.raises(ValueError, match=complaint):
        read(text)


def test_how_values_are_read() -> None:
    """Comments over several lines, headings, nested keys and defaults are told as they stand in the file."""
    one, two = read("# ## Top\n# -- About a\n# and more\na: 1\nb:\n  # -- About c\n  c.d: [x]\n")
    assert (one.path, one.default, one.about, one.heading) == (("a",), 1, "About a and more", "Top")
    assert (two.name, two.default) == (r"b.c\.d", ["x"])


def test_a_schema_of_what_is_gone() -> None:
    """What the schema says of a key that values.yaml no longer has is an error."""
    with pytest.raises(ValueError, match=r"values\.yaml has no .*; remove it from the schema"):
        schema.schema({}, [], {})


def test_a_readme_without_a_place() -> None:
    """A README that has no place for the table is an error."""
    with pytest.raises(ValueError, match="write them where the table goes"):
        readme.refreshed("# x\n", [])


def test_a_type_that_is_new() -> None:
    """A key of the exporter's configuration whose type has no schema is an error, not a hole in the schema."""
    with pytest.raises(ValueError, match=r"a\.b is of the type 'colour'"):
        configuration.schema("\n## Every key\n\n| `a.b` | colour | none |\n")


@pytest.mark.usefixtures("_helm")
@pytest.mark.parametrize("path", sorted(CONFIGS.glob("good/*.yml")), ids=lambda path: path.stem)
def test_a_configuration_that_the_exporter_takes(path: Path) -> None:
    """The chart takes every configuration that the exporter takes."""
    config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    render({"config": config, "rbac": {"allowSecrets": True}})


@pytest.mark.usefixtures("_helm")
@pytest.mark.parametrize("path", UNKNOWN_KEYS, ids=lambda path: path.stem)
def test_a_configuration_with_an_unknown_key(path: Path) -> None:
    """A key that the exporter does not know is refused by the chart, before anything is installed."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert "additional properties" in refusal({"config": config})
