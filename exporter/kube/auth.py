"""Who we are to the API server: from a kubeconfig or the pod's ServiceAccount to an address, TLS and a header.

The `kubernetes` package reads the formats. What it does not do is done here: a credential plugin that fails or hangs
is an error with a sentence (the package only logs it), and credentials are loaded again before they run out.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME, load_incluster_config
from kubernetes.aio.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger

from exporter.errors import MAX_SERVER_TEXT, ClusterError
from exporter.timestamps import normalise, to_nanoseconds


PLUGIN_TIMEOUT = 30.0
# Credentials are loaded again this long before they run out, and at the latest after this time: files rotate silently.
_EARLY = 120.0
_AT_LATEST = 600.0
_IN_CLUSTER = 60.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request needs.

    Attributes:
        server: address of the API server, without a slash at the end
        tls: TLS settings with the client certificate, None for plain HTTP
        authorization: value of the header, empty for none
        server_name: name to expect in the server's certificate, None for the address's own
        proxy: address of an HTTP proxy, None for none
        reload_at: when to load them again, on the monotonic clock in seconds

    """

    server: str
    tls: ssl.SSLContext | None
    authorization: str
    server_name: str | None
    proxy: str | None
    reload_at: float


async def load(kubeconfig: str | None = None, context: str | None = None) -> Credentials:
    """Load credentials: from the kubeconfig named, else $KUBECONFIG, else ~/.kube/config, else the pod's own.

    Args:
        kubeconfig: path, or several joined with `:`, as in $KUBECONFIG
        context: name of a context, None for the current one

    Raises:
        ClusterError: they cannot be loaded; the sentence names the file and the remedy

    """
    places = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    configuration = Configuration()
    if not _exists(places):
        if kubeconfig or context or SERVICE_HOST_ENV_NAME not in os.environ:
            msg = f"there is no kubeconfig at {places}: give --kubeconfig, set KUBECONFIG, or run inside a cluster"
            raise ClusterError(msg)
        try:
            load_incluster_config(configuration, try_refresh_token=False)
        except (ConfigException, OSError) as error:
            msg = f"cannot use the pod's ServiceAccount: {error}; is automountServiceAccountToken on?"
            raise ClusterError(msg) from error
        return _credentials(configuration, "the pod's ServiceAccount", time.monotonic() + _IN_CLUSTER)
    loader = _loader(places, context)
    try:
        await loader.load_and_set(configuration)
    except (ConfigException, OSError, ValueError, KeyError, TypeError) as error:
        msg = f"cannot use the kubeconfig {places}: {error}"
        raise ClusterError(msg[: 2 * MAX_SERVER_TEXT]) from error
    left = min(_AT_LATEST, loader.expires - time.time() - _EARLY) if loader.expires else _AT_LATEST
    return _credentials(configuration, f"the kubeconfig {places}", time.monotonic() + max(left, 10.0))


def _exists(places: str) -> bool:
    return any(Path(place).expanduser().exists() for place in places.split(os.pathsep) if place)


class _Loader(KubeConfigLoader):  # type: ignore[misc]
    """The package's loader, but for credential plugins."""

    expires: float = 0.0

    async def load_from_exec_plugin(self) -> bool:
        """Run the plugin and take its token or certificate."""
        status = await run_plugin(self._user["exec"].value)
        if "token" in status:
            self.token = f"Bearer {status['token']}"
        if "clientCertificateData" in status:
            for attribute, key in (("cert_file", "clientCertificateData"), ("key_file", "clientKeyData")):
                data = FileOrData(status, None, data_key_name=key, base64_file_content=False)
                setattr(self, attribute, data.as_file())
        at = normalise(status.get("expirationTimestamp"))
        self.expires = to_nanoseconds(at) / 1e9 if at else 0.0
        return True


def _loader(places: str, context: str | None) -> _Loader:
    try:
        merged = KubeConfigMerger(places).config
    except (yaml.YAMLError, ConfigException, OSError, AttributeError, TypeError, KeyError, UnicodeDecodeError) as error:
        msg = f"the kubeconfig {places} cannot be read: {' '.join(str(error).split())[:MAX_SERVER_TEXT]}"
        raise ClusterError(msg) from error
    try:
        return _Loader(merged, active_context=context, config_base_path=None)
    except (ConfigException, TypeError, KeyError) as error:
        known = [str(one.get("name")) for one in merged.value.get("contexts") or () if isinstance(one, dict)] or [
            str(one.value.get("name")) for one in merged.value.get("contexts") or ()
        ]
        wanted = context or merged.value.get("current-context") or "(none is current)"
        msg = (
            f"the kubeconfig {places} has no usable context {wanted}: give --context one of "
            f"{', '.join(known) or '(it has none)'}"
        )
        raise ClusterError(msg) from error


async def run_plugin(plugin: dict[str, Any]) -> dict[str, Any]:
    """Run a credential plugin and give the status of its ExecCredential.

    Args:
        plugin: the `exec` section of a kubeconfig's user

    Raises:
        ClusterError: it is missing, failed, took too long, or answered something else

    Source: client authentication API, client.authentication.k8s.io/v1.

    """
    command = str(plugin.get("command"))
    name = f"the credential plugin {command!r}"
    extra = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or ()}
    info = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *map(str, plugin.get("args") or ()),
            env={**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        msg = f"{name} cannot be started: {error.strerror}; install it or correct the kubeconfig"
        raise ClusterError(msg) from error
    try:
        out, err = await asyncio.wait_for(process.communicate(), PLUGIN_TIMEOUT)
    except TimeoutError as error:
        msg = f"{name} gave no answer within {PLUGIN_TIMEOUT:.0f} s: run it by hand; does it ask for something?"
        raise ClusterError(msg) from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        last = (err.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1][:MAX_SERVER_TEXT]
        msg = f"{name} failed with exit code {process.returncode}: {last}; log in again, then retry"
        raise ClusterError(msg)
    try:
        status = json.loads(out)["status"]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{name} did not answer with an ExecCredential: check its arguments and apiVersion"
        raise ClusterError(msg) from error
    if not isinstance(status, dict) or not ({"token", "clientCertificateData"} & status.keys()):
        msg = f"{name} gave neither a token nor a client certificate: log in again, then retry"
        raise ClusterError(msg)
    return status


def _credentials(configuration: Any, place: str, reload_at: float) -> Credentials:  # noqa: ANN401 - untyped package
    server = str(configuration.host or "")
    if not server.startswith(("http://", "https://")):
        msg = f"{place} names no server address that can be used ({server!r}): it must begin with https://"
        raise ClusterError(msg)
    try:
        tls = _tls(configuration) if server.startswith("https://") else None
    except (ssl.SSLError, OSError) as error:
        files = [name for name in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file) if name]
        msg = f"{place} has certificates that cannot be used ({', '.join(files)}): {error}"
        raise ClusterError(msg) from error
    return Credentials(
        server=server,
        tls=tls,
        authorization=str(configuration.api_key.get("BearerToken") or "").strip(),
        server_name=configuration.tls_server_name or None,
        proxy=configuration.proxy or None,
        reload_at=reload_at,
    )


def _tls(configuration: Any) -> ssl.SSLContext:  # noqa: ANN401 - untyped package
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Cluster CAs rarely satisfy RFC 5280 to the letter; every other Kubernetes client takes them.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    return tls
