"""Follows one scope: lists what there is, watches what happens, and goes on from where it was after any interruption.

The rules are mostly client-go's; where ours differ:

* A stream that breaks is resumed from the last version seen, with back-off, for as long as the server remembers: a
  resume loses nothing, while a list swallows every version between (client-go lists again after one short watch).
  However long it is away: the history is given up only when the server answers and still has no stream for us.
* 410 Gone is asked twice, on a fresh connection each time, since another replica may still know; then listed.
* The initial list comes as a watch (WatchList, KEP-3157) where the server can, in pages where it cannot or where it
  never says that the list is complete.
* A version that the server has not reached (an etcd restored from a backup) makes a watch that is silent for ever:
  that is asked before resuming from a former run, and whenever a stream gave nothing at all or something odd.
* Our place never goes back. What comes late is passed on as such, since whoever knows the object knows whether it is
  news; but what is older than the list, or the place, with which we began was told before: such a stream is not to be
  trusted.

Everything seen is put into the sink in order. This module never decides what a version means, and never writes.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from exporter.changes.order import is_older
from exporter.errors import ApiError, ClusterError, ExpiredError, NetworkError
from exporter.kube.collection import Bookmark, BrokenStreamError
from exporter.kube.patience import Patience
from exporter.kube.sink import Listed, Progress


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.changes.observation import Mode, Observation
    from exporter.kube.collection import Collection
    from exporter.kube.sink import Sink

log = structlog.get_logger()

# So many streams in a row that hold nothing, or an error, before it is tried with a list.
_FRUITLESS = 4
# Bookmarks come every minute; a stream that is silent for longer is dead, but for a server that sends none.
_SILENCE = 90.0
# A stream that ends sooner, in seconds, and has brought us no further is not opened again at once.
_SHORT = 1.0
_LIST_SILENCE = 30.0
# Who is told to stay away for so many seconds need not be told again and again before it is said.
_LONG = 60.0
_SHORTEST, _LONGEST = 300, 600
_NO_WATCH_LIST = frozenset({400, 422})
_TOO_MANY = 429
_SERVER_ERROR = 500
_REFUSALS = frozenset({401, 403, 404, 405, 406, 415})


class Reflector:
    """Follows one scope for ever.

    Args:
        collection: the scope on the server
        sink: takes what is seen
        version: where to go on, empty to begin with a list
        mode: how the first list is to be taken
        lists: bounds how many collections are listed at once
        draw: gives random numbers in [0, 1)
        sleep: waits for seconds

    """

    def __init__(
        self,
        collection: Collection,
        sink: Sink,
        *,
        version: str,
        mode: Mode,
        lists: asyncio.Semaphore,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._collection = collection
        self._sink = sink
        self._version = version
        self._mode: Mode = mode
        self._lists = lists
        self._draw = draw
        self._sleep = sleep
        self._why = "start"
        self._listing = False
        self._watch_list = True
        self._unfinished = 0
        # A version from a former run, or one from which a stream gave nothing: the server may not have reached it.
        self._doubtful = bool(version)
        # Where the unbroken chain began in which versions can be compared.
        self._since = version
        self._bookmarks: bool | None = None  # whether the server sends them, as far as we know
        self._accepted = False
        self._fruitless = self._expired = 0
        self._patience = Patience(draw)
        self._synced = False
        self._degraded = ""

    @property
    def version(self) -> str:
        """The last version seen: where another reflector of the same scope can go on."""
        return self._version

    @property
    def mode(self) -> Mode:
        """How the next list is to be taken, by this reflector or by another that goes on in its place."""
        return self._mode

    async def run(self) -> None:
        """Follow the scope until cancelled."""
        while True:
            try:
                if self._version and self._doubtful:
                    await self._check_history()
                await (self._watch() if self._version else self._list())
            except ClusterError as error:
                self._end_list()  # whoever waits to try again must not keep others from listing
                await self._recover(error)
            finally:
                self._end_list()
            if self._version and self._fruitless > _FRUITLESS:
                self._list_next("fruitless")

    async def refresh(self) -> None:
        """List once so that the versions that are known are stored as they look now; the watch goes on beside it.

        Raises:
            ClusterError: the list failed

        """
        async for _, page in self._collection.pages("refresh"):
            for seen in page:
                await self._sink.put(seen)
        self._sink.listing("schema", gap=False)

    # -- what to do next --------------------------------------------------------------------------------------

    async def _check_history(self) -> None:
        if await self._collection.is_behind(self._version):
            self._sink.went_backwards()
            self._list_next("history_went_backwards")
        elif self._bookmarks is False:
            self._sink.received()  # that it has nothing to tell is all that such a server ever says of a quiet type
        self._doubtful = False

    def _list_next(self, why: str) -> None:
        """Give the history up: the next request lists."""
        self._version = self._since = ""
        self._why, self._expired, self._fruitless = why, 0, 0

    async def _recover(self, error: ClusterError) -> None:
        """Decide after an error: when to try again, and whether the history is lost."""
        at_least = 0.0
        if isinstance(error, ExpiredError):
            reason = "expired"
            self._expired += 1
            self._patience.answered()
            if self._expired > 1:
                self._list_next("expired")
        elif isinstance(error, ApiError):
            reason = f"http_{error.status}"
            at_least = error.retry_after or 0.0
            if error.status in _REFUSALS:
                self._patience.refused = error.reason or str(error.status)
                self._degrade(self._patience.refused, error)
            elif error.retry_after is None and error.status != _TOO_MANY:
                self._suspect()
            # Whose conversion is broken is told to come back later, as in an overload, and for ever.
            lasts = self._patience.persists or at_least >= _LONG
            if (error.status >= _SERVER_ERROR or error.status == _TOO_MANY) and lasts:
                self._degrade(reason, error)
        elif isinstance(error, BrokenStreamError):
            reason = "broken"
            self._suspect()
            if self._patience.persists:
                self._degrade(reason, error)
        else:
            reason = "connection"
        log.debug("watch interrupted", type=str(self._collection.type), reason=reason, error=str(error))
        self._sink.restarted(reason)
        if reason != "expired" or self._patience.tried:
            await self._sleep(self._patience.failed(at_least))
        else:
            self._patience.passed_over()

    def _suspect(self) -> None:
        """Count a stream that holds no events; not where the server had no answer either when it was asked for one."""
        if not self._doubtful:
            self._fruitless += 1
        self._doubtful = True

    def _degrade(self, reason: str, error: ClusterError) -> None:
        """Tell that the type cannot be followed for now, once for as long as that lasts for one reason."""
        if self._degraded != reason:
            self._degraded = reason
            self._sink.degraded(str(error))

    def _recovered(self) -> None:
        """Tell that it can be followed again."""
        if self._degraded:
            self._degraded = self._patience.refused = ""
            self._sink.degraded("")

    # -- watching ---------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Read one stream from the version we have until it ends."""
        seconds = self._seconds()
        params = {"resourceVersion": self._version, "timeoutSeconds": str(seconds)}
        fruitless = True
        loop = asyncio.get_running_loop()
        self._accepted, began, place = False, loop.time(), self._version
        try:
            async for item in self._collection.watch(
                params,
                mode=lambda: "live",
                opened=self._opened,
                read_timeout=seconds + 30.0 if self._bookmarks is False else _SILENCE,
            ):
                fruitless = False
                await self._take(item)
        except (ApiError, BrokenStreamError):
            raise  # the server said something: it is not the silence of one that is behind
        except ClusterError as error:
            self._doubtful = self._doubtful or fruitless
            silent = fruitless and self._accepted and isinstance(error, NetworkError) and error.trouble == "timeout"
            if silent and self._bookmarks is None:
                self._bookmarks = False
            raise
        self._sink.restarted("empty" if fruitless else "ended")
        if self._degraded and loop.time() - began >= _SHORT:
            self._recovered()  # a stream that was open and had nothing to tell, by a server that sends no bookmarks
        if fruitless:
            self._doubtful = True
            self._fruitless += 1
        if fruitless or (self._version == place and loop.time() - began < _SHORT):
            await self._sleep(self._patience.failed())

    async def _take(self, item: Observation | Bookmark) -> None:
        """Pass on what a stream tells after its initial part, and note how far we are."""
        bookmark = isinstance(item, Bookmark)
        version = item.resource_version if isinstance(item, Bookmark) else item.head.resource_version
        if is_older(version, self._version):
            if bookmark or is_older(version, self._since):
                self._sink.skipped("late")
                msg = f"the watch of {self._collection.type} went back from version {self._version} to {version}"
                raise BrokenStreamError(msg)
            item = replace(item, late=True)
            self._doubtful, further = True, False
        else:
            further = version not in ("", self._version)
        if further:
            self._healthy()
        # Only what was handed on counts as seen: another reflector of the scope may go on from here at any moment.
        if not isinstance(item, Bookmark):
            await self._sink.put(item)
        if further:
            self._version = version
        self._bookmarks = self._bookmarks or bookmark or None
        if bookmark or not further:
            await self._sink.put(Progress(self._collection.type, self._collection.scope, self._version))

    # -- listing ----------------------------------------------------------------------------------------------

    async def _list(self) -> None:
        """Take in the whole scope, then go on watching in the same stream where there is one."""
        await self._lists.acquire()
        self._listing = True
        if self._mode == "catch_up":
            # What this list stores may be newer than the checkpoint: after a crash, do not resume from that.
            await self._sink.put(Progress(self._collection.type, self._collection.scope, ""))
        if self._watch_list:
            await self._list_by_watch()
            return
        uids: set[str] = set()
        version = ""
        async for list_version, page in self._collection.pages(self._mode, anew=uids.clear):
            version = list_version
            for seen in page:
                uids.add(seen.head.uid)
                await self._sink.put(seen)
        await self._complete(version, uids)

    async def _list_by_watch(self) -> None:
        """List by a watch that begins with what there is; where the server will not, the next list is in pages."""
        params = {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "timeoutSeconds": str(self._seconds()),
        }
        uids: set[str] = set()
        loop = asyncio.get_running_loop()
        self._accepted = False
        try:
            async with asyncio.timeout(_LIST_SILENCE) as deadline:
                async for item in self._collection.watch(
                    params,
                    mode=lambda: self._mode if self._listing else "live",
                    opened=self._opened,
                    read_timeout=_SILENCE,
                ):
                    if not self._listing:
                        await self._take(item)
                        continue
                    deadline.reschedule(None)  # while we are busy with it, the silence is ours
                    if not await self._take_initial(item, uids):
                        deadline.reschedule(loop.time() + _LIST_SILENCE)
            if self._listing:
                msg = f"the list of {self._collection.type} ended before it was complete"
                raise BrokenStreamError(msg)
        except (ClusterError, TimeoutError) as error:
            if not self._listing:
                raise
            if isinstance(error, ApiError) and error.status in _NO_WATCH_LIST:
                self._watch_list = False
                return
            # Once can be chance; a server, or a proxy before it, that does not complete the list twice never will.
            self._unfinished += self._accepted
            self._watch_list = self._unfinished < 2  # noqa: PLR2004
            if isinstance(error, TimeoutError):
                msg = f"the list of {self._collection.type} was not completed"
                raise BrokenStreamError(msg) from error
            raise
        self._sink.restarted("ended")

    async def _take_initial(self, item: Observation | Bookmark, uids: set[str]) -> bool:
        """Pass on what a stream tells in its initial part; tell whether that is complete."""
        if not isinstance(item, Bookmark):
            (uids.discard if item.event == "deleted" else uids.add)(item.head.uid)
            await self._sink.put(item)
        elif item.ends_list and item.resource_version:
            await self._complete(item.resource_version, uids)
        else:
            msg = f"the watch of {self._collection.type} sent a bookmark before the end of the list"
            raise BrokenStreamError(msg)
        return not self._listing

    async def _complete(self, version: str, uids: set[str]) -> None:
        """The list is complete: watch from its version on, and take a next list as the end of an interruption."""
        self._sink.listing(self._why, gap=self._mode == "catch_up")
        await self._sink.put(Listed(self._collection.type, self._collection.scope, self._mode, version, uids))
        self._version = self._since = version
        self._mode, self._doubtful, self._unfinished, self._fruitless, self._expired = "catch_up", False, 0, 0, 0
        self._patience.listed()
        if not self._patience.only_lists:
            self._recovered()
        self._end_list()
        self._tell_synced()

    def _end_list(self) -> None:
        """Let another scope list."""
        if self._listing:
            self._listing = False
            self._lists.release()

    # -- parts ------------------------------------------------------------------------------------------------

    def _opened(self) -> None:
        """The server opened a stream: whatever kept us out is over, and a resumed watch is in sync."""
        self._accepted = True
        if self._patience.refused:  # where the server fails at what it has to answer, an open stream says nothing yet
            self._recovered()
        if self._version:
            self._tell_synced()

    def _tell_synced(self) -> None:
        if not self._synced:
            self._synced = True
            self._sink.synced()

    def _healthy(self) -> None:
        self._fruitless = self._expired = 0
        self._patience.healthy()
        self._recovered()
        self._doubtful = False

    def _seconds(self) -> int:
        """Draw how long a stream may last, so that not all end at once."""
        return _SHORTEST + int(self._draw() * (_LONGEST - _SHORTEST))
