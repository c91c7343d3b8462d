"""The cases of a full run: which programs of this package are started, with what size, and what their answers mean.

Each is a process of its own, so that no case finds the memory of the one before.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, convert

from bench.figures import Case, Figure, Hot, Profile, alone, compared


if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.objects import Sort

_SORTS: tuple[Sort, ...] = ("created", "spec", "status", "heartbeat", "metadata", "ownership", "noop", "deleted")
_GOAL, _GOAL_DELIVERED = 20_000.0, 15_000.0
_PEER_SHARE = 0.4
_GOAL_JUDGED, _GOAL_JUDGED_STATUS = 60.0, 15.0
_KEPT = 0.95
_SMALL, _LARGE = 2, 10
_SECONDS = 900
_CLIENT = "the official client, decoding alone"


class Size(Struct, frozen=True, kw_only=True):
    """How much of everything."""

    rounds: int = 3
    changes: int = 20_000
    objects: int = 100_000
    types: int = 1_000
    seconds: float = 15.0
    rate: float = 500.0


def run(program: str, *arguments: object) -> Any:  # noqa: ANN401 - JSON is any
    """Run a program of this package, and read the line that it prints."""
    command = [sys.executable, "-m", f"bench.{program}", *map(str, arguments)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, timeout=_SECONDS, check=True)  # noqa: S603 - our own
    return msgspec.json.decode(answer.stdout)


class _Saturated(Struct, frozen=True):
    """One line of that table: its name, how it is run, the goal if it has one."""

    what: str
    arguments: tuple[object, ...]
    goal: float | None

    def figure(self, rounds: int) -> Figure:
        runs = run("pipeline", *self.arguments, "--rounds", rounds)
        ours = [one["per_second"] for one in runs]
        return compared(self.what, ours, [round(1e6 / one["client_micros"]) for one in runs], "/s", goal=self.goal)

    def profile(self) -> Profile:
        found = run("pipeline", *self.arguments, "--profile")
        return Profile(self.what, convert(found, list[Hot]))


def saturated(size: Size) -> Case:
    """Watch bytes to journal, one core."""
    # The lines of a round are made before it and held in memory: of large ones there are fewer.
    small, large = ("--changes", size.changes), ("--size", _LARGE, "--changes", max(2_000, size.changes // 8))
    bare = (*small, "--without", "drift", "rollout")
    todo = [_Saturated(f"{sort}, {_SMALL} KiB, diff and writer alone", (sort, *bare), _GOAL) for sort in _SORTS]
    todo += [_Saturated(f"{sort}, {_SMALL} KiB", (sort, *small), _GOAL) for sort in _SORTS]
    for what, name in (("drift not judged", "drift"), ("rollouts not followed", "rollout")):
        todo.append(_Saturated(f"spec, {_SMALL} KiB, {what}", ("spec", *small, "--without", name), _GOAL))
    spread = ("spec", *small, "--objects", size.changes)
    todo.append(_Saturated(f"spec, {_SMALL} KiB, over {size.changes:,} objects", spread, _GOAL))
    named = ("spec", *small, "--suspicious")
    todo.append(_Saturated(f"spec, {_SMALL} KiB, each object names a Secret", named, _GOAL))
    longer = ("mix", "--changes", 3 * size.changes)
    todo.append(_Saturated(f"1/3 spec, 2/3 status, {_SMALL} KiB, {3 * size.changes:,} changes", longer, _GOAL))
    todo += [_Saturated(f"{sort}, {_LARGE} KiB", (sort, *large), None) for sort in _SORTS]
    delivered = ("mix", *small, "--deliver", "http/protobuf")
    todo.append(_Saturated(f"1/3 spec, 2/3 status, {_SMALL} KiB, delivered to OTLP", delivered, _GOAL_DELIVERED))
    figures = [one.figure(size.rounds) for one in todo]
    missed = [(figure.value.median, place) for place, figure in enumerate(figures) if figure.met is False]
    # The worst of those with the diff and the writer alone, and the worst of all.
    worst = [min(some)[1] for some in ([one for one in missed if one[1] < len(_SORTS)], missed) if some]
    return Case(
        name="saturated",
        beside=_CLIENT,
        figures=figures,
        profiles=[todo[place].profile() for place in dict.fromkeys(worst)],
    )


def real_server(size: Size) -> Case:
    """CPU per change on a real API server, beside kube-state-metrics."""
    found = run("real", "--rate", size.rate, "--seconds", size.seconds, "--rounds", size.rounds)
    figures = []
    for name, rounds in found["rounds"].items():
        ours, theirs = ([one[whose] for one in rounds] for whose in ("exporter", "beside"))
        what = f"CPU per change, {name}"
        figures.append(compared(what, ours, theirs, "µs", goal_ratio=_PEER_SHARE))
        memory = [one["exporter_peak"] for one in rounds]
        figures.append(compared(f"RSS at most, {name}", memory, [one["beside_peak"] for one in rounds], "MiB"))
        # A machine that cannot keep the rate has not measured what was asked for.
        reached = [one["changes_per_second"] for one in rounds]
        figures.append(alone(f"changes, {name}", reached, "/s", goal=_KEPT * size.rate))
    missed = any(figure.met is False for figure in figures)
    hot = run("real", "--rate", size.rate, "--seconds", size.seconds, "--profile") if missed else []
    return Case(
        name="real",
        beside="kube-state-metrics, beside it in the same run",
        figures=figures,
        profiles=[Profile(f"{size.rate:g} changes/s", convert(hot, list[Hot]))] if missed else [],
    )


def many(size: Size) -> Case:
    """Many objects, restart, many types."""
    runs = run("start", "--objects", size.objects, "--changes", size.objects // 2, "--rounds", size.rounds)
    (each,) = run("start", "--objects", size.objects, "--changes", size.objects // 2, "--people")
    idle = run("start", "--idle", "--types", size.types)

    def of(name: str) -> list[float]:
        return [one[name] for one in runs]

    count, changes = f"{size.objects:,} objects", f"{size.objects // 2:,} changes"
    return Case(
        name="starts",
        figures=[
            alone(f"first start, {count}: until ready", of("ready"), "s", goal=12.0),
            alone(f"first start, {count}: until all is in the journal", of("committed"), "s"),
            alone(f"first start, {count}: CPU", of("cpu"), "s"),
            alone(f"first start, {count}: RSS at most", of("peak"), "MiB", goal=200.0),
            alone(f"{count}: RSS afterwards", of("later"), "MiB", goal=200.0),
            alone(f"{count}, each with a series of its own: RSS at most", [each["peak"]], "MiB"),
            alone(f"{count}, each with a series of its own: RSS afterwards", [each["later"]], "MiB"),
            alone(f"{changes} at once, over TLS", of("changes_per_second"), "/s"),
            alone(f"start after SIGKILL, {count}, {changes}: until ready", of("restart_ready"), "s", goal=5.0),
            alone(f"start after SIGKILL, {count}, {changes}: RSS at most", of("restart_peak"), "MiB", goal=200.0),
            alone(f"journal with {count} and {changes}", of("journal_mib"), "MiB"),
            alone(f"{size.types:,} types, idle: until ready", [idle["ready"]], "s"),
            alone(f"{size.types:,} types, idle: RSS", [idle["rss"]], "MiB", goal=200.0),
            alone(f"{size.types:,} types, idle: CPU", [idle["cpu"]], "ms/s"),
        ],
    )


def many_on_real(size: Size) -> Case:
    """Many objects on a real API server; takes minutes."""
    (one,) = run("start", "--real", "--objects", size.objects)
    count = f"{size.objects:,} objects"
    return Case(
        name="starts-real",
        figures=[
            alone(f"first start, {count}: until ready", [one["ready"]], "s", goal=12.0),
            alone(f"first start, {count}: until all is in the journal", [one["committed"]], "s"),
            alone(f"first start, {count}: RSS at most", [one["peak"]], "MiB", goal=200.0),
            alone(f"{count}: RSS afterwards", [one["later"]], "MiB", goal=200.0),
            alone(f"start after SIGKILL, {count}: until ready", [one["restart_ready"]], "s", goal=5.0),
        ],
    )


def delivery(size: Size) -> Case:
    """A backlog in the journal, to an OTLP endpoint."""
    found = run("deliver", "--changes", size.changes, "--rounds", size.rounds)
    figures: list[Figure] = []
    for protocol, runs in found.items():
        figures.append(alone(f"{protocol}: records", [one["per_second"] for one in runs], "/s", goal=_GOAL_DELIVERED))
        figures.append(alone(f"{protocol}: CPU per record", [one["micros"] for one in runs], "µs"))
    return Case(name="delivery", figures=figures)


def judged(size: Size) -> Case:
    """What the judgement of drift costs, beside the diff of the same pair of versions."""
    found = run("judged", "--changes", max(200, size.changes // 10), "--rounds", max(3, size.rounds))
    figures = []
    for name, rounds in found.items():
        ours, theirs = ([one[what] for one in rounds] for what in ("judged", "diffed"))
        goal = _GOAL_JUDGED_STATUS if name == "status" else _GOAL_JUDGED
        figures.append(compared(f"{name}, {_SMALL} KiB", ours, theirs, "µs", goal=goal))
    return Case(name="judged", beside="the diff of the same two versions", figures=figures)


def rollouts(size: Size) -> Case:
    """What a rollout costs."""
    runs = run("rollouts", "--rollouts", max(500, size.changes // 4), "--rounds", size.rounds)

    def of(name: str) -> list[float]:
        return [one[name] for one in runs]

    return Case(
        name="rollouts",
        figures=[
            alone("CPU per rollout: four versions followed, told when it ends", of("follow"), "µs"),
            alone("CPU per rollout: encoded as spans", of("encode"), "µs"),
            alone("a rollout in the journal", of("record"), "bytes"),
            alone("a rollout as spans", of("spans"), "bytes"),
            alone("kept of an object after its rollout was told", of("kept"), "bytes"),
        ],
    )


# In the order of the page.
CASES: dict[str, Callable[[Size], Case]] = {
    "saturated": saturated,
    "real": real_server,
    "starts": many,
    "delivery": delivery,
    "judged": judged,
    "rollouts": rollouts,
}
FULL: dict[str, Callable[[Size], Case]] = {"starts-real": many_on_real}
