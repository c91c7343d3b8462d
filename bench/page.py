"""`python -m bench.page`: writes docs/benchmarks.md from bench/results.json. Pure, but for those two files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.figures import Case, Figure, Profile, Results, Value
from bench.texts import TEXTS


ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"

_INTRODUCTION = """
# Benchmarks

<!-- Written by `python -m bench.page` from bench/results.json: change those, not this page. -->

What the exporter costs, measured beside what others cost for the same work in the same run. `make bench` does all of
it again and writes this page; `make bench FULL=1` adds what takes longest.

A figure is the median of its rounds, with the lowest and the highest behind it. Machines differ: take the ratios.
""".strip()


def number(what: float) -> str:
    """Write a number as people read it: three digits that matter, thousands apart."""
    if abs(what) >= 1_000:  # noqa: PLR2004 - below, every digit is shown
        return f"{what:,.0f}"
    return f"{what:.3g}" if abs(what) < 100 else f"{what:.0f}"  # noqa: PLR2004


def cell(value: Value | None) -> str:
    """Write a value with its unit and its range."""
    if value is None:
        return ""
    shown = f"{number(value.median)} {value.unit}"
    return shown if value.rounds == 1 else f"{shown} ({number(value.low)} to {number(value.high)})"


def goal(figure: Figure) -> str:
    """Write what a figure is to reach."""
    sign = "≥" if figure.value.unit == "/s" else "≤"
    if figure.goal is not None:
        return f"{sign} {number(figure.goal)} {figure.value.unit}"
    return f"{sign} {number(figure.goal_ratio)}" if figure.goal_ratio is not None else ""


def verdict(figure: Figure) -> str:
    """Say whether the goal is met."""
    return {True: "met", False: "**missed**", None: ""}[figure.met]


def rows(case: Case) -> list[list[str]]:
    """Make the lines of a table, the head first; columns that no line needs are left out."""
    table = [["", "here", case.beside, "ratio", "goal", ""]]
    for one in case.figures:
        ratio = "" if one.ratio is None else f"{number(one.ratio)}"
        table.append([one.what, cell(one.value), cell(one.beside), ratio, goal(one), verdict(one)])
    needed = [place for place in range(len(table[0])) if any(line[place] for line in table[1:])]
    return [[line[place] for place in needed] for line in table]


def page(results: Results) -> str:
    """Write the whole page."""
    about = ", ".join(f"{name} {text}" for name, text in results.machine.items())
    parts = [
        _INTRODUCTION,
        _wrapped(f"The machine: {about}."),
        *map(_section, sorted(results.cases, key=lambda case: list(TEXTS).index(case.name))),
    ]
    return "\n\n".join(parts) + "\n"


def _section(case: Case) -> str:
    head, *lines = rows(case)
    table = [_line(head), _line(["---"] * len(head)), *(_line(line) for line in lines)]
    told = f"Measured on {case.date} at {case.revision}, in {number(case.seconds)} s."
    text = TEXTS[case.name]
    parts = [f"## {text.title}", text.body, "\n".join(table), told]
    parts += map(_profile, case.profiles)
    return "\n\n".join(parts)


def _profile(profile: Profile) -> str:
    lines = [f"- {one.share:.1%} {one.name}" for one in profile.functions]
    told = f"Where the CPU time goes in “{profile.what}”; a function's share has what it calls outside Python in it:"
    return "\n".join([_wrapped(told), "", *lines])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _wrapped(text: str, width: int = 120) -> str:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def read() -> Results:
    """Read the results of the last run."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Results)


def write(results: Results) -> None:
    """Write results and page."""
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    PAGE.write_text(page(read()), encoding="utf-8")
