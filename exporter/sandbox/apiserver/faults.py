"""What the emulated server does wrong on request: switches that are set from outside and asked by the server.

A switch holds for one type or for all, and until it is lifted or has been used up. Must never do anything by itself:
it says what goes wrong, the server and its streams make it so.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from msgspec import Struct, field


What = Literal["refuse", "page", "gzip", "cut", "stall", "dribble", "garbage", "no_end"]
Verb = Literal["", "get", "list", "watch", "create", "update", "patch", "delete"]
# What befalls a stream that is open, before its next line.
STREAM: tuple[What, ...] = ("stall", "cut", "garbage", "dribble")

_PAGE = "<!doctype html><title>Log in</title><p>This is the login page of a proxy.</p>"
_BROKEN = b'{"type":"MODIFIED","object":{"metadata":{"name":"on'


class Switch(Struct, eq=False):
    """One thing that goes wrong.

    Attributes:
        what: goes wrong
        resource: the type that it befalls, as `databases.db.example.com` or `configmaps`; empty for all
        verb: the kind of request; empty for all
        times: how often it still does; None for until it is lifted
        after: how many lines of a stream come before
        status: of the refusal
        retry_after: seconds that a refusal asks to wait, None to ask nothing
        content: what comes instead of what was asked for
        size: bytes in a piece
        lifted: is set when it is over

    """

    what: What
    resource: str = ""
    verb: Verb = ""
    times: int | None = None
    after: int = 0
    status: int = 0
    retry_after: int | None = None
    content: bytes = b""
    size: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)

    def befalls(self, resource: str, verb: Verb, sent: int) -> bool:
        """Tell whether it is this one's turn."""
        return self.times != 0 and self.resource in {"", resource} and self.verb in {"", verb} and sent >= self.after


class Faults:
    """The switches of one server. Each method sets one and gives it, so that it can be lifted."""

    def __init__(self) -> None:
        self._switches: list[Switch] = []

    def refuse(
        self,
        status: int,
        *,
        resource: str = "",
        verb: Verb = "",
        times: int | None = None,
        retry_after: int | None = None,
    ) -> Switch:
        """Answer requests with an error: 403, 429, 500, 503 or any other status."""
        switch = Switch("refuse", resource, verb, times, status=status, retry_after=retry_after)
        return self._set(switch)

    def page(
        self, *, resource: str = "", verb: Verb = "", times: int | None = None, content: str = _PAGE, status: int = 200
    ) -> Switch:
        """Answer requests with a page of HTML, as a proxy before the server does."""
        return self._set(Switch("page", resource, verb, times, status=status, content=content.encode()))

    def gzip(self, *, resource: str = "", times: int | None = None) -> Switch:
        """Compress streams for clients that accept it, one gzip member for each flush, as WatchListCompression does."""
        return self._set(Switch("gzip", resource, "watch", times))

    def cut(self, *, resource: str = "", times: int | None = 1, after: int = 0) -> Switch:
        """Break the connection of a stream in the middle of the line that follows `after` lines."""
        return self._set(Switch("cut", resource, "watch", times, after))

    def stall(self, *, resource: str = "", times: int | None = None, after: int = 0) -> Switch:
        """Send nothing more on a stream, and leave it open, until lifted; then it goes on."""
        return self._set(Switch("stall", resource, "watch", times, after))

    def dribble(self, *, resource: str = "", times: int | None = None, after: int = 0, size: int = 7) -> Switch:
        """Send the lines of a stream in pieces of so many bytes."""
        return self._set(Switch("dribble", resource, "watch", times, after, size=size))

    def garbage(self, *, resource: str = "", times: int | None = 1, after: int = 0, content: bytes = _BROKEN) -> Switch:
        """Send a line that is no event, before the one that would come."""
        return self._set(Switch("garbage", resource, "watch", times, after, content=content))

    def no_end(self, *, resource: str = "", times: int | None = None) -> Switch:
        """Never send the bookmark that ends the initial part of a watch."""
        return self._set(Switch("no_end", resource, "watch", times))

    def lift(self, switch: Switch | None = None) -> None:
        """Take back one switch, or all."""
        for one in [switch] if switch is not None else self._switches:
            one.lifted.set()
        self._switches = [one for one in self._switches if not one.lifted.is_set()]

    def concerns(self, resource: str) -> bool:
        """Tell whether anything could befall the streams of a type now; what is asked before each write."""
        return any(one.times != 0 and one.resource in {"", resource} and one.what in STREAM for one in self._switches)

    def take(self, what: What, resource: str, verb: Verb = "watch", *, sent: int = 0) -> Switch | None:
        """Give the switch whose turn it is and count that it was used, None if nothing goes wrong.

        Args:
            what: could go wrong
            resource: the type, as in `Switch`
            verb: what is being done
            sent: lines that the stream has had

        """
        for one in self._switches:
            if one.what == what and one.befalls(resource, verb, sent):
                if one.times is not None:
                    one.times -= 1
                return one
        return None

    def _set(self, switch: Switch) -> Switch:
        self._switches.append(switch)
        return switch
