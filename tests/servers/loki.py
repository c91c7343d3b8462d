"""A real Loki that takes OTLP, keeps it in files, and is asked in LogQL.

Must never change what Loki makes of a record by default: no mapping of attributes is configured.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from tests.servers import build
from tests.servers.process import Server, answers, free_port


if TYPE_CHECKING:
    from pathlib import Path


class Loki:
    """One Loki in one process."""

    def __init__(self, directory: Path) -> None:
        """Choose the ports and write the configuration; nothing runs before `start`."""
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._port, self._grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.otlp_endpoint = f"{self.url}/otlp"
        self._server = Server("loki", self.directory / "loki.log")
        (self.directory / "loki.yaml").write_text(json.dumps(self._configuration(), indent=1), encoding="utf-8")

    def start(self) -> None:
        """Start it; returns when it takes records and can be asked."""
        command: list[str | Path] = [build.required("loki"), f"-config.file={self.directory / 'loki.yaml'}"]
        self._server.start(command, lambda: answers(f"{self.url}/ready"))

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

    def query(self, expression: str, start: float, end: float, *, step: float = 1, limit: int = 1000) -> list[Any]:
        """Give the streams (of lines) or series (of numbers) of a LogQL expression.

        Args:
            expression: the LogQL
            start: seconds since 1970
            end: the same
            step: seconds between two numbers of a series
            limit: of lines

        """
        return self._get("query_range", query=expression, start=start, end=end, step=step, limit=limit)

    def query_at(self, expression: str, at: float) -> list[Any]:
        """Give the samples of a LogQL expression of numbers at a time in seconds since 1970."""
        return self._get("query", query=expression, time=at)

    def _get(self, what: str, **query: str | float) -> list[Any]:
        url = f"{self.url}/loki/api/v1/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own server
            return list(json.load(answer)["data"]["result"])

    def _configuration(self) -> dict[str, Any]:
        return {
            "auth_enabled": False,
            "server": {
                "http_listen_address": "127.0.0.1",
                "http_listen_port": self._port,
                "grpc_listen_address": "127.0.0.1",
                "grpc_listen_port": self._grpc_port,
                "log_level": "warn",
            },
            "common": {
                "instance_addr": "127.0.0.1",
                "path_prefix": str(self.directory / "data"),
                "replication_factor": 1,
                "ring": {"kvstore": {"store": "inmemory"}},
                "storage": {
                    "filesystem": {
                        "chunks_directory": str(self.directory / "data" / "chunks"),
                        "rules_directory": str(self.directory / "data" / "rules"),
                    }
                },
            },
            # Ready at once: no ring of several has to settle.
            "ingester": {"lifecycler": {"min_ready_duration": "0s", "final_sleep": "0s"}},
            "schema_config": {
                "configs": [
                    {
                        "from": "2024-01-01",
                        "store": "tsdb",
                        "object_store": "filesystem",
                        "schema": "v13",
                        "index": {"prefix": "index_", "period": "24h"},
                    }
                ]
            },
            "limits_config": {"allow_structured_metadata": True, "volume_enabled": True},
            "analytics": {"reporting_enabled": False},
        }
