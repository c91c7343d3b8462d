"""Basic authentication: whether a request names a user and that user's password.

A hash is computed in a thread, one at a time, and what it has proved is remembered. Whether a user exists makes no
difference to the time that an answer takes. Must never keep a password, nor say which of the two was wrong.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

import bcrypt


if TYPE_CHECKING:
    from collections.abc import Mapping


# What bcrypt looks at of a password, bytes; the library refuses longer ones.
_LONGEST = 72
_REMEMBERED = 100
# So many computations may be asked for and not yet done; each takes some 60 ms at the usual cost.
_WAITING = 32
# Salt and hash of nothing that has a password.
_NOBODY = "." * 53


class BusyError(Exception):
    """More is to be computed than can be in time."""


class Doorkeeper:
    """Checks credentials.

    Args:
        waiting: computations that may be waited for, at most

    """

    def __init__(self, waiting: int = _WAITING) -> None:
        self._turn = asyncio.Lock()
        self._most = waiting
        self._waiting = 0
        self._secret = secrets.token_bytes(32)
        self._proven: OrderedDict[bytes, None] = OrderedDict()

    async def admits(self, users: Mapping[str, str], authorization: str) -> bool:
        """Tell whether a request may pass.

        Args:
            users: hashes by name
            authorization: the header of that name, empty where there is none

        Raises:
            BusyError: nobody can tell in time

        """
        given = read(authorization)
        if given is None:
            return False
        name, password = given
        hashed = users.get(name)
        against = nobody(users) if hashed is None else hashed
        proof = self._proof(name, against, password)
        if proof in self._proven:
            self._proven.move_to_end(proof)
            return True
        right = await self._compute(password, against) and hashed is not None and len(password) <= _LONGEST
        if right:
            self._proven[proof] = None
            while len(self._proven) > _REMEMBERED:
                self._proven.popitem(last=False)
        return right

    async def _compute(self, password: bytes, hashed: str) -> bool:
        if self._waiting >= self._most:
            raise BusyError
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(_matches, password, hashed)
        finally:
            self._waiting -= 1

    def _proof(self, name: str, hashed: str, password: bytes) -> bytes:
        """Stand for what was proved: a keyed hash, with the lengths, so that no two of the three run together."""
        parts = (name.encode(), hashed.encode(), password)
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._secret, text, "sha256")


def read(authorization: str) -> tuple[str, bytes] | None:
    """Take the user and the password out of a header; None where it holds none."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def nobody(users: Mapping[str, str]) -> str:
    """Make a hash that takes as long as that of a user, and that no password has."""
    cost = max((hashed.split("$")[2] for hashed in users.values()), default="10")
    return f"$2b${cost}${_NOBODY}"


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_LONGEST], hashed.encode())
    except ValueError:
        return False
