"""The real program against the emulated API server: another configuration while it runs, and a bad one."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.exporting import Exporter
from tests.reload.ground import Ground, gauge
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A, B = "a.example.com", "b.example.com"
SUCCESSFUL = "config_last_reload_successful"
SUCCEEDED = "config_last_reload_success_timestamp_seconds"
CHANGES = "customresource_changes_total"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A server with two types."""
    with Ground(tmp_path) as one:
        one.install(A, B)
        yield one


class Running(Exporter):
    """An exporter whose configuration a test writes."""

    def __init__(self, ground: Ground, folder: Path, config: str, *flags: str) -> None:
        """Write the first one."""
        self.file = folder / "config.yaml"
        self.write(config)
        super().__init__(ground.kubeconfig, folder / "data", flags=[f"--config={self.file}", *flags])

    def write(self, config: str) -> None:
        """Write another one, whole, as an editor does."""
        new = self.file.with_suffix(".new")
        new.write_text(config, encoding="utf-8")
        new.replace(self.file)

    def post(self, path: str = "/-/reload") -> tuple[int, str]:
        """Ask for a reload."""
        request = urllib.request.Request(self.url + path, method="POST")  # noqa: S310 - our own server
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def told(self) -> list[tuple[str, str]]:
        """What was told: group and name."""
        return [(one["group"], one["name"]) for one in self.changes()]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log of this start that tell of an event."""
        return [line for line in self.lines() if line["event"] == event]


def watching(*groups: str, **more: object) -> str:
    """Write a configuration that follows some groups."""
    return json.dumps({"watch": {"include": [f"{group}/*" for group in groups]}, **more})


def test_a_bad_file_is_refused_at_the_start(ground: Ground, tmp_path: Path) -> None:
    """Exit code 2 and one sentence, before anything is begun."""
    exporter = Running(ground, tmp_path, "watch: {incl: []}")
    with pytest.raises(Exception, match="exit code 2"):
        exporter.start()
    assert "config.yaml: watch.incl: is not known; did you mean include?" in exporter.log
    assert not exporter.data_dir.exists()


def test_without_the_flag_nobody_reloads_over_http(ground: Ground, tmp_path: Path) -> None:
    """The answer is 403, and nothing is read again; the file is as it was, so that nobody else has a reason to."""
    with Running(ground, tmp_path, watching(A)) as exporter:
        assert exporter.post() == (403, "not enabled: start with --web.enable-lifecycle\n")
        assert exporter.said("read again") == []


def test_a_bad_file_keeps_the_old_and_says_so_until_it_is_good_again(ground: Ground, tmp_path: Path) -> None:
    """Metric, log line and answer tell; the type goes on being followed; readiness stays."""
    with Running(ground, tmp_path, watching(A), "--web.enable-lifecycle") as exporter:
        before = gauge(exporter, SUCCEEDED)
        sentence = f"{exporter.file}: journal.size: '5 apples' is no size; write it with a unit: 500MiB or 1GiB"
        exporter.write(json.dumps({"journal": {"size": "5 apples"}}))

        assert exporter.post() == (500, f"{sentence}\n")

        assert (gauge(exporter, SUCCESSFUL), gauge(exporter, SUCCEEDED)) == (0, before)
        lines = exporter.said("cannot be put into force, what was before stays")
        # Who asks is told anew, also of what a look of the exporter's own has found a moment before.
        told = {(line["level"], line["what"], line["error"]) for line in lines}
        assert told == {("warning", "the configuration", sentence)}
        assert exporter.get("/readyz")[0] == 200
        ground.create(A, "one", {"size": 1})
        eventually(lambda: exporter.told() == [(A, "one")])

        exporter.write(watching(A))
        assert exporter.post()[0] == 200
        assert gauge(exporter, SUCCESSFUL) == 1
        assert gauge(exporter, SUCCEEDED) > before


def test_a_file_that_is_gone_keeps_the_old(ground: Ground, tmp_path: Path) -> None:
    """It is noticed without being asked for, told once, and over when the file is back."""
    with Running(ground, tmp_path, watching(A)) as exporter:
        exporter.file.unlink()
        eventually(lambda: gauge(exporter, SUCCESSFUL) == 0)
        exporter.write(watching(A))
        eventually(lambda: gauge(exporter, SUCCESSFUL) == 1)
        assert len(exporter.said("cannot be put into force, what was before stays")) == 1
        assert [line["changed"] for line in exporter.said("read again")] == [False]


def _synced(exporter: Exporter) -> dict[str, float]:
    """Give the groups that are followed, each with 1 once what was there before is known."""
    return {
        dict(labels)["customresource_group"]: value
        for (name, labels), value in exporter.metrics().items()
        if name == "customresource_exporter_watch_synced"
    }


def test_a_signal_adds_a_type_and_takes_one_away(ground: Ground, tmp_path: Path) -> None:
    """What is newly selected is followed, its objects silent at first; what is no longer selected is forgotten."""
    ground.create(B, "there", {"size": 1})
    with Running(ground, tmp_path, watching(A)) as exporter:
        exporter.write(watching(B))
        exporter.hang_up()
        eventually(lambda: any(line["changed"] for line in exporter.said("read again")))
        eventually(lambda: _synced(exporter) == {B: 1.0})
        ground.create(A, "not-seen", {"size": 1})
        ground.patch(B, "there", {"size": 2})
        eventually(lambda: exporter.told() == [(B, "there")])
        assert exporter.get("/readyz")[0] == 200


def test_a_symlink_that_is_moved_is_a_change(ground: Ground, tmp_path: Path) -> None:
    """As the kubelet writes a ConfigMap: the file stays where it is, and what it leads to is another."""
    mount = tmp_path / "mount"
    for name, text in (("..1", watching(A)), ("..2", watching(B))):
        (mount / name).mkdir(parents=True)
        (mount / name / "config.yaml").write_text(text, encoding="utf-8")
        os.utime(mount / name / "config.yaml", (0, 0))
    (mount / "..data").symlink_to("..1")
    (mount / "config.yaml").symlink_to("..data/config.yaml")
    flags = [f"--config={mount / 'config.yaml'}"]
    with Exporter(ground.kubeconfig, tmp_path / "data", flags=flags) as exporter:
        (mount / "..data_tmp").symlink_to("..2")
        (mount / "..data_tmp").replace(mount / "..data")
        eventually(lambda: any(line["event"] == "read again" for line in exporter.lines()))
        eventually(lambda: _synced(exporter) == {B: 1.0})
        ground.create(B, "one", {"size": 1})
        eventually(lambda: [one["group"] for one in exporter.changes()] == [B])


def test_other_rules_judge_what_has_not_changed(ground: Ground, tmp_path: Path) -> None:
    """An ignore rule that comes covers what was found before it, and one that goes no longer does."""
    applied = json.dumps({"apiVersion": f"{A}/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 1}})
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    ground.create(A, "one", {"size": 1}, manager="kubectl-client-side-apply", annotations=annotations)
    ground.patch(A, "one", {"size": 2})
    plain = watching(A, drift={"settle": "0s", "clear": "0s"})
    rule = {"paths": ["/spec/size"], "reason": "so it is"}
    ignoring = watching(A, drift={"settle": "0s", "clear": "0s", "ignore": [rule]})
    with Running(ground, tmp_path, plain, "--web.enable-lifecycle") as exporter:

        def state() -> list[str]:
            return [one["state"] for one in exporter.drift()]

        eventually(lambda: state() == ["drifted"])
        exporter.write(ignoring)
        assert exporter.post()[0] == 200
        eventually(lambda: state() == ["ignored"])
        exporter.write(plain)
        assert exporter.post()[0] == 200
        eventually(lambda: state() == ["drifted"])


@pytest.mark.parametrize("after", [watching(B), watching(A, drift={"enabled": False})], ids=["type", "drift"])
def test_drift_that_is_judged_no_longer_ends(ground: Ground, tmp_path: Path, after: str) -> None:
    """Who was told that it began is told that it ended; nobody knows how, and it is counted so."""
    applied = json.dumps({"apiVersion": f"{A}/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 1}})
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    ground.create(A, "one", {"size": 1}, manager="kubectl-client-side-apply", annotations=annotations)
    ground.patch(A, "one", {"size": 2})
    before = watching(A, drift={"settle": "0s", "clear": "0s"})
    with Running(ground, tmp_path, before, "--web.enable-lifecycle") as exporter:
        eventually(lambda: [one["state"] for one in exporter.drift()] == ["drifted"])
        exporter.write(after)
        assert exporter.post()[0] == 200
        ended = {
            dict(labels)["resolved_by"]: value
            for (name, labels), value in exporter.metrics().items()
            if name == "customresource_drift_episodes_total" and value
        }
        assert ended == {"unknown": 1.0}
        assert exporter.drift() == []


def test_the_journal_takes_another_size(ground: Ground, tmp_path: Path) -> None:
    """It is opened again within the new bounds, with all that it holds."""
    with Running(ground, tmp_path, watching(A), "--web.enable-lifecycle") as exporter:
        ground.create(A, "one", {"size": 1})
        eventually(lambda: exporter.told() == [(A, "one")])
        for size in ("64MiB", "2GiB"):
            exporter.write(watching(A, journal={"size": size}))
            assert exporter.post()[0] == 200
        ground.patch(A, "one", {"size": 2})
        eventually(lambda: exporter.told() == [(A, "one")] * 2)


def test_twenty_reloads_under_writes_lose_nothing(ground: Ground, tmp_path: Path) -> None:
    """Every version is told once, in order; scrapes go on over one connection, and no counter goes back."""
    names = tuple(f"w{number}" for number in range(10))
    with Running(ground, tmp_path, watching(A), "--web.enable-lifecycle") as exporter:
        for name in names:
            ground.create(A, name, {"size": 0})
        eventually(lambda: len(exporter.told()) == len(names))
        host, _, port = exporter.url.removeprefix("http://").rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.connect()
        socket = connection.sock
        counted: list[float] = []

        def scrape() -> float:
            connection.request("GET", "/metrics")
            page = connection.getresponse().read().decode()
            lines = [line for line in page.splitlines() if line.startswith(f"{CHANGES}{{")]
            counted.append(sum(float(line.rsplit(" ", 1)[1]) for line in lines if f'"{A}"' in line))
            return counted[-1]

        def has_written(count: int) -> bool:
            return len(ground.written) >= count

        with ground.writing(A, names):
            for number in range(20):
                before = len(ground.written)
                exporter.write(watching(*((A, B) if number % 2 else (A,)), drift={"enabled": number % 3 > 0}))
                scrape()
                assert exporter.post()[0] == 200
                scrape()
                eventually(partial(has_written, before + 10))
        eventually(lambda: len(exporter.changes()) >= len(ground.written))
        told = [(one["name"], one["resource_version"]) for one in exporter.changes()]
        eventually(lambda: scrape() == len(ground.written))
        assert sorted(told) == sorted(ground.written)
        for name in names:
            versions = [int(version) for told_name, version in told if told_name == name]
            assert versions == sorted(versions)
        assert [one["name"] for one in exporter.changes() if one.get("gap")] == []
        assert counted == sorted(counted)
        assert connection.sock is socket
        connection.close()


def test_a_redaction_that_comes_holds_from_then_on(ground: Ground, tmp_path: Path) -> None:
    """What was stored in the clear before is told in the clear no more: not as it was, and not as what drifted."""
    applied = {"apiVersion": f"{A}/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"code": "old-needle"}}
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied)}
    ground.create(A, "one", {"code": "old-needle"}, manager="kubectl-client-side-apply", annotations=annotations)
    ground.patch(A, "one", {"code": "live-needle"})
    drift = {"settle": "0s", "clear": "0s"}
    with Running(ground, tmp_path, watching(A, drift=drift), "--web.enable-lifecycle") as exporter:
        eventually(lambda: "live-needle" in json.dumps(exporter.drift()))
        exporter.write(watching(A, drift=drift, changes={"redact": ["/spec/code"]}))
        assert exporter.post()[0] == 200
        eventually(lambda: [one["state"] for one in exporter.drift() if "needle" not in json.dumps(one)] == ["drifted"])
        ground.patch(A, "one", {"size": 1})
        eventually(lambda: exporter.told() == [(A, "one")])
        ground.patch(A, "one", {"code": "new-needle"})
        eventually(lambda: exporter.told() == [(A, "one")] * 2)
        assert "needle" not in json.dumps(exporter.changes())
