"""The history of a cluster's etcd as a test wants it: compacted, saved to a file, and put back from there.

Speaks to etcd through its JSON gateway, and restores with the real etcdutl, which is what an operator does. Must never
touch a cluster that other tests use: everything here hurts all of its clients.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.servers import build


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.cluster import Cluster

_ANSWER_SECONDS = 30
_RESTORE_SECONDS = 60


def revision(cluster: Cluster) -> int:
    """How many writes etcd has seen: the resourceVersion of the newest."""
    key = base64.b64encode(b"/").decode()
    (answer,) = _ask(cluster, "kv/range", {"key": key, "limit": 1})
    return int(answer["header"]["revision"])


def compact(cluster: Cluster) -> None:
    """Make etcd forget every version but the newest of each object, as it does by itself every five minutes."""
    try:
        list(_ask(cluster, "kv/compaction", {"revision": revision(cluster), "physical": True}))
    except urllib.error.HTTPError as error:
        if b"has been compacted" not in error.read():  # nothing was written since the last time
            raise


def save(cluster: Cluster, file: Path) -> Path:
    """Save a snapshot of what etcd holds now, as `etcdctl snapshot save` does."""
    with file.open("wb") as snapshot:
        for answer in _ask(cluster, "maintenance/snapshot", {}):
            snapshot.write(base64.b64decode(answer["result"].get("blob", "")))
    return file


def put_back(cluster: Cluster, snapshot: Path, *flags: str) -> None:
    """Stop the cluster and put a snapshot in the place of its data; `cluster.start()` goes on with that.

    Args:
        cluster: whose data they are
        snapshot: saved from it before
        flags: of `etcdutl snapshot restore`, such as `--bump-revision` and `--mark-compacted`

    """
    cluster.stop()
    data = cluster.directory / "etcd"
    shutil.rmtree(data)
    answer = subprocess.run(
        [
            build.required("etcdutl"), "snapshot", "restore", snapshot, f"--data-dir={data}",
            f"--initial-cluster=default={cluster.etcd_peer_url}",
            f"--initial-advertise-peer-urls={cluster.etcd_peer_url}", *flags,
        ],
        capture_output=True,
        text=True,
        timeout=_RESTORE_SECONDS,
        check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr


def _ask(cluster: Cluster, what: str, body: object) -> Iterator[Any]:
    """Ask etcd; some answers come in pieces, one on each line."""
    request = urllib.request.Request(f"{cluster.etcd_url}/v3/{what}", data=json.dumps(body).encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - our own etcd
        yield from (json.loads(line) for line in answer)
