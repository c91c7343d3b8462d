"""The real exporter as a subprocess: started, read as its users read it, killed and started again on its data.

Must never look into the exporter: flags, log, exit code, `changes` and HTTP are all that it knows. Nothing outlives
the process that started it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.servers.process import Server


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

PROGRAM = Path(sys.executable).with_name("customresource-exporter")
_STOP_SECONDS = 30.0
_READ_SECONDS = 60.0
# What a developer has set for other programs must not reach this one.
_FOREIGN = ("OTEL_", "KUBECONFIG", "KUBERNETES_SERVICE_")


class Exporter:
    """One exporter and its data directory; `with` starts it, and ends it in order if it still runs.

    After `kill` or `stop`, `start` goes on with the same data. The log grows over all its starts.
    """

    def __init__(
        self,
        kubeconfig: Path,
        data_dir: Path,
        *,
        config: str | None = None,
        env: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        """Prepare the command; nothing runs before `start`.

        Args:
            kubeconfig: who it is
            data_dir: of its journal; its log and its configuration lie beside it
            config: the text of a configuration
            env: added to the environment, from which all of OTEL_* is taken out
            flags: more flags of `run`

        """
        self.data_dir = data_dir.resolve()
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.data_dir.with_name(f"{self.data_dir.name}.log")
        self._command = [
            *_environment(env or {}), PROGRAM, "run", f"--kubeconfig={kubeconfig}", f"--data-dir={self.data_dir}",
            "--web.listen-address=127.0.0.1:0", "--log.format=json",
        ]  # fmt: skip
        if config is not None:
            file = self.data_dir.with_name(f"{self.data_dir.name}.yaml")
            file.write_text(config, encoding="utf-8")
            self._command.append(f"--config={file}")
        self._command.extend(flags)
        self._server = Server("customresource-exporter", self._log)
        self._begin = 0
        self.seconds_to_ready = 0.0

    def start(self, until: str = "ready") -> Self:
        """Start it and wait for a line of its log; `StartError`, with the end of the log, where that never comes."""
        self._begin = self._log.stat().st_size if self._log.exists() else 0
        began = time.monotonic()
        self._server.start(self._command, lambda: any(line.get("event") == until for line in self.lines()))
        self.seconds_to_ready = time.monotonic() - began
        return self

    def kill(self) -> None:
        """SIGKILL it."""
        self._server.kill()

    def stop(self) -> None:
        """SIGTERM it; it must end by itself, with exit code 0."""
        process = self._server._process
        self._server.terminate(_STOP_SECONDS)
        code = 0 if process is None else process.returncode
        assert code == 0, f"ended with {code}: {self.log[-4000:]}"

    def pause(self) -> None:
        """SIGSTOP it: it is there, and does nothing."""
        os.kill(self._running(), signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT it."""
        os.kill(self._running(), signal.SIGCONT)

    def hang_up(self) -> None:
        """SIGHUP it: it reads its files again."""
        os.kill(self._running(), signal.SIGHUP)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        """Stop it; where the test has failed already, without a second complaint."""
        if kind is None:
            self.stop()
        else:
            self.kill()

    @property
    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        """The log of this start, line by line; what is no JSON is left out."""
        with self._log.open("rb") as log:
            log.seek(self._begin)
            text = log.read()
        # A last line without its end is still being written.
        return [json.loads(line) for line in text.split(b"\n")[:-1] if line.startswith(b"{")]

    @property
    def url(self) -> str:
        """The address of its web server, without a slash at the end."""
        started = next(line for line in self.lines() if line["event"] == "started")
        return str(started["metrics"]).removesuffix("/metrics")

    def get(self, path: str) -> tuple[int, str]:
        """Ask its web server; the status and the body of the answer, also of a bad one."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310 - our own server
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metrics(self) -> Samples:
        """Every sample of /metrics by name and labels."""
        status, page = self.get("/metrics")
        assert status == 200, page
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def changes(self, *flags: str) -> list[dict[str, Any]]:
        """What `changes -o json` prints, in its order; works beside a running exporter and without one."""
        return self._printed("changes", *flags)

    def drift(self, *flags: str) -> list[dict[str, Any]]:
        """What `drift -o json` prints, in its order; works beside a running exporter and without one."""
        return self._printed("drift", "--all", *flags)

    def rollouts(self, *flags: str) -> list[dict[str, Any]]:
        """What `rollouts -o json` prints, in its order; works beside a running exporter and without one."""
        return self._printed("rollouts", *flags)

    def _printed(self, command: str, *flags: str) -> list[dict[str, Any]]:
        answer = subprocess.run(
            [PROGRAM, command, f"--data-dir={self.data_dir}", "-o", "json", *flags],
            capture_output=True,
            timeout=_READ_SECONDS,
            check=False,
        )
        if answer.returncode == 1 and b": no object " in answer.stderr:
            return []  # whoever waits for an object asks before it is known
        assert answer.returncode == 0, answer.stderr.decode()
        return [json.loads(line) for line in answer.stdout.splitlines()]

    def _running(self) -> int:
        pid = self._server.pid
        assert pid is not None, "it does not run"
        return pid


def _environment(env: Mapping[str, str]) -> list[str | Path]:
    """The start of a command that changes the environment and becomes the program: one process, one pid."""
    program = shutil.which("env")
    assert program is not None
    foreign = [part for name in os.environ if name.startswith(_FOREIGN) for part in ("-u", name)]
    return [program, *foreign, *(f"{name}={value}" for name, value in env.items())]
