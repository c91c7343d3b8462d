"""`python -m bench`: runs every case, prints tables, writes bench/results.json and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import subprocess
import time

import msgspec
from rich.console import Console
from rich.table import Table

from bench import machine, page
from bench.cases import CASES, FULL, Size
from bench.figures import Case, Results
from bench.texts import TEXTS
from tests.servers import build


_SERVERS = ("etcd", "kube-apiserver", "kube-state-metrics")
_SMALL = Size(rounds=1, changes=3_000, objects=2_000, types=50, seconds=4.0, rate=200.0)


def show(console: Console, case: Case) -> None:
    """Print a case as a table."""
    head, *lines = page.rows(case)
    table = Table(title=TEXTS[case.name].title, title_justify="left")
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place == 0 else "right")
    for line in lines:
        table.add_row(*(cell.replace("**", "") for cell in line))
    console.print(table)
    for profile in case.profiles:
        console.print(profile.what)
        for one in profile.functions:
            console.print(f"  {one.share:6.1%} {one.name}", highlight=False)


def revision() -> str:
    """Name the state of the sources."""
    program = shutil.which("git")
    if program is None:
        return "an unknown revision"
    command = [program, "describe", "--always", "--dirty"]
    answer = subprocess.run(command, cwd=page.ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - as above
    return answer.stdout.strip() or "an unknown revision"


def main() -> None:
    """Run what is asked for, all by default; what is not run keeps its place on the page, with its date."""
    cases = {**CASES, **FULL}
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"{', '.join(cases)}; by default all but the last")
    parser.add_argument("--full", action="store_true", help="also what takes minutes to prepare")
    parser.add_argument("--small", action="store_true", help="only see that everything still works; writes nothing")
    options = parser.parse_args()
    if unknown := set(options.cases) - cases.keys():
        parser.error(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(cases)}")
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    build.ensure(_SERVERS)
    stamp = {"date": dt.datetime.now(dt.UTC).date().isoformat(), "revision": revision()}
    for name in options.cases or (cases if options.full else CASES):
        console.print(f"{name} …")
        began = time.monotonic()
        case = cases[name](_SMALL if options.small else Size())
        show(console, case)
        if not options.small:
            keep(msgspec.structs.replace(case, seconds=round(time.monotonic() - began), **stamp))


def keep(case: Case) -> None:
    """Write a case, beside what was found of the others on this machine."""
    about = machine.describe()
    held = page.read() if page.RESULTS.exists() else None
    kept = {one.name: one for one in held.cases} if held is not None and held.machine == about else {}
    page.write(Results(machine=about, cases=list({**kept, case.name: case}.values())))


if __name__ == "__main__":
    main()
