"""Who we are to the API server, from the first request to the last: credentials found, and kept from running out.

Files are replaced while they are read, plugins fail and hang, tokens are revoked. As long as the credentials at hand
may still do, that is told in the log and nobody waits for it. Must never block the event loop, log or raise with a
credential, or ask a source for new ones more often than it can bear.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME, load_incluster_config

from exporter.backoff import Backoff
from exporter.errors import ClusterError
from exporter.kube.credentials import Credentials, credentials_of
from exporter.kube.kubeconfig import TOKEN_FILE, current_context, from_kubeconfig


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


log = structlog.get_logger()

# Seconds for which a request waits for new credentials while the old ones may still do.
_PATIENCE = 2.0
# Between two loads that failed, or whose outcome the server refused. A thousand streams try again each in its time:
# without this they would run a plugin without a pause.
_AGAIN = Backoff(first=1.0, factor=2.0, cap=10.0, jitter=0.2)
# A refusal that comes so many seconds after the one before is the first of another trouble. A stream that was refused
# tries again within 90 s.
_ANOTHER = 120.0


class AuthRefresher:
    """Holds the credentials and loads them again when they are due, or when the server refused them.

    Args:
        credentials: to begin with
        reload: loads them again, given the ones in use

    """

    def __init__(self, credentials: Credentials, reload: Callable[[Credentials], Awaitable[Credentials]]) -> None:
        self.credentials = credentials
        self._reload = reload
        self._running: asyncio.Task[None] | None = None
        # Why they could not be loaded the last time, empty if they could.
        self._trouble = ""
        self._failures = self._refusals = 0
        self._load_after = self._refused_at = self._heed_after = -math.inf

    async def fresh(self) -> Credentials:
        """Give credentials to use now: new ones if they are due, else those at hand for as long as they may do.

        Raises:
            ClusterError: those at hand have run out, and new ones cannot be loaded

        """
        now, used = time.monotonic(), self.credentials
        if now < used.reload_at:
            return used
        over = now >= used.ends_at
        if now < self._load_after:
            if over:
                raise ClusterError(self._trouble)
        elif over:
            await asyncio.shield(self._load())
        else:
            await asyncio.wait({self._load()}, timeout=_PATIENCE)
        return self.credentials

    async def force_refresh(self, refused: Credentials | None = None) -> None:
        """Load the credentials again, once for all who ask at the same time.

        Args:
            refused: the credentials that the server refused. Where they are no longer the ones in use, nothing is
                done, nor where the last ones to be loaded were refused as well, a moment ago

        Raises:
            ClusterError: they cannot be loaded

        """
        if refused is not None and self._running is None:
            if refused is not self.credentials:
                return
            now = time.monotonic()
            if self._trouble:
                if now < self._load_after:
                    raise ClusterError(self._trouble)
            elif now < self._heed_after:
                return
            self._refusals = self._refusals + 1 if now < self._refused_at + _ANOTHER else 0
            self._refused_at = now
            self._heed_after = now + _AGAIN.delay(self._refusals, random.random())  # noqa: S311 - jitter
        await asyncio.shield(self._load())

    async def close(self) -> None:
        """End a plugin that still runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _load(self) -> asyncio.Task[None]:
        """Begin to load, unless that is being done."""
        if self._running is None:
            self._running = asyncio.create_task(self._refresh(), name="credentials")
            self._running.add_done_callback(self._done)
        return self._running

    async def _refresh(self) -> None:
        try:
            self.credentials = await self._reload(self.credentials)
        except ClusterError as error:
            self._failures += 1
            self._load_after = time.monotonic() + _AGAIN.delay(self._failures, random.random())  # noqa: S311 - jitter
            if not self._trouble:
                log.warning("new credentials cannot be loaded, trying again", error=str(error))
            self._trouble = str(error)
            raise
        if self._trouble:
            log.info("new credentials were loaded")
        self._trouble, self._failures, self._load_after = "", 0, -math.inf

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running = None
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have


async def load(kubeconfig: str | None = None, context: str | None = None) -> AuthRefresher:
    """Load credentials: from the kubeconfig named, else $KUBECONFIG, else ~/.kube/config, else the pod's own.

    Args:
        kubeconfig: path of one file; $KUBECONFIG may join several with `:`
        context: name of a context, None for the current one

    Raises:
        ClusterError: they cannot be loaded; the sentence names the file and the remedy

    """
    places, found = _places(kubeconfig)
    if found:
        # The context is settled once: `kubectl config use-context` must not move a running exporter elsewhere.
        settled = await asyncio.to_thread(current_context, found) if context is None else context

        async def reload(used: Credentials | None) -> Credentials:
            return await from_kubeconfig(found, settled, used)

    elif kubeconfig or context or SERVICE_HOST_ENV_NAME not in os.environ:
        msg = f"there is no kubeconfig at {', '.join(places)}: give --kubeconfig, set KUBECONFIG, or run in a cluster"
        raise ClusterError(msg)
    else:

        async def reload(used: Credentials | None) -> Credentials:
            return await asyncio.to_thread(_from_service_account, used)

    return AuthRefresher(await reload(None), reload)


def _places(kubeconfig: str | None) -> tuple[list[str], list[str]]:
    """Say where a kubeconfig may be, and where there is one."""
    given = [kubeconfig] if kubeconfig else os.environ.get("KUBECONFIG", "").split(os.pathsep)
    places = [place for place in given if place] or ["~/.kube/config"]
    places = [os.path.expanduser(place) for place in places]  # noqa: PTH111 - Path's raises where there is no home
    return places, [place for place in places if Path(place).exists()]


def _from_service_account(used: Credentials | None) -> Credentials:
    configuration = Configuration()
    try:
        # Its way to read the token again fails where the file is away for a moment; ours keeps the old one.
        load_incluster_config(configuration, try_refresh_token=False)
    except (ConfigException, OSError) as error:
        msg = f"cannot use the pod's ServiceAccount: {error}; is automountServiceAccountToken on?"
        raise ClusterError(msg) from error
    reload_at = time.monotonic() + TOKEN_FILE
    return credentials_of(configuration, "the pod's ServiceAccount", reload_at=reload_at, ends_at=math.inf, used=used)
