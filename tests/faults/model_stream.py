"""One open watch of the model: what it tells, when, and how it breaks.

It counts for the model what went well and what did not, as far as the client can have seen it. Must never wait for real
time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exporter.errors import NetworkError
from exporter.kube.discovery import CRD
from tests.faults.model_wire import bookmark, line, status


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.model import ResourceType
    from tests.faults.model import Asked, Server, Version
    from tests.faults.model_api import ModelApi

_BOOKMARK_SECONDS = 60.0


class ModelStream:
    """One open watch.

    Args:
        api: breaks it
        model: what there is
        resource_type: of the collection
        namespace: of the collection
        query: what was asked
        asked: takes note of what went well

    """

    def __init__(
        self,
        api: ModelApi,
        model: Server,
        resource_type: ResourceType,
        namespace: str,
        query: dict[str, str],
        asked: Asked,
    ) -> None:
        self._api = api
        self._model = model
        self._type = resource_type
        self._namespace = namespace
        self._selector = query.get("labelSelector", "")
        self._lasts = float(query["timeoutSeconds"])
        self._asked = asked
        self._changed = asyncio.Event()
        self._waiting: list[bytes] = []
        self._first = b""
        self._further = False
        model.changed.append(self._changed.set)

    def begin(self, since: int, *, initial: bool, fault: str, count: int, silence: float) -> None:
        """Say where the stream begins and how it goes wrong."""
        self._since, self._fault, self._count, self._silence = since, fault, count, silence
        self._place, self._foreign = since, since not in self._model.lineage
        self._definition = self._model.objects.get((CRD, "", str(self._type)))
        if initial:
            there = self._model.there(self._type, self._namespace, self._selector)
            self._waiting = [line("ADDED", one.body) for one in there]
            if fault == "early bookmark":
                self._waiting.append(bookmark(since))
            if fault != "endless":
                self._waiting.append(bookmark(since, end=True))

    def close(self) -> None:
        """End."""
        self._model.changed.remove(self._changed.set)

    async def rest(self) -> None:
        """Wait a moment, as a real stream does between its pieces."""
        await asyncio.sleep(0.05)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give pieces until the stream ends, breaks, or is silent for too long."""
        loop = asyncio.get_running_loop()
        cut, end, heard = self._api.cut, loop.time() + self._lasts, loop.time()
        marked = heard + _BOOKMARK_SECONDS
        if self._fault == "gone at once":
            yield line("ERROR", status(410, "Expired"))
        if self._fault == "empty":
            self._asked.errors += 1
            return
        while True:
            self._changed.clear()
            self._collect()
            if loop.time() >= marked and self._marks:
                self._further = self._further or self._model.rv > self._since
                self._since, marked = self._model.rv, loop.time() + _BOOKMARK_SECONDS
                self._waiting.append(bookmark(self._since))
            for piece in self._pieces():
                heard = loop.time()
                yield piece
                self._unless_cut(cut)
                if self._further and b"\n" in piece:  # whoever asks for more has taken it
                    self._asked.went_well()
                    self._further = False
            if self._over or loop.time() >= end or self._definition is not self._current:
                return
            until = min(end, heard + self._silence, marked if self._marks else end)
            await self._wait(cut, max(0.001, until - loop.time()))
            self._unless_cut(cut)
            if loop.time() - heard >= self._silence:
                raise NetworkError("timeout", "silent")

    @staticmethod
    def _unless_cut(cut: asyncio.Event) -> None:
        if cut.is_set():
            raise NetworkError("broken", "cut")

    @property
    def _current(self) -> Version | None:
        return self._model.objects.get((CRD, "", str(self._type)))

    @property
    def _stalls(self) -> bool:
        return self._fault in ("stall", "endless") and self._count <= 0

    @property
    def _marks(self) -> bool:
        """Tell whether bookmarks are sent; not of versions that are still to come."""
        return not self._stalls and self._since <= self._model.rv

    @property
    def _over(self) -> bool:
        return self._fault == "end" and self._count <= 0

    def _collect(self) -> None:
        """Take in what happened."""
        for rv, told in self._model.lines(self._type, self._namespace, self._selector, self._since):
            self._waiting.append(told)
            self._since, self._further = rv, True
        if self._foreign and self._model.rv > self._place:
            self._model.deceived = True

    def _pieces(self) -> list[bytes]:
        """Give what waits, as far as it comes; the fault comes after so many lines."""
        pieces: list[bytes] = []
        while self._waiting and not self._stalls:
            if self._count <= 0 and self._fault in ("cut", "garbage", "gone", "error", "end"):
                return [*pieces, *self._goes_wrong(self._waiting[0])]
            self._count -= 1
            told = self._waiting.pop(0)
            pieces += [told, told] if self._fault == "twice" else [told]
            if self._fault == "late" and b'"BOOKMARK"' not in told:
                self._first = self._first or told
                pieces.append(self._first)
        whole, size = b"".join(pieces), self._api.chunk
        return [whole[at : at + size] for at in range(0, len(whole), size)]

    def _goes_wrong(self, told: bytes) -> list[bytes]:
        if self._fault == "gone":
            self._asked.gone += 1
            return [line("ERROR", status(410, "Expired"))]
        if self._fault == "garbage":
            self._asked.errors += 1
            return [b"<html>\n"]
        if self._fault == "error":
            self._asked.errors += 1
            return [line("ERROR", status(500, "InternalError"))]
        if self._fault == "cut":
            self._api.break_streams()
            return [told[: len(told) // 2]]
        return []

    async def _wait(self, cut: asyncio.Event, seconds: float) -> None:
        """Wait until something happens, or breaks, for so many seconds at most."""
        tasks = {asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(cut.wait())}
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
