"""A real OpenTelemetry Collector that takes OTLP and hands back what it received, as plain values to compare.

Must never interpret what it received: only the nesting of OTLP is flattened.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Self

from tests.servers import build
from tests.servers.process import Server, free_port, listens


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Collector:
    """One Collector with OTLP over HTTP and gRPC in, and files of JSON out; ports and records survive a restart."""

    def __init__(self, directory: Path, *, traces_to: str = "") -> None:
        """Choose the ports and write the configuration; nothing runs before `start`.

        Args:
            directory: for its files
            traces_to: OTLP/HTTP endpoint to which it passes on the traces that it receives

        """
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._http_port, self._grpc_port = free_port(), free_port()
        self.http_endpoint = f"http://127.0.0.1:{self._http_port}"
        self.grpc_endpoint = f"http://127.0.0.1:{self._grpc_port}"
        self._traces_to = traces_to
        self._cleared = 0
        self._server = Server("collector", self.directory / "collector.log")
        (self.directory / "config.yaml").write_text(json.dumps(self._configuration(), indent=2), encoding="utf-8")

    def start(self) -> None:
        """Start it; returns when both ports accept connections."""
        command: list[str | Path] = [build.required("collector"), "--config", f"file:{self.directory / 'config.yaml'}"]
        self._server.start(command, lambda: listens(self._http_port) and listens(self._grpc_port))

    def stop(self) -> None:
        """End it in order, so that whatever it has accepted is in the files."""
        self._server.terminate()

    def restart(self) -> None:
        """End it and start it again on the same ports, with what it received before."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process id, None while it does not run."""
        return self._server.pid

    def clear(self) -> None:
        """Forget the log records received so far."""
        self._cleared = self._received("logs").rfind(b"\n") + 1

    def records(self) -> list[dict[str, Any]]:
        """The log records in the order received: each a flat value, attributes and resource as plain dictionaries."""
        # A last line without its end is still being written.
        lines = self._received("logs")[self._cleared :].split(b"\n")[:-1]
        return [record for line in lines for record in _flattened(json.loads(line))]

    def requests_of_spans(self) -> list[list[dict[str, Any]]]:
        """The spans received, flat values as the records: a list for each request, in the order received."""
        lines = self._received("traces").split(b"\n")[:-1]
        return [list(_spans(json.loads(line))) for line in lines]

    def _received(self, signal: str) -> bytes:
        file = self.directory / f"{signal}.json"
        return file.read_bytes() if file.exists() else b""

    def _configuration(self) -> dict[str, Any]:
        signals = ("logs", "traces", "metrics")
        protocols = {
            "http": {"endpoint": f"127.0.0.1:{self._http_port}"},
            "grpc": {"endpoint": f"127.0.0.1:{self._grpc_port}"},
        }
        files = {
            f"file/{signal}": {
                "path": str(self.directory / f"{signal}.json"),
                "append": True,
                "flush_interval": "20ms",
            }
            for signal in signals
        }
        sinks = {signal: ["debug", f"file/{signal}"] for signal in signals}
        further = {}
        if self._traces_to:
            further["otlphttp"] = {"endpoint": self._traces_to, "tls": {"insecure": True}}
            sinks["traces"].append("otlphttp")
        return {
            "receivers": {"otlp": {"protocols": protocols}},
            "exporters": {"debug": {}, **files, **further},
            "service": {
                # Its own metrics would be served on a fixed port, and several run at once.
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {signal: {"receivers": ["otlp"], "exporters": sinks[signal]} for signal in signals},
            },
        }


def _flattened(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of one export request in OTLP's JSON, in which zero values and 64-bit numbers look odd."""
    for resource_logs in request["resourceLogs"]:
        resource = _plain_map(resource_logs.get("resource", {}).get("attributes", []))
        for scope_logs in resource_logs["scopeLogs"]:
            for record in scope_logs["logRecords"]:
                yield {
                    "resource": resource,
                    "event_name": record.get("eventName", ""),
                    "time_unix_nano": int(record.get("timeUnixNano", 0)),
                    "observed_time_unix_nano": int(record.get("observedTimeUnixNano", 0)),
                    "severity_number": record.get("severityNumber", 0),
                    "body": _plain(record.get("body", {})),
                    "attributes": _plain_map(record.get("attributes", [])),
                    "trace_id": record.get("traceId", ""),
                    "span_id": record.get("spanId", ""),
                }


def _spans(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The spans of one export request; times in nanoseconds since 1970."""
    for resource_spans in request["resourceSpans"]:
        resource = _plain_map(resource_spans.get("resource", {}).get("attributes", []))
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                yield {
                    "resource": resource,
                    "trace_id": span["traceId"],
                    "span_id": span["spanId"],
                    "parent_span_id": span.get("parentSpanId", ""),
                    "name": span["name"],
                    "start_unix_nano": int(span["startTimeUnixNano"]),
                    "end_unix_nano": int(span["endTimeUnixNano"]),
                    "attributes": _plain_map(span.get("attributes", [])),
                    "links": [
                        {
                            "trace_id": link["traceId"],
                            "span_id": link["spanId"],
                            "attributes": _plain_map(link.get("attributes", [])),
                        }
                        for link in span.get("links", [])
                    ],
                    "status": span.get("status", {}),
                }


def _plain_map(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["key"]: _plain(entry["value"]) for entry in entries}


def _plain(value: dict[str, Any]) -> Any:
    """The Python value of an OTLP AnyValue; an empty one is None."""
    match value:
        case {"intValue": number}:
            return int(number)
        case {"arrayValue": array}:
            return [_plain(item) for item in array.get("values", [])]
        case {"kvlistValue": entries}:
            return _plain_map(entries.get("values", []))
        case {"bytesValue": text}:
            return base64.b64decode(text)
        case _:
            return next(iter(value.values()), None)
