"""Writes the tables that the program itself can tell: commands, flags, metrics, ignore rules, what proves what.

In a page, `<!-- generated: commands -->`, `… flags NAME -->`, `… metrics GLOB… -->`, `… ignored -->`,
`… mechanisms -->` or `… alerts -->` begins such a table and `<!-- end -->` ends it; what is between is replaced
(`make docs`), or compared (`--check`). What has no table anywhere is an error, so that nothing new stays unsaid. Must
never touch the prose around the tables.
"""

from __future__ import annotations

import argparse
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards.source.alerts import ALERTS
from dashboards.source.rules import runbook
from exporter import cli
from exporter.drift.fights import Field, Fights
from exporter.drift.held import Episode, Held
from exporter.drift.pack import PACK
from exporter.drift.rules import IgnoreRule, Match
from exporter.drift.values import Evaluation, Memory
from exporter.metrics.changes import ChangeMetrics
from exporter.metrics.drift import DriftMetrics
from exporter.metrics.families import Families
from exporter.metrics.health import Health
from exporter.metrics.rollouts import RolloutMetrics
from exporter.model import Change, ObjectKey, Writer
from exporter.records import Finding, Rollout, State, Transition
from exporter.rollout.readiness import Condition
from exporter.rollout.values import Kept, encode
from exporter.timestamps import now
from scripts.mutations import MUTATIONS


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).parent.parent
_MARKED = re.compile(r"(<!-- generated: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)
_DEFAULT = re.compile(r" \((?:default: %\(default\)s|else [^()]*)\)$")

Row = tuple[str, ...]


def commands() -> Mapping[str, argparse.ArgumentParser]:
    """Give the commands of the program by name."""
    actions = cli._parser()._actions  # noqa: SLF001 - argparse has no other way to be asked
    chosen = next(action for action in actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
    return dict(chosen.choices)


def command_rows() -> Iterator[Row]:
    """What each command does, in its own words."""
    for name, parser in commands().items():
        yield f"`{name}`", _sentence(parser.description or "")


def flag_rows(name: str) -> Iterator[Row]:
    """The flags of a command: how each is written, its default, what it means."""
    for action in commands()[name]._actions:  # noqa: SLF001 - as above
        if not action.option_strings or "--help" in action.option_strings:
            continue
        value = action.metavar or "|".join(action.choices or ())
        words = [action.option_strings[-1], *([value] if action.nargs != 0 else [])]
        said = action.help or ""
        otherwise = re.search(r" \(else ([^()]*)\)$", said)
        if isinstance(action.default, str) and action.default != argparse.SUPPRESS:
            default = f"`{action.default}`"
        else:
            default = _words(otherwise[1]) if otherwise else ""
        yield f"`{' '.join(map(str, words))}`".replace("|", r"\|"), default, _words(_DEFAULT.sub("", said))


def metric_rows() -> dict[str, Row]:
    """Every family by the name that a scrape shows, with its type, its labels and its help."""
    shown = _page_of_changes()
    rows: dict[str, Row] = {
        name: (f"`{name}`", kind, _labels(re.findall(r'(\w+)="', _first_sample(shown, name))), _words(text))
        for name, text, kind in re.findall(r"^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$", shown, re.MULTILINE)
    }
    health = Health()
    declared = {one._name: one._labelnames for one in vars(health).values() if hasattr(one, "_labelnames")}  # noqa: SLF001
    for family in health.registry.collect():
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        own = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        labels = declared.get(family.name) or sorted(own)
        rows[name] = f"`{name}`", family.type, _labels(labels), _words(family.documentation)
    return rows


def ignored_rows() -> Iterator[Row]:
    """What the shipped ignore rules leave out: why, in which objects, which fields, on what condition."""
    for rule in PACK:
        yield _words(rule.reason), _objects(rule.match), _all_of(rule.paths), _conditions(rule)


def alert_rows() -> Iterator[Row]:
    """The shipped alerts: name and runbook, severity, what they say, and their threshold and times."""
    for alert in ALERTS:
        name = f"[`{alert.name}`](../../dashboards/runbooks/{runbook(alert)})"
        threshold = f"{alert.threshold:g} {alert.unit}" if alert.threshold is not None else "–"  # noqa: RUF001 - a dash
        yield name, alert.severity, _words(alert.summary), threshold, *_durations(alert.for_, alert.keep_firing_for)


def mechanism_rows() -> Iterator[Row]:
    """Each mechanism that `scripts/mutations.py` takes away, and the tests that fail without it."""
    for mutation in MUTATIONS:
        yield mutation.mechanism, ", ".join(f"`{test.removeprefix('tests/')}`" for test in mutation.tests)


def table(about: str) -> str:
    """Make the table that a marker asks for.

    Raises:
        ValueError: there is no such table

    """
    what, *names = about.split()
    if what == "commands":
        return _table(("Command", "What it does"), command_rows())
    if what == "flags":
        return _table(("Flag", "Default", "Meaning"), flag_rows(names[0]))
    if what == "metrics":
        rows = metric_rows()
        chosen = [row for name, row in rows.items() if any(fnmatchcase(name, glob) for glob in names)]
        return _table(("Metric", "Type", "Labels", "Meaning"), chosen)
    if what == "ignored":
        return _table(("Why", "Objects", "Fields", "Only"), ignored_rows())
    if what == "alerts":
        return _table(("Alert", "Severity", "When", "More than", "Lasts before", "Goes on"), alert_rows())
    if what == "mechanisms":
        return _table(("Mechanism", "Red without it, in `tests/`"), mechanism_rows())
    msg = f"there is no table {about!r}"
    raise ValueError(msg)


def refreshed(text: str) -> str:
    """Give a page with its tables made anew."""
    return _MARKED.sub(lambda found: f"{found[1]}{table(found[2])}{found[3]}", text)


def unsaid(pages: Iterable[str]) -> Iterator[str]:
    """Name what the program has and no table tells, and what two tables tell."""
    markers = [found[2].split() for page in pages for found in _MARKED.finditer(page)]
    tables = [names[0] for what, *names in markers if what == "flags"]
    globs = [names for what, *names in markers if what == "metrics"]
    for name in commands():
        if any(flag_rows(name)) and tables.count(name) != 1:
            yield f"the flags of {name} have {tables.count(name)} tables"
    for what, things in (("ignored", "the shipped ignore rules"), ("alerts", "the shipped alerts")):
        count = [one for one, *_ in markers].count(what)
        if count != 1:
            yield f"{things} have {count} tables"
    for metric in metric_rows():
        count = sum(any(fnmatchcase(metric, glob) for glob in names) for names in globs)
        if count != 1:
            yield f"{metric} is in {count} tables"


def main() -> int:
    """Write the tables, or with `--check` tell where they are not what they would be."""
    parser = argparse.ArgumentParser(description="Write the tables of the reference that the program itself can tell.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where something would change")
    parser.add_argument("docs", type=Path, nargs="?", default=ROOT / "docs", help="directory (default: %(default)s)")
    options = parser.parse_args()
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(options.docs.rglob("*.md"))}
    complaints = list(unsaid(pages.values()))
    for path, text in pages.items():
        fresh = refreshed(text)
        if fresh == text:
            continue
        if options.check:
            complaints.append(f"{path} is not up to date: run `make docs`")
        else:
            path.write_text(fresh, encoding="utf-8")
            print(f"wrote {path}")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def _page_of_changes() -> str:
    """What /metrics shows of one change, one drift and one rollout: all that the families need to show their labels."""
    change = Change(
        id="", observed=now(), event="modified", change="spec", group="g", version="v1", kind="K", namespace="n",
        name="x", uid="u", resource_version="1", writer=Writer(source="unresolved"),
    )  # fmt: skip
    changes, health = ChangeMetrics(), Health()
    changes.objects(change.group, change.kind, change.namespace, 1)
    changes.count([change])
    drift = DriftMetrics(lambda _, resource: resource, 1, health.series_dropped)
    key = ObjectKey(change.group, change.kind, change.namespace, change.name)
    fight = Field("/spec", (("a", ""), ("b", "")), began=1)
    found = Evaluation(findings=(Finding(path="/a"),), additions=(Finding(path="/b"),), flags=("missing",))
    episode = Episode(change.observed, "observed", 1, cause="human")
    held = Held("u", change.kind, "drifted", found, Memory(), episode, fights=Fights((fight,)))
    state = held.keep(None)
    drift.load({(change.group, change.kind, change.namespace, state.tally): 1}, [(key, change.kind, state)])
    drift.count(
        [
            Transition(
                id="", event="drift.closed", observed=change.observed, verdict=held.verdict(key), resolved_by="human",
                duration=1.0,
            )
        ]
    )  # fmt: skip
    rollouts = RolloutMetrics(lambda _, resource: resource, 1, health.series_dropped)
    told = _rollout(change)
    bad = Condition("Ready", "False", since=change.observed)
    kept = Kept(uid="u", group=change.group, kind=change.kind, overdue=told, unready=(bad,))
    rollouts.count([told])
    rollouts.feed([(key, change.kind, State(encode(kept), kept.tally, shown=True))])
    return Families(changes, drift, rollouts).render(openmetrics=False).decode()


def _rollout(change: Change) -> Rollout:
    """A rollout that a change has begun, and that has ended."""
    return Rollout(
        id="", trace="", span="", opened="spec", result="converged", generation=1,
        version=change.version, uid=change.uid,
        **{name: getattr(change, name) for name in ("group", "kind", "namespace", "name", "observed")},
        started=change.observed, ended=change.observed,
    )  # fmt: skip


def _first_sample(page: str, name: str) -> str:
    return next(line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name}_sum{{")))


def _durations(*given: str) -> Row:
    return tuple(one or "–" for one in given)  # noqa: RUF001 - as above


def _labels(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"  # noqa: RUF001 - a dash, where there is nothing


def _objects(match: Match) -> str:
    if match == Match():
        return "all"
    named = f" named `{match.name}`" if match.name != "*" else ""
    return f"`{match.group}/{match.kind}`{named}".replace("|", r"\|")


def _conditions(rule: IgnoreRule) -> str:
    said = [f"written by {_all_of(rule.managers)}"] if rule.managers else []
    if rule.classes:
        said.append(f"written by the class {_all_of(rule.classes)}")
    if rule.when_equal_default:
        said.append("while it is the schema's default")
    return ", ".join(said)


def _all_of(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words).replace("|", r"\|")


def _sentence(text: str) -> str:
    return _words(text.removesuffix("."))


def _words(text: str) -> str:
    """Write help as a cell: without the period of a sentence that stands alone, and safe in a table."""
    return text.removesuffix(".").replace("|", r"\|").replace("*", r"\*")


def _table(headings: Row, rows: Iterable[Row]) -> str:
    rule = "|".join(["---"] * len(headings))
    head, *body = (f"| {' | '.join(cells)} |\n" for cells in (headings, *rows))
    return "".join((head, f"|{rule}|\n", *body))


if __name__ == "__main__":
    sys.exit(main())
