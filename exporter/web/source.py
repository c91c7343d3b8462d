"""The web configuration and the files that it names as something that is read again; see `exporter.reloading`.

Must never take away what keeps people out: a file that names less than what is in force is as bad as one that cannot
be read. Whoever means it restarts the program.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from exporter import config_yaml
from exporter.config_source import fingerprint
from exporter.errors import ConfigError
from exporter.web import tls
from exporter.web.config import WebConfig, load, parse


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Loaded(Struct, frozen=True):
    """A web configuration with what its files held; `context` and `material` are None without TLS."""

    config: WebConfig
    material: tls.Material | None = None
    context: ssl.SSLContext | None = None


def read(path: str | Path) -> Loaded:
    """Read a web configuration with its files.

    Raises:
        ConfigError: something is bad

    """
    config = load(path)
    if config.tls is None:
        return Loaded(config)
    try:
        material = tls.read(config.tls, Path(path).parent)
        return Loaded(config, material, tls.context(config.tls, material))
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ConfigError(msg) from error


class WebSource:
    """A web configuration file, and what is in force of it.

    Attributes:
        loaded: in force
        taken: the fingerprint from before it was read

    Args:
        path: of the file; None is the configuration without one
        apply: puts something else into force, or raises `ExporterError` and leaves everything as it is

    Raises:
        ConfigError: the file is bad

    """

    def __init__(self, path: str | None, apply: Callable[[Loaded], Awaitable[None]]) -> None:
        self._path = path
        self._apply = apply
        self._seen = b""
        self._named: tuple[Path, ...] = ()
        self.taken = self.fingerprint()
        self.loaded = read(path) if path else Loaded(WebConfig())

    def fingerprint(self) -> bytes:
        """Give bytes that are others when a content is another; of a file that is bad the files before count."""
        if not self._path:
            return b""
        with suppress(OSError, ValueError):
            content = config_yaml.content_of(self._path)
            if content != self._seen:
                self._seen = content
                named = parse(content).tls
                self._named = tls.files(named, Path(self._path).parent) if named is not None else ()
        return fingerprint(self._path, *self._named)

    async def take(self) -> bool:
        """Read it all and put it into force; tells whether anything is other than before.

        Raises:
            ExporterError: it is bad, or protects less; everything is as it was

        """
        if not self._path:
            return False
        loaded, former = await asyncio.to_thread(read, self._path), self.loaded
        lost = sorted(former.config.protections() - loaded.config.protections())
        if lost:
            msg = (
                f"{self._path}: {lost[0]} no longer keeps anybody out, and what is closed is not opened while the "
                "program runs; put it back, or restart the program if that is meant"
            )
            raise ConfigError(msg)
        if (loaded.config, loaded.material) == (former.config, former.material):
            return False
        await self._apply(loaded)
        self.loaded = loaded
        return True
