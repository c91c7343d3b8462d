"""When everything is judged again: other rules, and a rule that expires while the program runs or while it does not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from exporter.changes.batch import Batch
from exporter.changes.redact import Redactor
from exporter.changes.schema import NO_SCHEMA
from exporter.changes.writer import WriterTable
from exporter.config import Changes, Config, Writers
from exporter.drift.rules import IgnoreRule
from exporter.drift.settings import DriftSettings
from exporter.ingest import Inbox, Review
from exporter.journal.store import Journal
from exporter.judging import Judging
from exporter.metrics.health import Health
from exporter.model import Checkpoint, Scope, Stored
from exporter.rollout.rules import Rules
from exporter.rollout.settings import RolloutSettings
from tests.changes.objects import KEY, WIDGET


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.follow import Follower
    from exporter.model import ResourceType

LAST = date(2026, 1, 31)
RULE = IgnoreRule(reason="for now", expires=LAST)
RULED = Config(drift=DriftSettings(ignore=(RULE,)))
MORNING = datetime(2026, 1, 31, 8, tzinfo=UTC)
NEXT_DAY = datetime(2026, 2, 1, tzinfo=UTC)


class Following:
    """Stands for the follower: one type, in sync."""

    def schema(self, resource_type: ResourceType) -> object:
        del resource_type
        return NO_SCHEMA

    def synced_type(self, group: str, kind: str) -> ResourceType | None:
        del group, kind
        return WIDGET

    def type_of(self, group: str, kind: str) -> ResourceType | None:
        del group, kind
        return WIDGET


class Desk:
    """A journal with one object, judged by one configuration after the other."""

    def __init__(self) -> None:
        self.journal = Journal.open(None)
        self.journal.register(WIDGET)
        checkpoint = Checkpoint("v1", "1", complete=True)
        scope = Scope(*WIDGET.identity, "", "")
        self.journal.commit(Batch(objects={KEY: Stored("u", "1", b"")}, checkpoints={scope: checkpoint}))
        self.now = MORNING
        self.inbox = Inbox()

    async def reviewed(self, config: Config, *, until: datetime | None = None) -> int:
        """Judge by a configuration until nothing is left to be asked; how many objects were judged again.

        Args:
            config: what is judged by
            until: the time that comes once everything has settled

        """
        redactor = Redactor(b"key")
        judging = Judging(
            config, self.journal, self.inbox, cast("Follower", Following()), WriterTable({}), redactor, redactor,
            Health(), lambda: ("uid", 0), clock=lambda: self.now, look=0.01,
        )  # fmt: skip
        running = asyncio.create_task(judging.run())
        count = await self._settled(judging)
        if until is not None:
            self.now = until
            count = await self._settled(judging)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return count

    async def _settled(self, judging: Judging) -> int:
        count = 0
        async with asyncio.timeout(30):
            while self.journal.noted("drift") != judging._judged_by():
                count += sum(isinstance(item, Review) for item in self.inbox.take(len(self.inbox)))
                self.inbox.committed()
                await asyncio.sleep(0.005)
        return count


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """One whose object was judged by no rules of its own."""
    one = Desk()
    await one.reviewed(Config())
    yield one
    one.journal.close()


OTHERS: list[Any] = [
    RULED,
    Config(drift=DriftSettings(settle_ns=1)),
    Config(rollout=RolloutSettings(timeout_ns=1)),
    Config(rollout=RolloutSettings(rules=(Rules(),))),
    Config(changes=Changes(writers=Writers(human=("deploy-portal",)))),
    Config(changes=Changes(redact=("/spec/code",))),
]


@pytest.mark.parametrize("config", OTHERS)
async def test_other_rules_judge_everything_again_once(desk: Desk, config: Config) -> None:
    """Whatever is judged by counts; the next start by the same asks for nothing."""
    assert await desk.reviewed(config) == 1
    assert await desk.reviewed(config) == 0
    assert await desk.reviewed(Config()) == 1


async def test_what_nothing_is_judged_by_judges_nothing_again(desk: Desk) -> None:
    """A name for people, or an order of words, is no other rule."""
    assert await desk.reviewed(Config(cluster="prod")) == 0
    words = [frozenset(some) for some in ({"a", "b", "c", "d"}, {"d", "c", "b", "a"})]
    assert [
        await desk.reviewed(Config(rollout=RolloutSettings(rules=(Rules(ready_words=one),)))) for one in words
    ] == [1, 0]  # fmt: skip


async def test_a_rule_that_expires_has_everything_judged_again(desk: Desk) -> None:
    """At midnight after its last day, while the program runs; and once."""
    await desk.reviewed(RULED)
    assert await desk.reviewed(RULED, until=datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)) == 0
    assert await desk.reviewed(RULED, until=NEXT_DAY) == 1
    assert await desk.reviewed(RULED, until=datetime(2026, 2, 2, tzinfo=UTC)) == 0


async def test_a_rule_that_expired_meanwhile_has_everything_judged_again(desk: Desk) -> None:
    """Also where the program did not run at midnight."""
    await desk.reviewed(RULED)
    desk.now = NEXT_DAY
    assert await desk.reviewed(RULED) == 1
    later = replace(RULED, drift=DriftSettings(ignore=(replace(RULE, expires=date(2027, 1, 1)),)))
    assert await desk.reviewed(later) == 1
