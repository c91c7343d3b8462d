"""START HERE: builds everything from the options and the configuration, runs it, and ends it in order.

The only place that makes collaborators. The order of the end: readiness goes, the streams stop, what they had seen is
committed, the outputs get a few seconds, the journal is closed. What an output did not get by then waits there.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvloop

from exporter import __version__, key_file, logs, outputs
from exporter.changes.pointer import compile_patterns
from exporter.changes.redact import Redactor, redact_text
from exporter.changes.tracker import Tracker
from exporter.changes.writer import WriterTable
from exporter.config_source import ConfigSource
from exporter.deadlines import watch as watch_deadlines
from exporter.delivery import Delivery
from exporter.drift.keeper import NAME as DRIFT
from exporter.drift.telling import Telling
from exporter.follow import Follower
from exporter.ingest import Inbox, Ingest
from exporter.journal.store import MEMORY, Journal
from exporter.judging import Judging
from exporter.keepers import Keepers
from exporter.kube.audit import Audit
from exporter.kube.client import Api
from exporter.kube.collection import Selection
from exporter.kube.discovery import Discovery
from exporter.kube.selection import TypeSelection, glob_matches
from exporter.metrics.changes import ChangeMetrics
from exporter.metrics.drift import DriftMetrics
from exporter.metrics.exposition import Exposition
from exporter.metrics.families import Families
from exporter.metrics.health import Health
from exporter.metrics.rollouts import RolloutMetrics
from exporter.reloading import Reloading, Reloadings
from exporter.rollout.keeper import NAME as ROLLOUTS
from exporter.rollout.keeper import RolloutKeeper
from exporter.rollout.lifecycle import Place
from exporter.supervisor import Supervisor
from exporter.upkeep import Upkeep
from exporter.web.door import Door
from exporter.web.server import serve
from exporter.web.source import WebSource


if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from exporter.changes.batch import Series
    from exporter.config import Config
    from exporter.delivery import Consumer
    from exporter.keepers import Keeper
    from exporter.model import ResourceType
    from exporter.options import RunOptions
    from exporter.web.source import Loaded


log = structlog.get_logger()

# What cannot be committed within this time at the end is seen again after the next start.
_LAST_COMMIT_SECONDS = 3.0
# Changes that are counted again at the start are read in portions of this size.
_COUNT_AT_ONCE = 1_000
# Series of single objects, of one family and type at most.
_OBJECT_SERIES = 5_000


def run(options: RunOptions) -> int:
    """Run the exporter until it is told to stop.

    Returns:
        the exit code

    Raises:
        ExporterError: it cannot begin

    """
    # Objects live in the journal, not in the interpreter: what is left is short-lived, and long collections only stall.
    gc.set_threshold(50_000, 50, 1000)
    logs.configure(options.log_level, options.log_format, redact_text)
    code: int = uvloop.run(_run(options))
    return code


class _Program:
    """What lasts as long as the process: the address, the files that can change, what is built from them.

    Args:
        options: flags of `run`

    Raises:
        ConfigError: a configuration file is bad
        UsageError: an `OTEL_*` variable is

    """

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._configuration = ConfigSource(options.config, self._check, self._rebuild)
        self._web = WebSource(options.web_config, self._change_web)
        self._outputs = outputs.wanted(os.environ)
        self._health = health = Health()
        configuration = Reloading(
            "the configuration", self._configuration,
            health.config_last_reload_successful, health.config_last_reload_success,
        )  # fmt: skip
        web = Reloading(
            "the web configuration", self._web,
            health.web_config_last_reload_successful, health.web_config_last_reload_success,
        )  # fmt: skip
        given = ((options.config, configuration), (options.web_config, web))
        self._reloadings = Reloadings(*(one for path, one in given if path))
        self._key = b""

    async def run(self) -> None:
        """Run until told to stop."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # what has changed by then is noticed anyway
        async with AsyncExitStack() as stack:
            options = self._options
            self._api = await stack.enter_async_context(Api.connect(options.kubeconfig, options.context))
            cluster_uid = await _unless(stop, self._api.cluster_uid())
            if cluster_uid is None:
                return
            self._cluster_uid = cluster_uid
            data_dir = None if options.data_dir == MEMORY else Path(options.data_dir)
            self._supervisor = supervisor = Supervisor(data_dir, self._size, cluster_uid, self._health, self._build)
            door = Door(self._health.web_refused, self._health.web_handshake_failures)
            door.change(self._web.loaded)
            reload = self._reloadings.reload if options.lifecycle else None
            # The address first: where it is taken, nothing is left behind.
            self._listener = await stack.enter_async_context(
                serve(options.listen_address, supervisor.front, supervisor.waiting, door, reload)
            )
            loop.add_signal_handler(signal.SIGHUP, self._reloadings.ask)
            async with self._reloadings.watching():
                await supervisor.run(stop)

    async def _build(self, journal: Journal) -> Exporter:
        first = not self._key
        self._key = key_file.read(self._options.data_dir, self._key)
        config = self._configuration.config
        consumers = await self._outputs.open(config, self._cluster_uid, journal.id)
        try:
            exporter = Exporter(config, journal, self._api, self._cluster_uid, self._key, consumers, self._health)
        except BaseException:
            for consumer in consumers:
                await consumer.close()
            raise
        if first:
            log.info(
                "started", version=__version__, server=self._api.server, metrics=f"{self._listener.url}/metrics",
                journal=str(journal.path or MEMORY),
            )  # fmt: skip
        return exporter

    def _size(self) -> int:
        return self._configuration.config.journal.size_bytes

    async def _check(self, config: Config) -> None:
        """See whether the outputs can be opened, since their certificates may be others than at the start."""
        await self._outputs.check(config)

    async def _rebuild(self) -> None:
        await self._supervisor.rebuild()

    async def _change_web(self, loaded: Loaded) -> None:
        await self._listener.change(loaded)


async def _run(options: RunOptions) -> int:
    await _Program(options).run()
    log.info("stopped")
    return 0


async def _unless(stop: asyncio.Event, question: Coroutine[Any, Any, str]) -> str | None:
    """Wait for an answer; None when told to stop before it came."""
    asking, stopped = asyncio.create_task(question), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({asking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return asking.result() if asking.done() else None
    finally:
        asking.cancel()
        stopped.cancel()
        await asyncio.gather(asking, stopped, return_exceptions=True)


class Exporter:
    """Everything that one run is made of.

    Args:
        config: the configuration in force
        journal: open, and bound to the cluster
        api: the server
        cluster_uid: its identity
        key: of the redaction
        consumers: outputs that are on
        health: the exporter's own metrics; None makes them

    """

    def __init__(
        self,
        config: Config,
        journal: Journal,
        api: Api,
        cluster_uid: str,
        key: bytes,
        consumers: list[Consumer],
        health: Health | None = None,
    ) -> None:
        self._journal = journal
        health = health or Health()
        states = journal.states
        drifting = DriftMetrics(journal.kind, _OBJECT_SERIES, health.series_dropped)
        rolling = RolloutMetrics(journal.kind, _OBJECT_SERIES, health.series_dropped)
        self._metrics = metrics = Families(ChangeMetrics(), drifting, rolling)
        types = TypeSelection(config.watch.include, config.watch.exclude)
        self._inbox = Inbox()
        self._follower = Follower(
            api, journal, self._inbox, health,
            types=types, namespaces=config.watch.namespaces, selection=_selection(config),
            went_backwards=self._went_backwards, synced=self._synced,
        )  # fmt: skip
        telling = Telling(lambda: (cluster_uid, journal.epoch))
        self._follower.forget_unselected(lambda scope: telling.ends(states.inside(DRIFT, scope), time.time_ns()))
        if not config.drift.enabled:
            journal.forget_states(DRIFT, telling.ends(states.all(DRIFT), time.time_ns()))
        if not config.rollout.enabled:
            journal.forget_states(ROLLOUTS)
        totals, counted = journal.totals()
        metrics.restore(totals)
        while rows := journal.after(counted, _COUNT_AT_ONCE):
            metrics.count(rows)
            counted = rows[-1][0]
        metrics.objects(journal.counts())
        drifting.load(states.tallies(DRIFT), states.shown(DRIFT))
        rolling.feed(states.shown(ROLLOUTS))
        redactor = Redactor(key, config.changes.redact)
        writers = WriterTable(
            {
                "human": config.changes.writers.human,
                "gitops": config.changes.writers.gitops,
                "controller": config.changes.writers.controller,
            }
        )
        self._judging = Judging(
            config, journal, self._inbox, self._follower, writers, redactor,
            Redactor(key, config.changes.redact), health, lambda: (cluster_uid, journal.epoch),
        )  # fmt: skip
        rollouts = RolloutKeeper(config.rollout, lambda: Place(cluster_uid, self._tracker.epoch))
        if journal.scopes():  # else there was nothing before, and nothing can have been missed
            rollouts.restore(((key, state) for key, _, state in states.shown(ROLLOUTS)), time.time_ns())
        wanted: list[tuple[bool, Keeper]] = [
            (config.drift.enabled, self._judging.keeper),
            (config.rollout.enabled, rollouts),
        ]
        keepers = Keepers([keeper for enabled, keeper in wanted if enabled], states, health)
        self._tracker = Tracker(
            cluster_uid=cluster_uid,
            redactor=redactor,
            writers=writers,
            stored=journal.object,
            buried=journal.tombstone,
            schema=self._follower.schema,
            went_backwards=self._follower.backwards,
            ignore=compile_patterns(config.changes.ignore_paths),
            epoch=journal.epoch,
        )
        self._ingest = Ingest(self._inbox, self._tracker, journal, metrics, health, keepers)
        self._discovery = Discovery(api, types, self._follower)
        self._audit = Audit(api, journal, health, self._follower)
        self._deliveries = [Delivery(journal, consumer, health) for consumer in consumers]
        names = frozenset(consumer.name for consumer in consumers)
        self._upkeep = Upkeep(journal, config.journal, metrics, redactor, health, names, self._judging.hits)
        self._stopping = False
        self.exposition = Exposition(metrics, health)

    def waiting(self) -> list[str]:
        """Name what keeps the exporter from being ready."""
        return ["stopping"] if self._stopping else self._follower.waiting()

    def totals(self) -> dict[Series, float]:
        """Give the totals of all counters as they are now."""
        return self._upkeep.totals()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop, then end in order.

        Raises:
            DamagedError: the journal's files cannot be used any more; everything has ended

        """
        ingest = asyncio.create_task(self._ingest.run())
        discovery = asyncio.create_task(self._discovery.run())
        audit = asyncio.create_task(self._audit.run())
        deadlines = asyncio.create_task(watch_deadlines(self._journal.states, self._inbox))
        judging = asyncio.create_task(self._judging.run())
        inner = [ingest, discovery, audit, deadlines, judging, asyncio.create_task(self._upkeep.run())]
        outputs = [asyncio.create_task(delivery.run()) for delivery in self._deliveries]
        ready = asyncio.create_task(self._tell_ready())
        spoilt = asyncio.create_task(self._journal.care.spoilt())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({*inner, *outputs, spoilt, stopped}, return_when=asyncio.FIRST_COMPLETED)
        damage = self._journal.care.damage
        # None of these ends by itself but by an error that nobody expected: that is raised at the end, after the rest
        # was brought home.
        failed = [task for task in (*inner, *outputs) if task.done()]
        self._stopping = damage is None
        givers = {discovery, audit, deadlines, judging}  # these begin new streams, or new work
        for task in givers:
            task.cancel()
        await asyncio.wait(givers)
        await self._follower.stop()
        if damage is None:
            self._inbox.close()
            await asyncio.wait({ingest}, timeout=_LAST_COMMIT_SECONDS)
        for one in (*inner, ready, spoilt, stopped):
            one.cancel()
        await asyncio.gather(*inner, ready, spoilt, stopped, return_exceptions=True)
        for delivery, output in zip(self._deliveries, outputs, strict=True):
            delivery.stop()
            if damage is not None:
                output.cancel()
        await asyncio.gather(*outputs, return_exceptions=True)
        self._upkeep.count()
        if damage is not None:
            raise damage
        with suppress(sqlite3.Error):  # then they are counted again
            self._upkeep.save_totals()
        for task in failed:
            task.result()

    async def _tell_ready(self) -> None:
        while self.waiting():  # noqa: ASYNC110 - readiness is asked for, not told
            await asyncio.sleep(0.05)
        log.info("ready")

    def _synced(self, resource_type: ResourceType) -> None:
        self._judging.synced(resource_type)

    def _went_backwards(self) -> None:
        self._journal.next_epoch()
        self._tracker.epoch = self._journal.epoch
        log.warning("the API server's history went backwards (a restored backup?); listing everything again")


def _selection(config: Config) -> Callable[[str, str], Selection]:
    """Make the look-up of a type's selectors."""
    watch = config.watch

    def of(group: str, kind: str) -> Selection:
        metadata_only = any(glob_matches(glob, group, kind) for glob in watch.metadata_only)
        return Selection(watch.label_selector, watch.field_selector, metadata_only)

    return of
