"""Has objects judged again whose surroundings have changed: manifests, what other tools say, the rules themselves.

Puts a word for each object into the inbox, slowly enough that what the watches see does not wait for it. Must never
judge, nor say of an object that it is not there before its type is in sync.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from exporter.ingest import Review
from exporter.model import ObjectKey


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.drift.tools import Place
    from exporter.ingest import Inbox
    from exporter.journal.store import Journal
    from exporter.model import ResourceType

_RETRY_SECONDS = 1.0
_TURN = 50


class Reviewer:
    """Keeps what is to be judged again, each place once.

    Args:
        journal: knows which objects are held
        inbox: takes a word for each object
        types: gives the type of a group and kind if it is in sync, None if it is not

    """

    def __init__(self, journal: Journal, inbox: Inbox, types: Callable[[str, str], ResourceType | None]) -> None:
        self._journal = journal
        self._inbox = inbox
        self._types = types
        self._asked: dict[Place, None] = {}
        self._waiting: dict[tuple[str, str], dict[Place, None]] = {}
        self._some = asyncio.Event()

    def ask(self, places: Iterable[Place]) -> None:
        """Have objects judged again, as soon as their type is in sync and there is time.

        A place without a name stands for all objects that are held of the kind.
        """
        self._asked.update(dict.fromkeys(places))
        if self._asked:
            self._some.set()

    def synced(self, resource_type: ResourceType) -> None:
        """Take in that a type may be in sync now."""
        self.ask(self._waiting.pop((resource_type.group, resource_type.kind), ()))

    async def run(self, noted: Callable[[], tuple[str, str]]) -> None:
        """Work until cancelled.

        Args:
            noted: gives a small fact for the journal, behind its name, for when everything that was asked is done

        """
        while True:
            while self._asked:
                place = next(iter(self._asked))
                del self._asked[place]  # whoever asks meanwhile knows more than those that are in the inbox already
                try:
                    await self._review(place)
                except sqlite3.Error:  # the ingest loop meets the same trouble, and deals with it
                    self._asked[place] = None
                    await asyncio.sleep(_RETRY_SECONDS)
            try:
                await self._note(*noted())
            except sqlite3.Error:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if not self._asked:
                self._some.clear()
                await self._some.wait()

    async def _note(self, name: str, value: str) -> None:
        if self._journal.noted(name) != value and not self._waiting:
            await self._inbox.until_kept()
            self._journal.note(name, value)

    async def _review(self, place: Place) -> None:
        group, kind, namespace, name = place
        resource_type = self._types(group, kind)
        if resource_type is None:
            self._waiting.setdefault((group, kind), {})[place] = None
            return
        for number, key in enumerate(self._keys(resource_type, namespace, name), start=1):
            await self._inbox.put(Review(resource_type, key))
            if number % _TURN == 0:
                await asyncio.sleep(0)

    def _keys(self, resource_type: ResourceType, namespace: str, name: str) -> Iterator[ObjectKey]:
        if name:
            yield ObjectKey(*resource_type.identity, namespace if resource_type.namespaced else "", name)
        else:
            yield from [key for key, _, _ in self._journal.objects(*resource_type.identity, namespace)]
