"""Credential plugins of a kubeconfig: run in a thread, bounded in time and memory, each failure one sentence.

The `kubernetes` package runs them too, but only logs what goes wrong and goes on without credentials.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from typing import Any

from exporter.errors import MAX_SERVER_TEXT, ClusterError


PLUGIN_TIMEOUT = 30.0
# In bytes.
_AT_ONCE = 64 * 1024
_MAX_PRINTED = 4 * 1024 * 1024
_MAX_REASON = 4 * 1024


class _EndlessError(Exception):
    """It printed more than any credential or complaint is long."""


async def run_plugin(plugin: dict[str, Any], cluster: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a credential plugin in a thread and give the status of its ExecCredential.

    Args:
        plugin: the `exec` section of a kubeconfig's user
        cluster: the kubeconfig's cluster, for a plugin that asks to know it

    Raises:
        ClusterError: it is missing, failed, took too long, or answered something else

    Source: client authentication API, client.authentication.k8s.io/v1.

    """
    name = f"the credential plugin {str(plugin.get('command'))!r}"
    spec = {"interactive": False} | ({"cluster": cluster} if cluster else {})
    info = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": spec}
    started: list[subprocess.Popen[bytes]] = []
    try:
        extra = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or ()}
        environment = {**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        command = [str(plugin["command"]), *map(str, plugin.get("args") or ())]
        code, out, err = await asyncio.to_thread(_run, command, environment, started)
    except asyncio.CancelledError:
        for process in started:
            _end(process)
        raise
    except subprocess.TimeoutExpired as error:
        msg = f"{name} gave no answer within {PLUGIN_TIMEOUT:g} s: run it by hand; does it ask for something?"
        raise ClusterError(msg) from error
    except _EndlessError as error:
        raise ClusterError(f"{name} prints without end: run it by hand, and check its arguments") from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        cause = getattr(error, "strerror", None) or repr(error)
        msg = f"{name} cannot be started ({cause}): install it, or correct the kubeconfig"
        raise ClusterError(msg) from error
    if code:
        last = (err.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1][:MAX_SERVER_TEXT]
        msg = f"{name} failed with exit code {code}: {last}; log in again, then retry"
        raise ClusterError(msg)
    try:
        status = json.loads(out)["status"]
        useful = bool(status.get("token") or (status.get("clientCertificateData") and status.get("clientKeyData")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        msg = f"{name} did not answer with an ExecCredential: check its arguments and apiVersion"
        raise ClusterError(msg) from None  # the cause could show a credential
    if not useful:
        msg = f"{name} gave neither a token nor a client certificate with its key: log in again, then retry"
        raise ClusterError(msg)
    return dict(status)


def _run(
    command: list[str], environment: dict[str, str], started: list[subprocess.Popen[bytes]]
) -> tuple[int, bytes, bytes]:
    pipe = subprocess.PIPE
    # In a session of its own, so that whatever it started can be ended with it.
    with subprocess.Popen(  # noqa: S603 - the kubeconfig says what to run
        command, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
    ) as process:
        started.append(process)
        try:
            out, err = _read(process)
            process.wait(PLUGIN_TIMEOUT)
        finally:
            _end(process)
        return process.returncode, out, err


def _read(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Read to the end what it prints, and keep of its complaints the last ones."""
    deadline = time.monotonic() + PLUGIN_TIMEOUT
    kept, printed = {"out": b"", "err": b""}, 0
    with selectors.DefaultSelector() as pipes:
        for name, one in (("out", process.stdout), ("err", process.stderr)):
            pipes.register(one, selectors.EVENT_READ, name)  # type: ignore[arg-type]
        while pipes.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, PLUGIN_TIMEOUT)
            for key, _ in pipes.select(left):
                piece = os.read(key.fd, _AT_ONCE)
                printed += len(piece)
                if not piece:
                    pipes.unregister(key.fileobj)
                elif key.data == "err":
                    kept["err"] = (kept["err"] + piece)[-_MAX_REASON:]
                else:
                    kept["out"] += piece
            if printed > _MAX_PRINTED:
                raise _EndlessError
    return kept["out"], kept["err"]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
