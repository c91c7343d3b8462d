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

from scripts.chart import configuration, readme, schema
from scripts.chart.reading import read


if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy/helm/customresource-exporter"


def generated() -> Iterator[tuple[Path, str]]:
    """Give each file that is made without Helm, with what it is to hold."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    values = read(text)
    config = configuration.schema((ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8"))
    made = schema.schema(yaml.safe_load(text), values, config)
    yield CHART / "values.schema.json", json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    page = CHART / "README.md"
    yield page, readme.refreshed(page.read_text(encoding="utf-8"), values)


def main(arguments: list[str] | None = None) -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(prog="python -m scripts.chart", description="Write what deploy/ has of other places.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where something would change")
    options = parser.parse_args(arguments)
    stale = False
    for path, text in generated():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        name = path.relative_to(ROOT)
        if options.check:
            print(f"{name} is not up to date: run `make chart`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
