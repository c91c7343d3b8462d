"""A real Prometheus that scrapes what it is given, evaluates rules, and is asked over its API.

Must never interpret an answer: samples are handed on as Prometheus gives them.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from tests.servers import build
from tests.servers.process import Server, answers, free_port


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Prometheus:
    """One Prometheus; its port and what it has scraped survive a restart."""

    def __init__(
        self,
        directory: Path,
        scrape: Sequence[Mapping[str, Any]],
        *,
        rules: Sequence[Path] = (),
        alertmanager: str = "",
        interval: str = "1s",
    ) -> None:
        """Choose the port and write the configuration; nothing runs before `start`.

        Args:
            directory: for its data, its configuration and its log
            scrape: its `scrape_configs`
            rules: rule files
            alertmanager: `host:port` of who is told of alerts, empty for nobody
            interval: between two scrapes, and between two evaluations of the rules

        """
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._server = Server("prometheus", self.directory / "prometheus.log")
        configuration: dict[str, Any] = {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": [str(file.resolve()) for file in rules],
            "scrape_configs": list(scrape),
        }
        if alertmanager:
            configuration["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
        (self.directory / "prometheus.yml").write_text(json.dumps(configuration, indent=1), encoding="utf-8")

    def start(self) -> None:
        """Start it; returns when it can be asked."""
        command: list[str | Path] = [
            build.required("prometheus"),
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--enable-feature=exemplar-storage",
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

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Give the samples of an instant vector, as it is now or at a time since 1970: `metric` and `value`."""
        return list(self._get("query", query=expression, **({} if at is None else {"time": at}))["result"])

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Give the series between two times in seconds since 1970: `metric` and `values`."""
        return list(self._get("query_range", query=expression, start=start, end=end, step=step)["result"])

    def exemplars(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """Give the series with their exemplars between two times."""
        return list(self._get("query_exemplars", query=expression, start=start, end=end))

    def alerts(self) -> list[dict[str, Any]]:
        """Give the alerts that are pending or firing."""
        return list(self._get("alerts")["alerts"])

    def _get(self, what: str, **query: str | float) -> Any:
        # The body, not the URL: a dashboard's expression may be long.
        body = urllib.parse.urlencode(query).encode() if query else None
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}", body, timeout=30) as answer:  # noqa: S310 - our own
            return json.load(answer)["data"]
