"""What is sent while the configuration changes: every record, and by what is in force."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from tests.integration.exporting import Exporter
from tests.reload.ground import Ground, gauge
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROUP = "a.example.com"


class Endpoint:
    """Takes log records over http/protobuf, and notes of each its cluster and its id."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                endpoint.take(body)
                answer = ExportLogsServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    def take(self, body: bytes) -> None:
        """Note what a request holds."""
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            of = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    uid = next(one.value.string_value for one in record.attributes if one.key == "log.record.uid")
                    self.taken.append((of.get("k8s.cluster.name", ""), uid))


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A server with one type."""
    with Ground(tmp_path) as one:
        one.install(GROUP)
        yield one


def test_every_record_is_sent_over_reloads_and_tells_of_the_cluster_in_force(ground: Ground, tmp_path: Path) -> None:
    """None is missing and none comes twice; those after the last reload carry the last name."""
    endpoint, file = Endpoint(), tmp_path / "config.yaml"

    def write(cluster: str) -> None:
        file.write_text(json.dumps({"cluster": cluster, "watch": {"include": [f"{GROUP}/*"]}}), encoding="utf-8")

    write("number-0")
    with endpoint.serving():
        env = {
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{endpoint.url}/v1/logs",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
        }
        with Exporter(ground.kubeconfig, tmp_path / "data", env=env, flags=[f"--config={file}"]) as exporter:

            def has_changed(times: int) -> bool:
                """Whether it did so often; where a look of the exporter's own is first, who asks finds the same."""
                read_again = [one for one in exporter.lines() if one["event"] == "read again"]
                return [one["changed"] for one in read_again].count(True) == times

            for name in ("a", "b", "c"):
                ground.create(GROUP, name, {"size": 0})
            eventually(lambda: len(endpoint.taken) == 3)
            with ground.writing(GROUP, ("a", "b", "c")):
                for number in range(1, 6):
                    write(f"number-{number}")
                    exporter.hang_up()
                    eventually(partial(has_changed, number), 30)
            ground.create(GROUP, "last", {"size": 0})
            eventually(lambda: len(endpoint.taken) >= len(ground.written))
            assert gauge(exporter, "config_last_reload_successful") == 1
            uids = [uid for _, uid in endpoint.taken]
            assert len(uids) == len(set(uids)) == len(ground.written) == len(exporter.changes())
            clusters = [cluster for cluster, _ in endpoint.taken]
            assert clusters == sorted(clusters)
            assert {clusters[0], clusters[-1]} == {"number-0", "number-5"}
