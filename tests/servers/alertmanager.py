"""A real Alertmanager that tells a webhook of this process, and the webhook, which keeps what it was told.

Must never judge an alert; it is handed on as Alertmanager tells it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from tests.servers import build
from tests.servers.process import Server, answers, free_port


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Webhook:
    """Takes notifications on a port of loopback from the moment it is made until `close`."""

    def __init__(self) -> None:
        """Listen."""
        self.alerts: list[dict[str, Any]] = []
        alerts = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                alerts.extend(told["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: what came is in `alerts`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def told(self, name: str, status: str) -> list[dict[str, Any]]:
        """Give the notifications of an alert by its name and its status, `firing` or `resolved`."""
        return [alert for alert in self.alerts if alert["labels"]["alertname"] == name and alert["status"] == status]

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Alertmanager:
    """One Alertmanager, alone and in haste: it groups nothing, and waits for nothing."""

    def __init__(self, directory: Path, webhook: str, *, inhibit: Sequence[Mapping[str, Any]] = ()) -> None:
        """Choose the port and write the configuration; nothing runs before `start`.

        Args:
            directory: for its data, its configuration and its log
            webhook: URL of who is told
            inhibit: its `inhibit_rules`

        """
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self.url = f"http://{self.address}"
        self._server = Server("alertmanager", self.directory / "alertmanager.log")
        configuration = {
            "route": {
                "receiver": "webhook",
                "group_by": ["..."],
                "group_wait": "0s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "webhook", "webhook_configs": [{"url": webhook, "send_resolved": True}]}],
            "inhibit_rules": list(inhibit),
        }
        (self.directory / "alertmanager.yml").write_text(json.dumps(configuration, indent=1), encoding="utf-8")

    def start(self) -> None:
        """Start it; returns when it can be asked."""
        command: list[str | Path] = [
            build.required("alertmanager"),
            f"--config.file={self.directory / 'alertmanager.yml'}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",  # alone
        ]
        self._server.start(command, lambda: answers(f"{self.url}/-/ready"))

    def stop(self) -> None:
        """End it in order."""
        self._server.terminate()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()
