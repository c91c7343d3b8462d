"""Follows the directories of declared manifests, and has the objects judged again whose declaration has changed.

Must never wait for a disk in the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from exporter.errors import brief
from exporter.timestamps import now


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.declared.declarations import Declarations, Difference
    from exporter.declared.directories import Directories
    from exporter.drift.tools import Place
    from exporter.metrics.health import Health


log = structlog.get_logger()

_LOOK_SECONDS = 3.0


class Declaring:
    """The loop that looks.

    Args:
        directories: what is followed
        declare: takes what is declared
        review: has objects judged again
        health: the exporter's own metrics

    """

    def __init__(
        self,
        directories: Directories,
        declare: Callable[[Declarations], None],
        review: Callable[[Iterable[Place]], None],
        health: Health,
    ) -> None:
        self._directories = directories
        self._declare = declare
        self._review = review
        self._health = health
        health.evaluation_errors.labels("declared")  # so that the first error is a growth
        self._stale = False

    def reread(self) -> None:
        """Read everything anew with the next look: more is known of some kinds."""
        self._stale = True

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - what is declared stays; the next look may fare better
                self._health.evaluation_errors.labels("declared").inc()
                log.warning("internal error, the declared manifests stay as they were", error=brief(error))
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Look once."""
        if self._stale:
            self._stale = False
            self._directories.reread()
        difference = await asyncio.to_thread(self._directories.poll, now())
        declarations = self._directories.declarations
        self._health.drift_declared.set(len(declarations.objects))
        self._health.drift_declared_problems.clear()  # also where nothing is different but that one was solved
        for problem in declarations.problems:
            self._health.drift_declared_problems.labels(problem.kind).inc()
        if not difference:
            return
        self._declare(declarations)
        for problem in difference.problems:
            log.warning("a manifest cannot be read, what it declared before stays", place=str(problem))
        if difference.objects:
            log.info("declared manifests read", objects=len(declarations.objects), changed=len(difference.objects))
        self._review(_places(difference))


def _places(difference: Difference) -> list[Place]:
    places = [(one.group, one.kind, one.namespace, one.name) for one in difference.objects]
    return places + [(group, kind, "", "") for group, kind in difference.types]
