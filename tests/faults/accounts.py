"""What trials of credentials and types share: who the exporter is, what it is refused, what the server takes away.

Must never touch an identity that another test uses.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.proxy import Instead, is_watch
from tests.faults.trial import FULL
from tests.servers.identity import write_kubeconfig
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.proxy import Asked, Proxy
    from tests.faults.trial import Trial
    from tests.integration.load import Key, Load
    from tests.servers.launch import Cluster

long = pytest.mark.skipif(not FULL, reason="takes too long for every run: FAULTS=full")
_STATUS = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
DENIED = Instead(401, json.dumps(_STATUS | {"reason": "Unauthorized", "message": "no", "code": 401}).encode())
NO_LIST = Instead(422, json.dumps(_STATUS | {"reason": "Invalid", "message": "no such list", "code": 422}).encode())
DEGRADED = "customresource_exporter_watch_degraded"
# What the exporter's log says of credentials and of types that are refused.
FAILED, LOADED = "new credentials cannot be loaded, trying again", "new credentials were loaded"
REFUSED, FOLLOWED = "type cannot be followed, tried again later", "type can be followed again"
_numbers = itertools.count()


class Account:
    """A ServiceAccount that may do everything, until it is dismissed."""

    def __init__(self, cluster: Cluster) -> None:
        """Make it, and a token of it."""
        self._cluster = cluster
        self._name = f"trial-{os.getpid()}-{next(_numbers)}"
        cluster.kubectl("create", "serviceaccount", self._name)
        self.allow("*/*")
        self.token = cluster.kubectl("create", "token", self._name, "--duration=10m").strip()

    def allow(self, *types: str) -> None:
        """Let it do everything with these types, each `group/plural`, and nothing else but know the cluster."""
        rules = [
            {"apiGroups": [group], "resources": [plural], "verbs": ["*"]}
            for group, _, plural in (one.partition("/") for one in (*types, "/namespaces"))
        ]
        rbac = "rbac.authorization.k8s.io"
        role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": self._name}, "rules": rules}
        binding = {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": self._name},
            "subjects": [{"kind": "ServiceAccount", "name": self._name, "namespace": "default"}],
            "roleRef": {"kind": "ClusterRole", "name": self._name, "apiGroup": rbac},
        }
        items = {"apiVersion": "v1", "kind": "List", "items": [role, binding]}
        self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(items))

    def dismiss(self) -> None:
        """Delete it, and with it its tokens; the server may take them for 10 s more, by its cache."""
        self._cluster.kubectl("delete", "serviceaccount", self._name)


def through(proxy: Proxy, path: Path, user: dict[str, Any]) -> None:
    """Write the kubeconfig of a user who comes through the proxy."""
    write_kubeconfig(path, proxy.url, proxy.ca_file, user)


def first_of_each() -> Callable[[Asked], bool]:
    """Match one watch of each collection: the one that comes first."""
    seen = set()

    def first(asked: Asked) -> bool:
        if not is_watch(asked) or asked.path in seen:
            return False
        seen.add(asked.path)
        return True

    return first


def gone(load: Load, which: Callable[[Key], bool]) -> None:
    """Note that the server will delete these objects by itself; writers that begin now leave them alone."""
    for key in filter(which, load._keys):
        if key in load._held:
            load._gone(key)
    load._keys = [key for key in load._keys if not which(key)]


def said(trial: Trial, event: str) -> list[dict[str, Any]]:
    """The lines of the log with this event."""
    return [line for line in trial.exporter.lines() if line["event"] == event]


async def until(predicate: Callable[[], Any], within: float = 60.0) -> None:
    """Wait beside the writers, whose event loop it is."""
    await asyncio.to_thread(eventually, predicate, within)
