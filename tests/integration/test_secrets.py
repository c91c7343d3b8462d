"""Sixty secrets are planted in a real cluster; none of them may be in any byte that the exporter writes or sends.

Each place that is searched must also hold words that are no secret, so that a search that sees nothing fails.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.exporting import PROGRAM, Exporter
from tests.integration.widgets import Widgets, eventually_told, states, version
from tests.secrets import SECRETS, needles, planted
from tests.servers.process import Server
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.launch import Cluster, Collector

CORE = "secrets-planted"
OBJECTS = 3
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def core_secret(changed: str = "") -> dict[str, Any]:
    """A core Secret that holds all of them below names that say nothing, in both of the ways it can."""
    keys = {secret: f"k{number}" for number, secret in enumerate(SECRETS)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CORE, "namespace": "default"},
        "data": {key: base64.b64encode((secret + changed).encode()).decode() for secret, key in keys.items()},
        "stringData": {f"plain-{key}": secret + changed for secret, key in keys.items()},
    }


def hidden() -> list[bytes]:
    """Everything to search for: the secrets, and what a core Secret makes of them."""
    encoded = [base64.b64encode(secret.encode()).decode().rstrip("=")[:-1] for secret in SECRETS]
    return [needle.encode() for needle in [*needles(), *encoded]]


def plant(widgets: Widgets, changed: str = "") -> None:
    """Put the secrets into objects, in all parts of them; with `changed` into another version of the same."""
    verb = "replace" if changed else "create"
    for number in range(OBJECTS):
        parts = planted(changed)
        metadata = {"name": f"plain-name-{number}", "namespace": "default", **parts["metadata"]}
        text = json.dumps({**parts, "apiVersion": f"{widgets.group}/v1", "kind": "Widget", "metadata": metadata})
        # Not by `apply`, which would write the annotation that is planted; `replace` does write it anew where it is.
        widgets.cluster.kubectl(verb, "-f", "-", stdin=text)
        widgets.cluster.kubectl("replace", "--subresource=status", "-f", "-", stdin=text)
    # This one by `apply`, whose annotation then holds the whole Secret.
    widgets.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(core_secret(changed)))


def configured(widgets: Widgets) -> str:
    """Follow the objects and core Secrets; redact by a rule what nothing else tells."""
    watch = {"include": [f"{widgets.group}/*", "v1/Secret"], "namespaces": ["default"]}
    return json.dumps({"watch": watch, "changes": {"redact": ["/spec/ruled/**/value"]}})


@pytest.fixture(scope="module")
def widgets(cluster: Cluster) -> Iterator[Widgets]:
    """A type that declares a field as a password."""
    one = Widgets(cluster, "planted.example.com")
    one.install(version(declared={"type": "string", "format": "password"}))
    yield one
    one.remove()


@pytest.fixture(autouse=True)
def tidy(widgets: Widgets) -> Iterator[None]:
    """Leave no object to the next test."""
    yield
    widgets.cluster.kubectl("delete", f"widgets.{widgets.group}", "--all", "-n", "default")
    widgets.cluster.kubectl("delete", "secret", CORE, "-n", "default", "--ignore-not-found")


def files(directory: Path) -> dict[str, bytes]:
    """What lies in a directory, by name; it may be in use, so that a file can go meanwhile."""
    found = {}
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            found[str(path)] = path.read_bytes()
    return found


def page(exporter: Exporter, accept: str) -> bytes:
    """The page of /metrics in one of its two forms."""
    request = urllib.request.Request(f"{exporter.url}/metrics", headers={"Accept": accept})  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return bytes(answer.read())


def shown(exporter: Exporter, *flags: str) -> bytes:
    """What `changes` prints, on both channels."""
    command = [str(PROGRAM), "changes", f"--data-dir={exporter.data_dir}", *flags]
    answer = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return answer.stdout + answer.stderr


def found(places: dict[str, bytes]) -> list[tuple[str, str]]:
    """Every secret that is in one of the places."""
    searched = [(needle, re.compile(re.escape(needle))) for needle in hidden()]
    return [
        (place, needle.decode()) for place, text in places.items() for needle, form in searched if form.search(text)
    ]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_no_secret_leaves(protocol: str, widgets: Widgets, collector: Collector, tmp_path: Path) -> None:
    """Journal, log, metrics, both forms of `changes` and what the Collector got: none of the secrets is anywhere."""
    endpoint = collector.http_endpoint if protocol.startswith("http") else collector.grpc_endpoint
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    config = configured(widgets)
    flags = ["--log.level=debug"]
    with Exporter(widgets.cluster.kubeconfig, tmp_path / "data", config=config, env=env, flags=flags) as exporter:
        plant(widgets)
        plant(widgets, "-v2")
        # Of each Widget: created, status, spec (with the annotations), status; of the Secret: created, changed.
        count = len(eventually_told(exporter, 4 * OBJECTS + 2))
        eventually(lambda: len(collector.records()) >= count)
        places = {
            "metrics": page(exporter, "text/plain"),
            "openmetrics": page(exporter, _OPENMETRICS),
            "table": shown(exporter, "--all"),
            "json": shown(exporter, "-o", "json"),
            **{f"state of {name}": state for name, state in states(exporter.data_dir).items()},
            **files(exporter.data_dir),
        }
    collector.stop()
    places |= {f"{name} after": text for name, text in files(tmp_path / "data").items()}
    places |= {"log": exporter.log.encode(), **files(collector.directory)}

    assert found(places) == []
    for place in ("metrics", "openmetrics"):
        assert b"planted.example.com" in places[place]
    for place in ("table", "json", str(collector.directory / "logs.json"), "state of plain-name-0"):
        assert b"plain-name-0" in places[place], place
    assert b"nothing to hide-v2" in places["state of plain-name-0"]
    assert b"nothing to hide" in places["json"]
    assert b"nothing to hide" in places[str(collector.directory / "logs.json")]
    changed = {field["path"] for change in exporter.changes() for field in change.get("fields", [])}
    assert "/spec/byKey/password" in changed
    assert "/spec/ruled/deep/value" in changed
    assert "/spec/declared" in changed


def test_the_log_for_people_tells_no_secret(widgets: Widgets, tmp_path: Path) -> None:
    """The other form of the log holds none of them either, at its most talkative."""
    config, log = tmp_path / "config.yaml", tmp_path / "console.log"
    config.write_text(configured(widgets), encoding="utf-8")
    data = tmp_path / "data"
    server = Server("customresource-exporter", log)
    command = [
        str(PROGRAM), "run", f"--kubeconfig={widgets.cluster.kubeconfig}", f"--config={config}", f"--data-dir={data}",
        "--web.listen-address=127.0.0.1:0", "--log.format=console", "--log.level=debug",
    ]  # fmt: skip
    server.start(command, lambda: re.search(rb"\] ready\b", log.read_bytes()) is not None)
    plant(widgets)
    eventually(lambda: len(states(data)) == OBJECTS + 1)
    server.terminate()

    assert found({"log": log.read_bytes(), **files(data)}) == []


def abort(exporter: Exporter) -> None:
    """Crash the interpreter, which then shows where it was."""
    os.kill(exporter._running(), signal.SIGABRT)


def spoil(exporter: Exporter) -> None:
    """Take the journal away below the exporter: the next commit cannot succeed."""
    for file in exporter.data_dir.glob("journal.db*"):
        os.truncate(file, 0)
        file.write_bytes(b"no journal any more" * 10_000)


@pytest.mark.parametrize(("crash", "sign"), [(abort, b"Fatal Python error: Aborted"), (spoil, b"journal")])
def test_a_crash_tells_no_secret(crash: Any, sign: bytes, widgets: Widgets, tmp_path: Path) -> None:
    """What an exporter says that dies, or fails, while it handles the secrets, holds none of them."""
    config = configured(widgets)
    env = {"PYTHONFAULTHANDLER": "1", "PYTHONASYNCIODEBUG": "1"}
    flags = ["--log.level=debug"]
    exporter = Exporter(widgets.cluster.kubeconfig, tmp_path / "data", config=config, env=env, flags=flags)
    exporter.start()
    plant(widgets)
    eventually_told(exporter, 2 * OBJECTS + 1)
    said = len(exporter.log)
    crash(exporter)
    plant(widgets, "-v2")
    eventually(lambda: sign in exporter.log[said:].encode())
    exporter.kill()

    assert found({"log": exporter.log.encode()}) == []
