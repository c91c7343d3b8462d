"""Credentials from kubeconfigs, which the `kubernetes` package reads.

What it leaves out is done here: a credential plugin that fails or hangs is an error with a sentence (the package only
logs it), a token file that is empty is one too (the package goes on as nobody), and no key of ours stays behind in a
file. Must never block the event loop.
"""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.kube_config import (
    ConfigNode,
    KubeConfigLoader,
    KubeConfigMerger,
    _temp_files,
)

from exporter.errors import MAX_SERVER_TEXT, ClusterError
from exporter.kube.credentials import Credentials, credentials_of
from exporter.kube.plugin import run_plugin
from exporter.timestamps import normalise, to_nanoseconds


# In seconds: credentials are loaded again so long before they run out, and at the latest after this time, since files
# rotate silently.
_EARLY = 120.0
AT_LATEST = 600.0
TOKEN_FILE = 60.0
# A plugin whose tokens are already old when it gives them is not run for every request.
_AT_EARLIEST = 5.0


async def from_kubeconfig(places: list[str], context: str, used: Credentials | None) -> Credentials:
    """Load credentials from kubeconfigs.

    Args:
        places: paths of files, of which the first to name a thing wins
        context: name of a context
        used: the credentials in use, None at the start

    Raises:
        ClusterError: they cannot be loaded; the sentence names the file and the remedy

    """
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
        reload_at, ends_at = loader.times()
        return await asyncio.to_thread(
            credentials_of, configuration, place, reload_at=reload_at, ends_at=ends_at, used=used
        )


def current_context(places: list[str]) -> str:
    """Name the current context of kubeconfigs; raises as `from_kubeconfig` does."""
    merged, current = _merge(places)
    if not current:
        known = ", ".join(_names(merged, "contexts")) or "(it has none)"
        msg = f"the kubeconfig {', '.join(places)} has no current context: give --context one of {known}"
        raise ClusterError(msg)
    return current


class _Loader(KubeConfigLoader):  # type: ignore[misc]
    """The package's loader, but for credential plugins and empty token files."""

    expires = 0.0
    folder = Path()

    def times(self) -> tuple[float, float]:
        """Tell when to load again, and when what was loaded runs out, on the monotonic clock in seconds."""
        now = time.monotonic()
        left = TOKEN_FILE if "tokenFile" in self._user else AT_LATEST
        if not self.expires:
            return now + left, math.inf
        life = self.expires - time.time()
        # A token that lives for less than twice our margin is used for half of its life.
        return now + min(left, max(life - _EARLY, life / 2, _AT_EARLIEST)), now + life

    def _load_user_token(self) -> bool:
        found = bool(super()._load_user_token())
        if "tokenFile" in self._user and not (found and self.token.removeprefix("Bearer").strip()):
            path = Path(self._get_base_path(self._user.path), str(self._user["tokenFile"]))
            raise ClusterError(f"the token file {path} is empty: write a token into it")
        return found

    def _load_cluster_info(self) -> None:
        super()._load_cluster_info()
        # What a kubeconfig holds inline is written into files, which the package keeps until the process ends; where
        # somebody tidied them away meanwhile, it can never load again. Ours are gone when they have been read.
        written = {name: Path(name).replace(self.folder / Path(name).name) for name in _temp_files.values()}
        _temp_files.clear()
        for attribute in ("ssl_ca_cert", "cert_file", "key_file"):
            name = getattr(self, attribute, None)
            if name in written:
                setattr(self, attribute, str(written[name]))

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
