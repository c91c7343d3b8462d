"""Writes everything in deploy/ that is made of something else, or with `--check` says what is not as it would be.

What needs Helm to be rendered (deploy/kustomize, deploy/manifests) is left out unless `--helm` names the program. Must
never write outside deploy/.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from scripts.chart import configuration, readme, rendering, rules, schema
from scripts.chart.reading import read


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy/helm/customresource-exporter"


def generated() -> Iterator[tuple[Path, str]]:
    """Give each file that is made without Helm, with what it is to hold."""
    text = rules.values((CHART / "values.yaml").read_text(encoding="utf-8"))
    yield CHART / "values.yaml", text
    yield CHART / "files/rules.yaml", rules.content()
    for name, dashboard in rules.dashboards(ROOT / "dashboards"):
        yield CHART / "files/dashboards" / name, dashboard
    values = read(text)
    config = configuration.schema((ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8"))
    made = schema.schema(yaml.safe_load(text), values, {"config": config, **rules.schemas()})
    yield CHART / "values.schema.json", json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    page = CHART / "README.md"
    yield page, readme.refreshed(page.read_text(encoding="utf-8"), values)


def main(arguments: list[str] | None = None) -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.chart", description="Write what deploy/ has of other places."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where something would change")
    parser.add_argument("--helm", type=Path, help="the program; renders deploy/kustomize and deploy/manifests as well")
    options = parser.parse_args(arguments)
    stale = _bring(generated(), check=options.check)
    # The chart first: what is rendered is made of it.
    if options.helm is not None:
        stale |= _bring(rendering.rendered(options.helm, ROOT), check=options.check)
    return 1 if stale and options.check else 0


def _bring(files: Iterable[tuple[Path, str]], *, check: bool) -> bool:
    """Write what is not up to date, or say so; tell whether there was anything."""
    stale = False
    for path, text in files:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} is not up to date: run `make chart`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return stale


if __name__ == "__main__":
    sys.exit(main())
