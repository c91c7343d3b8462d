"""Tests of `exporter.delivery`: the loop against a journal in memory and a consumer that does as it is told.

No test waits: `Clock.sleep` moves the time on at once, and ends the delivery when the time is up.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.delivery import Delivery
from exporter.metrics.health import PREFIX, Health
from exporter.model import UNRESOLVED, Change
from exporter.timestamps import from_nanoseconds
from exporter.verdicts import Done, Misconfigured, Poison, Retry, Verdict


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.records import Record

START = 1_800_000_000_000_000_000


class FakeJournal:
    """The journal's part that delivery sees."""

    def __init__(self, names: Sequence[str] = (), *, cursor: int = 0) -> None:
        self.rows: dict[int, Record] = {}
        self.cursors = {"test": cursor}
        self.buried: list[tuple[int, str]] = []
        self.failing = 0
        self.target = sys.maxsize
        self.reached: Callable[[], None] = lambda: None
        self._last = 0
        self._more = asyncio.Event()
        self.commit(*names)

    def commit(self, *names: str) -> None:
        """Append changes and wake whoever waits."""
        for name in names:
            self._last += 1
            self.rows[self._last] = change(name)
        self._more.set()

    def head(self) -> int:
        """Give the newest number."""
        return self._last

    def after(self, seq: int, limit: int) -> list[tuple[int, Record]]:
        """Give what follows."""
        return [row for row in self.rows.items() if row[0] > seq][:limit]

    async def wait(self, seq: int) -> None:
        """Wait for a commit."""
        while self._last <= seq:
            self._more.clear()
            await self._more.wait()

    def cursor(self, consumer: str) -> int:
        """Give the cursor; a new one is at the head."""
        return self.cursors.setdefault(consumer, self._last)

    def advance(self, consumer: str, seq: int, *, buried: Sequence[tuple[int, str]] = ()) -> None:
        """Move the cursor."""
        if self.failing:
            self.failing -= 1
            raise OSError(28, "No space left on device")
        self.cursors[consumer] = seq
        self.buried.extend(buried)
        if seq >= self.target:
            self.reached()


@dataclass
class FakeConsumer:
    """Judges a batch by what `answer` says of its names; keeps what it has taken."""

    answer: Callable[[list[str]], Verdict]
    name: str = "test"
    requests: list[list[str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    closed: bool = False

    def matters(self, record: Record) -> bool:
        """Leave out heartbeats."""
        return isinstance(record, Change) and not record.heartbeat

    async def send(self, records: Sequence[Record]) -> Verdict:
        """Take a batch or not."""
        names = [record.name for record in records if isinstance(record, Change)]
        self.requests.append(names)
        verdict = self.answer(names)
        if isinstance(verdict, Done):
            self.taken.extend(names)
        return verdict

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


class Clock:
    """A time that moves when somebody sleeps; calls `up` when `limit` seconds are over."""

    def __init__(self, limit: float = 0.0, up: Callable[[], None] = lambda: None) -> None:
        self.slept: list[float] = []
        self.limit = limit
        self.up = up

    def now(self) -> int:
        """Tell the time."""
        return START + round(sum(self.slept) * 1e9)

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        if sum(self.slept) > self.limit:
            self.up()
        await asyncio.sleep(0)


class Scene:
    """A delivery with everything around it."""

    def __init__(
        self, journal: FakeJournal, answer: Callable[[list[str]], Verdict], *, limit: float = 0.0, batch: int = 8
    ) -> None:
        self.journal = journal
        self.consumer = FakeConsumer(answer)
        self.health = Health()
        self.clock = Clock(limit)
        self.delivery = Delivery(
            journal,
            self.consumer,
            self.health,
            batch=batch,
            sleep=self.clock.sleep,
            clock=self.clock.now,
            draw=lambda: 0.0,
        )
        self.clock.up = self.delivery.stop

    async def drain(self) -> None:
        """Deliver what there is, then stop."""
        self.delivery.stop()
        await self.delivery.run()

    async def until(self, seq: int) -> None:
        """Deliver up to a number, then stop."""
        self.journal.target, self.journal.reached = seq, self.delivery.stop
        await self.delivery.run()

    def metric(self, name: str, **labels: str) -> float | None:
        """Read one of the delivery's metrics."""
        return self.health.registry.get_sample_value(f"{PREFIX}_delivery_{name}", {"consumer": "test"} | labels)


def change(name: str) -> Change:
    """Make a change; a name that begins with `-` is a heartbeat's."""
    return Change(
        id=name,
        observed=from_nanoseconds(START),
        event="modified",
        change="spec",
        version="v1",
        kind="Widget",
        name=name,
        uid="u",
        writer=UNRESOLVED,
        heartbeat=name.startswith("-"),
    )


def numbered(count: int) -> list[str]:
    """Name some changes."""
    return [str(number) for number in range(1, count + 1)]


def accept(_names: list[str]) -> Verdict:
    """Take everything."""
    return Done()


def poisoned(*bad: str) -> Callable[[list[str]], Verdict]:
    """Refuse every batch that holds a bad name."""
    return lambda names: Poison("http_400 (bad)") if set(names) & set(bad) else Done()


def in_turn(*verdicts: Verdict) -> Callable[[list[str]], Verdict]:
    """Answer with these one after another, then take everything."""
    left = list(verdicts)
    return lambda _names: left.pop(0) if left else Done()


async def test_an_outage_loses_nothing() -> None:
    """Through a long outage every change is kept, and delivered in order when it ends."""
    scene = Scene(FakeJournal(numbered(20)), in_turn(*[Retry("network", message="down")] * 50), limit=1e6)
    await scene.until(20)

    assert numbered(20) == scene.consumer.taken
    assert scene.journal.cursors["test"] == 20
    assert scene.metric("failures_total", reason="network") == 50
    assert scene.metric("sent_total") == 20
    assert max(scene.clock.slept) <= 5.0
    assert 30 * 40 < sum(scene.clock.slept) <= 30 * 50


@pytest.mark.parametrize(
    ("verdict", "waits"),
    [
        (Retry("a"), [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]),
        (Retry("a", slow=True), [5, 10, 20, 40, 60, 60, 60, 60]),
        (Misconfigured("a", "do b"), [5, 10, 20, 40, 60, 60, 60, 60]),
        (Retry("a", 7.0), [7, 7, 7, 7, 12.8, 25.6, 30, 30]),
        (Retry("a", 4000.0), [4000] * 8),
    ],
)
async def test_back_off(verdict: Verdict, waits: list[float]) -> None:
    """Waits grow up to 30 s, or 60 s where asking is no use, and are never shorter than asked for."""
    scene = Scene(FakeJournal(["1"]), lambda _names: verdict, limit=sum(waits) - 0.001)
    await scene.delivery.run()

    assert sum(waits) == pytest.approx(sum(scene.clock.slept))
    assert len(scene.consumer.requests) in {len(waits), len(waits) + 1}
    assert scene.journal.cursors["test"] == 0


async def test_failures_in_a_row_end_with_a_success() -> None:
    """After a success the waits begin anew."""
    scene = Scene(FakeJournal(numbered(3)), in_turn(Retry("a"), Retry("a"), Done(), Retry("a")), limit=9, batch=1)
    await scene.until(3)

    assert scene.clock.slept == [0.8, 1.6, 0.8]


@pytest.mark.parametrize("bad", [["2"], ["8"], ["20"], ["3", "4"], ["2", "9", "17", "20"]])
async def test_poison_is_buried_alone(bad: list[str]) -> None:
    """Of a batch that is refused only the bad changes are put aside; all others arrive, in order."""
    names = numbered(20)
    scene = Scene(FakeJournal(names), poisoned(*bad))
    await scene.drain()

    assert [name for name in names if name not in bad] == scene.consumer.taken
    assert [(int(name), "http_400 (bad)") for name in bad] == scene.journal.buried
    assert scene.metric("dropped_total", reason="poison") == len(bad)
    assert scene.metric("sent_total") == 20 - len(bad)
    assert scene.clock.slept == []
    assert scene.journal.cursors["test"] == 20


async def test_poison_first() -> None:
    """A bad change before anything was ever accepted is put aside as soon as another one is accepted."""
    scene = Scene(FakeJournal(["1", "-", "2", "3"]), poisoned("1"))
    await scene.drain()

    assert scene.consumer.taken == ["2", "3"]
    assert scene.journal.buried == [(1, "http_400 (bad)")]


@pytest.mark.parametrize("names", [["1"], numbered(30), ["1", "-", "-"], ["-", "1", "-", "2", *["-"] * 30]])
async def test_endpoint_that_refuses_everything_buries_nothing(names: list[str]) -> None:
    """Of an endpoint that has never accepted anything the address is wrong, not every single change."""
    scene = Scene(FakeJournal(names), lambda _names: Poison("http_400 (plain HTTP sent to HTTPS port)"), limit=100)
    with structlog.testing.capture_logs() as logs:
        await scene.delivery.run()

    assert scene.journal.buried == []
    assert scene.metric("dropped_total", reason="poison") == 0
    (_, left), *_ = scene.journal.after(scene.journal.cursors["test"], 99)
    assert isinstance(left, Change)
    assert left.name in {"1", "-"}
    assert [entry["reason"] for entry in logs if entry["log_level"] == "warning"] == ["http_400"]


async def test_endpoint_that_is_corrected() -> None:
    """What an endpoint refused while its address was wrong is delivered when somebody has corrected that."""
    scene = Scene(FakeJournal(numbered(12)), accept, limit=1000)
    wrong = Poison("http_400")
    scene.consumer.answer = lambda _names: wrong if scene.clock.now() < START + 20 * 10**9 else Done()
    await scene.until(12)

    assert numbered(12) == scene.consumer.taken
    assert not scene.journal.buried


async def test_poison_amid_trouble() -> None:
    """A bad change is found although the endpoint is busy between any two requests."""
    busy = False

    def answer(names: list[str]) -> Verdict:
        nonlocal busy
        busy = not busy
        return Retry("http_429", 1.0) if busy else poisoned("5")(names)

    scene = Scene(FakeJournal(numbered(8)), answer, limit=1000)
    await scene.until(8)

    assert scene.consumer.taken == ["1", "2", "3", "4", "6", "7", "8"]
    assert scene.journal.buried == [(5, "http_400 (bad)")]


async def test_too_large_batch() -> None:
    """A batch that is too large is sent in smaller ones, and nothing is put aside."""
    scene = Scene(FakeJournal(numbered(20)), lambda names: Poison("http_413") if len(names) > 3 else Done())
    await scene.drain()

    assert numbered(20) == scene.consumer.taken
    assert scene.journal.buried == []


async def test_rejected_is_counted_and_not_sent_again() -> None:
    """What the other side threw away is counted once, never more than was sent."""
    scene = Scene(FakeJournal(numbered(10)), in_turn(Done(3, "too old"), Done(1000, "")))
    with structlog.testing.capture_logs() as logs:
        await scene.drain()

    assert scene.metric("dropped_total", reason="rejected") == 3 + 2
    assert scene.metric("sent_total") == 5
    assert [numbered(8), ["9", "10"]] == scene.consumer.requests
    assert [entry["message"] for entry in logs] == ["too old"]


async def test_doubtful_success() -> None:
    """A success with a doubt is a success that is counted as a failure, too."""
    scene = Scene(FakeJournal(["1"]), lambda _names: Done(warning="http_260"))
    await scene.drain()

    assert scene.metric("failures_total", reason="http_260") == 1
    assert scene.metric("sent_total") == 1


async def test_full_disk() -> None:
    """Where the cursor cannot be moved, delivery goes on later, and may repeat itself but loses nothing."""
    scene = Scene(FakeJournal(numbered(3)), accept, limit=1000)
    scene.journal.failing = 2
    await scene.until(3)

    assert [numbered(3)] * 3 == scene.consumer.requests
    assert scene.metric("sent_total") == 3


async def test_bug_in_a_consumer() -> None:
    """A consumer that raises does not end the others: it is tried again, slowly."""

    def fail(_names: list[str]) -> Verdict:
        raise ZeroDivisionError

    scene = Scene(FakeJournal(["1"]), fail, limit=14)
    with structlog.testing.capture_logs() as logs:
        await scene.delivery.run()

    assert scene.metric("failures_total", reason="internal_error") in {2, 3}
    assert sum("should not happen" in entry["event"] for entry in logs) == 1
    assert scene.consumer.closed


async def test_stop_in_an_outage_is_quick() -> None:
    """While waiting for an endpoint, `stop` leads to one more attempt and then to the end."""
    scene = Scene(FakeJournal(numbered(3)), lambda _names: Retry("network", 1e6), limit=0.0)
    with structlog.testing.capture_logs() as logs:
        await scene.delivery.run()

    assert len(scene.consumer.requests) == 2
    assert scene.clock.slept == [5.0]
    assert scene.journal.cursors["test"] == 0
    assert {"changes": 3, "consumer": "test"}.items() <= logs[-1].items()


async def test_stop_does_not_wait_for_ever() -> None:
    """A request that hangs when we stop is given up after the time to drain."""
    journal = FakeJournal(["1"])
    scene = Scene(journal, accept)
    started = asyncio.Event()

    async def hang(_changes: Sequence[Change]) -> Verdict:
        started.set()
        await asyncio.Event().wait()
        return Done()

    scene.consumer.send = hang  # type: ignore[method-assign, assignment]
    scene.delivery._drain = 0.01
    run = asyncio.create_task(scene.delivery.run())
    await started.wait()
    scene.delivery.stop()
    await run

    assert scene.consumer.closed
    assert journal.cursors["test"] == 0


async def test_cancelled() -> None:
    """A delivery that is cancelled closes its connections and leaves no task behind."""
    scene = Scene(FakeJournal(), accept)
    run = asyncio.create_task(scene.delivery.run())
    await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert scene.consumer.closed
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_evicted_while_waiting() -> None:
    """What the journal has dropped is not sent, and does not stop what follows."""
    scene = Scene(FakeJournal(numbered(6)), in_turn(Retry("network")), limit=1000, batch=3)
    real = scene.clock.sleep

    async def evict(seconds: float) -> None:
        for seq in (1, 2, 3, 4):
            scene.journal.rows.pop(seq, None)
        scene.journal.cursors["test"] = 4
        await real(seconds)

    scene.delivery._sleep = evict
    await scene.until(6)

    assert scene.consumer.taken == ["5", "6"]


@pytest.mark.parametrize("evicted", [5, 10])
async def test_evicted_while_it_is_sent(evicted: int) -> None:
    """What was dropped while a request was under way is counted once, and the place in the journal never goes back."""
    journal = FakeJournal(numbered(20))
    scene = Scene(journal, accept, limit=1e6)

    def evict_once(names: list[str]) -> Verdict:
        if names[0] == "1":
            for seq in range(1, evicted + 1):
                journal.rows.pop(seq)
            journal.cursors["test"] = evicted
        else:
            seen.append(journal.cursors["test"])
        return Done()

    seen: list[int] = []
    scene.consumer.answer = evict_once
    await scene.until(20)

    assert scene.metric("sent_total") == 20 - evicted
    assert seen[0] == max(8, evicted)
    assert journal.cursors["test"] == 20


async def test_refused_and_evicted() -> None:
    """A bad change that the journal dropped before it could be put aside is counted by the journal alone."""
    journal = FakeJournal(numbered(4))
    scene = Scene(journal, accept)

    def answer(names: list[str]) -> Verdict:
        if "1" in names:
            return Poison("http_400")
        journal.rows.pop(1, None)
        journal.cursors["test"] = 1
        return Done()

    scene.consumer.answer = answer
    await scene.drain()

    assert journal.buried == []
    assert scene.metric("dropped_total", reason="poison") == 0
    assert scene.metric("sent_total") == 3


async def test_everything_evicted() -> None:
    """A cursor behind changes that are all gone moves to the head."""
    scene = Scene(FakeJournal(numbered(3)), accept)
    scene.journal.rows.clear()
    await scene.drain()

    assert scene.journal.cursors["test"] == 3
    assert scene.metric("backlog_changes") == 0


async def test_says_each_state_once() -> None:
    """An outage is one line at its begin and one at its end; what a person must change is a line of its own."""
    states: list[Verdict] = [*[Retry("network", message="down")] * 3, *[Misconfigured("http_401", "check headers")] * 3]
    scene = Scene(FakeJournal(["1"]), in_turn(*states), limit=1e6)
    with structlog.testing.capture_logs() as logs:
        await scene.until(1)

    assert [(entry["log_level"], entry.get("reason"), entry.get("message")) for entry in logs] == [
        ("warning", "network", "down"),
        ("warning", "http_401", "check headers"),
        ("info", None, None),
    ]


@pytest.mark.parametrize(
    ("verdict", "first_minute", "hour"),
    [(Retry("network"), 7, 125), (Retry("http_429", 900.0), 1, 4), (Misconfigured("http_401", "check"), 4, 63)],
)
async def test_how_often_a_dead_endpoint_is_asked(verdict: Verdict, first_minute: int, hour: int) -> None:
    """An endpoint that is away for an hour is asked a few times at first, then twice a minute, and told once."""
    asked: list[float] = []
    scene = Scene(FakeJournal(numbered(3)), accept, limit=3600.0)

    def answer(_names: list[str]) -> Verdict:
        asked.append(sum(scene.clock.slept))
        return verdict

    scene.consumer.answer = answer
    with structlog.testing.capture_logs() as logs:
        await scene.delivery.run()
    within = [at for at in asked if at < 3600]

    assert sum(at < 60 for at in within) == first_minute
    assert len(within) == hour
    assert max(sum(start <= at < start + 60 for at in within) for start in range(60, 3600)) <= 2
    assert sum(entry["log_level"] == "warning" for entry in logs) == 1


async def test_a_bad_line_is_not_a_flood() -> None:
    """An endpoint that fails every other time is told of every few minutes, and at once that it fails for good."""
    down, well = Retry("http_429", message="busy"), Done()
    verdicts: list[Verdict] = [well if number % 2 and number < 1800 else down for number in range(1900)]
    scene = Scene(FakeJournal(numbered(1000)), in_turn(*verdicts), limit=1e6, batch=1)
    with structlog.testing.capture_logs() as logs:
        await scene.until(1000)
    told = [entry["event"] for entry in logs]
    seconds = sum(scene.clock.slept)

    assert seconds > 900 * 0.8
    assert told.count("delivery fails, trying again") <= 2 + seconds / 300
    assert told.count("delivery fails, trying again") == told.count("delivery works again") == len(told) / 2
    assert logs[-1]["after_seconds"] > 1000


@pytest.mark.parametrize(("failures", "told"), [(5, 1), (8, 2)])
async def test_a_blink_becomes_an_outage(failures: int, told: int) -> None:
    """What failed a moment ago is told again when it lasts for a minute, and not before."""
    down = Retry("network", message="down")
    scene = Scene(FakeJournal(numbered(3)), in_turn(down, Done(), *[down] * failures), limit=1e6, batch=1)
    with structlog.testing.capture_logs() as logs:
        await scene.until(3)

    assert [entry["event"] for entry in logs] == ["delivery fails, trying again", "delivery works again"] * told


async def test_gauges() -> None:
    """Backlog and age of what waits are told while it waits, and are zero when it is gone."""
    scene = Scene(FakeJournal(["-", "1", "2"]), lambda _names: Retry("network", 1000.0), limit=999)
    await scene.delivery.run()
    told = [scene.metric("backlog_changes"), scene.metric("oldest_seconds")]
    scene.consumer.answer = accept
    await scene.drain()
    told += [scene.metric("backlog_changes"), scene.metric("oldest_seconds")]

    assert told == [3, 1000.0, 0, 0.0]


@pytest.mark.parametrize("reason", ["rejected", "poison", "retention", "reset"])
async def test_what_is_given_up_is_counted_from_zero(reason: str) -> None:
    """The count of each reason is there before anything is given up, so that the first is a growth for an alert."""
    assert Scene(FakeJournal(), accept).metric("dropped_total", reason=reason) == 0


async def test_heartbeats_are_skipped() -> None:
    """What does not matter moves the cursor without a request."""
    scene = Scene(FakeJournal(["-"] * 20 + ["1"] + ["-"] * 20), accept)
    await scene.drain()

    assert scene.consumer.requests == [["1"]]
    assert scene.journal.cursors["test"] == 41


async def test_new_consumer_starts_at_the_head() -> None:
    """A new consumer gets what is committed after it was made, also before it runs, and nothing older."""
    journal = FakeJournal(numbered(3))
    journal.cursors.clear()
    scene = Scene(journal, accept)
    journal.commit("4")
    await scene.drain()

    assert scene.consumer.taken == ["4"]


async def test_sends_at_once() -> None:
    """A commit is sent as soon as it is made; nothing waits for a batch to fill."""
    scene = Scene(FakeJournal(), accept)
    run = asyncio.create_task(scene.delivery.run())
    for name in ("1", "2"):
        await asyncio.sleep(0)
        scene.journal.commit(name)
        for _ in range(8):
            await asyncio.sleep(0)
        assert name == scene.consumer.taken[-1]
    scene.delivery.stop()
    await run

    assert scene.consumer.requests == [["1"], ["2"]]
    assert scene.clock.slept == []


@settings(max_examples=150, deadline=None)
@given(
    heartbeats=st.sets(st.integers(1, 40)),
    bad=st.sets(st.integers(2, 40)),
    trouble=st.lists(st.sampled_from([Retry("a"), Misconfigured("b", "c"), None]), max_size=60),
    batch=st.integers(1, 16),
)
async def test_everything_arrives_or_is_buried(
    heartbeats: set[int], bad: set[int], trouble: list[Verdict | None], batch: int
) -> None:
    """Whatever goes wrong, each change arrives in order or is bad and put aside, once."""
    names = [f"-{number}" if number in heartbeats - {1} else str(number) for number in range(1, 41)]
    wanted = [name for name in names if not name.startswith("-")]
    judge = poisoned(*map(str, bad))
    scene = Scene(
        FakeJournal(names), lambda batch: (trouble.pop(0) if trouble else None) or judge(batch), limit=1e9, batch=batch
    )
    await scene.until(40)

    assert [name for name in wanted if int(name) not in bad] == scene.consumer.taken
    assert [int(name) for name in wanted if int(name) in bad] == [seq for seq, _ in scene.journal.buried]
