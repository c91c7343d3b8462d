"""A real Jaeger that takes OTLP and answers queries, as plain values to compare.

Must never interpret what it answers, or use a port that another one on the machine could use.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from tests.servers import build
from tests.servers.process import Server, answers, free_port, listens


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# All that it listens on beside OTLP over HTTP and its queries: each at a fixed port unless it is told another.
_OTHERS = (
    "admin.http.host-port",
    "collector.grpc-server.host-port",
    "collector.http-server.host-port",
    "collector.otlp.grpc.host-port",
    "http-server.host-port",
    "processor.jaeger-binary.server-host-port",
    "processor.jaeger-compact.server-host-port",
    "processor.zipkin-compact.server-host-port",
    "query.grpc-server.host-port",
)


class Jaeger:
    """One Jaeger that keeps traces in memory until it is stopped."""

    def __init__(self, directory: Path) -> None:
        """Choose the ports; nothing runs before `start`."""
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._otlp_port, self._query_port = free_port(), free_port()
        self.otlp_endpoint = f"http://127.0.0.1:{self._otlp_port}"
        self.url = f"http://127.0.0.1:{self._query_port}"
        self._server = Server("jaeger", self.directory / "jaeger.log")

    def start(self) -> None:
        """Start it; returns when it takes spans and answers queries."""
        ports = dict.fromkeys(_OTHERS) | {
            "collector.otlp.http.host-port": self._otlp_port,
            "query.http-server.host-port": self._query_port,
        }
        flags = [f"--{name}=127.0.0.1:{port or free_port()}" for name, port in ports.items()]
        command: list[str | Path] = [build.required("jaeger"), "--log-level=warn", *flags]
        self._server.start(command, lambda: listens(self._otlp_port) and answers(f"{self.url}/api/services"))

    def stop(self) -> None:
        """End it; what it held is gone. At once: asked to, it takes its time, and has nothing to save."""
        self._server.kill()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def services(self) -> list[str]:
        """The names of the services of which it holds a span."""
        found: list[str] | None = self._ask("services")
        return found or []

    def traces(self, service: str, **query: str) -> dict[str, list[dict[str, Any]]]:
        """The traces of a service by their ids, each as its spans in the order of their beginnings.

        Args:
            service: by name
            query: what else its API is to be asked for (`operation`, `tags`, `minDuration`, …)

        """
        found = self._ask("traces", service=service, limit="1000", **query)
        return {trace["traceID"]: sorted(_spans(trace), key=lambda span: span["start_micros"]) for trace in found}

    def _ask(self, path: str, **query: str) -> Any:
        url = f"{self.url}/api/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
            return json.load(answer)["data"]


def _spans(trace: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The spans of one trace as its API gives them, with the process that each names by a number put in its place."""
    for span in trace["spans"]:
        parents = [one for one in span["references"] if one["refType"] == "CHILD_OF"]
        process = trace["processes"][span["processID"]]
        yield {
            "service": process["serviceName"],
            "resource": _plain(process["tags"]),
            "trace_id": span["traceID"],
            "span_id": span["spanID"],
            "parent_span_id": parents[0]["spanID"] if parents else "",
            "name": span["operationName"],
            "start_micros": span["startTime"],
            "end_micros": span["startTime"] + span["duration"],
            "attributes": _plain(span["tags"]),
            "links": [
                {"trace_id": one["traceID"], "span_id": one["spanID"]}
                for one in span["references"]
                if one["refType"] == "FOLLOWS_FROM"
            ],
            "warnings": span["warnings"] or [],
        }


def _plain(tags: list[dict[str, Any]]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in tags}
