"""The configuration file as something that is read again while the program runs; see `exporter.reloading`.

Must never put anything into force by itself: what does is handed to it.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.config import Config, load


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ConfigSource:
    """A configuration file, and what is in force of it.

    Attributes:
        config: in force
        taken: the fingerprint from before it was read

    Args:
        path: of the file; None is the configuration without one
        check: sees whether a configuration can be put into force, or raises `ExporterError`
        apply: puts what `config` is now into force

    Raises:
        ConfigError: the file is bad

    """

    def __init__(
        self, path: str | None, check: Callable[[Config], Awaitable[None]], apply: Callable[[], Awaitable[None]]
    ) -> None:
        self._path = path
        self._check = check
        self._apply = apply
        self.taken = self.fingerprint()
        self.config = self._read()

    def fingerprint(self) -> bytes:
        """Give bytes that are others when the content is another."""
        return fingerprint(self._path) if self._path else b""

    async def take(self) -> bool:
        """Read the file and put it into force; tells whether it says anything else than before.

        Raises:
            ExporterError: it is bad, and everything is as it was

        """
        config = await asyncio.to_thread(self._read)
        if config == self.config:
            return False
        await self._check(config)
        self.config = config
        await self._apply()
        return True

    def _read(self) -> Config:
        return load(self._path) if self._path else Config()


def fingerprint(*paths: str | Path) -> bytes:
    """Give a hash of what is in files, or of why they cannot be read."""
    found = hashlib.sha256()
    for path in paths:
        try:
            content = b"+" + Path(path).read_bytes()
        except OSError as error:
            content = b"-" + str(error.errno).encode()
        found.update(len(content).to_bytes(8, "big") + content)
    return found.digest()
