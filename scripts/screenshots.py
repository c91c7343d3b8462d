"""Pictures of the dashboards from real data, drawn with Grafana's own component library: `make screenshots`.

The whole stack is started, the story is told, each panel's queries are asked, and what comes back is drawn by the page
in `dashboards/preview`. It is not Grafana that draws, and the picture says so. Must never invent a value.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from exporter.sandbox.screen import Screen
from tests.e2e.panels import OF_ONE, ask, chosen, dashboards, filled, panels, queries
from tests.e2e.stack import DASHBOARDS, Stack
from tests.e2e.story import DRIFT, OBJECTS, tell


if TYPE_CHECKING:
    from tests.e2e.panels import Query

_PREVIEW = DASHBOARDS / "preview"
_OUT = Path(__file__).parents[1] / "docs" / "screenshots"
_NOT_GRAFANA = "real data, drawn with Grafana's component library, not by Grafana"
_SOURCES = ("datasource", "loki", "tempo")
_NO_TEMPO = "Asked of Tempo, which is not part of this stack"
_WORD = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_SETTLE_SECONDS = 20
_WINDOW_SECONDS = 120


def main() -> int:
    """Draw all dashboards, or those that are named; give the exit code."""
    names = [file.stem for file in dashboards()]
    parser = argparse.ArgumentParser(description="Draw the dashboards from real data.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of a dashboard: {', '.join(names)}; by default all")
    options = parser.parse_args()
    screen = Screen(sys.stdout)
    with TemporaryDirectory(prefix="customresource-exporter-screenshots-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder), drift=DRIFT, tell=screen.good)
        try:
            stack.start()
            tell(stack)
            time.sleep(_SETTLE_SECONDS)  # a curve needs more than one point
            for file in dashboards():
                if not options.names or file.stem in options.names:
                    (_PREVIEW / "dist" / "data.json").write_text(json.dumps(page_of(stack, file)), encoding="utf-8")
                    draw(_OUT / f"{file.stem}.png")
                    screen.good(f"docs/screenshots/{file.stem}.png")
        finally:
            stack.stop()
    return 0


def page_of(stack: Stack, file: Path) -> dict[str, Any]:
    """Give what the page needs to draw a dashboard: its panels, and the answers to their queries."""
    variables = chosen(file, **(OBJECTS[0] if file.stem == OF_ONE else {}))
    asked: dict[int, list[Query]] = {}
    for query in queries(file):
        asked.setdefault(query.panel["id"], []).append(query)
    # One time for all, as Grafana has it: by it the answers of a table are merged.
    now = time.time()
    drawn = []
    for panel in panels(file):
        frames: list[dict[str, Any]] = []
        for query in asked.get(panel["id"], []):
            if query.language != "tempo":
                several = len(asked[panel["id"]]) > 1
                frames += _frames(query, ask(stack, query, variables, now), several=several)
        note = _NO_TEMPO if any(query.language == "tempo" for query in asked.get(panel["id"], [])) else None
        drawn.append({"panel": panel | {"title": filled(panel["title"], variables)}, "frames": frames, "note": note})
    shown = {name: "All" if value == ".*" else value for name, value in variables.items() if name not in _SOURCES}
    return {
        "title": json.loads(file.read_text("utf-8"))["title"],
        "subtitle": _NOT_GRAFANA,
        "from": int((now - _WINDOW_SECONDS) * 1000),
        "to": int(now * 1000),
        "variables": shown,
        "panels": drawn,
    }


def draw(picture: Path) -> None:
    """Let a browser draw the page that was built, with the data that lies beside it."""
    node = shutil.which("node")
    if node is None:
        raise SystemExit("there is no node on the PATH: install Node.js, which draws the page")
    picture.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([node, "shoot.mjs", "dist", picture], cwd=_PREVIEW, check=True)


def _frames(query: Query, answer: list[dict[str, Any]], *, several: bool) -> list[dict[str, Any]]:
    """Turn an answer into data frames as Grafana's data sources do."""
    if query.target.get("format") == "table" and query.language == "prometheus":
        return [_table(query, answer, several=several)]
    if query.target.get("queryType") == "instant" and query.language == "loki":
        return [_table(query, answer, several=True)]  # so Grafana's data source names the value
    if answer and "stream" in answer[0]:
        rows = sorted(((int(at), line) for one in answer for at, line in one["values"]), reverse=True)
        return [
            {
                "refId": query.target["refId"],
                "fields": [
                    {"name": "Time", "type": "time", "values": [at // 1_000_000 for at, _ in rows]},
                    {"name": "Line", "type": "string", "values": [line for _, line in rows]},
                ],
            }
        ]
    return [_series(query, one) for one in answer]


def _series(query: Query, one: dict[str, Any]) -> dict[str, Any]:
    labels = one["metric"]
    values = one["values"] if "values" in one else [one["value"]]
    legend = query.target.get("legendFormat") or ""
    name = _WORD.sub(lambda found: labels.get(found[1], ""), legend) if legend not in ("", "__auto") else ""
    name = name or ", ".join(value for key, value in labels.items() if key != "__name__") or "Value"
    return {
        "refId": query.target["refId"],
        "fields": [
            {"name": "Time", "type": "time", "values": [int(float(at) * 1000) for at, _ in values]},
            {
                "name": "Value",
                "type": "number",
                "labels": labels,
                "values": [_number(value) for _, value in values],
                "config": {"displayNameFromDS": name},
            },
        ],
    }


def _table(query: Query, answer: list[dict[str, Any]], *, several: bool) -> dict[str, Any]:
    names = sorted({name for one in answer for name in one["metric"]})
    ref = query.target["refId"]
    return {
        "refId": ref,
        "fields": [
            {"name": "Time", "type": "time", "values": [int(float(one["value"][0]) * 1000) for one in answer]},
            *(
                {"name": name, "type": "string", "values": [one["metric"].get(name, "") for one in answer]}
                for name in names
            ),
            {
                "name": f"Value #{ref}" if several else "Value",
                "type": "number",
                "values": [_number(one["value"][1]) for one in answer],
            },
        ],
    }


def _number(text: str) -> float | None:
    """Read a value; JSON has no word for what is not a number."""
    return None if text in ("NaN", "+Inf", "-Inf") else float(text)


if __name__ == "__main__":
    sys.exit(main())
