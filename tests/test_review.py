"""Who has objects looked at again: for the time that has come, and for surroundings that have changed."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from exporter import deadlines, review
from exporter.changes.batch import Batch
from exporter.ingest import Elapsed, Inbox, Review
from exporter.journal.store import Journal
from exporter.model import Stored
from exporter.records import State
from exporter.review import Reviewer
from tests.changes.objects import KEY, WIDGET, seen, widget


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from exporter.model import ResourceType

SECOND = 10**9
ALL = ("example.com", "Widget", "", "")
ONE = ("example.com", "Widget", "team-a", "web")
NOTED = ("drift", "by these rules")


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Let something work until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(predicate: Callable[[], bool]) -> None:
    """Let the loop work until something is so; a journal is asked in its own thread."""
    async with asyncio.timeout(30):
        while not predicate():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def journal_with(count: int = 0) -> Journal:
    """Make a journal that holds so many Widgets."""
    journal = Journal.open(None)
    journal.register(WIDGET)
    keys = [replace(KEY, name=f"w-{number}", namespace=f"team-{'ab'[number % 2]}") for number in range(count)]
    journal.commit(Batch(objects={key: Stored(key.name, "1", b"") for key in keys}))
    return journal


# -- an inbox that is kept -------------------------------------------------------------------------------------------


async def test_who_waits_for_the_inbox_waits_for_what_is_in_it_and_for_nothing_that_comes_after() -> None:
    """However much comes in, what was there is in the journal at some time: not as soon as it was taken out."""
    inbox = Inbox()
    await asyncio.wait_for(inbox.until_kept(), 10)
    for number in range(3):
        inbox.add(seen(widget(number)))
    waiting = asyncio.create_task(inbox.until_kept())
    await asyncio.sleep(0)
    for number in range(2):
        inbox.take(1)
        inbox.committed()
        inbox.add(seen(widget(10 + number)))
        await asyncio.sleep(0)
        assert not waiting.done()
    inbox.take(1)
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.committed()

    await asyncio.wait_for(waiting, 10)
    assert len(inbox) == 2


# -- deadlines ---------------------------------------------------------------------------------------------------------


async def test_a_time_that_has_come_is_told_once_until_it_was_heard() -> None:
    """While the word waits in the inbox there is no second one; what has not come is not told."""
    journal, inbox = journal_with(), Inbox()
    kept = {("k", KEY): State(b"", "", time.time_ns() - SECOND)}
    kept["k", replace(KEY, name="b")] = State(b"", "", time.time_ns() + 3600 * SECOND)
    journal.commit(Batch(states=dict(kept)))
    async with running(deadlines.watch(journal.states, inbox)):
        await until(lambda: len(inbox) == 1)
        await asyncio.sleep(0.2)
        assert [type(item) for item in inbox.take(9)] == [Elapsed]
        journal.commit(Batch(states={("k", KEY): None}))
        inbox.committed()
        await asyncio.sleep(0.2)
        assert len(inbox) == 0


async def test_a_time_is_told_when_it_comes() -> None:
    """Not before, and without anything else happening."""
    journal, inbox = journal_with(), Inbox()
    due = time.time_ns() + SECOND // 2
    journal.commit(Batch(states={("k", KEY): State(b"", "", due)}))
    async with running(deadlines.watch(journal.states, inbox)):
        await asyncio.wait_for(inbox.filled(), 20)

    assert time.time_ns() >= due


async def test_a_journal_that_cannot_be_read_does_not_end_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks again."""
    monkeypatch.setattr(deadlines, "_LOOK_SECONDS", 0.01)
    journal, inbox = journal_with(), Inbox()
    answers: list[int | Exception] = [sqlite3.OperationalError("disk I/O error"), 1]

    class Failing:
        """States that cannot be read at first."""

        def next_due(self) -> int | None:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

    async with running(deadlines.watch(Failing(), inbox)):  # type: ignore[arg-type]
        await asyncio.wait_for(inbox.filled(), 20)
    journal.close()


# -- reviews -----------------------------------------------------------------------------------------------------------


class Desk:
    """A reviewer, and the types that are in sync."""

    def __init__(self, count: int = 0, *, high_water: int = 1 << 20) -> None:
        self.journal = journal_with(count)
        self.inbox = Inbox(high_water)
        self.synced: dict[tuple[str, str], ResourceType] = {("example.com", "Widget"): WIDGET}
        self.reviewer = Reviewer(self.journal, self.inbox, lambda *kind: self.synced.get(kind))

    async def reviewed(self, count: int) -> list[str]:
        """Take so many words out of the inbox; the names."""
        found: list[str] = []
        while len(found) < count:
            await asyncio.wait_for(self.inbox.filled(), 20)
            found += [item.key.name for item in self.inbox.take(9) if isinstance(item, Review)]
            self.inbox.committed()
        return found


async def test_a_place_is_reviewed_whether_anything_is_there_or_not() -> None:
    """What is declared may be missing; in a type without namespaces none is asked for."""
    desk = Desk()
    desk.synced["example.com", "Gadget"] = gadget = replace(WIDGET, resource="gadgets", namespaced=False)
    async with running(desk.reviewer.run(lambda: NOTED)):
        desk.reviewer.ask([ONE, ("example.com", "Gadget", "team-a", "g"), ONE])
        await until(lambda: len(desk.inbox) == 2)

    assert desk.inbox.take(9) == [
        Review(WIDGET, KEY), Review(gadget, replace(KEY, resource="gadgets", namespace="", name="g")),
    ]  # fmt: skip


async def test_without_a_name_all_of_a_kind_are_reviewed() -> None:
    """All that are held, or those of one namespace."""
    desk = Desk(5)
    async with running(desk.reviewer.run(lambda: NOTED)):
        desk.reviewer.ask([ALL])
        assert sorted(await desk.reviewed(5)) == [f"w-{number}" for number in range(5)]
        desk.reviewer.ask([("example.com", "Widget", "team-b", "")])
        assert sorted(await desk.reviewed(2)) == ["w-1", "w-3"]


async def test_nothing_is_said_of_a_type_before_it_is_in_sync() -> None:
    """Until then nobody knows what is there; then it is reviewed, and only then is it noted that all was."""
    desk = Desk()
    desk.synced.clear()
    async with running(desk.reviewer.run(lambda: NOTED)):
        desk.reviewer.ask([ONE])
        await asyncio.sleep(0.1)
        assert (len(desk.inbox), desk.journal.noted("drift")) == (0, None)
        desk.reviewer.synced(WIDGET)  # in its word only
        await asyncio.sleep(0.1)
        assert len(desk.inbox) == 0
        desk.synced["example.com", "Widget"] = WIDGET
        desk.reviewer.synced(WIDGET)
        assert await desk.reviewed(1) == ["web"]
        await until(lambda: desk.journal.noted("drift") == "by these rules")


async def test_who_asks_while_it_is_reviewed_is_heard() -> None:
    """Those that were told already have been judged by what was known before, so they come again."""
    desk = Desk(4, high_water=0)
    async with running(desk.reviewer.run(lambda: NOTED)):
        desk.reviewer.ask([ALL])
        first = await desk.reviewed(2)
        desk.reviewer.ask([ALL])
        rest = await desk.reviewed(6)

    assert sorted(first + rest) == sorted([f"w-{number}" for number in range(4)] * 2)


async def test_who_asks_while_it_is_noted_is_heard() -> None:
    """A question is never lost between the last answer and the rest."""
    desk = Desk()
    desk.inbox.add(seen(widget()))
    async with running(desk.reviewer.run(lambda: NOTED)):
        await asyncio.sleep(0)
        desk.reviewer.ask([ONE])  # while it waits for what is in the inbox
        desk.inbox.take(1)
        desk.inbox.committed()
        assert await desk.reviewed(1) == ["web"]


@pytest.mark.parametrize("broken", ["objects", "noted", "note"])
async def test_a_journal_that_fails_for_now_loses_no_question(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk or a lock ends nothing: it is tried again."""
    monkeypatch.setattr(review, "_RETRY_SECONDS", 0.01)
    desk = Desk(1)
    real, failures = getattr(desk.journal, broken), [sqlite3.OperationalError("database or disk is full")] * 2

    def fails(*arguments: str) -> object:
        if failures:
            raise failures.pop()
        return real(*arguments)

    setattr(desk.journal, broken, fails)
    async with running(desk.reviewer.run(lambda: NOTED)) as task:
        desk.reviewer.ask([ALL])
        assert await desk.reviewed(1) == ["w-0"]
        await until(lambda: not failures and desk.journal.noted("drift") == "by these rules")
        assert not task.done()
