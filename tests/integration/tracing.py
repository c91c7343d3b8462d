"""Two exporters on one cluster, each with a Collector and a Jaeger behind it; one is left alone, the other is killed.

What a user would see is read at the end: the traces in Jaeger, what its Collector received, the journal. Must never
look into an exporter: the truth is whoever wrote, or a watch of the test's own.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.integration.exporting import Exporter
from tests.rollout.shapes import is_rollout, what_of
from tests.servers.launch import Collector, Jaeger
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.launch import Cluster

SERVICE = "customresource-exporter"
SERVERS = ("collector", "jaeger")
# For a start, 20 s in which an exporter that was killed waits for what it missed, and a slow machine.
_SECONDS = 60.0
LATE_SECONDS = 2  # so much later may a slow machine see something than another one

Span = dict[str, Any]


class Told(NamedTuple):
    """What one exporter told.

    Attributes:
        traces: by their ids, each as its spans, as Jaeger has them
        requests: the spans of each request, as the Collector received them
        records: log records, as the Collector received them
        changes: lines of `changes -o json`

    """

    traces: dict[str, list[Span]]
    requests: list[list[Span]]
    records: list[dict[str, Any]]
    changes: list[dict[str, Any]]

    def rollouts(self) -> dict[str, Span]:
        """All spans of rollouts by what they are: kind, name, generation, result."""
        return {named(span): span for spans in self.traces.values() for span in spans if is_rollout(span)}

    def transitions(self, rollout: Span) -> list[tuple[str, str, str, str, int]]:
        """The stages of a rollout in which a condition moved: its type, before, after, since when, and the end."""
        names = [f"customresource.condition.{name}" for name in ("type", "previous_status", "status")]
        found = []
        for span in self.traces[rollout["trace_id"]]:
            said = span["attributes"]
            type_, before, after = (str(said.get(name, "")) for name in names)
            if span["parent_span_id"] == rollout["span_id"] and not is_rollout(span) and type_ and before != after:
                since = str(said.get("customresource.condition.last_transition_time", ""))[:19]
                found.append((type_, before, after, since, span["end_micros"]))
        return found

    def observed(self, uid: str, resource_version: str) -> str:
        """When the exporter says that it has seen a version."""
        return str(
            next(
                one["observed"]
                for one in self.changes
                if (one["uid"], one["resource_version"]) == (uid, resource_version)
            )
        )


def matters(change: dict[str, Any]) -> bool:
    """Tell whether a change is one that is sent."""
    return not change.get("heartbeat")


def named(span: Span) -> str:
    """Say what a span of a rollout is, and of which object."""
    kind, _, rest = what_of(span).partition(" ")
    return f"{kind} {span['attributes']['customresource.name']} {rest}"


class Lane:
    """One exporter with a Collector and a Jaeger behind it. Made by `lanes`."""

    def __init__(self, exporter: Exporter, collector: Collector, jaeger: Jaeger) -> None:
        self.exporter = exporter
        self._collector = collector
        self._jaeger = jaeger
        self._starting: asyncio.Task[Any] | None = None

    async def sees(self, resource_version: str) -> None:
        """Wait until it has a version in its journal, and with it whatever it saw before."""

        def seen() -> bool:
            return any(one["resource_version"] == resource_version for one in self.exporter.changes("--all"))

        await asyncio.to_thread(eventually, seen, _SECONDS)

    async def kill(self) -> None:
        """Kill it, and start it again while others go on."""
        await self.up()
        self.exporter.kill()
        self._starting = asyncio.create_task(asyncio.to_thread(self.exporter.start))

    async def up(self) -> None:
        """Wait until it is up again."""
        if self._starting is not None:
            await self._starting

    def tells(self, count: int) -> Told:
        """Wait until Jaeger has so many rollouts, and give all that was told by then."""

        def found() -> bool:
            spans = itertools.chain.from_iterable(self._jaeger.traces(SERVICE).values())
            return sum(map(is_rollout, spans)) >= count

        eventually(found, _SECONDS)
        with suppress(AssertionError):  # what is missing is said by the tests, by name
            eventually(self._all_logged, _SECONDS)
            eventually(self._all_passed_on, _SECONDS)
        changes = self.exporter.changes("--all")
        traces = self._jaeger.traces(SERVICE)
        return Told(traces, self._collector.requests_of_spans(), self._collector.records(), changes)

    def _all_logged(self) -> bool:
        """Whether the Collector has a record of each change: it gets them a moment after the journal, and by itself."""
        changes = self.exporter.changes("--all")
        logged = {one["attributes"]["customresource.change.id"] for one in self._collector.records()}
        return logged == {change["id"] for change in changes if matters(change)}

    def _all_passed_on(self) -> bool:
        """Whether Jaeger has each span that the Collector received: it takes in those of a request one by one."""
        received = {span["span_id"] for request in self._collector.requests_of_spans() for span in request}
        return received == {span["span_id"] for spans in self._jaeger.traces(SERVICE).values() for span in spans}


class Lanes(NamedTuple):
    """Who is left alone, and who is killed; the one speaks http/protobuf, the other grpc."""

    steady: Lane
    killed: Lane


@contextmanager
def lanes(cluster: Cluster, directory: Path, config: str) -> Iterator[Lanes]:
    """Start all of it, and end it with the block."""
    with ExitStack() as stack:
        made = []
        for protocol in ("http/protobuf", "grpc"):
            place = directory / protocol.partition("/")[0]
            jaeger = stack.enter_context(Jaeger(place / "jaeger"))
            collector = stack.enter_context(Collector(place / "collector", traces_to=jaeger.otlp_endpoint))
            env = {
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_EXPORTER_OTLP_ENDPOINT": (
                    collector.grpc_endpoint if protocol == "grpc" else collector.http_endpoint
                ),
            }
            exporter = Exporter(cluster.kubeconfig, place / "data", config=config, env=env)
            made.append(Lane(stack.enter_context(exporter), collector, jaeger))
        yield Lanes(*made)


def warnings(told: Told) -> list[str]:
    """What Jaeger has to remark on spans, but that some outlast their parent, which owned objects do."""
    every = [text for spans in told.traces.values() for span in spans for text in span["warnings"]]
    return [text for text in every if not text.startswith("clock skew adjustment disabled")]


def log_leads_to_traces(told: Told) -> None:
    """Hold the ids that log records carry against the spans, and against the journal.

    What is seen of an owned object before its owner's rollout is seen to begin has another trace until then.
    """
    logged = {one["attributes"]["customresource.change.id"]: (one["trace_id"], one["span_id"]) for one in told.records}
    due = filter(matters, told.changes)
    assert logged == {change["id"]: (change.get("trace_id", ""), change.get("span_id", "")) for change in due}
    order = {change["id"]: place for place, change in enumerate(told.changes)}
    rollouts = {span["span_id"]: span for span in told.rollouts().values()}

    def seen_in_order(span: Span) -> bool:
        above = rollouts.get(span["parent_span_id"])
        return above is None or (order[_began(above)] < order[_began(span)] and seen_in_order(above))

    for span in rollouts.values():
        trace, id_ = logged[_began(span)]
        assert id_ == span["span_id"], named(span)
        assert trace == span["trace_id"] or not seen_in_order(span), named(span)


def _began(span: Span) -> str:
    """The change with which a rollout began."""
    return str(span["attributes"]["customresource.change.id"])


def times_are_near(steady: Told, killed: Told) -> None:
    """Hold the times of an exporter that was killed against those of one that was not.

    What is seen within three seconds is not told from what is seen at once; and times in objects are whole seconds.
    """
    there = steady.rollouts()
    for what, span in killed.rollouts().items():
        for name in ("start_micros", "end_micros"):
            later = (span[name] - there[what][name]) / 1e6
            assert -1 - LATE_SECONDS <= later <= 3 + LATE_SECONDS, (what, name)


def differences(one: Told, other: Told) -> list[tuple[str, str, str, Any, Any]]:
    """Where the spans of two exporters differ, but for times and whose they are: the trace, the span, what and how."""
    mine, theirs = _without_times(one), _without_times(other)
    return [
        (*place, name, mine.get(place, {}).get(name), theirs.get(place, {}).get(name))
        for place in sorted(mine.keys() | theirs.keys())
        for name in sorted(mine.get(place, {}).keys() | theirs.get(place, {}).keys())
        if mine.get(place, {}).get(name) != theirs.get(place, {}).get(name)
    ]


def _without_times(told: Told) -> dict[tuple[str, str], dict[str, Any]]:
    """Every span by its ids, with its attributes beside its parts."""
    parts = ("parent_span_id", "name", "links")
    return {
        (span["trace_id"], span["span_id"]): {part: span[part] for part in parts} | span["attributes"]
        for spans in told.traces.values()
        for span in spans
    }
