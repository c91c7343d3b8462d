"""What an etcd that was restored from an older snapshot looks like to us, and that the journal ends up telling it.

The tests share a cluster of their own, which is restored again and again. What happened between the snapshot and the
restoration was told before and never happened now; nobody but a comparison with what is held can know.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
import zlib
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

from tests.faults.table import Row
from tests.faults.trial import FULL
from tests.integration.conftest import CONTROL_PLANE, _discard, _need
from tests.integration.exporting import Exporter
from tests.integration.widgets import LISTS, Widgets, total
from tests.servers import backup
from tests.servers.launch import Cluster, KubectlError
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

FINDINGS = "customresource_exporter_audit_findings_total"
GAPS = "customresource_exporter_gaps_total"
RESTARTS = "customresource_exporter_watch_restarts_total"
LATE = [f"late-{number:02}" for number in range(20)]
NEW = [f"new-{number:02}" for number in range(30)]
LONG = pytest.mark.skipif(not FULL, reason="FAULTS=full runs it")


class Held(NamedTuple):
    """One object as the server has it, or the journal."""

    uid: str
    resource_version: str
    size: int


@pytest.fixture(scope="module")
def own(compat: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that nobody else uses."""
    _need([*CONTROL_PLANE, "etcdutl"], compat=compat)
    cluster = Cluster(tmp_path_factory.mktemp("restored"), compat=compat)
    try:
        cluster.start()
        yield cluster
    finally:
        _discard(cluster)


def on_server(widgets: Widgets) -> dict[str, Held]:
    """What the server has."""
    answer = json.loads(widgets.cluster.kubectl("get", f"widgets.{widgets.group}", "-n", "default", "-o", "json"))
    found = {}
    for item in answer["items"]:
        meta = item["metadata"]
        found[meta["name"]] = Held(meta["uid"], meta["resourceVersion"], item["spec"]["size"])
    return found


def in_journal(data_dir: Path) -> dict[str, Held]:
    """What the journal holds, with the size out of the stored state."""
    with closing(sqlite3.connect(f"file:{data_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
        rows = journal.execute("SELECT name, uid, resource_version, state FROM objects").fetchall()
    specs = {name: json.loads(zlib.decompress(state))["spec"] for name, _, _, state in rows}
    return {name: Held(uid, version, specs[name]["size"]) for name, uid, version, _ in rows}


class Stage:
    """A type with objects, a snapshot of it, and an exporter that has seen what came after the snapshot.

    `same` is never touched; after the snapshot `a` was changed, `c` deleted, `d` deleted and made again, LATE made.
    """

    def __init__(self, own: Cluster, directory: Path, name: str) -> None:
        """Make the type and its objects.

        Args:
            own: a cluster that nobody else uses
            directory: for all files
            name: of the type's group

        """
        self._cluster = own
        self._snapshot = directory / "snapshot"
        self.widgets = Widgets(own, f"{name}.restored.example.com")
        self.widgets.install()
        self.widgets.create("same", "a", "b", "c", "d")
        self.exporter = Exporter(own.kubeconfig, directory / "data", config=self.widgets.config)
        self._restored_at = 0.0
        self._before = 0

    def __enter__(self) -> Self:
        """Start the exporter, and do to the objects what the restoration will undo."""
        try:
            self.exporter.start()
            self._prepare()
        except BaseException:
            self.exporter.kill()
            raise
        return self

    def _prepare(self) -> None:
        self.widgets.resize("b", 2)
        self.widgets.resize("a", 5)
        self.widgets.create("e")
        self._told(3)
        backup.save(self._cluster, self._snapshot)
        self.widgets.resize("a", 2)
        self.widgets.delete("c", "d", "e")
        self.widgets.create("d", *LATE)
        self._before = len(self._told(8 + len(LATE)))

    def __exit__(self, kind: object, *_: object) -> None:
        """Stop the exporter."""
        self.exporter.__exit__(kind)

    def _told(self, count: int) -> list[dict[str, Any]]:
        return eventually(lambda: len(told := self.exporter.changes()) >= count and told, 60) or []

    def restore(self, *flags: str) -> None:
        """Put the snapshot back, long enough for a running exporter to find nobody there, and change something."""
        backup.put_back(self._cluster, self._snapshot, *flags)
        if self.exporter._server.pid is not None:
            broken = total(self.exporter, RESTARTS, reason="connection")
            eventually(lambda: total(self.exporter, RESTARTS, reason="connection") >= broken + 2, 60)
        self._cluster.start()
        self._restored_at = time.monotonic()
        eventually(self._resized, 60)

    def _resized(self) -> bool:
        """A server that says that it is ready may not know its types yet."""
        try:
            self.widgets.resize("b", 7)
        except KubectlError:
            return False
        return True

    def judge(self, record: Callable[[Row], None], variant: str, phase: str, *, new: Sequence[str] = ()) -> None:
        """Wait until the journal holds what the server has, and look at what was told on the way there."""
        server = on_server(self.widgets)
        # Whoever was refused for half a minute, as long as a busy machine takes to start a server, tries once a minute.
        eventually(lambda: in_journal(self.exporter.data_dir) == server, 120)
        seconds = time.monotonic() - self._restored_at
        told = self.exporter.changes()
        since = told[self._before :]
        ids = Counter(change["id"] for change in told)
        twice = [one for one, count in ids.items() if count > 1]
        words = Counter((change["change"], change["name"]) for change in since)
        for name in ("c", "e"):
            assert words.pop(("created", name)) == 1, "what was deleted after the snapshot is there again"
        assert words.pop(("deleted", "d")) == 1
        assert words.pop(("recreated", "d"), 0) + words.pop(("created", "d"), 0) == 1
        assert {name for change, name in words if change == "deleted"} == set(LATE)
        assert {name for change, name in words if change == "created"} == set(new)
        assert {name for change, name in words if change not in {"deleted", "created"}} <= {"a", "b"}
        assert [change["name"] for change in since if change.get("gap")] != []
        assert total(self.exporter, GAPS) >= 1
        record(Row(f"etcd restored, {variant}", phase, False, len(since), 0, 0, len(twice), 0, 0, round(seconds, 2)))
        assert twice == []


@pytest.mark.parametrize("phase", ["running", pytest.param("stopped", marks=LONG)])
def test_a_history_that_went_backwards(own: Cluster, tmp_path: Path, record: Callable[[Row], None], phase: str) -> None:
    """Versions that the server has not reached yet are found out before the silence, and everything is listed."""
    with Stage(own, tmp_path, f"behind-{phase}") as stage:
        if phase == "stopped":
            stage.exporter.stop()
        stage.restore()
        if phase == "stopped":
            stage.exporter.start()
        stage.judge(record, "behind us", phase)
        assert total(stage.exporter, LISTS, reason="history_went_backwards") == 1


def test_a_history_that_has_grown_past_us(own: Cluster, tmp_path: Path, record: Callable[[Row], None]) -> None:
    """Where the server is past our checkpoint again, the watch goes on as if nothing had happened, until the audit."""
    with Stage(own, tmp_path, "grown") as stage:
        stage.exporter.stop()
        stage.restore()
        stage.widgets.create(*NEW)
        stage.exporter.start()
        assert total(stage.exporter, LISTS) == 0
        sizes = itertools.count(8)

        def found() -> float:
            stage.widgets.resize("b", next(sizes))  # the watch has to pass the list
            return total(stage.exporter, FINDINGS)

        eventually(found, 60)
        stage.judge(record, "past us", "stopped", new=NEW)


@LONG
def test_a_history_that_was_bumped(own: Cluster, tmp_path: Path, record: Callable[[Row], None]) -> None:
    """A snapshot restored as etcd advises makes the server answer 410: one list tells the difference."""
    with Stage(own, tmp_path, "bumped") as stage:
        stage.restore("--bump-revision=1000000", "--mark-compacted")
        stage.judge(record, "bumped", "running")
