"""Who we are to the API server: from a kubeconfig or the pod's ServiceAccount to an address, TLS and a header.

The `kubernetes` package reads the formats. What it leaves out is done here: a credential plugin that fails or hangs
is an error with a sentence (the package only logs it), and credentials are loaded again before they run out. Must
never block the event loop, log or raise with a credential, or go over to another server while running.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME, load_incluster_config
from kubernetes.aio.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger

from exporter.errors import MAX_SERVER_TEXT, ClusterError
from exporter.kube.plugin import run_plugin
from exporter.timestamps import normalise, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Credentials are loaded again this long before they run out, and at the latest after this time: files rotate silently.
_EARLY = 120.0
_AT_LATEST = 600.0
_TOKEN_FILE = 60.0
# A plugin whose tokens are already old when it gives them is not run for every request.
_AT_EARLIEST = 5.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request needs, until `reload_at`.

    Attributes:
        configuration: the `kubernetes.aio` Configuration, for `headers`
        server: address of the API server, without a slash at the end
        tls: TLS settings with the client certificate, None for plain HTTP
        authority: the PEM of the CA, empty for the system's
        server_name: name to expect in the server's certificate, None for the address's own
        proxy: address of an HTTP proxy, None for none
        reload_at: when to load them again, on the monotonic clock in seconds
        material: what `tls` was made of, to know it again

    """

    configuration: Any = field(repr=False)
    server: str
    tls: ssl.SSLContext | None = field(repr=False)
    authority: bytes = field(repr=False)
    server_name: str | None
    proxy: str | None
    reload_at: float
    material: tuple[object, ...] = field(repr=False)

    async def headers(self) -> dict[str, str]:
        """Give the header that says who we are; in a cluster its token file is read again every minute.

        Raises:
            ClusterError: the token file cannot be read any more

        """
        try:
            settings = await self.configuration.auth_settings()
        except (ConfigException, OSError) as error:
            msg = f"cannot read the pod's ServiceAccount token: {error}; is automountServiceAccountToken on?"
            raise ClusterError(msg) from error
        # The token files of some tools end in a line break, which no header may hold.
        value = str(settings.get("BearerToken", {}).get("value") or "").strip()
        if not value.isprintable():
            raise ClusterError("the token for the API server holds a line break: write it again, on one line")
        return {"Authorization": value} if value else {}


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

    async def fresh(self) -> Credentials:
        """Give credentials to use now.

        Raises:
            ClusterError: they were due, and cannot be loaded

        """
        if time.monotonic() >= self.credentials.reload_at:
            await self.force_refresh(self.credentials)
        return self.credentials

    async def force_refresh(self, refused: Credentials | None = None) -> None:
        """Load the credentials again, once for all who ask at the same time.

        Args:
            refused: the credentials that the server refused; where they are no longer the ones in use, nothing is done

        Raises:
            ClusterError: they cannot be loaded

        """
        if refused is not None and refused is not self.credentials:
            return
        if self._running is None:
            self._running = asyncio.create_task(self._refresh(), name="credentials")
            self._running.add_done_callback(self._done)
        await asyncio.shield(self._running)

    async def close(self) -> None:
        """End a plugin that still runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _refresh(self) -> None:
        self.credentials = await self._reload(self.credentials)

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
        settled = await asyncio.to_thread(_current_context, found) if context is None else context

        async def reload(used: Credentials | None) -> Credentials:
            return await _from_kubeconfig(found, settled, used)

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
        load_incluster_config(configuration)
    except (ConfigException, OSError) as error:
        msg = f"cannot use the pod's ServiceAccount: {error}; is automountServiceAccountToken on?"
        raise ClusterError(msg) from error
    return _credentials(configuration, "the pod's ServiceAccount", time.monotonic() + _AT_LATEST, used)


async def _from_kubeconfig(places: list[str], context: str, used: Credentials | None) -> Credentials:
    place = f"the kubeconfig {', '.join(places)} (context {context!r})"
    configuration = Configuration()
    with TemporaryDirectory(prefix="customresource-exporter-") as folder:
        loader = await asyncio.to_thread(_loader, places, context)
        loader.folder = Path(folder)
        try:
            await loader.load_and_set(configuration)
        except ClusterError:
            raise
        except Exception as error:  # the package raises whatever a malformed file makes it stumble over
            text = " ".join(str(error).split())[:MAX_SERVER_TEXT] or type(error).__name__
            msg = f"{place} cannot be used: {text}; correct it, or choose another with --kubeconfig or --context"
            raise ClusterError(msg) from error
        return await asyncio.to_thread(_credentials, configuration, place, loader.reload_at(), used)


class _Loader(KubeConfigLoader):  # type: ignore[misc]
    """The package's loader, but for credential plugins."""

    expires = 0.0
    folder = Path()

    def reload_at(self) -> float:
        """Tell when to load again, on the monotonic clock in seconds."""
        left = _TOKEN_FILE if "tokenFile" in self._user else _AT_LATEST
        if self.expires:
            life = self.expires - time.time()
            # A token that lives for less than twice our margin is used for half of its life.
            left = min(left, max(life - _EARLY, life / 2, _AT_EARLIEST))
        return time.monotonic() + left

    async def load_from_exec_plugin(self) -> bool:
        """Run the plugin and take its token, its certificate, or both."""
        plugin = dict(self._user["exec"].value)
        command = str(plugin.get("command") or "")
        if "/" in command:  # as kubectl does: relative to the file that names it
            plugin["command"] = str(Path(self._get_base_path(self._user.path), command))
        status = await run_plugin(plugin, self._cluster.value if plugin.get("provideClusterInfo") else None)
        if status.get("token"):
            self.token = f"Bearer {status['token']}"
        if status.get("clientCertificateData"):
            for attribute, key in (("cert_file", "clientCertificateData"), ("key_file", "clientKeyData")):
                path = self.folder / key
                path.touch(mode=0o600)
                path.write_text(str(status.get(key) or ""))
                setattr(self, attribute, str(path))
        at = normalise(status.get("expirationTimestamp"))
        self.expires = to_nanoseconds(at) / 1e9 if at else 0.0
        return True


def _merge(places: list[str]) -> tuple[dict[str, Any], str]:
    """Read the files into one; as kubectl does, the first to name a thing or the current context wins."""
    merger, merged = None, dict[str, Any]()
    for place in places:
        try:
            if merger is None:
                merger = KubeConfigMerger(place)
            else:
                merger.load_config(place)
            merged = merger.config.value
        except (yaml.YAMLError, OSError, AttributeError, TypeError, KeyError, UnicodeDecodeError) as error:
            text = " ".join(str(error).split())[:MAX_SERVER_TEXT]
            bad_text = isinstance(error, yaml.YAMLError | OSError | UnicodeDecodeError)
            msg = f"the kubeconfig {place} {'cannot be read: ' + text if bad_text else 'is no kubeconfig'}"
            raise ClusterError(f"{msg}; correct it or choose another with --kubeconfig") from error
    files = merger.config_files.values() if merger is not None else ()
    current = [str(one["current-context"]) for one in files if one.get("current-context")]
    return merged, (current or [""])[0]


def _names(merged: dict[str, Any], section: str) -> list[str]:
    return [str(node.value.get("name")) for node in merged[section]]


def _current_context(places: list[str]) -> str:
    merged, current = _merge(places)
    if not current:
        known = ", ".join(_names(merged, "contexts")) or "(it has none)"
        msg = f"the kubeconfig {', '.join(places)} has no current context: give --context one of {known}"
        raise ClusterError(msg)
    return current


def _loader(places: list[str], context: str) -> _Loader:
    merged, _ = _merge(places)
    place = f"the kubeconfig {', '.join(places)}"
    if context not in (known := _names(merged, "contexts")):
        msg = f"{place} has no context {context!r}: give --context one of {', '.join(known) or '(it has none)'}"
        raise ClusterError(msg)
    try:
        loader = _Loader(ConfigNode(place, merged), active_context=context, config_base_path=None)
    except (ConfigException, AttributeError, TypeError, KeyError) as error:
        clusters = ", ".join(_names(merged, "clusters")) or "(it has none)"
        msg = f"{place}: the context {context!r} does not name a cluster and user of it; its clusters: {clusters}"
        raise ClusterError(msg) from error
    user = loader.current_context["context"].get("user")
    if loader._user is None:  # noqa: SLF001 - the package has no other way to tell
        if user:
            users = ", ".join(_names(merged, "users")) or "(it has none)"
            msg = f"{place}: the context {context!r} names the user {user!r}, which is not among its users: {users}"
            raise ClusterError(msg)
        loader._user = ConfigNode("no user", {})  # noqa: SLF001 - the package stumbles over None
    if loader.provider not in (None, "gcp", "oidc"):
        msg = f"{place}: the auth-provider {loader.provider!r} of user {user!r} is not supported: use an exec plugin"
        raise ClusterError(msg)
    return loader


def _credentials(
    configuration: Any,  # noqa: ANN401 - untyped package
    place: str,
    reload_at: float,
    used: Credentials | None,
) -> Credentials:
    server = str(configuration.host or "").rstrip("/")
    try:
        address = urlsplit(server)
        usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        usable = False
    if not usable:
        msg = f"{place} names no server address that can be used ({server!r}): write https://host:port"
        raise ClusterError(msg)
    if "@" in address.netloc:
        msg = f"{place} holds a password in the server's address: give the user's credentials in `users` instead"
        raise ClusterError(msg)
    if used is not None and used.server != server:
        msg = f"{place} now names the server {server} instead of {used.server}: restart to follow another server"
        raise ClusterError(msg)
    names = [name for name in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file) if name]
    try:
        contents = [Path(name).read_bytes() for name in names]
        material = (bool(configuration.verify_ssl), *(hashlib.sha256(content).digest() for content in contents))
        if used is not None and used.material == material:
            tls = used.tls  # the same settings keep the connections that are open
        else:
            tls = _tls(configuration) if server.startswith("https://") else None
    except (ssl.SSLError, OSError, ValueError) as error:
        msg = f"{place} has certificates that cannot be used ({', '.join(names)}): {error}; correct or renew them"
        raise ClusterError(msg) from error
    return Credentials(
        configuration=configuration,
        server=server,
        tls=tls,
        authority=contents[0] if configuration.ssl_ca_cert else b"",
        server_name=configuration.tls_server_name or None,
        proxy=configuration.proxy or None,
        reload_at=reload_at,
        material=material,
    )


def _tls(configuration: Any) -> ssl.SSLContext:  # noqa: ANN401 - untyped package
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Cluster CAs rarely satisfy RFC 5280 to the letter; every other Kubernetes client takes them.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(
            configuration.cert_file, configuration.key_file, password=""
        )  # an encrypted key must not prompt
    return tls
