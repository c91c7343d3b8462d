"""The scripted day against a real API server: what the exporter wrote down is what happened, version by version.

The truth is a plain watch of this test's own, which shares no code with the exporter.
"""

from __future__ import annotations

import asyncio
import json
import math
import signal
import ssl
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

from exporter.drift.held import held
from exporter.drift.keeper import NAME
from exporter.errors import ClusterError
from exporter.history import changes
from exporter.journal.read import open_reader
from exporter.model import Change, decode
from exporter.records import Transition
from exporter.sandbox.closing import by_writer, came_back
from exporter.sandbox.comparing import differences, disagreements
from exporter.sandbox.crds import BACKUP_POLICY, CACHE, DATABASE, ROUTE
from exporter.sandbox.day import Summary, play, prepare
from exporter.sandbox.hands import Hands, reach
from exporter.sandbox.script import IGNORE, SECRETS
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from exporter.model import ResourceType
    from tests.servers.launch import Cluster

TYPES = (DATABASE, CACHE, ROUTE, BACKUP_POLICY)
GROUPS = {one.group for one in TYPES}
# An object of each type that is made when the day is over: whoever has seen it has been told of all before it.
THE_END = "the-end"
LOG = "exporter.log"
# Without pauses nobody waits for drift to settle: what is seen counts.
CONFIG = {"drift": {"settle": "0s", "clear": "0s", "ignore": IGNORE}}

Seen = tuple[str, str]  # event, resourceVersion


@dataclass
class Truth:
    """What a plain watch saw: for each uid its events in their order."""

    events: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))

    def add(self, event: str, obj: dict[str, Any]) -> bool:
        """Take it down; tell whether it was the last of its type."""
        metadata = obj["metadata"]
        self.events[metadata["uid"]].append((event.lower(), metadata["resourceVersion"]))
        return bool(metadata["name"] == THE_END)

    async def watch(self, session: aiohttp.ClientSession, kind: ResourceType, begun: asyncio.Event) -> None:
        """Watch a type until the end. What is there when it begins is news only for a type that came later."""
        late = kind is BACKUP_POLICY
        if late:
            begun.set()
        while True:
            async with session.get(kind.path()) as response:
                if response.status == 200:
                    listed = await response.json()
                    break
            await asyncio.sleep(0.05)
        begun.set()
        ended = [self.add("ADDED", obj) for obj in listed["items"] if late]
        query = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        if any(ended):
            return
        async with session.get(kind.path(), params=query) as response:
            async for line in response.content:
                event = json.loads(line)
                if self.add(event["type"], event["object"]):
                    return
        pytest.fail(f"the test's own watch of {kind} ended")


@dataclass(frozen=True)
class Day:
    """A day that was played, watched and written down."""

    summary: Summary
    truth: dict[str, list[Seen]]
    changes: list[Change]
    data_dir: Path
    shown: str

    def of(self, name: str, writer: str) -> list[Change]:
        """Give what a writer did to an object."""
        return [change for change in self.changes if (change.name, change.writer.name) == (name, writer)]


@pytest.fixture(scope="module")
def day(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The day, played once without pauses while the exporter runs."""
    return asyncio.run(_watched_day(cluster, tmp_path_factory.mktemp("day")))


async def _watched_day(cluster: Cluster, folder: Path) -> Day:
    data_dir = folder / "data"
    truth = Truth()
    async with reach(str(cluster.kubeconfig)) as hands, _session(cluster) as session:
        for _ in range(2):  # what is there already must not be in the way
            await prepare(hands, tell=print)
        with _exporter(cluster, folder, data_dir):
            begun = [asyncio.Event() for _ in TYPES]
            watches = [asyncio.create_task(truth.watch(session, *one)) for one in zip(TYPES, begun, strict=True)]
            await asyncio.gather(*(one.wait() for one in begun))
            summary = await play(hands, speed=math.inf, begin=_at_once, concluded=_at_once)
            for kind in TYPES:
                await _end(hands, kind)
            await asyncio.wait_for(asyncio.gather(*watches), 30)
            await asyncio.to_thread(eventually, lambda: _ended(data_dir))
    shown = _cli("changes", "--data-dir", data_dir, "-o", "json")
    changes = [change for change in map(decode, shown.encode().splitlines()) if change.group in GROUPS]
    return Day(summary, dict(truth.events), changes, data_dir, shown)


async def _at_once(*_: object) -> None:
    """Wait for nothing."""


async def _never(*what: object) -> None:
    """Let none begin."""
    pytest.fail(f"begun: {what}")


def _session(cluster: Cluster) -> aiohttp.ClientSession:
    user = yaml.safe_load(cluster.kubeconfig.read_text())["users"][0]["user"]
    tls = ssl.create_default_context(cafile=cluster.ca_file)
    tls.load_cert_chain(user["client-certificate"], user["client-key"])
    return aiohttp.ClientSession(
        cluster.url, connector=aiohttp.TCPConnector(ssl=tls), timeout=aiohttp.ClientTimeout(total=None)
    )


@contextmanager
def _exporter(cluster: Cluster, folder: Path, data_dir: Path) -> Iterator[None]:
    """Run it, ready, and end it in order."""
    log, config = folder / LOG, folder / "config.yaml"
    config.write_text(json.dumps(CONFIG))
    command = [
        sys.executable, "-m", "exporter.cli", "run", "--kubeconfig", cluster.kubeconfig, "--config", config,
        "--data-dir", data_dir, "--web.listen-address", "127.0.0.1:0", "--log.format", "json"]  # fmt: skip
    with log.open("wb") as out, subprocess.Popen([*map(str, command)], stdout=out, stderr=out) as process:
        try:
            eventually(lambda: process.poll() is not None or _says_ready(log), 60)
            assert process.poll() is None, log.read_text()
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()
        finally:
            process.kill()


def _says_ready(log: Path) -> bool:
    lines = [line for line in log.read_text().splitlines(keepends=True) if line.startswith("{") and line[-1] == "\n"]
    return any(json.loads(line)["event"] == "ready" for line in lines)


async def _end(hands: Hands, kind: ResourceType) -> None:
    namespace = "shop" if kind.namespaced else ""
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": THE_END}}
    await hands.create("the-test", kind.path(namespace), body)


def _ended(data_dir: Path) -> bool:
    with closing(open_reader(data_dir)) as reader:
        return sum(change.name == THE_END for change in changes(reader.scan())) == len(TYPES)


def _cli(*arguments: object) -> str:
    command = [sys.executable, "-m", "exporter.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout


def _played(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.name != THE_END]


def test_every_version_is_in_the_journal_once_and_in_order_and_none_is_invented(day: Day) -> None:
    """For each object the journal holds exactly the events that an independent watch saw, in the same order."""
    written: dict[str, list[Seen]] = defaultdict(list)
    for change in day.changes:
        written[change.uid].append((change.event, change.resource_version))

    assert dict(written) == day.truth
    assert len({change.id for change in day.changes}) == len(day.changes)


def test_what_was_seen_is_what_was_done(day: Day) -> None:
    """Each act of the day is in the journal with its word and its writer, and nothing else is."""
    assert differences(day.summary, _played(day.changes)) == []
    assert Counter(change.change for change in _played(day.changes)) == {
        "created": 3, "recreated": 1, "deleted": 2, "deleting": 1, "spec": 17, "metadata": 3, "status": 20,
        "ownership": 1,
    }  # fmt: skip


def test_a_difference_is_found(day: Day) -> None:
    """A change that is missing, one too many and a wrong writer are each told."""
    first, second, *rest = _played(day.changes)
    other = decode(json.dumps(json.loads(day.shown.splitlines()[1]) | {"writer": {"source": "unresolved"}}).encode())

    assert [text[:17] for text in differences(day.summary, [second, *rest])] == ["done but not seen"]
    assert [text[:17] for text in differences(Summary(day.summary.deeds[1:]), [first, second, *rest])] == [
        "seen but not done"
    ]
    assert [text[-15:] for text in differences(day.summary, [first, other, *rest])] == ["by nobody known"]


def test_only_what_came_with_a_new_type_may_be_marked_as_listed(day: Day) -> None:
    """No change of a type that was followed from the morning is marked as found by a list."""
    assert {change.kind for change in day.changes if change.gap} <= {"BackupPolicy"}


def test_a_manual_edit_and_its_being_put_back_name_who_did_it(day: Day) -> None:
    """The edit is a human's, with the field and both values; putting it back is GitOps'."""
    (edit,) = day.of("orders", "kubectl-edit")
    back = day.of("orders", "argocd-controller")[-1]

    assert (edit.change, edit.writer.class_, edit.writer.operation) == ("spec", "human", "Update")
    assert [(one.path, one.old, one.new) for one in edit.fields] == [("/spec/replicas", 3, 5)]
    assert (back.change, back.writer.class_, back.writer.operation) == ("spec", "gitops", "Apply")
    assert [(one.path, one.old, one.new) for one in back.fields] == [("/spec/replicas", 5, 3)]


def test_a_fight_is_seen_round_by_round(day: Day) -> None:
    """Both writers of the field appear in turn, each with what it wanted."""
    rounds = [
        (change.writer.name, change.fields[0].new)
        for change in day.changes
        if change.name == "sessions" and change.fields and change.fields[0].path == "/spec/replicas"
    ]

    assert rounds == [("cost-optimizer", 2), ("latency-optimizer", 6)] * 4


def test_a_status_of_timestamps_alone_is_a_heartbeat(day: Day) -> None:
    """The operator's looks are heartbeats, its other reports are not; all of them are a controller's."""
    statuses = [change for change in day.changes if change.change == "status"]

    assert Counter(change.heartbeat for change in statuses) == {True: 8, False: 12}
    assert {change.writer.class_ for change in statuses} == {"controller"}
    assert {change.writer.subresource for change in statuses} == {"status"}


def test_an_entry_put_before_others_moves_none_of_them(day: Day) -> None:
    """A backend that is inserted first is one field added, and the other one a weight that changed."""
    canary = day.of("storefront", "argocd-controller")[0]

    assert sorted((one.path, one.op) for one in canary.fields) == [
        ("/spec/backends/0", "add"),
        ("/spec/backends/1/weight", "replace"),
    ]


def test_a_deletion_in_two_steps_is_two_words(day: Day) -> None:
    """With a finalizer there is first deleting, in the end deleted; what happens between them stays visible."""
    words = [change.change for change in day.changes if change.name == "payments"]

    assert words == ["created", "metadata", "status", "status", "deleting", "status", "deleted"]


def test_what_is_concluded_is_what_was_done(day: Day) -> None:
    """The hand edit is found and over when Git wins, so is the fight, and nothing else is concluded."""
    with closing(open_reader(day.data_dir)) as reader:
        told = [record for _, record in reader.scan() if isinstance(record, Transition)]
        verdicts = [held(state).verdict(key) for key, _, state in reader.states(NAME)]

    assert disagreements(day.summary, told, verdicts) == []
    assert Counter(one.event for one in told) == {"drift.opened": 2, "drift.closed": 1, "fight.opened": 1}


def test_the_closing_says_who_changed_how_much_and_what_came_back(day: Day) -> None:
    """The summary for people finds both by itself, from the changes alone."""
    changes = _played(day.changes)

    assert ("database-operator (controller)", " 18   9 status, 8 heartbeat, 1 metadata") in by_writer(changes)
    assert [(about, sentence.split(": ")[0]) for about, sentence in came_back(changes)] == [
        ("came back", "Route search/search-api")
    ]


async def test_the_day_is_not_played_twice_in_one_cluster(day: Day, cluster: Cluster) -> None:
    """What would spoil the comparison is an error that says so, before anything is done."""
    assert day.summary.deeds
    async with reach(str(cluster.kubeconfig)) as hands:
        with pytest.raises(ClusterError, match=r"^backuppolicies\.backup\.example\.com is there already: "):
            await play(hands, speed=math.inf, begin=_never, concluded=_never)


def test_secrets_are_seen_to_change_and_never_shown(day: Day) -> None:
    """Both secrets are changes of their fields with the mask for a value, and their text is nowhere."""
    (declared,) = day.of("customers", "kubectl-patch")
    (in_url,) = day.of("sessions", "argocd-controller")
    written = b"".join(file.read_bytes() for file in day.data_dir.iterdir())

    assert [(one.path, one.old, one.new) for one in declared.fields] == [
        ("/spec/admin/passcode", "<redacted>", "<redacted>")
    ]
    assert [(one.path, one.new) for one in in_url.fields] == [
        ("/spec/source", "redis://<redacted>@sessions.shop:6379/0")
    ]
    log = (day.data_dir.parent / LOG).read_bytes()
    assert [one for one in SECRETS if one.encode() in written + log + day.shown.encode()] == []
